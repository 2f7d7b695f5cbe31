// Package intake takes memories and batches in: it checks them, lets the router choose the track, stores them durably
// and hands them to that track. What it returned is on disk and will be finished, whatever happens to this process.
package intake

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/switchyard-ai/switchyard/internal/routing"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Realtime is the track in this process.
type Realtime interface {
	// Load says how busy the track is.
	Load() routing.Load
	// Lease is what a memory that is about to be submitted is stored under: this process as its owner.
	Lease() store.Lease
	// Submit hands a stored memory over and never blocks; false: the track does not take it (full, or stopping).
	Submit(ref memory.Ref, p memory.Priority) bool
}

// Durable starts work that is stored already. Both calls are best effort: what could not be started is found by the
// recovery of the durable track, so their errors are logged and go no further.
type Durable interface {
	StartMemory(ctx context.Context, ref memory.Ref) error
	StartBatch(ctx context.Context, ref store.BatchRef) error
}

// Guard says whether a webhook URL may be reached. Its errors have a code, the pointer and a message that is safe to show.
type Guard interface {
	CheckURL(ctx context.Context, pointer, url string) error
}

// Parts are what the intake works with.
type Parts struct {
	Memories  store.Memories
	Runs      store.Runs
	Batches   store.Batches
	BatchRuns store.BatchRuns
	Vectors   store.Vectors
	Graph     store.Graph
	Erasures  store.Erasures
	Realtime  Realtime // nil: this process runs no realtime track
	Durable   Durable
	Guard     Guard
	Log       *slog.Logger // nil: slog.Default
}

// Config tunes the intake. Its zero value works.
type Config struct {
	// Policy is the router's. Default: see [routing.Policy].
	Policy routing.Policy `yaml:"-"` // routing is a setting of its own
	// Starters is how many starts of durable runs are under way at once. Default 16.
	Starters int `yaml:"starters"`
	// StartTimeout is how long one start may take. Default 10s.
	StartTimeout time.Duration `yaml:"start_timeout"`
	// StartQueue is how many starts may wait; what finds it full is left to recovery. Default 10,000.
	StartQueue int `yaml:"start_queue"`
	// WriteTimeout is how long storing may take once it was begun, whether or not the caller still waits. Default 30s.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// MaxLineBytes is the longest line of an upload that is read; a longer one is rejected. Default 1,048,576.
	MaxLineBytes int `yaml:"max_line_bytes"`
	// MaxUploadBytes is how much an upload may hold, unpacked. Default 4 GiB.
	MaxUploadBytes int64 `yaml:"max_upload_bytes"`
	// UploadRetention is how long an upload that was broken off is kept. Default 24h.
	UploadRetention time.Duration `yaml:"upload_retention"`
	// EraseSweep is how often erasures are looked for that are due. Default 2s.
	EraseSweep time.Duration `yaml:"erase_sweep"`
	// EraseAgain is when an erasure is checked once more, for what a run in flight, or a process that was frozen, wrote
	// afterwards: that long after it, ten times that long after that, and so on, EraseChecks times in all. Default 1m.
	EraseAgain time.Duration `yaml:"erase_again"`
	// EraseChecks is how often an erasure is carried out. Default 4: at once, after 1, 11 and 111 minutes.
	EraseChecks int `yaml:"erase_checks"`
	// EraseRetention is how long the id of an erased memory is refused. Default 720h.
	EraseRetention time.Duration `yaml:"erase_retention"`
	// Estimate is what a dry run reckons with. Default: see [Estimate].
	Estimate Estimate `yaml:"estimate"`
}

// WithDefaults fills what is not set.
func (c Config) WithDefaults() Config {
	c.Policy = c.Policy.WithDefaults()
	setDefault(&c.Starters, 16)
	setDefault(&c.StartTimeout, 10*time.Second)
	setDefault(&c.StartQueue, 10_000)
	setDefault(&c.WriteTimeout, 30*time.Second)
	setDefault(&c.MaxLineBytes, 1<<20)
	setDefault(&c.MaxUploadBytes, 4<<30)
	setDefault(&c.UploadRetention, 24*time.Hour)
	setDefault(&c.EraseSweep, 2*time.Second)
	setDefault(&c.EraseAgain, time.Minute)
	setDefault(&c.EraseChecks, 4)
	setDefault(&c.EraseRetention, 30*24*time.Hour)
	setDefault(&c.Estimate.TokensPerMemory, 1_500)
	setDefault(&c.Estimate.BytesPerToken, 4)
	setDefault(&c.Estimate.MemoriesPerSecond, 50)
	return c
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Intake takes memories and batches in. It is safe for concurrent use.
type Intake struct {
	parts  Parts
	cfg    Config
	log    *slog.Logger
	starts chan start
}

// New makes an intake of the parts. Durable runs are started while its Run runs.
func New(parts Parts, cfg Config) *Intake {
	cfg = cfg.WithDefaults()
	log := parts.Log
	if log == nil {
		log = slog.Default()
	}
	return &Intake{parts: parts, cfg: cfg, log: log, starts: make(chan start, cfg.StartQueue)}
}

// Policy is the routing policy in force.
func (in *Intake) Policy() routing.Policy { return in.cfg.Policy }

// Load is how busy the realtime track of this process is; zero where it runs none.
func (in *Intake) Load() routing.Load {
	if in.parts.Realtime == nil {
		return routing.Load{}
	}
	return in.parts.Realtime.Load()
}

// Run starts durable runs, finishes erasures and checks them again, and sweeps uploads that were broken off, until ctx is
// done. Starts that still wait then are left to recovery.
func (in *Intake) Run(ctx context.Context) error {
	var g errgroup.Group
	for range in.cfg.Starters {
		g.Go(func() error { in.startAll(ctx); return nil })
	}
	g.Go(func() error { every(ctx, in.cfg.UploadRetention/24, in.sweepUploads); return nil })
	g.Go(func() error { every(ctx, in.cfg.EraseRetention/24, in.sweepErasures); return nil })
	g.Go(func() error { every(ctx, in.cfg.EraseSweep, in.eraseDue); return nil })
	return g.Wait()
}

// every calls f now and then until ctx is done.
func every(ctx context.Context, d time.Duration, f func(context.Context)) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f(ctx)
		}
	}
}

func (in *Intake) sweepUploads(ctx context.Context) {
	if _, err := in.parts.Batches.Sweep(ctx, time.Now().Add(-in.cfg.UploadRetention)); err != nil {
		in.log.WarnContext(ctx, "abandoned uploads were not swept", "error", err)
	}
}

func (in *Intake) sweepErasures(ctx context.Context) {
	if _, err := in.parts.Erasures.Sweep(ctx, time.Now().Add(-in.cfg.EraseRetention)); err != nil {
		in.log.WarnContext(ctx, "old erasures were not swept", "error", err)
	}
}
