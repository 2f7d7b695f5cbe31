//go:build failpoints

package faults

import (
	"context"
	"strconv"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// The witness writes down what the program was told by its stores: which claim was granted, which write was taken under
// which fence, what was deleted. It stands outside of bugs and faults, so it sees what the program believes.
type (
	witnessRuns struct {
		store.Runs
		m *Machine
	}
	witnessMemories struct {
		store.Memories
		m *Machine
	}
	witnessLeases struct {
		store.Leases
		m *Machine
	}
)

func (w witnessRuns) Claim(ctx context.Context, c store.Claim) ([]memory.Draft, error) {
	ds, err := w.Runs.Claim(ctx, c)
	for _, d := range ds {
		w.m.write("claimed", d.Memory.ID, strconv.Itoa(d.Memory.Version), strconv.FormatInt(d.Fence, 10), c.Owner)
	}
	return ds, err
}

// kept says that a write that began then was taken.
func (w witnessRuns) kept(begin time.Time, what string, ref memory.Ref, fence int64, ok bool) {
	if ok {
		w.m.write("kept", ref.ID, strconv.Itoa(ref.Version), strconv.FormatInt(fence, 10), strconv.FormatInt(begin.UnixNano(), 10), what)
	}
}

func (w witnessRuns) Checkpoint(ctx context.Context, cs []store.Checkpoint) ([]bool, error) {
	begin := time.Now()
	oks, err := w.Runs.Checkpoint(ctx, cs)
	for i := range oks {
		w.kept(begin, string(cs[i].Receipt.Status)+" "+cs[i].Receipt.Name, cs[i].Ref, cs[i].Fence, err == nil && oks[i])
	}
	return oks, err
}

func (w witnessRuns) Finish(ctx context.Context, fs []store.Finish) ([]bool, error) {
	begin := time.Now()
	oks, err := w.Runs.Finish(ctx, fs)
	for i := range oks {
		w.kept(begin, "finish "+string(fs[i].Status), fs[i].Ref, fs[i].Fence, err == nil && oks[i])
	}
	return oks, err
}

func (w witnessRuns) Release(ctx context.Context, rs []store.Release) ([]bool, error) {
	begin := time.Now()
	oks, err := w.Runs.Release(ctx, rs)
	for i := range oks {
		w.kept(begin, "release", rs[i].Ref, rs[i].Fence, err == nil && oks[i])
	}
	return oks, err
}

func (w witnessMemories) Put(ctx context.Context, in []store.Intake) ([]store.Put, error) {
	ps, err := w.Memories.Put(ctx, in)
	for _, p := range ps {
		if err == nil {
			w.m.write("put", p.Memory.ID, strconv.Itoa(p.Memory.Version), string(p.Kind))
		}
	}
	return ps, err
}

func (w witnessMemories) Delete(ctx context.Context, workspace string, ids ...string) error {
	err := w.Memories.Delete(ctx, workspace, ids...)
	for _, id := range ids {
		if err == nil {
			w.m.write("deleted", id)
		}
	}
	return err
}

func (w witnessLeases) Entrust(ctx context.Context, ts []store.Trust, until time.Time) ([]bool, error) {
	oks, err := w.Leases.Entrust(ctx, ts, until)
	for i, ok := range oks {
		if ok && err == nil {
			w.m.write("entrusted", ts[i].Ref.ID, strconv.Itoa(ts[i].Ref.Version), ts[i].Owner, ts[i].Reason)
		}
	}
	return oks, err
}
