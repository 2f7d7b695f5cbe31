package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// jsonFormat reads and writes JSON as the standard library does, but for whole numbers: 3600.0 and 3.6e3 are integers in
// JSON Schema, and so they are here.
func jsonFormat() huma.Format {
	return huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}
}

func unmarshal(data []byte, v any) error {
	for {
		err := json.Unmarshal(data, v)
		var wrong *json.UnmarshalTypeError
		if !errors.As(err, &wrong) {
			return err
		}
		mended, ok := whole(data, wrong)
		if !ok {
			return fmt.Errorf("%s must not be a %s", strings.ReplaceAll(wrong.Field, ".", "/"), wrong.Value)
		}
		data = mended
	}
}

// whole writes the number that does not fit an integer as one, where that is what it is.
func whole(data []byte, wrong *json.UnmarshalTypeError) ([]byte, bool) {
	literal, ok := strings.CutPrefix(wrong.Value, "number ")
	end := int(wrong.Offset)
	start := end - len(literal)
	if !ok || start < 0 || end > len(data) || string(data[start:end]) != literal {
		return nil, false
	}
	n, err := strconv.ParseFloat(literal, 64)
	if err != nil || n != math.Trunc(n) || math.Abs(n) > 1<<53 {
		return nil, false
	}
	integer := strconv.FormatInt(int64(n), 10)
	if integer == literal {
		return nil, false
	}
	return bytes.Join([][]byte{data[:start], []byte(integer), data[end:]}, nil), true
}
