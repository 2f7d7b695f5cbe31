package realtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// BreakerConfig says when a dependency is taken to be failing.
type BreakerConfig struct {
	// Failures is how many of the latest calls have to fail for the breaker to open. Default 5.
	Failures uint `yaml:"failures"`
	// Calls is how many of the latest calls are looked at. Default 10.
	Calls uint `yaml:"calls"`
	// Delay is how long an open breaker lets nothing through; then one call tries. Default 5s.
	Delay time.Duration `yaml:"delay"`
}

func (c BreakerConfig) withDefaults() BreakerConfig {
	c.Failures = cmp.Or(c.Failures, 5)
	c.Calls = cmp.Or(c.Calls, 10)
	c.Delay = cmp.Or(c.Delay, 5*time.Second)
	return c
}

// Breakers holds a circuit breaker for each dependency of the pipeline. Only what says that the dependency itself is in
// trouble (5xx, no connection, no answer in time) counts: a 429 is a dependency that works, a 4xx one that disagrees.
type Breakers struct {
	names []string
	all   map[string]circuitbreaker.CircuitBreaker[any]
}

// The dependencies.
const (
	chat       = "chat"
	embeddings = "embeddings"
	vectors    = "vectors"
	graph      = "graph"
)

// NewBreakers makes closed breakers.
func NewBreakers(cfg BreakerConfig) *Breakers {
	cfg = cfg.withDefaults()
	b := &Breakers{names: []string{chat, embeddings, vectors, graph}, all: map[string]circuitbreaker.CircuitBreaker[any]{}}
	for _, name := range b.names {
		b.all[name] = circuitbreaker.NewBuilder[any]().
			HandleIf(func(_ any, err error) bool { return troubled(err) }).
			WithFailureThresholdRatio(cfg.Failures, cfg.Calls).
			WithSuccessThreshold(1).
			WithDelay(cfg.Delay).
			Build()
	}
	return b
}

func troubled(err error) bool {
	code := memory.CodeOf(err)
	return code == memory.CodeUnavailable || code == memory.CodeTimeout
}

// Open names the dependencies that are left alone at the moment.
func (b *Breakers) Open() []string {
	open := []string{}
	for _, name := range b.names {
		if b.all[name].IsOpen() && b.all[name].RemainingDelay() > 0 {
			open = append(open, name)
		}
	}
	return open
}

// States returns the state of each breaker: closed, half-open or open.
func (b *Breakers) States() map[string]string {
	states := map[string]string{}
	for name, breaker := range b.all {
		states[name] = breaker.State().String()
	}
	return states
}

// Guard puts a breaker before each dependency of the parts.
func (b *Breakers) Guard(p pipeline.Parts) pipeline.Parts {
	p.Extractor = guardedExtractor{p.Extractor, b.all[chat]}
	p.Embedder = guardedEmbedder{p.Embedder, b.all[embeddings]}
	p.Vectors = guardedVectors{p.Vectors, b.all[vectors]}
	p.Graph = guardedGraph{p.Graph, b.all[graph]}
	return p
}

// through makes the call unless the breaker is open.
func through[T any](ctx context.Context, name string, breaker circuitbreaker.CircuitBreaker[any], call func() (T, error)) (T, error) {
	var out T
	err := failsafe.With[any](breaker).WithContext(ctx).Run(func() (err error) {
		out, err = call()
		return err
	})
	if errors.Is(err, circuitbreaker.ErrOpen) {
		return out, &memory.Error{
			Code: memory.CodeUnavailable, Err: err, RetryAfter: breaker.RemainingDelay(),
			Message: fmt.Sprintf("%s failed too often and is left alone for a moment", name),
		}
	}
	return out, err
}

type guardedExtractor struct {
	llm.Extractor
	breaker circuitbreaker.CircuitBreaker[any]
}

func (g guardedExtractor) UseCases(ctx context.Context, q llm.Question) (llm.UseCases, error) {
	return through(ctx, chat, g.breaker, func() (llm.UseCases, error) { return g.Extractor.UseCases(ctx, q) })
}

func (g guardedExtractor) Graph(ctx context.Context, q llm.Question) (llm.Graph, error) {
	return through(ctx, chat, g.breaker, func() (llm.Graph, error) { return g.Extractor.Graph(ctx, q) })
}

type guardedEmbedder struct {
	llm.Embedder
	breaker circuitbreaker.CircuitBreaker[any]
}

func (g guardedEmbedder) Embed(ctx context.Context, texts []string) (llm.Vectors, error) {
	return through(ctx, embeddings, g.breaker, func() (llm.Vectors, error) { return g.Embedder.Embed(ctx, texts) })
}

type guardedVectors struct {
	store.Vectors
	breaker circuitbreaker.CircuitBreaker[any]
}

func (g guardedVectors) Upsert(ctx context.Context, m store.Model, points []store.Point) error {
	_, err := through(ctx, vectors, g.breaker, func() (any, error) { return nil, g.Vectors.Upsert(ctx, m, points) })
	return err
}

func (g guardedVectors) Nearest(ctx context.Context, qs []store.VectorQuery) ([][]store.Hit, error) {
	return through(ctx, vectors, g.breaker, func() ([][]store.Hit, error) { return g.Vectors.Nearest(ctx, qs) })
}

func (g guardedVectors) Search(ctx context.Context, q store.VectorQuery) ([]store.Hit, error) {
	return through(ctx, vectors, g.breaker, func() ([]store.Hit, error) { return g.Vectors.Search(ctx, q) })
}

type guardedGraph struct {
	store.Graph
	breaker circuitbreaker.CircuitBreaker[any]
}

func (g guardedGraph) Merge(ctx context.Context, ms []store.Mention) error {
	_, err := through(ctx, graph, g.breaker, func() (any, error) { return nil, g.Graph.Merge(ctx, ms) })
	return err
}
