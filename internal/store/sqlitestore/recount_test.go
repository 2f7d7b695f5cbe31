package sqlitestore

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestRecountMendsCounts spoils what the suite cannot: the sums themselves.
func TestRecountMendsCounts(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	b := memory.Batch{ID: "bat_1", Workspace: "wsp_1", CreatedAt: memory.Now(), Pages: 40}
	if err := s.Batches().Create(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for n := range b.Pages {
		item := memory.Item{Index: n, Status: memory.StatusQueued, Tokens: 1}
		err := s.Batches().AddPage(t.Context(), store.Page{Workspace: b.Workspace, BatchID: b.ID, Number: n, Entries: []store.Entry{{Item: item}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	want, err := s.Batches().Seal(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(tx *tx) error {
		if _, err := tx.exec("UPDATE batches SET queued = queued - 3, failed = failed + 1, tokens = 99"); err != nil {
			return err
		}
		_, err := tx.exec("UPDATE pages SET completed = 1, queued = 0 WHERE number = 35")
		return err
	}
	if err := s.write(t.Context(), spoil); err != nil {
		t.Fatal(err)
	}
	for i, wrong := range []bool{true, false} {
		if got, err := s.BatchRuns().Recount(t.Context(), b.ID); err != nil || got != wrong {
			t.Errorf("recount %d says %v, %v; want %v", i+1, got, err, wrong)
		}
	}
	got, err := s.Batches().Get(t.Context(), b.Workspace, b.ID)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	found, _, err := s.Batches().Items(t.Context(), store.ItemQuery{Workspace: b.Workspace, BatchID: b.ID, Statuses: []memory.Status{memory.StatusQueued}, Limit: 100})
	if err != nil || len(found) != b.Pages {
		t.Errorf("%d items are found by their status, %v; want %d", len(found), err, b.Pages)
	}
}
