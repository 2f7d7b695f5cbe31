package openai_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/llm/openai"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func texts(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("text %d", i)
	}
	return out
}

func TestPageIsOneCall(t *testing.T) {
	t.Parallel()
	var r recorder
	s := start(t, r.script(nil))
	v, err := embedder(t, s, openai.Config{}).Embed(t.Context(), texts(64))
	if err != nil || len(v.Vectors) != 64 || s.Stats().Total() != 1 {
		t.Errorf("%v, %d vectors, %d calls", err, len(v.Vectors), s.Stats().Total())
	}
	body := r.body(t, 0)
	delete(body, "input")
	if want := map[string]any{"model": "text-embedding-3-small", "encoding_format": "float"}; !cmp.Equal(body, want) {
		t.Error(cmp.Diff(want, body))
	}
}

func TestDimensionsAreAskedForWhereSet(t *testing.T) {
	t.Parallel()
	var r recorder
	if _, err := embedder(t, start(t, r.script(nil)), openai.Config{Dimensions: 512}).Embed(t.Context(), texts(1)); err != nil {
		t.Fatal(err)
	}
	if got := r.body(t, 0)["dimensions"]; got != 512.0 {
		t.Errorf("dimensions: %v", got)
	}
}

func TestServersWithoutDimensionsAreAskedOnce(t *testing.T) {
	t.Parallel()
	for _, said := range []string{
		"This model does not support specifying dimensions.",
		`Model "m" does not support matryoshka representation, changing output dimensions will lead to poor results.`,
		"Unrecognized request argument supplied: dimensions",
		`[{'type': 'extra_forbidden', 'loc': ('body', 'dimensions'), 'msg': 'Extra inputs are not permitted'}]`,
	} {
		t.Run(said, func(t *testing.T) {
			t.Parallel()
			var r recorder
			e := embedder(t, start(t, r.script(dimensionsFail(said))), openai.Config{Dimensions: 7})
			for range 2 {
				v, err := e.Embed(t.Context(), texts(1))
				if err != nil || !strings.Contains(v.Usage.Notice, "dimensions, not the 7 asked for") {
					t.Errorf("%v, with the notice %q", err, v.Usage.Notice)
				}
			}
			if len(r.calls) != 3 {
				t.Errorf("%d calls, want 2 and then 1", len(r.calls))
			}
		})
	}
	t.Run("ANumberThatItDoesNotTakeIsRefused", func(t *testing.T) {
		t.Parallel()
		var r recorder
		said := "Invalid value for 'dimensions' = 4096. Must be less than or equal to 1536."
		_, err := embedder(t, start(t, r.script(dimensionsFail(said))), openai.Config{Dimensions: 4096}).Embed(t.Context(), texts(1))
		if memory.CodeOf(err) != memory.CodeRefused || len(r.calls) != 1 {
			t.Errorf("%v after %d calls", err, len(r.calls))
		}
	})
}

// dimensionsFail refuses requests that ask for dimensions.
func dimensionsFail(said string) llmtest.Script {
	return func(c llmtest.Call) llmtest.Behaviour {
		if strings.Contains(string(c.Request.Body), `"dimensions"`) {
			return llmtest.Fail(400, "invalid_request_error", said, "", "")
		}
		return nil
	}
}

func TestLongListsAreSplit(t *testing.T) {
	t.Parallel()
	all := texts(10)
	long := strings.Repeat("word ", 6_000) // 7,500 tokens, so that 26 of them fit into a call
	for name, c := range map[string]struct {
		texts []string
		batch int
		sizes []int
	}{
		"ByCount":           {all, 4, []int{4, 4, 2}},
		"Whole":             {all, 10, []int{10}},
		"OneByOne":          {all[:2], 1, []int{1, 1}},
		"ByTokensOfThemAll": {slices.Repeat([]string{long}, 30), 2_048, []int{26, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r recorder
			e := embedder(t, start(t, r.script(nil)), openai.Config{MaxBatch: c.batch})
			v, err := e.Embed(t.Context(), c.texts)
			if err != nil || len(v.Vectors) != len(c.texts) {
				t.Fatalf("%v, %d vectors", err, len(v.Vectors))
			}
			var sizes, tokens []int
			for _, call := range r.calls {
				sizes = append(sizes, len(call.Texts))
				tokens = append(tokens, len(strings.Join(call.Texts, ""))/4+1)
			}
			sum := 0
			for _, n := range tokens {
				sum += n
			}
			if !slices.Equal(sizes, c.sizes) || v.Usage.Tokens != sum {
				t.Errorf("batches of %v, %d tokens of %d", sizes, v.Usage.Tokens, sum)
			}
		})
	}
}

func TestFaultInALaterBatch(t *testing.T) {
	t.Parallel()
	e := embedder(t, start(t, llmtest.Sequence(nil, llmtest.Status(503))), openai.Config{MaxBatch: 1})
	v, err := e.Embed(t.Context(), texts(3))
	if memory.CodeOf(err) != memory.CodeUnavailable || v.Vectors != nil || v.Usage.Tokens == 0 {
		t.Errorf("%v, %+v", err, v)
	}
}

