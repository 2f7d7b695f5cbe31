package batch

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Recovery finds open memories and batches that nobody answers for (their process died, Temporal was away when they
// came, a run was lost) and makes sure that a durable run of each exists.
type Recovery struct {
	leases  store.Leases
	batches store.BatchRuns
	starter interface {
		StartMemory(ctx context.Context, ref memory.Ref) error
		StartBatch(ctx context.Context, b store.BatchRef) error
	}
	cfg Config
	log *slog.Logger
}

// NewRecovery makes a recovery. Any number of them may run, in any number of processes.
func NewRecovery(leases store.Leases, batches store.BatchRuns, starter *Starter, cfg Config, log *slog.Logger) *Recovery {
	return &Recovery{leases: leases, batches: batches, starter: starter, cfg: cfg.WithDefaults(), log: log}
}

const (
	sweepLimit  = 256 // orphans a sweep
	sweepStarts = 16  // starts at once
)

// Run sweeps until ctx is done.
func (r *Recovery) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Sweep)
	defer tick.Stop()
	for {
		for r.sweep(ctx) == sweepLimit {
			if ctx.Err() != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sweep takes up what it finds and returns how many memories it could.
func (r *Recovery) sweep(ctx context.Context) int {
	if err := r.sweepBatches(ctx); err != nil && ctx.Err() == nil {
		r.log.Warn("batches that wait for a durable run could not be taken up; trying again", "error", err)
	}
	n, err := r.sweepMemories(ctx)
	if err != nil && ctx.Err() == nil {
		r.log.Warn("memories that wait for a durable run could not be taken up; trying again", "error", err)
	}
	return n
}

func (r *Recovery) sweepMemories(ctx context.Context) (int, error) {
	orphans, err := r.leases.Orphans(ctx, time.Now(), sweepLimit)
	if err != nil || len(orphans) == 0 {
		return 0, err
	}
	trusts := make([]store.Trust, len(orphans))
	g, starts := errgroup.WithContext(ctx)
	g.SetLimit(sweepStarts)
	for i, o := range orphans {
		trusts[i] = store.Trust{Ref: o.Ref, Owner: memoryRunID(o.Ref)}
		if o.Track == memory.TrackRealtime {
			trusts[i].Reason = "the process that ran it in realtime died"
		}
		g.Go(func() error { return r.starter.StartMemory(starts, o.Ref) })
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	_, err = r.leases.Entrust(ctx, trusts, time.Now().Add(r.cfg.Lease))
	if err == nil {
		r.log.Info("took up memories that nobody answered for", "memories", len(orphans))
	}
	return len(orphans), err
}

func (r *Recovery) sweepBatches(ctx context.Context) error {
	adrift, err := r.batches.Adrift(ctx, time.Now(), sweepLimit)
	if err != nil {
		return err
	}
	for _, b := range adrift {
		if err := r.starter.StartBatch(ctx, b); err != nil {
			return err
		}
		if err := r.batches.Entrust(ctx, b.ID, time.Now().Add(r.cfg.Lease)); err != nil {
			return err
		}
	}
	return nil
}
