// Package pipeline is the one definition of what is done to a memory: five steps, the order between them, and how
// patient each is. Both tracks run it; neither restates it, and no step knows which track it is on.
package pipeline

import (
	"cmp"
	"context"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Parts are what the steps work with.
type Parts struct {
	Extractor  llm.Extractor
	Embedder   llm.Embedder
	Vectors    store.Vectors
	Graph      store.Graph
	Memories   store.Memories
	Workspaces store.Workspaces
	Runs       store.Runs
	Events     Events
	Watcher    Watcher // nil: nobody watches
}

// Events says what the customer's system is to be told of a memory that is over; nil where nobody wants to know.
type Events interface {
	MemoryEvent(ctx context.Context, m memory.Memory) (*memory.Event, error)
}

// Watcher is told of every change of a memory, after it was stored. It must not block.
type Watcher interface {
	Progress(m memory.Memory)
}

// Config says how patient the steps are.
type Config struct {
	// ChatTimeout is how long one LLM call may take. Default 60s.
	ChatTimeout time.Duration `yaml:"chat_timeout"`
	// StoreTimeout is how long a call for a whole page to the embedder, the vectors or the graph may take. Default 30s.
	StoreTimeout time.Duration `yaml:"store_timeout"`
	// Attempts is how often a step is tried in a row before the memory makes way for others. Default 3.
	Attempts int `yaml:"attempts"`
	// Backoff is the wait before the second attempt; it doubles for each further one. Default 500ms.
	Backoff time.Duration `yaml:"backoff"`
	// MaxBackoff caps the wait between attempts. Default 10s.
	MaxBackoff time.Duration `yaml:"max_backoff"`
	// Fanout is how many LLM calls of one page are in flight at once. Default 16.
	Fanout int `yaml:"fanout"`
	// Related is how many related memories are kept. Default 5.
	Related int `yaml:"related"`
	// MinRelated is the least cosine similarity of a related memory. Default 0.25.
	MinRelated float64 `yaml:"min_related"`
	// AliasSimilarity is the least cosine similarity of two names for one thing. Default 0.5.
	AliasSimilarity float64 `yaml:"alias_similarity"`
	// PassageBytes is the length that a passage of long content aims at. Default 1,000.
	PassageBytes int `yaml:"passage_bytes"`
}

// WithDefaults fills what is not set.
func (c Config) WithDefaults() Config {
	c.ChatTimeout = cmp.Or(c.ChatTimeout, 60*time.Second)
	c.StoreTimeout = cmp.Or(c.StoreTimeout, 30*time.Second)
	c.Attempts = cmp.Or(c.Attempts, 3)
	c.Backoff = cmp.Or(c.Backoff, 500*time.Millisecond)
	c.MaxBackoff = cmp.Or(c.MaxBackoff, 10*time.Second)
	c.Fanout = cmp.Or(c.Fanout, 16)
	c.Related = cmp.Or(c.Related, 5)
	c.MinRelated = cmp.Or(c.MinRelated, 0.25)
	c.AliasSimilarity = cmp.Or(c.AliasSimilarity, 0.5)
	c.PassageBytes = cmp.Or(c.PassageBytes, 1_000)
	return c
}

// Pipeline runs steps over pages of drafts. It is safe for concurrent use.
type Pipeline struct {
	parts Parts
	cfg   Config
	steps []Step
}

// New makes a pipeline of the parts.
func New(parts Parts, cfg Config) *Pipeline {
	p := &Pipeline{parts: parts, cfg: cfg.WithDefaults()}
	p.steps = p.graph()
	return p
}

// Steps returns the steps; each comes after those it builds on.
func (p *Pipeline) Steps() []Step { return p.steps }

// graph is the pipeline: its steps, and what each builds on. Nothing else in the repository states it.
func (p *Pipeline) graph() []Step {
	chat := Spec{LLM: true, Timeout: p.cfg.ChatTimeout, Attempts: p.cfg.Attempts, Backoff: p.cfg.Backoff, MaxBackoff: p.cfg.MaxBackoff, Fanout: p.cfg.Fanout}
	bulk := Spec{Timeout: p.cfg.StoreTimeout, Attempts: p.cfg.Attempts, Backoff: p.cfg.Backoff, MaxBackoff: p.cfg.MaxBackoff}
	return []Step{
		{chat.named(memory.StepUseCases), each(p.useCases)},
		{bulk.named(memory.StepRelated).essential().asking(), p.related},
		{chat.named(memory.StepSchema).after(memory.StepUseCases, memory.StepRelated), each(p.schema)},
		{bulk.named(memory.StepIndex).essential().after(memory.StepRelated), p.index},
		{bulk.named(memory.StepRelationships).after(memory.StepSchema), p.relationships},
	}
}

// Step is one step of the pipeline: how to treat it, and what it does.
type Step struct {
	Spec
	run func(ctx context.Context, page []memory.Draft) []Result
}

// Spec is a step's patience and place, as data: each track translates it into its own means.
type Spec struct {
	Name       string
	After      []string      // the steps that it builds on
	Essential  bool          // without it a memory cannot be found: it gives up, the memory fails
	LLM        bool          // it asks a language model, chat or embeddings, and is slow and bounded by that
	Timeout    time.Duration // of one attempt: for one draft where Fanout is set, for the page where it is not
	Attempts   int           // in a row
	Backoff    time.Duration // before the second attempt; doubles
	MaxBackoff time.Duration
	Fanout     int // how many drafts of a page are at work at once, one call each; 0: one call for the page
}

func (s Spec) named(name string) Spec     { s.Name = name; return s }
func (s Spec) essential() Spec            { s.Essential = true; return s }
func (s Spec) asking() Spec               { s.LLM = true; return s }
func (s Spec) after(steps ...string) Spec { s.After = steps; return s }

// PageTimeout is how long one attempt at a page of n drafts may take.
func (s Spec) PageTimeout(n int) time.Duration {
	if s.Fanout == 0 || n <= s.Fanout {
		return s.Timeout
	}
	return s.Timeout * time.Duration((n+s.Fanout-1)/s.Fanout)
}

// Delay is the wait after the given failed attempt (1 is the first): what the dependency asked for, or the backoff.
func (s Spec) Delay(attempt int, err error) time.Duration {
	if asked := memory.RetryAfter(err); asked > 0 {
		return asked
	}
	d := s.Backoff
	for range attempt - 1 {
		d = min(2*d, s.MaxBackoff)
	}
	return d
}

// Result is what an attempt did for one draft: an output, or an error; and what it took in both cases.
type Result struct {
	Output memory.Output
	Usage  llm.Usage
	Err    error
}

func failed(err error) Result { return Result{Err: err} }

// fail answers for all drafts alike.
func fail(page []memory.Draft, err error) []Result {
	out := make([]Result, len(page))
	for i := range out {
		out[i].Err = err
	}
	return out
}

// each makes a step of a function for one draft. Such steps have a Fanout, and get pages of one.
func each(fn func(context.Context, memory.Draft) Result) func(context.Context, []memory.Draft) []Result {
	return func(ctx context.Context, page []memory.Draft) []Result {
		out := make([]Result, len(page))
		for i := range page {
			out[i] = fn(ctx, page[i])
		}
		return out
	}
}
