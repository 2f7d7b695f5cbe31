package webhooks

import (
	"context"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// recorder writes attempts down. One write is under way at a time, and those that come in meanwhile share the next one:
// a store that is slow is asked less often, not more.
type recorder struct {
	deliveries store.Deliveries

	mu      sync.Mutex
	busy    bool // someone writes
	waiting []*record
}

// record is an attempt on its way into the store.
type record struct {
	attempted store.Attempted
	turn      chan bool // true: it is yours to write; false: it is written
	kept      bool
	err       error
}

const (
	recordPage     = 1_024            // how many go into one write
	recordPatience = 10 * time.Second // how long it may take: it is part of what an attempt's lease leaves room for
)

// record writes an attempt down and reports whether its claim was still in force. It does so even where ctx ends: the
// attempt was made.
func (r *recorder) record(ctx context.Context, a store.Attempted) (bool, error) {
	me := &record{attempted: a, turn: make(chan bool, 1)}
	if r.join(me) || <-me.turn {
		r.write(context.WithoutCancel(ctx))
	}
	return me.kept, me.err
}

// join lets a record wait for the next write, and reports whether that is to be made by who asks.
func (r *recorder) join(me *record) (lead bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, me)
	lead, r.busy = !r.busy, true
	return lead
}

// write writes down what waits, the writer's own record first, and leaves the rest to the next in line.
func (r *recorder) write(ctx context.Context) {
	r.mu.Lock()
	page := r.waiting[:min(len(r.waiting), recordPage)]
	r.waiting = r.waiting[len(page):]
	r.mu.Unlock()
	r.store(ctx, page)
	for _, done := range page[1:] {
		done.turn <- false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy = len(r.waiting) > 0; r.busy {
		r.waiting[0].turn <- true
	}
}

// store writes a page. Where the store refuses it for good, each is written alone: what is wrong with one must not keep
// the others.
func (r *recorder) store(ctx context.Context, page []*record) {
	ctx, cancel := context.WithTimeout(ctx, recordPatience)
	defer cancel()
	as := make([]store.Attempted, len(page))
	for i, p := range page {
		as[i] = p.attempted
	}
	kept, err := r.deliveries.Attempted(ctx, as)
	if err != nil && len(page) > 1 && !memory.Retryable(err) {
		for i := range page {
			r.store(ctx, page[i:i+1])
		}
		return
	}
	for i, p := range page {
		if p.err = err; err == nil {
			p.kept = kept[i]
		}
	}
}
