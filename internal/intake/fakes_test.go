package intake_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/routing"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// batches records an upload; onPage, where set, sees each page instead of it being kept.
type batches struct {
	store.Batches // what a test does not expect to be called panics
	mu            sync.Mutex
	created       []memory.Batch
	pages         []store.Page
	sealed        []memory.Batch
	onPage        func(store.Page) error
	swept         chan time.Time
}

func (b *batches) Create(_ context.Context, batch memory.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sealed {
		if s.ID == batch.ID {
			return memory.Errorf(memory.CodeConflict, "there is a batch of this id already")
		}
	}
	b.created, b.pages = append(b.created, batch), nil
	return nil
}

func (b *batches) Get(_ context.Context, workspace, id string) (memory.Batch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sealed {
		if s.ID == id && s.Workspace == workspace {
			s.Counts.Total = len(b.entries())
			return s, nil
		}
	}
	return memory.Batch{}, memory.Errorf(memory.CodeNotFound, "there is no such batch")
}

func (b *batches) AddPage(_ context.Context, p store.Page) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.onPage != nil {
		return b.onPage(p)
	}
	b.pages = append(b.pages, p)
	return nil
}

func (b *batches) Seal(_ context.Context, batch memory.Batch) (memory.Batch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch.Status = memory.BatchQueued
	b.sealed = append(b.sealed, batch)
	return batch, nil
}

func (b *batches) Sweep(_ context.Context, before time.Time) (int, error) {
	b.swept <- before
	return 0, nil
}

func (b *batches) entries() []store.Entry {
	var out []store.Entry
	for _, p := range b.pages {
		out = append(out, p.Entries...)
	}
	return out
}

// memories answers each intake with the given kind.
type memories struct {
	store.Memories
	kind store.PutKind
	err  error
	got  []store.Intake
	made []memory.Memory // what there is
}

func (m *memories) Get(_ context.Context, _ string, ids ...string) (out []memory.Memory, err error) {
	for _, x := range m.made {
		if slices.Contains(ids, x.ID) {
			out = append(out, x)
		}
	}
	return out, m.err
}

func (m *memories) Put(ctx context.Context, in []store.Intake) ([]store.Put, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.got = append(m.got, in...)
	if m.err != nil {
		return nil, m.err
	}
	stored := in[0].Memory
	stored.Version = 1
	return []store.Put{{Kind: m.kind, Memory: stored, Fence: 7}}, nil
}

// runs records releases.
type runs struct {
	store.Runs
	err      error
	released []store.Release
}

func (r *runs) Release(_ context.Context, rs []store.Release) ([]bool, error) {
	r.released = append(r.released, rs...)
	return []bool{true}, r.err
}

type batchRuns struct {
	store.BatchRuns
	ref store.BatchRef
	n   int
}

func (b batchRuns) Reopen(context.Context, string, string) (store.BatchRef, int, error) {
	return b.ref, b.n, nil
}

// realtime is a track with room, or not.
type realtime struct {
	load      routing.Load
	full      bool
	submitted []memory.Ref
	urgency   []memory.Priority
}

func (r *realtime) Load() routing.Load { return r.load }
func (r *realtime) Lease() store.Lease {
	return store.Lease{Owner: "prc_me", Until: time.Now().Add(time.Minute)}
}

func (r *realtime) Submit(ref memory.Ref, p memory.Priority) bool {
	if !r.full {
		r.submitted, r.urgency = append(r.submitted, ref), append(r.urgency, p)
	}
	return !r.full
}

// durable reports what it was asked to start.
type durable struct {
	memories chan memory.Ref
	batches  chan store.BatchRef
	err      error
}

func newDurable() *durable {
	return &durable{memories: make(chan memory.Ref, 10), batches: make(chan store.BatchRef, 10)}
}

func (d *durable) StartMemory(_ context.Context, ref memory.Ref) error {
	d.memories <- ref
	return d.err
}

func (d *durable) StartBatch(_ context.Context, ref store.BatchRef) error {
	d.batches <- ref
	return d.err
}

// guard forbids one URL.
type guard struct {
	forbidden string
	asked     []string
}

func (g *guard) CheckURL(_ context.Context, pointer, url string) error {
	g.asked = append(g.asked, url)
	if url == g.forbidden {
		return &memory.Error{Code: memory.CodeForbiddenURL, Pointer: pointer, Message: "that address may not be reached"}
	}
	return nil
}
