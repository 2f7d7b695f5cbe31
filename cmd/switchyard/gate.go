package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// A dependency is a part that may run on a server: what readiness, migrate and doctor ask of it.
type dependency struct {
	name     string // as /readyz shows it
	address  string // where it is, for people; "": in this process
	optional bool   // the service goes on without it: what needs it waits
	ping     func(ctx context.Context) error
	check    func(ctx context.Context) error // whether what migrate makes is there; nil: nothing has to be
	migrate  func(ctx context.Context) error // makes it; nil: nothing to make
	spare    bool                            // the service does without what migrate makes, so readiness does not ask for it
	about    func(ctx context.Context) (about, error)
	releases releases                                // its versions that are known to do
	timeless string                                  // why its clock is not looked at; "": it is
	examine  func(ctx context.Context, d *diagnosis) // how doctor looks at what migrate makes, and more; nil: by check

	mu      sync.Mutex
	checked bool
}

// about is what a server says of itself.
type about struct {
	version string
	clock   time.Time // zero: it does not say
}

// prepared reports whether what migrate makes is there. Once it was, it is not asked for again: nobody takes it away
// from a running service.
func (d *dependency) prepared(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.checked || d.check == nil || d.spare {
		return nil
	}
	if err := d.check(ctx); err != nil {
		return err
	}
	d.checked = true
	return nil
}

// madeReady makes what is missing.
func (d *dependency) madeReady(ctx context.Context) error {
	if err := d.migrate(ctx); err != nil {
		return err
	}
	return d.prepared(ctx)
}

// ready is what readiness asks.
func (d *dependency) ready(ctx context.Context) error {
	if err := d.ping(ctx); err != nil {
		return err
	}
	return d.prepared(ctx)
}

// A gate keeps a process from its work until what the work needs is there. The process runs meanwhile, says what it waits
// for, and begins by itself: servers may come up in any order.
type gate struct {
	conditions []condition
	log        *slog.Logger
	again      time.Duration
	open       chan struct{}
}

type condition struct {
	name string
	met  func(ctx context.Context) error
	// fatal says which errors waiting cannot mend; nil: none.
	fatal func(error) bool
}

func newGate(log *slog.Logger, conditions ...condition) *gate {
	return &gate{conditions: conditions, log: log, again: time.Second, open: make(chan struct{})}
}

const (
	conditionTime = 30 * time.Second // what one look at a condition may take
	remindEvery   = 30               // looks between two lines of the log about the same
)

// run opens the gate once all conditions are met, and then waits for the end of ctx.
func (g *gate) run(ctx context.Context) error {
	for _, c := range g.conditions {
		if err := g.await(ctx, c); err != nil {
			return err
		}
	}
	if ctx.Err() == nil {
		close(g.open)
	}
	<-ctx.Done()
	return nil
}

// await returns when the condition is met or ctx is done, or with an error that waiting cannot mend.
func (g *gate) await(ctx context.Context, c condition) error {
	for n := 0; ctx.Err() == nil; n++ {
		look, cancel := context.WithTimeout(ctx, conditionTime)
		err := c.met(look)
		cancel()
		if err == nil {
			if n > 0 {
				g.log.Info("no longer waiting", "for", c.name)
			}
			return nil
		}
		if c.fatal != nil && c.fatal(err) {
			return err
		}
		if n%remindEvery == 0 && ctx.Err() == nil {
			g.log.Warn("waiting; the work begins by itself once this is there", "for", c.name, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(g.again):
		}
	}
	return nil
}

func (g *gate) isOpen() bool {
	select {
	case <-g.open:
		return true
	default:
		return false
	}
}

// behind lets a part of the process begin when the gate opens.
func (g *gate) behind(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-g.open:
			return run(ctx)
		}
	}
}

// waiting is what the API asks before each request.
func (g *gate) waiting() error {
	if g.isOpen() {
		return nil
	}
	return memory.Errorf(memory.CodeUnavailable, "the process waits for what its work needs")
}
