// Package pace keeps calls back from a language model that says that it had too many: they are answered here, at once,
// until the model is asked again by a single call. So a model that answers 429 for ten minutes is not asked by everyone
// who waits, again and again, but by one call now and then.
package pace

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const (
	// leastPause is how long calls are kept back after the first 429 that names no time; it doubles with each further one.
	leastPause = time.Second
	// longestPause bounds that growth. What the model asks for is obeyed even where it is more.
	longestPause = 30 * time.Second
	// patience is how long a call that tries whether the model answers again is the only one. Those who are refused are
	// told so soon; one that takes longer is at work.
	patience = time.Second
)

// Gate is before one model. Its zero value is open; it is safe for concurrent use.
type Gate struct {
	// Now is the clock. Default time.Now.
	Now func() time.Time

	mu      sync.Mutex
	limited bool      // the latest that was heard is a 429
	since   time.Time // when it was heard
	until   time.Time // nobody is let through before
	refused int       // in a row
}

// Extractor puts the gate before an extractor.
func (g *Gate) Extractor(e llm.Extractor) llm.Extractor { return extractor{e, g} }

// Embedder puts the gate before an embedder.
func (g *Gate) Embedder(e llm.Embedder) llm.Embedder { return embedder{e, g} }

// through makes the call unless the gate is shut.
func through[T any](g *Gate, call func() (T, error)) (out T, err error) {
	if wait := g.enter(); wait > 0 {
		return out, &memory.Error{
			Code: memory.CodeRateLimited, RetryAfter: wait, Err: llm.ErrHeld,
			Message: "the LLM said that it has too many requests, so this one waits",
		}
	}
	begun := g.now()
	out, err = call()
	g.leave(begun, err)
	return out, err
}

func (g *Gate) now() time.Time {
	if g.Now == nil {
		return time.Now()
	}
	return g.Now()
}

// enter returns how long to wait; 0: the call may be made.
func (g *Gate) enter() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if wait := g.until.Sub(now); wait > 0 {
		return scattered(wait)
	}
	if g.limited { // this call tries; nobody else does for a moment
		g.until = now.Add(patience)
	}
	return 0
}

// scattered makes a wait longer by up to a quarter, so that not all who wait come at once.
func scattered(wait time.Duration) time.Duration {
	return wait + time.Duration(rand.Float64()*float64(wait)/4) //nolint:gosec // spreading needs no secrets
}

// leave takes in what the call that began at that time came to. What began before the latest 429 was heard says nothing of
// the model as it is now: it opens nothing, and one more 429 of the same burst makes no pause longer.
func (g *Gate) leave(begun time.Time, err error) {
	if errors.Is(err, llm.ErrHeld) { // by a budget behind the gate: the model was not asked
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now, tried := g.now(), !begun.Before(g.since)
	switch memory.CodeOf(err) {
	case memory.CodeRateLimited:
		if !g.limited || tried {
			g.refused++
		}
		g.limited, g.since = true, now
		if until := now.Add(max(memory.RetryAfter(err), g.growing())); until.After(g.until) {
			g.until = until
		}
	case memory.CodeInterrupted, memory.CodeTimeout: // no answer at all
	default:
		if tried {
			g.limited, g.refused, g.until = false, 0, time.Time{}
		}
	}
}

// growing is the pause after so many refusals in a row.
func (g *Gate) growing() time.Duration {
	return min(leastPause<<min(max(g.refused-1, 0), 10), longestPause)
}

type extractor struct {
	llm.Extractor
	gate *Gate
}

func (e extractor) UseCases(ctx context.Context, q llm.Question) (llm.UseCases, error) {
	return through(e.gate, func() (llm.UseCases, error) { return e.Extractor.UseCases(ctx, q) })
}

func (e extractor) Graph(ctx context.Context, q llm.Question) (llm.Graph, error) {
	return through(e.gate, func() (llm.Graph, error) { return e.Extractor.Graph(ctx, q) })
}

type embedder struct {
	llm.Embedder
	gate *Gate
}

func (e embedder) Embed(ctx context.Context, texts []string) (llm.Vectors, error) {
	return through(e.gate, func() (llm.Vectors, error) { return e.Embedder.Embed(ctx, texts) })
}
