package sqlitestore

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"time"
)

// packFloats writes a vector as sqlite-vec takes it: little-endian float32.
func packFloats(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, f := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}

func unpackFloats(b []byte) []float32 {
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v
}

// jsonOf is v as JSON text, for parameters that are read with json_each and for columns.
func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("sqlitestore: " + err.Error()) // of our own types: a programmer's mistake; the writer makes an error of it
	}
	return string(b)
}

// msOf is t in milliseconds, rounded up, so that a lease is never shorter than it was meant.
func msOf(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return ms
}

// costOf is an amount in 10^-12 dollars: integers add up the same in every order.
func costOf(usd float64) int64 { return int64(math.Round(usd * 1e12)) }

func usdOf(cost int64) float64 { return float64(cost) / 1e12 }
