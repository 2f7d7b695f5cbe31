package webhooks

import (
	"context"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// recorder writes attempts down. One write is under way at a time, and those that come in meanwhile share the next one:
// a store that is slow is asked less often, not more. Where many come in they also wait for each other, for a moment: a
// commit costs as much as a hundred of them.
type recorder struct {
	deliveries store.Deliveries

	mu      sync.Mutex
	waiting []record
	enough  chan struct{} // tells who gathers that enough wait; nil: nobody is at work
}

// record is an attempt on its way into the store.
type record struct {
	attempted store.Attempted
	then      func(kept bool, err error)
}

const (
	recordPage     = 1_024                 // how many go into one write
	recordEnough   = 512                   // how many waiting ones are written without waiting for more
	recordPause    = 10 * time.Millisecond // how long those that come after a write wait for others
	recordPatience = 10 * time.Second      // how long it may take: it is part of what an attempt's lease leaves room for
)

// record has an attempt written down and returns at once; then is told, later, whether its claim was still in force, and
// must not take long: others wait to be told. It is written down even where ctx ends: the attempt was made.
func (r *recorder) record(ctx context.Context, a store.Attempted, then func(kept bool, err error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, record{a, then})
	switch {
	case r.enough == nil:
		r.enough = make(chan struct{}, 1)
		go r.write(context.WithoutCancel(ctx), r.page(), r.enough)
	case len(r.waiting) == recordEnough:
		select {
		case r.enough <- struct{}{}:
		default: // it was told before
		}
	}
}

// page takes what goes into the next write. The caller has the lock.
func (r *recorder) page() []record {
	page := r.waiting[:min(len(r.waiting), recordPage)]
	if r.waiting = r.waiting[len(page):]; len(r.waiting) == 0 {
		r.waiting = nil // the array is the page's
	}
	return page
}

// write writes a page down and tells those of it, and goes on with what came in meanwhile, until that is nothing.
func (r *recorder) write(ctx context.Context, page []record, enough <-chan struct{}) {
	for len(page) > 0 {
		kept, errs := r.store(ctx, page)
		for i, p := range page {
			p.then(kept[i], errs[i])
		}
		page = r.gather(enough)
	}
}

// gather returns the next page, after a pause where few wait. Where none waits, whoever comes first writes.
func (r *recorder) gather(enough <-chan struct{}) []record {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.waiting); n > 0 && n < recordEnough {
		r.mu.Unlock()
		pause := time.NewTimer(recordPause)
		select {
		case <-enough:
		case <-pause.C:
		}
		pause.Stop()
		r.mu.Lock()
	}
	select {
	case <-enough: // it is of those that are taken now
	default:
	}
	page := r.page()
	if len(page) == 0 {
		r.enough = nil
	}
	return page
}

// store writes a page. Where the store refuses it for good, each is written alone: what is wrong with one must not keep
// the others.
func (r *recorder) store(ctx context.Context, page []record) (kept []bool, errs []error) {
	ctx, cancel := context.WithTimeout(ctx, recordPatience)
	defer cancel()
	as := make([]store.Attempted, len(page))
	for i, p := range page {
		as[i] = p.attempted
	}
	errs = make([]error, len(page))
	kept, err := r.deliveries.Attempted(ctx, as)
	if err == nil {
		return kept, errs
	}
	kept = make([]bool, len(page))
	for i := range page {
		if errs[i] = err; len(page) > 1 && !memory.Retryable(err) {
			k, e := r.store(ctx, page[i:i+1])
			kept[i], errs[i] = k[0], e[0]
		}
	}
	return kept, errs
}
