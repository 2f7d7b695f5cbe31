package static

import (
	"bufio"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// golden is a line of testdata/golden.ndjson, which distil/golden.py writes with the reference tokenizer and numpy.
type golden struct {
	Text   string    `json:"text"`
	IDs    []uint16  `json:"ids"`
	Vector []float64 `json:"vector"` // of some texts: the first elements and the last
}

func goldens(tb testing.TB) []golden {
	tb.Helper()
	f, err := os.Open("testdata/golden.ndjson")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var cases []golden
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c golden
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			tb.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

func TestGolden(t *testing.T) {
	t.Parallel()
	m, cases := load(t), goldens(t)
	t.Run("TokensEqualTheReference", func(t *testing.T) {
		t.Parallel()
		if len(cases) < 450 {
			t.Errorf("only %d cases", len(cases))
		}
		for _, c := range cases {
			s := &scratch{ids: []uint16{}}
			m.words.tokenize(s, c.Text)
			if !slices.Equal(c.IDs, s.ids) {
				t.Errorf("%q: %v, in the reference %v", c.Text, s.ids, c.IDs)
			}
		}
	})
	t.Run("VectorsEqualTheReference", func(t *testing.T) {
		t.Parallel()
		for _, c := range cases {
			if c.Vector != nil {
				compareEnds(t, c, m.Embed(c.Text))
			}
		}
	})
}

// compareEnds compares the elements that a golden keeps of a vector.
func compareEnds(t *testing.T, c golden, v []float32) {
	t.Helper()
	last := len(c.Vector) - 1
	got := append(slices.Clone(v[:last]), v[len(v)-1])
	for i, want := range c.Vector {
		if math.Abs(float64(got[i])-want) > 1e-5 {
			t.Errorf("%q: element %d is %f, in the reference %f", c.Text, i, got[i], want)
		}
	}
}
