package store

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                      nil,
		" .,;!?'\"":             nil,
		"Dorothy's CAFÉ, 1900!": {"dorothy", "s", "cafe", "1900"},
		"ｆｕｌｌｗｉｄｔｈ ﬁne":         {"fullwidth", "fine"},
		"記憶":                    {"記憶"},
		"私の記憶 go言語":             {"私の", "の記", "記憶", "go", "言語"},
		"木":                     {"木"},
		"ความจำ":                {"คว", "วา", "าม", "มจ", "จํ", "ํา"},
		"हिन्दी a":              {"हिन्दी", "a"},
		"Ελληνικά Ёлка":         {"ελληνικα", "елка"},
	} {
		if d := cmp.Diff(want, slices.Collect(words(text))); d != "" {
			t.Errorf("words(%q): -want +got:\n%s", text, d)
		}
	}
}

func TestQueryTerms(t *testing.T) {
	t.Parallel()
	terms := func(words ...string) (out []Term) {
		for _, w := range words {
			out = append(out, termOf(w))
		}
		return out
	}
	for query, want := range map[string][]Term{
		"":                                    nil,
		"Where did the girl live?":            terms("girl", "live"),
		"painting, painted and PAINTS paints": terms("paint"),
		"to be or not to be":                  terms("to", "be", "or", "not"),
		"Caroline's running":                  terms("carolin", "run"),
	} {
		if d := cmp.Diff(want, QueryTerms(query)); d != "" {
			t.Errorf("QueryTerms(%q): -want +got:\n%s", query, d)
		}
	}
	var long string
	for i := range 3 * MaxQueryTerms {
		long += string(rune('a'+i%26)) + string(rune('a'+i/26)) + "x "
	}
	if n := len(QueryTerms(long)); n != MaxQueryTerms {
		t.Errorf("a long query has %d terms, want %d", n, MaxQueryTerms)
	}
}

func TestPassageTerms(t *testing.T) {
	t.Parallel()
	weight := func(text, word string) float64 {
		for _, w := range PassageTerms(text) {
			if w.Term == termOf(word) {
				return float64(w.Weight)
			}
		}
		return 0
	}
	once, twice := weight("Toto barks", "toto"), weight("Toto barks Toto", "toto")
	if once <= 0 || twice <= once || twice >= 2*once {
		t.Errorf("one occurrence counts %v, two %v: want more, but less than twice as much", once, twice)
	}
	if long := weight("Toto barks at a lion that came out of the deep dark wood beside the yellow road", "toto"); long >= once {
		t.Errorf("a long passage counts %v, a short one %v: want less", long, once)
	}
	if got := weight("the Totos", "the"); got == 0 {
		t.Error("a stop word has no weight: a query of nothing else could not find it")
	}
	if got := PassageTerms("?!"); len(got) != 0 {
		t.Errorf("a passage without words has the terms %v", got)
	}
	ts := PassageTerms("one two three four five six")
	if !slices.IsSortedFunc(ts, func(a, b TermWeight) int { return int(int64(a.Term) - int64(b.Term)) }) {
		t.Errorf("the terms are not in order: %v", ts)
	}
}

func TestIDF(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		all, n int
		want   float64
	}{{10, 0, math.Log(22)}, {10, 10, math.Log(1 + 0.5/10.5)}, {0, 0, math.Log(2)}} {
		if got := IDF(c.all, c.n); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("IDF(%d, %d) is %v, want %v", c.all, c.n, got, c.want)
		}
	}
}

func BenchmarkPassageTerms(b *testing.B) {
	const text = "Dorothy lived in the midst of the great Kansas prairies, with Uncle Henry, who was a farmer, and Aunt Em, who was the farmer's wife."
	for b.Loop() {
		PassageTerms(text)
	}
}
