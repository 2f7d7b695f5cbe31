package llmtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// Call is one call as a script sees it, before it is answered.
type Call struct {
	Method  string        // Embed, UseCases or Graph; on a server also Models or Other
	Texts   []string      // what is to be embedded, or the one content that is read
	N       int           // which call it is, from 1
	MethodN int           // which call of its method it is, from 1
	At      time.Duration // since the server or fake was made
	Request *Request      // what was sent; nil in a Fake

	seen []int // how often each text came with this method, this time included
}

// Times is how often a text that contains the fragment has come with this method, this time included; of several such
// texts the one that came most often counts, and 0 means that the call has none.
func (c Call) Times(fragment string) int {
	n := 0
	for i, text := range c.Texts {
		if strings.Contains(text, fragment) {
			n = max(n, c.seen[i])
		}
	}
	return n
}

// Fake is an [llm.Embedder] and [llm.Extractor] in process, for tests of what uses them: it answers at once, the same
// question always the same, its vectors mean something (shared words are near), and it fails as told. The zero value
// works; it is safe for concurrent use.
type Fake struct {
	// Name is the model's name. Default "fake/1".
	Name string
	// Dimensions is the length of the vectors. Default 256.
	Dimensions int
	// Fault is asked before each call: its error is the answer. It may also block until ctx is done, or panic. Default
	// no faults.
	Fault func(ctx context.Context, c Call) error
	// Price is what a token costs, in USD. Default 0.
	Price float64

	once  sync.Once
	calls *tally
}

var (
	_ llm.Embedder  = (*Fake)(nil)
	_ llm.Extractor = (*Fake)(nil)
	_ llm.Reranker  = (*Fake)(nil)
)

// Model implements [llm.Embedder] and [llm.Extractor].
func (f *Fake) Model() string {
	if f.Name == "" {
		return "fake/1"
	}
	return f.Name
}

// Stats is what the fake was asked so far.
func (f *Fake) Stats() Stats { return f.tally().Stats() }

// Count is how many calls of the method (Embed, UseCases, Graph) carried exactly that text.
func (f *Fake) Count(method, text string) int { return f.tally().Count(method, text) }

// Wait returns as soon as what was asked fulfils the condition, or with the context's error.
func (f *Fake) Wait(ctx context.Context, until func(Stats) bool) error {
	return f.tally().Wait(ctx, until)
}

func (f *Fake) tally() *tally {
	f.once.Do(func() { f.calls = newTally() })
	return f.calls
}

