// Package budget keeps calls to language models within what their accounts allow: so many requests and tokens a minute,
// for each model, over all processes.
//
// What is over the budget is not sent: it fails as the server's own 429 would, with how long to wait, and both tracks deal
// with it as with one that was kept back ([llm.ErrHeld]): it is no attempt. The processes share the budget through Redis. Where there is none, or it is away, each process has
// the whole budget to itself: a call is never held up by a Redis that does not answer, and the server's own limit is still
// there.
package budget

import (
	"context"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Config says what each model may take, by its name. What has no limit is not counted. Default: none.
type Config struct {
	Models map[string]Limits `json:"models" yaml:"models"`
}

// Limits are what a model may take in a minute, evenly: a tenth of it at once, or a single call where that is more.
type Limits struct {
	// Requests is how many calls. Default: no limit.
	Requests int `json:"requests_per_minute" yaml:"requests_per_minute"`
	// Tokens is how many tokens, in and out. A call is let through by an estimate, and what it took is counted when it is
	// over. Default: no limit.
	Tokens int `json:"tokens_per_minute" yaml:"tokens_per_minute"`
}

// Counters are where it is counted what was taken. They answer how long the caller has to wait: 0 where the request and
// the tokens have been taken.
type Counters interface {
	// Take takes a request and so many tokens, or neither.
	Take(ctx context.Context, model string, l Limits, tokens int) (wait time.Duration, err error)
	// Give gives tokens back that were not needed; below zero it takes those that were needed besides.
	Give(ctx context.Context, model string, l Limits, tokens int) error
}

// Budget is what is left. It is safe for concurrent use.
type Budget struct {
	cfg    Config
	shared Counters // nil: there is no Redis
	own    Local

	mu    sync.Mutex
	until time.Time // the shared counters are not asked before: they failed
}

// pause is how long shared counters that failed are not asked.
const pause = 5 * time.Second

// New makes a budget. Shared may be nil.
func New(cfg Config, shared Counters) *Budget { return &Budget{cfg: cfg, shared: shared} }

// Take takes what a call to the model is likely to need, or says by an error of CodeRateLimited when to try again.
func (b *Budget) Take(ctx context.Context, model string, tokens int) error {
	l := b.cfg.Models[model]
	if l == (Limits{}) {
		return nil
	}
	var wait time.Duration
	err := b.counters(ctx, func(c Counters) (err error) {
		wait, err = c.Take(ctx, model, l, tokens)
		return err
	})
	if err != nil || wait <= 0 {
		return err
	}
	return &memory.Error{Code: memory.CodeRateLimited, Message: "the model's rate budget is used up for the moment", RetryAfter: wait, Err: llm.ErrHeld}
}

// Settle counts what the call took in place of what was taken for it.
func (b *Budget) Settle(ctx context.Context, model string, taken, used int) {
	l := b.cfg.Models[model]
	if l.Tokens == 0 || taken == used {
		return
	}
	_ = b.counters(ctx, func(c Counters) error { return c.Give(ctx, model, l, taken-used) }) // there is nobody to tell
}

// counters asks the shared counters, and its own where these are away.
func (b *Budget) counters(ctx context.Context, ask func(Counters) error) error {
	if b.shared != nil && b.asked() {
		err := ask(b.shared)
		if err == nil || ctx.Err() != nil {
			return err
		}
		b.mu.Lock()
		b.until = time.Now().Add(pause)
		b.mu.Unlock()
	}
	return ask(&b.own)
}

func (b *Budget) asked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !time.Now().Before(b.until)
}