func answer(data ...any) llmtest.Behaviour {
	b, _ := json.Marshal(map[string]any{"data": data, "model": "m", "usage": map[string]int{"total_tokens": 3}}) // plain values
	return func(x *llmtest.Exchange) {
		x.Send(200, map[string]string{"Content-Type": "application/json"}, string(b))
	}
}

func at(index int, v any) map[string]any { return map[string]any{"index": index, "embedding": v} }

func TestVectorsThatCome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []any
		want [][]float32
	}{
		"InOrder":         {[]any{at(0, []float64{3, 4}), at(1, []float64{0, 2})}, [][]float32{{0.6, 0.8}, {0, 1}}},
		"InAnyOrder":      {[]any{at(1, []float64{0, 2}), at(0, []float64{3, 4})}, [][]float32{{0.6, 0.8}, {0, 1}}},
		"WithoutNumbers":  {[]any{map[string]any{"embedding": []float64{1, 0}}, map[string]any{"embedding": []float64{0, 1}}}, [][]float32{{1, 0}, {0, 1}}},
		"AsBase64":        {[]any{at(0, "AABAQAAAgEA="), at(1, []float64{0, 2})}, [][]float32{{0.6, 0.8}, {0, 1}}},
		"TooFew":          {[]any{at(0, []float64{1, 0})}, nil},
		"TooMany":         {[]any{at(0, []float64{1, 0}), at(1, []float64{1, 0}), at(2, []float64{1, 0})}, nil},
		"SameNumber":      {[]any{at(1, []float64{1, 0}), at(1, []float64{0, 1})}, nil},
		"NumberTooHigh":   {[]any{at(0, []float64{1, 0}), at(2, []float64{0, 1})}, nil},
		"NegativeNumber":  {[]any{at(0, []float64{1, 0}), at(-1, []float64{0, 1})}, nil},
		"ZeroVector":      {[]any{at(0, []float64{0, 0}), at(1, []float64{0, 1})}, nil},
		"EmptyVector":     {[]any{at(0, []float64{}), at(1, []float64{0, 1})}, nil},
		"HugeVector":      {[]any{at(0, []float64{1e300, 0}), at(1, []float64{0, 1})}, nil},
		"OtherDimensions": {[]any{at(0, []float64{1, 0, 0}), at(1, []float64{0, 1})}, nil},
		"NoVectors":       {[]any{at(0, nil), at(1, "?")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := embedder(t, start(t, llmtest.Always(answer(c.data...))), openai.Config{})
			v, err := e.Embed(t.Context(), texts(2))
			if c.want == nil {
				if memory.CodeOf(err) != memory.CodeBadAnswer || v.Usage.Tokens != 3 {
					t.Errorf("%v, %+v", err, v)
				}
				return
			}
			if err != nil || !cmp.Equal(v.Vectors, c.want) || v.Usage.Model != e.Model() { // the server says "m"
				t.Errorf("%v, %s", err, cmp.Diff(c.want, v.Vectors))
			}
		})
	}
}

func TestLongTextsAreCutWithANotice(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Dorothy walked on. ", 1_000) // 4,750 tokens
	for name, c := range map[string]struct {
		texts          []string
		limit, context int
		notice         string
		calls          int
	}{
		"NoneTooLong": {[]string{"a", long}, 0, 0, "", 1},
		"One":         {[]string{"a", long}, 1_000, 0, "text cut from about 4,750 to 1,000 tokens", 1},
		"Several":     {[]string{long, "a", long + long}, 1_000, 0, "2 texts cut to about 1,000 tokens, the longest from 9,500", 1},
		"ByHalf":      {[]string{"a", long}, 0, 3_000, "text cut from about 4,750 to 2,375 tokens", 2},
		"Both":        {[]string{"a", long}, 4_000, 3_000, "text cut from about 4,750 to 4,000 tokens; text cut from about 4,000 to 2,000 tokens", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := llmtest.NewServer(llmtest.Config{Key: key, ContextTokens: c.context})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			v, err := embedder(t, s, openai.Config{MaxInputTokens: c.limit}).Embed(t.Context(), c.texts)
			if err != nil || len(v.Vectors) != len(c.texts) || v.Usage.Notice != c.notice || s.Stats().Total() != c.calls {
				t.Errorf("%v, %d vectors, notice %q, %d calls", err, len(v.Vectors), v.Usage.Notice, s.Stats().Total())
			}
		})
	}
	s, err := llmtest.NewServer(llmtest.Config{Key: key, ContextTokens: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := embedder(t, s, openai.Config{}).Embed(t.Context(), []string{long}); memory.CodeOf(err) != memory.CodeRefused || s.Stats().Total() != 2 {
		t.Errorf("%d calls, %v", s.Stats().Total(), err)
	}
}

func TestEmptyTextIsSentAsABlank(t *testing.T) {
	t.Parallel()
	var r recorder
	given := []string{"", "x"}
	_, err := embedder(t, start(t, r.script(nil)), openai.Config{}).Embed(t.Context(), given)
	if err != nil || !slices.Equal(r.calls[0].Texts, []string{" ", "x"}) || given[0] != "" {
		t.Errorf("%v, sent %q, given now %q", err, r.calls[0].Texts, given)
	}
}