// begin counts the call and lets it fail as told. The function it returns ends the call.
func (f *Fake) begin(ctx context.Context, method string, texts ...string) (func(), error) {
	c := Call{Method: method, Texts: texts}
	f.tally().enter(&c)
	ok := false
	defer func() {
		if !ok { // also where Fault panics
			f.tally().leave()
		}
	}()
	if f.Fault != nil {
		if err := f.Fault(ctx, c); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ok = true
	return f.tally().leave, nil
}

// usage charges one token for four bytes.
func (f *Fake) usage(texts ...string) llm.Usage {
	u := llm.Usage{Model: f.Model()}
	for _, t := range texts {
		u.Tokens += tokens(t)
	}
	u.CostUSD = float64(u.Tokens) * f.Price
	f.tally().answered(u.Tokens)
	return u
}

func tokens(text string) int { return len(text)/4 + 1 }

// Embed implements [llm.Embedder].
func (f *Fake) Embed(ctx context.Context, texts []string) (llm.Vectors, error) {
	done, err := f.begin(ctx, "Embed", texts...)
	if err != nil {
		return llm.Vectors{}, err
	}
	defer done()
	dimensions := f.Dimensions
	if dimensions == 0 {
		dimensions = 256
	}
	v := llm.Vectors{Usage: f.usage(texts...)}
	for _, t := range texts {
		v.Vectors = append(v.Vectors, vector(t, dimensions))
	}
	return v, nil
}

// UseCases implements [llm.Extractor]: one phrase for each of the first three words that are not common.
func (f *Fake) UseCases(ctx context.Context, q llm.Question) (llm.UseCases, error) {
	done, err := f.begin(ctx, "UseCases", q.Content)
	if err != nil {
		return llm.UseCases{}, err
	}
	defer done()
	u := llm.UseCases{Usage: f.usage(q.Content)}
	for _, w := range words(q.Content) {
		phrase := "Recall what is known of " + clip(w)
		if len(u.UseCases) < 3 && !slices.Contains(u.UseCases, phrase) {
			u.UseCases = append(u.UseCases, phrase)
		}
	}
	if u.UseCases == nil {
		u.UseCases = []string{"Recall this memory"}
	}
	return u, nil
}

// Graph implements [llm.Extractor]: each capitalised word is a node, and each is joined to the next one. Types are the
// schema's first where it is strict.
func (f *Fake) Graph(ctx context.Context, q llm.Question) (llm.Graph, error) {
	done, err := f.begin(ctx, "Graph", q.Content)
	if err != nil {
		return llm.Graph{}, err
	}
	defer done()
	g := llm.Graph{Usage: f.usage(q.Content)}
	kind, ok := firstType(q.Schema, q.Schema.Nodes, "Thing")
	if !ok {
		return g, nil
	}
	for _, name := range names(q.Content) {
		g.Nodes = append(g.Nodes, llm.Node{Type: kind, Name: name})
	}
	if kind, ok = firstType(q.Schema, q.Schema.Relationships, "NEXT_TO"); ok {
		for i := 1; i < len(g.Nodes); i++ {
			g.Relationships = append(g.Relationships, llm.Relationship{From: i - 1, To: i, Type: kind})
		}
	}
	return g, nil
}

// Rerank implements [llm.Reranker]: the share of the query's words that a text has.
func (f *Fake) Rerank(ctx context.Context, query string, texts []string) (llm.Ranking, error) {
	done, err := f.begin(ctx, "Rerank", texts...)
	if err != nil {
		return llm.Ranking{}, err
	}
	defer done()
	if len(texts) == 0 {
		return llm.Ranking{Usage: llm.Usage{Model: f.Model()}}, nil
	}
	r := llm.Ranking{Usage: f.usage(append([]string{query}, texts...)...)}
	wanted := words(query)
	for _, text := range texts {
		has, found := words(text), 0
		for _, w := range wanted {
			if slices.Contains(has, w) {
				found++
			}
		}
		r.Scores = append(r.Scores, float64(found)/float64(max(len(wanted), 1)))
	}
	return r, nil
}

// firstType is the first allowed type, and false where a strict schema allows none.
func firstType(s llm.Schema, types []llm.Type, other string) (string, bool) {
	switch {
	case len(types) > 0:
		return types[0].Name, true
	case s.Mode == "strict":
		return "", false
	}
	return other, true
}

// names returns the first 20 capitalised words of a text, each once.
func names(text string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(text, notInWord) {
		if name := clip(w); unicode.IsUpper([]rune(w)[0]) && len(out) < 20 && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// clip keeps the first 40 letters of a word that is longer than any word is.
func clip(w string) string {
	if r := []rune(w); len(r) > 40 {
		return string(r[:40])
	}
	return w
}

// FailTimes is a Fault that answers err to the first n calls of the method ("": any) on each text that contains the
// fragment ("": any text).
func FailTimes(method, fragment string, n int, err error) func(context.Context, Call) error {
	return func(_ context.Context, c Call) error {
		if times := c.Times(fragment); (method == "" || method == c.Method) && times > 0 && times <= n {
			return err
		}
		return nil
	}
}

// PanicOn is a Fault that panics in each call of the method ("": any) on a text that contains the fragment.
func PanicOn(method, fragment string) func(context.Context, Call) error {
	return func(_ context.Context, c Call) error {
		if (method == "" || method == c.Method) && c.Times(fragment) > 0 {
			panic(fmt.Sprintf("llmtest: told to panic on %q", fragment))
		}
		return nil
	}
}
