package qdrantstore

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"math"
	"strconv"

	"github.com/qdrant/go-client/qdrant"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// What a filter can name of a memory, but for its times, is a label: a field and its value, a text, a number or a bool.
// Callers choose the keys of metadata, so there can be no index for each. Instead a point has two lists:
//
//   - tags, a keyword for each field and value (`"metadata.topic"="travel"`): equality is a look-up in one index;
//   - labels, an object for each field with its kind and its place in the order of values: what ranges and existence go by.
//
// Qdrant orders numbers only. So a text has numbers that are in the order of texts: six bytes each, as digits of base 257,
// where a text that is over goes on with zeros.

const (
	kindText   = "text "
	kindNumber = "number "
	kindBool   = "bool "
)

// labels yields the labels of a memory by the names that filters have for them.
func labels(f store.Fields) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for key, value := range f.Metadata {
			if v := store.LabelOf(value); v != nil && !yield("metadata."+key, v) {
				return
			}
		}
		if f.ExternalID != "" && !yield("external_id", f.ExternalID) {
			return
		}
		if f.BatchID != "" {
			yield("batch_id", f.BatchID)
		}
	}
}

// maxTag is how long a tag may be; the value of a longer one is there as a digest.
const maxTag = 256

func tag(field string, value any) string {
	var t string
	switch v := value.(type) {
	case string:
		if t = strconv.Quote(field) + "=" + strconv.Quote(v); len(t) > maxTag {
			t = fmt.Sprintf("%q#%.16x", field, sha256.Sum256([]byte(v)))
		}
	case float64:
		t = strconv.Quote(field) + "=" + strconv.FormatFloat(v+0, 'g', -1, 64) // + 0: there is one zero
	default:
		t = fmt.Sprintf("%q=%v", field, v)
	}
	return t
}

// label is an element of labels: k is the kind and the field, v the number or the first part of the text, c the other
// parts of the text.
func label(field string, value any) *qdrant.Value {
	fields := map[string]*qdrant.Value{}
	switch v := value.(type) {
	case string:
		parts := ordinals(v)
		fields["k"], fields["v"] = qdrant.NewValueString(kindText+field), qdrant.NewValueDouble(parts[0])
		if rest := parts[1:min(len(parts), maxOrdinals)]; len(rest) > 0 {
			fields["c"] = doubles(rest)
		}
	case float64:
		fields["k"], fields["v"] = qdrant.NewValueString(kindNumber+field), qdrant.NewValueDouble(finite(v))
	default:
		fields["k"] = qdrant.NewValueString(kindBool + field)
	}
	return qdrant.NewValueStruct(&qdrant.Struct{Fields: fields})
}

func doubles(fs []float64) *qdrant.Value {
	out := make([]*qdrant.Value, len(fs))
	for i, f := range fs {
		out[i] = qdrant.NewValueDouble(f)
	}
	return qdrant.NewValueFromList(out...)
}

// finite is what JSON can hold of a number.
func finite(f float64) float64 { return max(-math.MaxFloat64, min(math.MaxFloat64, f)) }

const (
	ordinalBytes = 6 // 257^6 is below 2^53, so a float64 has it exactly
	maxOrdinals  = 32
)

// ordinals are the numbers of a text: in the order of texts, first by the first, then by the second and so on. The last
// one says that the text is over.
func ordinals(s string) []float64 {
	out := make([]float64, 0, len(s)/ordinalBytes+1)
	for i := 0; i <= len(s); i += ordinalBytes {
		var n uint64
		for j := i; j < i+ordinalBytes; j++ {
			n *= 257
			if j < len(s) {
				n += uint64(s[j]) + 1
			}
		}
		out = append(out, float64(n))
	}
	return out
}
