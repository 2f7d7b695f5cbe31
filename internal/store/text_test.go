package store

import (
	"encoding/json"
	"testing"
)

func TestTextOf(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		value any
		want  string
	}{
		{"travel", "travel"},
		{"", ""},
		{true, "true"},
		{2020, "2020"},
		{int64(2020), "2020"},
		{2020.0, "2020"},
		{json.Number("2020.0"), "2020"},
		{0.5, "0.5"},
		{1e21, "1e+21"},
	} {
		if got := TextOf(row.value); got != row.want {
			t.Errorf("TextOf(%#v) = %q, want %q", row.value, got, row.want)
		}
	}
}
