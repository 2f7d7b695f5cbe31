package storetest

import (
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func (k kit) advance(id string, s memory.BatchStatus) bool {
	k.Helper()
	ok, err := k.BatchRuns.Advance(k.Context(), id, s)
	k.must(err)
	return ok
}

func (k kit) end(id string, s memory.BatchStatus, e *memory.Event) bool {
	k.Helper()
	ok, err := k.BatchRuns.Finish(k.Context(), id, s, e)
	k.must(err)
	return ok
}

func (k kit) announce(id string, mark int, e *memory.Event) bool {
	k.Helper()
	ok, err := k.BatchRuns.Announce(k.Context(), id, mark, e)
	k.must(err)
	return ok
}

// many makes n pages of the entries.
func many(n int, contents ...string) (out [][]store.Entry) {
	for range n {
		out = append(out, items(contents...))
	}
	return out
}

var batchRunTests = map[string]func(k kit){
	"AdvanceSetsTheStatusAndTheStartOnce": func(k kit) {
		b := k.sealed("bat_1", items("a"))
		if !k.advance(b.ID, memory.BatchProcessing) {
			k.Error("refused")
		}
		first := k.batch(b.ID)
		k.same("status", first.Status, memory.BatchProcessing)
		if first.StartedAt == nil {
			k.Fatal("started_at is not set")
		}
		for _, s := range []memory.BatchStatus{memory.BatchPaused, memory.BatchQueued, memory.BatchProcessing} {
			k.advance(b.ID, s)
			got := k.batch(b.ID)
			k.same("status and start", []any{got.Status, got.StartedAt}, []any{s, first.StartedAt})
		}
	},
	"RecountLeavesTrueCountsAlone": func(k kit) {
		b := k.sealed("bat_1", many(40, "a", "", "c")...)
		k.set(b.ID, 7, memory.Item{Index: 21, MemoryID: "mem_1", Version: 1, Status: memory.StatusCompleted, Tokens: 5, CostUSD: 0.5})
		before := k.batch(b.ID)
		wrong, err := k.BatchRuns.Recount(k.Context(), b.ID)
		k.must(err)
		k.same("the counts were wrong", wrong, false)
		k.same("batch", k.batch(b.ID), before)
		_, err = k.BatchRuns.Recount(k.Context(), "bat_none")
		k.fails(err, memory.CodeNotFound)
	},
	"AdvanceDoesNotEndABatch": func(k kit) {
		k.sealed("bat_1", items("a"))
		for _, s := range []memory.BatchStatus{memory.BatchCompleted, memory.BatchCancelled, memory.BatchUploading} {
			_, err := k.BatchRuns.Advance(k.Context(), "bat_1", s)
			k.fails(err, memory.CodeInternal)
		}
		_, err := k.BatchRuns.Finish(k.Context(), "bat_1", memory.BatchPaused, nil)
		k.fails(err, memory.CodeInternal)
	},
	"FinishEndsTheBatchAndOwesTheEventInOneWrite": func(k kit) {
		b := k.sealed("bat_1", items("a", "b"))
		k.set(b.ID, 0, memory.Item{Index: 0, Status: memory.StatusCompleted, MemoryID: "mem_a"})
		e := event("a", memory.Now())
		if !k.end(b.ID, memory.BatchCompletedWithErrors, e) {
			k.Error("refused")
		}
		got := k.batch(b.ID)
		k.same("status", got.Status, memory.BatchCompletedWithErrors)
		if got.CompletedAt == nil {
			k.Error("completed_at is not set")
		}
		k.same("open items stay open", got.Counts, memory.Counts{Total: 2, Queued: 1, Completed: 1})
		k.same("owed", k.owed(), []memory.Event{*e})
		k.same("adrift", k.adrift(), []string(nil))

		if k.end(b.ID, memory.BatchCancelled, event("late", memory.Now())) || k.advance(b.ID, memory.BatchPaused) ||
			k.announce(b.ID, 25, event("late", memory.Now())) {
			k.Error("a batch that is over was changed")
		}
		k.must(k.BatchRuns.Entrust(k.Context(), b.ID, past()))
		k.same("stored", k.batch(b.ID), got)
		k.same("owed", len(k.owed()), 1)
		k.same("adrift", k.adrift(), []string(nil))
	},
	"CancellingCancelsWhatIsOpen": func(k kit) {
		for _, pages := range []int{1, 31, 32, 33, 64, 100} {
			b := k.sealed("bat_"+string(rune('a'+pages)), many(pages, "a", "b", "")...)
			k.set(b.ID, 0, memory.Item{Index: 0, Status: memory.StatusCompleted, MemoryID: "mem_a"}, memory.Item{Index: 1, Status: memory.StatusProcessing, MemoryID: "mem_b"})
			if !k.end(b.ID, memory.BatchCancelled, nil) {
				k.Error("refused")
			}
			got := k.batch(b.ID)
			k.same("batch", []any{got.Status, got.Counts}, []any{memory.BatchCancelled,
				memory.Counts{Total: 3 * pages, Completed: 1, Cancelled: 2*pages - 1, Rejected: pages}})
			k.addsUp(b.ID)
			k.same("upload", k.page(b.ID, pages-1).Entries[0].Input, (*memory.Input)(nil))
		}
	},
	"UnknownBatchesAreOver": func(k kit) {
		if k.end("bat_unknown", memory.BatchCompleted, event("a", memory.Now())) || k.advance("bat_unknown", memory.BatchPaused) || k.announce("bat_unknown", 25, nil) {
			k.Error("changed what is not there")
		}
		k.same("owed", k.owed(), []memory.Event(nil))
	},
	"AnnouncesEachMarkOnce": func(k kit) {
		b := k.sealed("bat_1", items("a"))
		now := time.Now()
		for i, row := range []struct {
			mark int
			want bool
		}{{25, true}, {25, false}, {5, true}, {50, true}, {2, true}, {25, false}, {50, false}, {75, true}} {
			e := event(string(rune('a'+i)), memory.At(now.Add(time.Duration(i)*time.Millisecond)))
			if got := k.announce(b.ID, row.mark, e); got != row.want {
				k.Errorf("%d: announced %d: %v", i, row.mark, got)
			}
		}
		var got []string
		for _, e := range k.owed() {
			got = append(got, e.ID)
		}
		k.same("owed", got, []string{"evt_a", "evt_c", "evt_d", "evt_e", "evt_h"})
	},
	"BatchesAreAdriftWhenTheirLeaseExpired": func(k kit) {
		start := time.Now().Add(-time.Hour)
		for i, id := range []string{"bat_c", "bat_b", "bat_a", "bat_over"} {
			b := batch(id)
			b.CreatedAt = memory.At(start.Add(time.Duration(i) * time.Second))
			_, err := k.Batches.Seal(k.Context(), k.upload(b))
			k.must(err)
		}
		k.end("bat_over", memory.BatchCompleted, nil)
		k.advance("bat_b", memory.BatchPaused)
		k.same("oldest first", k.adrift(), []string{"bat_c", "bat_b", "bat_a"})
		k.must(k.BatchRuns.Entrust(k.Context(), "bat_b", soon()))
		k.same("entrusted", k.adrift(), []string{"bat_c", "bat_a"})
		k.must(k.BatchRuns.Entrust(k.Context(), "bat_b", past()))
		two, err := k.BatchRuns.Adrift(k.Context(), time.Now(), 2)
		k.must(err)
		k.same("limited", []string{two[0].ID, two[1].ID}, []string{"bat_c", "bat_b"})
	},
	"PagesThatAreNotThereAreNotFound": func(k kit) {
		k.sealed("bat_1", items("a"))
		_, err := k.BatchRuns.Page(k.Context(), "bat_1", 1)
		k.fails(err, memory.CodeNotFound)
	},
}

var reopenTests = map[string]func(k kit){
	"QueuesWhatFailedAgain": func(k kit) {
		for _, pages := range []int{1, 32, 70} {
			b := k.sealed("bat_"+string(rune('a'+pages)), many(pages, "a", "b", "c", "", "e")...)
			for p := range pages {
				k.must(k.BatchRuns.SetItems(k.Context(), b.ID, p, []memory.Item{
					{Index: 5 * p, Status: memory.StatusFailed, MemoryID: "mem_a", Version: 2, Error: &memory.Fault{Code: memory.CodeQuota}, Tokens: 5},
					{Index: 5*p + 1, Status: memory.StatusDegraded, MemoryID: "mem_b"},
					{Index: 5*p + 2, Status: memory.StatusCompleted, MemoryID: "mem_c"},
					{Index: 5*p + 4, Status: memory.StatusCancelled},
				}))
			}
			k.end(b.ID, memory.BatchCompletedWithErrors, nil)
			ref, n, err := k.BatchRuns.Reopen(k.Context(), ws, b.ID)
			k.must(err)
			k.same("to do", n, 2*pages)
			k.same("run", ref, store.BatchRef{Workspace: ws, ID: b.ID, Run: 2, Pages: pages, Priority: memory.PriorityBulk})
			got := k.batch(b.ID)
			k.same("batch", []any{got.Status, got.CompletedAt, got.Counts}, []any{memory.BatchQueued, (*memory.Time)(nil),
				memory.Counts{Total: 5 * pages, Queued: 2 * pages, Completed: pages, Rejected: pages, Cancelled: pages}})
			k.addsUp(b.ID)
			first := k.items(store.ItemQuery{BatchID: b.ID})[0]
			k.same("item", first, memory.Item{Index: 0, Line: 1, Status: memory.StatusQueued, MemoryID: "mem_a", Version: 2, Tokens: 5})
			k.same("adrift", k.adrift(), []string{b.ID})
			k.end(b.ID, memory.BatchFailed, nil)
		}
	},
	"OfNothingChangesNothing": func(k kit) {
		b := k.sealed("bat_1", items("a"))
		k.set(b.ID, 0, memory.Item{Index: 0, Status: memory.StatusCompleted, MemoryID: "mem_a"})
		k.end(b.ID, memory.BatchCompleted, nil)
		want := k.batch(b.ID)
		_, n, err := k.BatchRuns.Reopen(k.Context(), ws, b.ID)
		k.must(err)
		k.same("to do", n, 0)
		k.same("stored", k.batch(b.ID), want)
		k.same("adrift", k.adrift(), []string(nil))
	},
	"IsForBatchesThatAreOver": func(k kit) {
		b := k.sealed("bat_1", items("a", "b"))
		k.set(b.ID, 0, memory.Item{Index: 0, Status: memory.StatusFailed, MemoryID: "mem_a"})
		want := k.batch(b.ID)
		_, _, err := k.BatchRuns.Reopen(k.Context(), ws, b.ID)
		k.fails(err, memory.CodeConflict)
		k.same("stored", k.batch(b.ID), want)
		_, _, err = k.BatchRuns.Reopen(k.Context(), ws, "bat_unknown")
		k.fails(err, memory.CodeNotFound)
	},
	"LeadsToASecondEnd": func(k kit) {
		b := k.sealed("bat_1", items("a"))
		k.set(b.ID, 0, memory.Item{Index: 0, Status: memory.StatusFailed, MemoryID: "mem_a"})
		k.end(b.ID, memory.BatchFailed, event("1", memory.Now()))
		_, _, err := k.BatchRuns.Reopen(k.Context(), ws, b.ID)
		k.must(err)
		k.set(b.ID, 0, memory.Item{Index: 0, Status: memory.StatusCompleted, MemoryID: "mem_a"})
		if !k.end(b.ID, memory.BatchCompleted, event("2", memory.Now())) {
			k.Error("refused")
		}
		k.same("counts", k.batch(b.ID).Counts, memory.Counts{Total: 1, Completed: 1})
		k.same("owed", len(k.owed()), 2)
	},
}
