package batch

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// deaf are batch runs of a process that dies before it notes what became of the items.
type deaf struct {
	store.BatchRuns
	dead bool
}

func (d *deaf) SetItems(ctx context.Context, batchID string, number int, items []memory.Item) error {
	if d.dead {
		return memory.Errorf(memory.CodeUnavailable, "the process died")
	}
	return d.BatchRuns.SetItems(ctx, batchID, number, items)
}

// gap is a batch of one item that was made a memory, which the page does not know.
type gap struct {
	*testing.T
	*sqlitestore.Store
	runs       *deaf
	activities *Activities
	page       PageRef
}

const uploaded = "what was uploaded"

func newGap(t *testing.T, external string) (*gap, memory.Memory) {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), sqlitestore.Config{Synchronous: "OFF"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := memory.Batch{ID: id.New(id.Batch), Workspace: "w", Status: memory.BatchUploading, CreatedAt: memory.Now(), Pages: 1}
	g := &gap{T: t, Store: s, runs: &deaf{BatchRuns: s.BatchRuns(), dead: true}, page: PageRef{Workspace: "w", Owner: "run", BatchID: b.ID}}
	g.must(s.Batches().Create(t.Context(), b))
	g.must(s.Batches().AddPage(t.Context(), store.Page{Workspace: "w", BatchID: b.ID, Entries: []store.Entry{
		{Item: memory.Item{Status: memory.StatusQueued, Line: 1}, Input: &memory.Input{Content: uploaded, ExternalID: external}},
	}}))
	_, err = s.Batches().Seal(t.Context(), b)
	g.must(err)
	g.activities = NewActivities(Parts{Memories: s.Memories(), Batches: s.Batches(), BatchRuns: g.runs}, Config{})
	if err := g.activities.admit(t.Context(), g.page); memory.CodeOf(err) != memory.CodeUnavailable {
		t.Fatalf("the process did not die: %v", err)
	}
	g.runs.dead = false
	made, _, err := s.Memories().List(t.Context(), store.MemoryQuery{Workspace: "w", Limit: 9})
	if err != nil || len(made) != 1 || made[0].Content != uploaded {
		t.Fatalf("made %v, %v", made, err)
	}
	for now := memory.Now(); !memory.Now().After(now.Time); { // what follows is said later, by clocks that count milliseconds
		runtime.Gosched()
	}
	return g, made[0]
}

func (g *gap) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

// again admits the page once more, as the next process does, and returns its item and all memories.
func (g *gap) again() (memory.Item, []memory.Memory) {
	g.Helper()
	g.must(g.activities.admit(g.Context(), g.page))
	p, err := g.BatchRuns().Page(g.Context(), g.page.BatchID, 0)
	g.must(err)
	all, _, err := g.Memories().List(g.Context(), store.MemoryQuery{Workspace: "w", Limit: 9})
	g.must(err)
	return p.Entries[0].Item, all
}

// TestAdmissionIsRepeated admits a page whose items were made memories by a process that died before the page knew.
func TestAdmissionIsRepeated(t *testing.T) {
	t.Parallel()
	for name, external := range map[string]string{"WithAnExternalID": "x", "WithoutOne": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("ItemsAreAdmittedOnce", func(t *testing.T) {
				t.Parallel()
				g, m := newGap(t, external)
				item, all := g.again()
				if item.MemoryID != m.ID || item.Version != 1 || item.Status != memory.StatusProcessing || len(all) != 1 {
					t.Errorf("the item is %+v, the memories %+v", item, all)
				}
			})
			t.Run("AChangeMeanwhileStays", func(t *testing.T) {
				t.Parallel()
				g, m := newGap(t, external)
				change := m
				change.Content = "what was said later"
				_, err := g.Memories().Put(t.Context(), []store.Intake{{Memory: change, IfVersion: 1}})
				g.must(err)
				item, all := g.again()
				if len(all) != 1 || all[0].Content != change.Content || all[0].Version != 2 {
					t.Errorf("the memories are %+v", all)
				}
				if item.Status != memory.StatusCancelled || item.Error == nil || item.Error.Code != memory.CodeSuperseded || item.MemoryID != m.ID {
					t.Errorf("the item is %+v", item)
				}
			})
		})
	}
	t.Run("WhatWasErasedMeanwhileStaysErased", func(t *testing.T) {
		t.Parallel()
		g, m := newGap(t, "")
		g.must(g.Erasures().Note(t.Context(), "w", time.Now(), m.ID))
		g.must(g.Memories().Delete(t.Context(), "w", m.ID))
		item, all := g.again()
		if len(all) != 0 || item.Status != memory.StatusCancelled || item.Error == nil || item.Error.Code != memory.CodeSuperseded {
			t.Errorf("the item is %+v, the memories %+v", item, all)
		}
	})
}

// TestRetriedItemsAreResumed retries a batch one of whose memories ended without success: it is run again from its first
// unfinished step, in the hands of the batch.
func TestRetriedItemsAreResumed(t *testing.T) {
	t.Parallel()
	g, m := newGap(t, "")
	g.again()
	d, err := g.Runs().Claim(t.Context(), store.Claim{Refs: []memory.Ref{m.Ref()}, Owner: g.page.Owner, Track: memory.TrackDurable, Until: store.Forever})
	g.must(err)
	_, err = g.Runs().Checkpoint(t.Context(), []store.Checkpoint{{
		Ref: m.Ref(), Fence: d[0].Fence, Receipt: memory.Receipt{Name: memory.StepRelated, Status: memory.StepCompleted}, Output: &memory.Output{},
	}})
	g.must(err)
	_, err = g.Runs().Finish(t.Context(), []store.Finish{{
		Ref: m.Ref(), Fence: d[0].Fence, Status: memory.StatusFailed, Error: &memory.Fault{Code: memory.CodeQuota},
		Receipts: []memory.Receipt{{Name: memory.StepUseCases, Status: memory.StepFailed}},
	}})
	g.must(err)
	_, err = g.activities.follow(t.Context(), g.page)
	g.must(err)
	_, err = g.BatchRuns().Finish(t.Context(), g.page.BatchID, memory.BatchFailed, nil)
	g.must(err)
	_, n, err := g.BatchRuns().Reopen(t.Context(), "w", g.page.BatchID)
	if err != nil || n != 1 {
		t.Fatalf("%d items were queued again, %v", n, err)
	}

	g.page.Owner = "the next run"
	item, all := g.again()
	if item.Status != memory.StatusProcessing || item.MemoryID != m.ID || item.Version != 1 {
		t.Errorf("the item is %+v", item)
	}
	if all[0].Status != memory.StatusQueued || len(all[0].Steps) != 1 || all[0].BatchID != g.page.BatchID {
		t.Errorf("the memory is %+v", all[0])
	}
	d, err = g.Runs().Claim(t.Context(), store.Claim{Refs: []memory.Ref{m.Ref()}, Owner: g.page.Owner, Track: memory.TrackDurable, Until: store.Forever})
	if err != nil || len(d) != 1 {
		t.Errorf("claimed %v, %v", d, err)
	}
}
