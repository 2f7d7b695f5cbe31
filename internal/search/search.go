// Package search finds memories by meaning, by words or by both, and the part of the graph around what it found.
package search

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Parts are what a search works with.
type Parts struct {
	Memories store.Memories
	Vectors  store.Vectors
	Graph    store.Graph
	Embedder llm.Embedder
	Reranker llm.Reranker // nil: the model that is configured cannot judge
	Log      *slog.Logger // nil: slog.Default
}

// Config tunes searches. Its zero value works.
type Config struct {
	// EmbedTimeout is how long the embedding of a query may take before the search does without. Default 5s.
	EmbedTimeout time.Duration `yaml:"embed_timeout"`
	// RerankTimeout is how long the LLM may take to judge what was found before the order stays as it is. Default 15s.
	RerankTimeout time.Duration `yaml:"rerank_timeout"`
	// Reranked is how many of the best are judged at least. Default 30.
	Reranked int `yaml:"reranked"`
	// MaxCandidates is how many hits are looked through at most where filters leave few of them. Default 2,000.
	MaxCandidates int `yaml:"max_candidates"`
	// MaxNodes bounds the graph of an answer. Default 200.
	MaxNodes int `yaml:"max_nodes"`
	// Nearby is how close together memories occurred that lend each other weight in a hybrid search: see lift. Negative:
	// none do. Default 2m.
	Nearby time.Duration `yaml:"nearby"`
	// PassageBytes is the length of the passage shown where the best one is not known. Default 500.
	PassageBytes int `yaml:"passage_bytes"`
}

func (c Config) withDefaults() Config {
	setDefault(&c.EmbedTimeout, 5*time.Second)
	setDefault(&c.RerankTimeout, 15*time.Second)
	setDefault(&c.Reranked, 30)
	setDefault(&c.MaxCandidates, 2_000)
	setDefault(&c.MaxNodes, 200)
	setDefault(&c.Nearby, 2*time.Minute)
	setDefault(&c.PassageBytes, 500)
	return c
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Query is what is looked for.
type Query struct {
	Workspace string
	Text      string
	Mode      store.Mode // "": hybrid
	Limit     int
	Filter    *store.Filter
	MinScore  float64 // of what the answer is ranked by
	Expand    int     // how many relationships around what was found, 0 to 3
	Rerank    bool    // have the LLM judge what was found
}

// Answer is what was found, best first.
type Answer struct {
	Items []Item       `json:"items"`
	Graph memory.Graph `json:"graph"`
	// Degraded says what the answer had to do without; "": nothing.
	Degraded string `json:"degraded,omitempty"`
	// Usage is what the judgement of the LLM took; nil where it was not asked.
	Usage *Usage `json:"usage,omitempty"`
}

// Usage is what the LLM took for one answer.
type Usage struct {
	Model   string  `json:"model"`
	Tokens  int     `json:"tokens"`
	CostUSD float64 `json:"cost_usd"`
	Notice  string  `json:"notice,omitempty"`
}

// Item is a memory that was found.
type Item struct {
	Memory  memory.Memory `json:"memory"` // without its steps
	Score   float64       `json:"score"`
	Scores  Scores        `json:"scores"`
	Passage string        `json:"passage"` // the part of the content that fits best
}

// Scores says what each way of searching thinks of a memory; absent where that way did not find it.
type Scores struct {
	Vector  *float64 `json:"vector,omitempty"`
	Lexical *float64 `json:"lexical,omitempty"`
	Rerank  *float64 `json:"rerank,omitempty"` // what the LLM thinks, where it was asked
}

// Searcher answers queries. It is safe for concurrent use.
type Searcher struct {
	parts Parts
	cfg   Config
	log   *slog.Logger
}

// New makes a searcher of the parts.
func New(parts Parts, cfg Config) *Searcher {
	log := parts.Log
	if log == nil {
		log = slog.Default()
	}
	return &Searcher{parts: parts, cfg: cfg.withDefaults(), log: log}
}

// Find answers the query. Where the embedder is away, a hybrid search goes by words alone and says so; a vector search
// is an error, with CodeUnavailable. Where the graph is away, the answer has none and says so; where the LLM that is to
// judge is away, the order stays as it was and the answer says so.
func (s *Searcher) Find(ctx context.Context, q Query) (Answer, error) {
	vq, degraded, err := s.prepare(ctx, q)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{Items: []Item{}, Degraded: degraded}
	if a.Items, err = s.items(ctx, q.asked(s.cfg), vq); err != nil {
		return Answer{}, err
	}
	if q.Rerank {
		s.rerank(ctx, q, &a)
	}
	if a.Graph, err = s.expand(ctx, q, a.Items); err != nil {
		s.log.WarnContext(ctx, "a search goes without the graph", "error", err)
		a.without("the graph is unavailable")
	}
	return a, nil
}

// without notes what the answer has to do without.
func (a *Answer) without(what string) {
	a.Degraded = strings.TrimPrefix(a.Degraded+"; "+what, "; ")
}

// prepare embeds the query, as far as its mode asks for that.
func (s *Searcher) prepare(ctx context.Context, q Query) (store.VectorQuery, string, error) {
	vq := store.VectorQuery{Workspace: q.Workspace, Mode: q.Mode, Text: q.Text, Filter: indexed(q.Filter)}
	if vq.Mode == "" {
		vq.Mode = store.Hybrid
	}
	if vq.Mode == store.Lexical {
		return vq, "", nil
	}
	err := s.embed(ctx, &vq)
	switch {
	case err == nil:
		return vq, "", nil
	case ctx.Err() != nil:
		return vq, "", ctx.Err()
	case vq.Mode == store.Hybrid:
		s.log.WarnContext(ctx, "a search goes by words alone", "error", err)
		vq.Mode = store.Lexical
		return vq, "vector search is unavailable", nil
	}
	return vq, "", &memory.Error{Code: memory.CodeUnavailable, Message: "vector search is unavailable", RetryAfter: memory.RetryAfter(err), Err: err}
}

func (s *Searcher) embed(ctx context.Context, vq *store.VectorQuery) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.EmbedTimeout)
	defer cancel()
	e, err := s.parts.Embedder.Embed(ctx, []string{vq.Text})
	if err != nil {
		return err
	}
	vq.Vector = e.Vectors[0]
	vq.Model = store.Model{ID: e.Usage.Model, Dimensions: len(vq.Vector)}
	return nil
}

