// Package realtime runs single memories at once, in this process: the pipeline under failsafe-go. What it cannot finish
// (retries used up on a passing fault, no capacity, shutdown) it hands over to the durable track; what it loses by
// dying, the durable track finds by the lease that ran out.
package realtime

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/routing"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Config bounds the track. The zero value works.
type Config struct {
	// Limit is how many memories are at work at once. Default 64.
	Limit int `yaml:"limit"`
	// MaxQueued is how many more may wait, as ids. Default 10,000.
	MaxQueued int `yaml:"max_queued"`
	// Lease is for how long this process answers for a memory without a sign of life. Default 10s.
	Lease time.Duration `yaml:"lease"`
	// Heartbeat is how often it gives one. Default 3s.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// MaxRun is how long a memory may take here before it makes way for others. Default 60s.
	MaxRun time.Duration `yaml:"max_run"`
	// MaxHold is the longest wait between two attempts during which a memory keeps its place; who must wait longer
	// waits on the durable track. Default 15s.
	MaxHold time.Duration `yaml:"max_hold"`
	// Grace is how long a stop waits for what is in flight. Default 10s.
	Grace time.Duration `yaml:"grace"`
	// Breaker says when a failing dependency is left alone.
	Breaker BreakerConfig `yaml:"breaker"`
}

// WithDefaults fills what is not set.
func (c Config) WithDefaults() Config {
	c.Limit = cmp.Or(c.Limit, 64)
	c.MaxQueued = cmp.Or(c.MaxQueued, 10_000)
	c.Lease = cmp.Or(c.Lease, 10*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 3*time.Second)
	c.MaxRun = cmp.Or(c.MaxRun, 60*time.Second)
	c.MaxHold = cmp.Or(c.MaxHold, 15*time.Second)
	c.Grace = cmp.Or(c.Grace, 10*time.Second)
	c.Breaker = c.Breaker.withDefaults()
	return c
}

// Durable takes what this track gives up. An error is no loss: the store says who is waiting.
type Durable interface {
	StartMemory(ctx context.Context, ref memory.Ref) error
}

// Parts are what the executor works with. Pipeline is made of what [Breakers.Guard] returned.
type Parts struct {
	Pipeline *pipeline.Pipeline
	Breakers *Breakers
	Runs     store.Runs
	Leases   store.Leases
	Durable  Durable
	Log      *slog.Logger
}

// Executor runs memories. Make one with [New], and let [Executor.Run] run for as long as it is used.
type Executor struct {
	parts    Parts
	cfg      Config
	owner    string
	room     bulkhead.Bulkhead[any] // who is admitted, at work or waiting
	urgent   chan memory.Ref
	rest     chan memory.Ref
	inFlight atomic.Int64
	typical  atomic.Int64 // nanoseconds that a run takes, a moving average
	hand     hand         // what is queued or at work
	mu       sync.RWMutex // held for reading while something is admitted, for writing to stop that
	draining bool
}

// New makes an executor. Its owner name is its own, so that no two processes are taken for one.
func New(parts Parts, cfg Config) *Executor {
	cfg = cfg.WithDefaults()
	room := cfg.Limit + cfg.MaxQueued
	return &Executor{
		parts: parts, cfg: cfg, owner: id.New(id.Process),
		room:   bulkhead.New[any](uint(room)),
		urgent: make(chan memory.Ref, room), rest: make(chan memory.Ref, room),
	}
}

// Lease is what a memory is stored with that this executor will run.
func (e *Executor) Lease() store.Lease {
	return store.Lease{Owner: e.owner, Until: time.Now().Add(e.cfg.Lease)}
}

// Submit takes a memory that was stored under [Executor.Lease]. It never blocks. False: there is no room, or the process
// is stopping; then [Executor.HandOver] is the caller's to call.
func (e *Executor) Submit(ref memory.Ref, p memory.Priority) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.draining || !e.room.TryAcquirePermit() {
		return false
	}
	queue := e.urgent
	if p == memory.PriorityNormal || p == memory.PriorityBulk {
		queue = e.rest
	}
	e.hand.take(ref)
	queue <- ref // never blocks: each queue has room for all who have a permit
	return true
}

// Load says how busy the track is.
func (e *Executor) Load() routing.Load {
	e.mu.RLock()
	defer e.mu.RUnlock()
	queued := len(e.urgent) + len(e.rest)
	return routing.Load{
		InFlight: int(e.inFlight.Load()), Limit: e.cfg.Limit, Queued: queued, Draining: e.draining,
		ExpectedWait: time.Duration(e.typical.Load()) * time.Duration(queued) / time.Duration(e.cfg.Limit),
		Open:         e.parts.Breakers.Open(),
	}
}

// Run works until ctx is done; then it takes nothing more, gives what is in flight the grace period, hands the rest over
// and returns.
func (e *Executor) Run(ctx context.Context) error {
	runs, stopRuns := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRuns()
	var workers, heart sync.WaitGroup
	for range e.cfg.Limit {
		workers.Go(func() { e.work(ctx, runs) })
	}
	beats, stopHeart := context.WithCancel(context.WithoutCancel(ctx))
	heart.Go(func() { e.beat(beats) })
	<-ctx.Done()
	e.close()
	grace := time.AfterFunc(e.cfg.Grace, stopRuns)
	workers.Wait()
	grace.Stop()
	e.handOverQueue(context.WithoutCancel(ctx))
	stopHeart()
	heart.Wait()
	return nil
}

func (e *Executor) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.draining = true
}

// work runs memories, urgent ones first, until ctx is done.
func (e *Executor) work(ctx, runs context.Context) {
	for ctx.Err() == nil {
		select {
		case ref := <-e.urgent:
			e.one(runs, ref)
			continue
		default:
		}
		select {
		case ref := <-e.urgent:
			e.one(runs, ref)
		case ref := <-e.rest:
			e.one(runs, ref)
		case <-ctx.Done():
		}
	}
}

func (e *Executor) one(ctx context.Context, ref memory.Ref) {
	start := time.Now()
	e.inFlight.Add(1)
	defer func() {
		e.inFlight.Add(-1)
		e.room.ReleasePermit()
		e.hand.leave(ref)
		e.learn(time.Since(start))
	}()
	e.run(ctx, ref)
}

// learn keeps a moving average of how long a run takes.
func (e *Executor) learn(took time.Duration) {
	old := e.typical.Load()
	if old == 0 {
		old = int64(took)
	}
	e.typical.Store(old + (int64(took)-old)/8)
}

// beat renews the lease of all memories of this process, and gives up those that it does not know of.
func (e *Executor) beat(ctx context.Context) {
	tick := time.NewTicker(e.cfg.Heartbeat)
	defer tick.Stop()
	var suspects map[memory.Ref]bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			limited, cancel := context.WithTimeout(ctx, e.cfg.Lease)
			n, err := e.parts.Leases.Renew(limited, e.owner, time.Now().Add(e.cfg.Lease))
			if err == nil {
				suspects, err = e.strays(limited, n, suspects)
			}
			if err != nil && ctx.Err() == nil {
				e.parts.Log.Warn("the leases of the memories in flight could not be renewed; the durable track will take them up", "error", err)
			}
			cancel()
		}
	}
}
