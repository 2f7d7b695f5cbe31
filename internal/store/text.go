package store

import (
	"encoding/json"
	"fmt"
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