// indexed is as much of a filter as the vectors can judge: all but the status, which only the documents know. What it
// lets through is a superset of what the whole filter does.
func indexed(f *store.Filter) *store.Filter {
	switch {
	case !f.Names("status"):
		return f
	case f.Op != store.And:
		return nil
	}
	rest := store.Filter{Op: store.And}
	for _, a := range f.Args {
		if part := indexed(&a); part != nil {
			rest.Args = append(rest.Args, *part)
		}
	}
	if len(rest.Args) == 0 {
		return nil
	}
	return &rest
}

// items takes hits until enough of them are memories that may be shown.
func (s *Searcher) items(ctx context.Context, q Query, vq store.VectorQuery) ([]Item, error) {
	vq.Limit = max(q.Limit+8, minCandidates) // a few may be stale, and those further down may be lifted
	for {
		hits, more, err := s.hits(ctx, q, vq)
		if err != nil {
			return nil, err
		}
		items, err := s.load(ctx, q, hits)
		if err != nil {
			return nil, err
		}
		if len(items) >= q.Limit || !more || vq.Limit >= s.cfg.MaxCandidates {
			return items[:min(len(items), q.Limit)], nil
		}
		vq.Limit = min(4*vq.Limit, s.cfg.MaxCandidates)
	}
}

// hits are the best candidates of the search, and whether there are more. Those of a hybrid search are lifted, for which it
// must not hang on ids who is a candidate.
func (s *Searcher) hits(ctx context.Context, q Query, vq store.VectorQuery) (hits []store.Hit, more bool, err error) {
	n := vq.Limit
	vq.Limit++ // one more shows where the cut falls
	if hits, err = s.parts.Vectors.Search(ctx, vq); err != nil {
		return nil, false, err
	}
	more = len(hits) > n
	if vq.Mode != store.Hybrid {
		return hits[:min(n, len(hits))], more, nil
	}
	hits = store.Cut(hits, n, q.Limit, func(h store.Hit) *float64 { return &h.Score })
	lift(hits, s.cfg.Nearby)
	return hits, more, nil
}

// load reads the documents of the hits and leaves out what is not to be shown.
func (s *Searcher) load(ctx context.Context, q Query, hits []store.Hit) ([]Item, error) {
	hits = slices.DeleteFunc(hits, func(h store.Hit) bool { return h.Score < q.MinScore })
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = h.MemoryID
	}
	found, err := s.parts.Memories.Get(ctx, q.Workspace, ids...)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]memory.Memory, len(found))
	for _, m := range found {
		byID[m.ID] = m
	}
	items := make([]Item, 0, len(hits))
	for _, h := range hits {
		if m, ok := byID[h.MemoryID]; ok && shown(m, h) && q.Filter.Match(&m) {
			items = append(items, s.item(m, h))
		}
	}
	return items, nil
}

// shown reports whether a hit stands for its memory. One of an earlier version does until the next one is indexed, so
// that a memory that is being changed can be found all the time; where the next one came to nothing, it does not.
func shown(m memory.Memory, h store.Hit) bool {
	switch m.Status {
	case memory.StatusFailed:
		return false
	case memory.StatusCancelled:
		return h.Version == m.Version
	}
	return true
}

func (s *Searcher) item(m memory.Memory, h store.Hit) Item {
	m.Steps = nil
	return Item{Memory: m, Score: h.Score, Scores: Scores{Vector: h.Vector, Lexical: h.Lexical}, Passage: s.passage(m, h)}
}

// passage is the text of the hit. The offsets of an earlier version mean nothing in this one: then it is the beginning.
func (s *Searcher) passage(m memory.Memory, h store.Hit) string {
	if h.Version == m.Version && 0 <= h.Start && h.Start < h.End && h.End <= len(m.Content) {
		return strings.ToValidUTF8(m.Content[h.Start:h.End], "")
	}
	end := min(len(m.Content), s.cfg.PassageBytes)
	for end < len(m.Content) && !utf8.RuneStart(m.Content[end]) {
		end--
	}
	return m.Content[:end]
}

// expand is what the graph holds around the memories that were found.
func (s *Searcher) expand(ctx context.Context, q Query, items []Item) (memory.Graph, error) {
	if q.Expand == 0 || len(items) == 0 {
		return memory.Graph{}, nil
	}
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.Memory.ID
	}
	nodes, err := s.parts.Graph.Of(ctx, q.Workspace, ids...)
	if err != nil || len(nodes) == 0 {
		return memory.Graph{}, err
	}
	starts := make([]string, len(nodes))
	for i, n := range nodes {
		starts[i] = n.ID
	}
	return s.parts.Graph.Neighbours(ctx, q.Workspace, starts, min(q.Expand, 3), s.cfg.MaxNodes)
}
