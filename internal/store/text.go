package store

import (
	"encoding/json"
	"fmt"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TextOf is the text form of a metadata value, which is what the metadata of a [MemoryQuery] are compared with: a string
// as it is, a number and a bool as JSON writes them, whatever Go type the number has.
func TextOf(v any) string {
	switch n := number(v).(type) {
	case string:
		return n
	case float64, bool:
		b, _ := json.Marshal(n) //nolint:errchkjson // validated metadata are finite
		return string(b)
	default:
		return fmt.Sprint(n)
	}
}

// Plain is metadata as every store gives them back: all numbers are float64, and no metadata are nil.
func Plain(md memory.Metadata) memory.Metadata {
	if len(md) == 0 {
		return nil
	}
	out := make(memory.Metadata, len(md))
	for k, v := range md {
		out[k] = number(v)
	}
	return out
}
