package intake_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// held is a store that holds things of memories, and may be away.
type held struct {
	mu      sync.Mutex
	ids     []string
	away    bool
	deletes int
}

func (h *held) Delete(_ context.Context, _ string, ids ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.away {
		return memory.Errorf(memory.CodeUnavailable, "away")
	}
	h.deletes++
	h.ids = slices.DeleteFunc(h.ids, func(id string) bool { return slices.Contains(ids, id) })
	return nil
}

func (h *held) set(away bool, ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.away, h.ids = away, ids
}

func (h *held) left() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ids)
}

// graphs and documents make the other ports of a held.
type (
	graphs struct {
		store.Graph
		*held
	}
	documents struct {
		store.Memories
		*held
	}
	vectors struct {
		store.Vectors
		*held
	}
)

func (g graphs) Delete(ctx context.Context, w string, ids ...string) error {
	return g.held.Delete(ctx, w, ids...)
}
func (d documents) Delete(ctx context.Context, w string, ids ...string) error {
	return d.held.Delete(ctx, w, ids...)
}
func (v vectors) Delete(ctx context.Context, w string, ids ...string) error {
	return v.held.Delete(ctx, w, ids...)
}

// erasures keeps the record of one erasure.
type erasures struct {
	store.Erasures
	mu    sync.Mutex
	noted bool
	e     store.Erasure
	err   error
}

func (s *erasures) Note(_ context.Context, workspace string, at time.Time, ids ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.noted, s.e = true, store.Erasure{Workspace: workspace, MemoryID: ids[0], NotedAt: at, DueAt: at}
	}
	return s.err
}

func (s *erasures) Due(_ context.Context, now time.Time, _ int) ([]store.Erasure, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.noted || s.e.DueAt.IsZero() || !s.e.DueAt.Before(now) {
		return nil, nil
	}
	return []store.Erasure{s.e}, nil
}

func (s *erasures) Checked(_ context.Context, es []store.Erasure) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.e.Checks, s.e.DueAt = es[0].Checks, es[0].DueAt
	return nil
}

func (s *erasures) Sweep(context.Context, time.Time) (int, error) { return 0, nil }

type eraser struct {
	*intake.Intake
	documents, vectors, graph held
	erasures                  erasures
}

func newEraser() *eraser {
	e := &eraser{}
	for _, h := range []*held{&e.documents, &e.vectors, &e.graph} {
		h.ids = []string{"m", "other"}
	}
	e.Intake = intake.New(intake.Parts{
		Memories: documents{held: &e.documents}, Vectors: vectors{held: &e.vectors}, Graph: graphs{held: &e.graph}, Erasures: &e.erasures,
		Batches: &batches{swept: make(chan time.Time, 100)},
	}, intake.Config{})
	return e
}

func (e *eraser) holds(t *testing.T, documents, vectors, graph []string) {
	t.Helper()
	want, got := [][]string{documents, vectors, graph}, [][]string{e.documents.left(), e.vectors.left(), e.graph.left()}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("the stores hold: -want +got:\n%s", d)
	}
}

// run runs the intake for a while, of a time that is virtual.
func (e *eraser) run(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := e.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	other := []string{"other"}
	for name, test := range map[string]func(t *testing.T, e *eraser){
		"EveryStoreIsErased": func(t *testing.T, e *eraser) {
			r, err := e.Erase(t.Context(), "w", "m")
			if d := cmp.Diff(intake.Receipt{Erased: []string{"documents", "vectors", "graph"}}, r); d != "" || err != nil {
				t.Error(err, d)
			}
			e.holds(t, other, other, other)
		},
		"AStoreThatIsAwayIsErasedWhenItIsBack": func(t *testing.T, e *eraser) {
			e.vectors.set(true, "m", "other")
			r, err := e.Erase(t.Context(), "w", "m")
			if d := cmp.Diff(intake.Receipt{Erased: []string{"documents", "graph"}, Pending: []string{"vectors"}}, r); d != "" || err != nil {
				t.Error(err, d)
			}
			e.run(t, time.Minute)
			e.holds(t, other, []string{"m", "other"}, other)
			e.vectors.set(false, "m", "other")
			e.run(t, 5*time.Second)
			e.holds(t, other, other, other)
		},
		"WhatAnotherProcessBeganIsFinished": func(t *testing.T, e *eraser) {
			if err := e.erasures.Note(t.Context(), "w", time.Now(), "m"); err != nil {
				t.Fatal(err)
			}
			e.run(t, 5*time.Second)
			e.holds(t, other, other, other)
		},
		"WhatARunInFlightWroteAfterwardsIsErasedLater": func(t *testing.T, e *eraser) {
			if _, err := e.Erase(t.Context(), "w", "m"); err != nil {
				t.Fatal(err)
			}
			e.vectors.set(false, "m", "other")
			e.run(t, 50*time.Second)
			e.holds(t, other, []string{"m", "other"}, other)
			e.run(t, 15*time.Second)
			e.holds(t, other, other, other)
			e.graph.set(false, "m", "other") // of a process that was frozen
			e.run(t, 11*time.Minute)
			e.holds(t, other, other, other)
			e.run(t, 24*time.Hour)
			if e.vectors.deletes != 4 {
				t.Errorf("it was carried out %d times", e.vectors.deletes)
			}
		},
		"WithoutTheRecordNothingIsErased": func(t *testing.T, e *eraser) {
			e.erasures.err = memory.Errorf(memory.CodeUnavailable, "away")
			if _, err := e.Erase(t.Context(), "w", "m"); memory.CodeOf(err) != memory.CodeUnavailable {
				t.Error(err)
			}
			all := []string{"m", "other"}
			e.holds(t, all, all, all)
		},
		"WhatCanBeSeenStillIsNoReceipt": func(t *testing.T, e *eraser) {
			e.documents.set(true, "m", "other")
			if _, err := e.Erase(t.Context(), "w", "m"); memory.CodeOf(err) != memory.CodeUnavailable {
				t.Error(err)
			}
			e.documents.set(false, "m", "other")
			e.run(t, 5*time.Second)
			e.holds(t, other, other, other)
		},
		"ItGoesOnThoughTheCallerLeft": func(t *testing.T, e *eraser) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := e.Erase(ctx, "w", "m"); err != nil {
				t.Error(err)
			}
			e.holds(t, other, other, other)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, newEraser()) })
		})
	}
}
