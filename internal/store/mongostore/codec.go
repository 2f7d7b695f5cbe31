package mongostore

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// registry knows how the domain's types are stored. Structs keep the field names that their JSON has. Maps whose keys are
// other people's words become lists of k and v: a name of a field may not be any text. Vectors are bytes, and so a fourth
// of what lists of numbers are.
func registry() *bson.Registry {
	r := bson.NewRegistry()
	register(r, encodeTime, decodeTime)
	register(r, encodeVector, decodeVector)
	register(r, encodeRaw, decodeRaw)
	register(r, encodePairs[map[string]string], decodePairs[map[string]string, string])
	register(r, encodeLabels, decodePairs[memory.Metadata, any])
	return r
}

// register adds a type by two functions that read and write a value that is not null.
func register[T any](r *bson.Registry, encode func(bson.EncodeContext, bson.ValueWriter, T) error, decode func(bson.DecodeContext, bson.ValueReader) (T, error)) {
	t := reflect.TypeFor[T]()
	r.RegisterTypeEncoder(t, bson.ValueEncoderFunc(func(ec bson.EncodeContext, w bson.ValueWriter, v reflect.Value) error {
		return encode(ec, w, v.Interface().(T))
	}))
	r.RegisterTypeDecoder(t, bson.ValueDecoderFunc(func(dc bson.DecodeContext, r bson.ValueReader, v reflect.Value) error {
		if r.Type() == bson.TypeNull {
			v.SetZero()
			return r.ReadNull()
		}
		out, err := decode(dc, r)
		v.Set(reflect.ValueOf(out))
		return err
	}))
}

func encodeTime(_ bson.EncodeContext, w bson.ValueWriter, t memory.Time) error {
	return w.WriteDateTime(t.UnixMilli())
}

func decodeTime(_ bson.DecodeContext, r bson.ValueReader) (memory.Time, error) {
	ms, err := r.ReadDateTime()
	return memory.At(time.UnixMilli(ms)), err
}

func encodeVector(_ bson.EncodeContext, w bson.ValueWriter, v []float32) error {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return w.WriteBinary(b)
}

func decodeVector(_ bson.DecodeContext, r bson.ValueReader) ([]float32, error) {
	b, _, err := r.ReadBinary()
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v, err
}

func encodeRaw(_ bson.EncodeContext, w bson.ValueWriter, raw json.RawMessage) error {
	return w.WriteString(string(raw))
}

func decodeRaw(_ bson.DecodeContext, r bson.ValueReader) (json.RawMessage, error) {
	s, err := r.ReadString()
	return json.RawMessage(s), err
}

// pair is an entry of a map.
type pair[V any] struct {
	K string `bson:"k"`
	V V      `bson:"v"`
}

func encodePairs[M ~map[string]V, V any](ec bson.EncodeContext, w bson.ValueWriter, m M) error {
	pairs := make([]pair[V], 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, pair[V]{k, m[k]})
	}
	encoder, err := ec.LookupEncoder(reflect.TypeOf(pairs))
	if err != nil {
		return err
	}
	return encoder.EncodeValue(ec, w, reflect.ValueOf(pairs))
}

func decodePairs[M ~map[string]V, V any](dc bson.DecodeContext, r bson.ValueReader) (M, error) {
	var pairs []pair[V]
	decoder, err := dc.LookupDecoder(reflect.TypeOf(pairs))
	if err != nil {
		return nil, err
	}
	if err := decoder.DecodeValue(dc, r, reflect.ValueOf(&pairs).Elem()); err != nil {
		return nil, err
	}
	m := make(M, len(pairs))
	for _, p := range pairs {
		m[p.K] = p.V
	}
	return m, nil
}

func encodeLabels(ec bson.EncodeContext, w bson.ValueWriter, md memory.Metadata) error {
	return encodePairs(ec, w, store.Plain(md))
}

// ceil is t in the milliseconds that are stored, rounded up, so that a lease is never shorter than it was meant.
func ceil(t time.Time) time.Time {
	floor := t.Truncate(time.Millisecond)
	if floor.Before(t) {
		floor = floor.Add(time.Millisecond)
	}
	return floor.UTC()
}

// leaseEnd is the end of a lease as it is stored; a lease that never was ended long ago. The zero time would not do: the
// driver takes it for a field that is not there.
func leaseEnd(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return ceil(t)
}

// costOf is an amount in 10^-12 dollars: integers add up the same in every order.
func costOf(usd float64) int64 { return int64(math.Round(usd * 1e12)) }

func usdOf(cost int64) float64 { return float64(cost) / 1e12 }
