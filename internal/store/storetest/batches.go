package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// items makes entries of the contents; "" is a line that was rejected.
func items(contents ...string) (out []store.Entry) {
	for _, c := range contents {
		e := store.Entry{Item: memory.Item{Status: memory.StatusQueued}, Input: &memory.Input{Content: c}}
		if c == "" {
			e = store.Entry{Item: memory.Item{Status: memory.StatusRejected, Pointer: "/content", Error: &memory.Fault{Code: memory.CodeInvalid, Detail: "empty"}}}
		}
		out = append(out, e)
	}
	return out
}

func batch(id string) memory.Batch {
	return memory.Batch{ID: id, Workspace: ws, Name: "import", Status: memory.BatchUploading, Track: memory.TrackDurable, Reason: "a batch",
		Priority: memory.PriorityBulk, WebhookURL: "https://example.com/batch", CreatedAt: memory.Now()}
}

// upload creates a batch and adds pages; it numbers the items.
func (k kit) upload(b memory.Batch, pages ...[]store.Entry) memory.Batch {
	k.Helper()
	k.must(k.Batches.Create(k.Context(), b))
	index := 0
	for n, entries := range pages {
		for i := range entries {
			entries[i].Item.Index, entries[i].Item.Line = index, index+1
			index++
		}
		k.must(k.Batches.AddPage(k.Context(), store.Page{Workspace: b.Workspace, BatchID: b.ID, Number: n, Entries: entries}))
	}
	b.Pages = len(pages)
	return b
}

func (k kit) sealed(id string, pages ...[]store.Entry) memory.Batch {
	k.Helper()
	b, err := k.Batches.Seal(k.Context(), k.upload(batch(id), pages...))
	k.must(err)
	return b
}

func (k kit) batch(id string) memory.Batch {
	k.Helper()
	b, err := k.Batches.Get(k.Context(), ws, id)
	k.must(err)
	return b
}

func (k kit) page(id string, number int) store.Page {
	k.Helper()
	p, err := k.BatchRuns.Page(k.Context(), id, number)
	k.must(err)
	return p
}

// set writes items of a page and checks that the batch still adds up.
func (k kit) set(id string, number int, items ...memory.Item) {
	k.Helper()
	k.must(k.BatchRuns.SetItems(k.Context(), id, number, items))
	k.addsUp(id)
}

func (k kit) addsUp(id string) {
	k.Helper()
	b := k.batch(id)
	var counts memory.Counts
	for _, item := range k.items(store.ItemQuery{BatchID: id}) {
		counts.Add(item.Status, 1)
	}
	k.same("counts", b.Counts, counts)
}

// items walks through all items of a query.
func (k kit) items(q store.ItemQuery) (out []memory.Item) {
	k.Helper()
	q.Workspace, q.Limit = orDefault(q.Workspace, ws), orDefault(q.Limit, 100)
	for {
		page, next, err := k.Batches.Items(k.Context(), q)
		k.must(err)
		if len(page) > q.Limit || (next != "" && len(page) == 0) {
			k.Fatalf("a page of %d, limit %d, next %q", len(page), q.Limit, next)
		}
		out = append(out, page...)
		if q.Cursor = next; next == "" {
			return out
		}
	}
}

func (k kit) adrift() (out []string) {
	k.Helper()
	bs, err := k.BatchRuns.Adrift(k.Context(), time.Now().Add(time.Millisecond), 100)
	k.must(err)
	for _, b := range bs {
		out = append(out, b.ID)
	}
	return out
}

var uploadTests = map[string]func(k kit){
	"IsInvisibleUntilItIsSealed": func(k kit) {
		b := k.upload(batch("bat_1"), items("a", "b"))
		_, err := k.Batches.Get(k.Context(), ws, b.ID)
		k.fails(err, memory.CodeNotFound)
		_, _, err = k.Batches.Items(k.Context(), store.ItemQuery{Workspace: ws, BatchID: b.ID, Limit: 1})
		k.fails(err, memory.CodeNotFound)
		_, err = k.BatchRuns.Page(k.Context(), b.ID, 0)
		k.fails(err, memory.CodeNotFound)
		k.fails(k.BatchRuns.SetItems(k.Context(), b.ID, 0, nil), memory.CodeNotFound)
		_, _, err = k.BatchRuns.Reopen(k.Context(), ws, b.ID)
		k.fails(err, memory.CodeNotFound)
		for name, ok := range map[string]func() (bool, error){
			"finish":   func() (bool, error) { return k.BatchRuns.Finish(k.Context(), b.ID, memory.BatchFailed, nil) },
			"advance":  func() (bool, error) { return k.BatchRuns.Advance(k.Context(), b.ID, memory.BatchProcessing) },
			"announce": func() (bool, error) { return k.BatchRuns.Announce(k.Context(), b.ID, 25, nil) },
		} {
			if done, err := ok(); done || err != nil {
				k.Errorf("%s: %v, %v", name, done, err)
			}
		}
		list, _, err := k.Batches.List(k.Context(), ws, 10, "")
		k.must(err)
		count, err := k.Batches.Count(k.Context(), ws)
		k.must(err)
		k.same("seen", []int{len(list), len(count), len(k.adrift())}, []int{0, 0, 0})
	},
	"IsABatchOnceItIsSealed": func(k kit) {
		b := k.upload(batch("bat_1"), items("a", "", "c"), items("d"))
		b.Name, b.Priority, b.WebhookURL = "named last", memory.PriorityNormal, "https://example.com/last"
		got, err := k.Batches.Seal(k.Context(), b)
		k.must(err)
		want := b
		want.Status, want.Counts = memory.BatchQueued, memory.Counts{Total: 4, Queued: 3, Rejected: 1}
		k.same("sealed", got, want)
		k.same("stored", k.batch(b.ID), want)
		refs, err := k.BatchRuns.Adrift(k.Context(), time.Now(), 10)
		k.must(err)
		k.same("adrift", refs, []store.BatchRef{{Workspace: ws, ID: b.ID, Run: 1, Pages: 2, Priority: memory.PriorityNormal}})
	},
	"SealingAgainChangesNothing": func(k kit) {
		b := k.sealed("bat_1", items("a"))
		k.must(k.BatchRuns.Entrust(k.Context(), b.ID, soon()))
		k.must(second(k.BatchRuns.Advance(k.Context(), b.ID, memory.BatchProcessing)))
		want := k.batch(b.ID)
		again := b
		again.Name, again.Pages = "other", 9
		got, err := k.Batches.Seal(k.Context(), again)
		k.must(err)
		k.same("sealed again", got, want)
		k.same("stored", k.batch(b.ID), want)
		k.same("adrift", k.adrift(), []string(nil))
	},
	"WithoutItemsIsABatchToo": func(k kit) {
		k.same("counts", k.sealed("bat_1").Counts, memory.Counts{})
	},
	"IsNotSealedWithPagesMissing": func(k kit) {
		b := k.upload(batch("bat_1"), items("a"))
		b.Pages = 2
		_, err := k.Batches.Seal(k.Context(), b)
		k.fails(err, memory.CodeConflict)
		_, err = k.Batches.Get(k.Context(), ws, b.ID)
		k.fails(err, memory.CodeNotFound)
	},
	"OfAnotherWorkspaceIsNotFound": func(k kit) {
		b := k.upload(batch("bat_1"), items("a"))
		theirs := b
		theirs.Workspace = "wsp_two"
		k.fails(k.Batches.Create(k.Context(), theirs), memory.CodeConflict)
		_, err := k.Batches.Seal(k.Context(), theirs)
		k.fails(err, memory.CodeNotFound)
		k.fails(k.Batches.AddPage(k.Context(), store.Page{Workspace: "wsp_two", BatchID: b.ID, Number: 1}), memory.CodeNotFound)
		_, err = k.Batches.Seal(k.Context(), b)
		k.must(err)
		_, err = k.Batches.Get(k.Context(), "wsp_two", b.ID)
		k.fails(err, memory.CodeNotFound)
		_, _, err = k.Batches.Items(k.Context(), store.ItemQuery{Workspace: "wsp_two", BatchID: b.ID, Limit: 1})
		k.fails(err, memory.CodeNotFound)
		_, _, err = k.BatchRuns.Reopen(k.Context(), "wsp_two", b.ID)
		k.fails(err, memory.CodeNotFound)
	},
	"BeginsAnewWhenItIsCreatedAgain": func(k kit) {
		var pages [][]store.Entry
		for range 150 { // more than is forgotten in one write
			pages = append(pages, items("old"))
		}
		k.upload(batch("bat_1"), pages...)
		b := batch("bat_1")
		b.Name = "second try"
		got, err := k.Batches.Seal(k.Context(), k.upload(b, items("new", "new")))
		k.must(err)
		k.same("batch", []any{got.Name, got.Pages, got.Counts}, []any{"second try", 1, memory.Counts{Total: 2, Queued: 2}})
		k.same("content", k.page("bat_1", 0).Entries[0].Input.Content, "new")
		_, err = k.BatchRuns.Page(k.Context(), "bat_1", 1)
		k.fails(err, memory.CodeNotFound)
	},
	"IsNotCreatedOverASealedBatch": func(k kit) {
		want := k.sealed("bat_1", items("a"))
		k.fails(k.Batches.Create(k.Context(), batch("bat_1")), memory.CodeConflict)
		k.fails(k.Batches.AddPage(k.Context(), store.Page{Workspace: ws, BatchID: "bat_1", Number: 1, Entries: items("b")}), memory.CodeConflict)
		k.same("stored", k.batch("bat_1"), want)
	},
	"TakesEachPageOnce": func(k kit) {
		b := k.upload(batch("bat_1"), items("a"))
		k.fails(k.Batches.AddPage(k.Context(), store.Page{Workspace: ws, BatchID: b.ID, Number: 0, Entries: items("a")}), memory.CodeConflict)
		k.fails(k.Batches.AddPage(k.Context(), store.Page{Workspace: ws, BatchID: "bat_unknown", Number: 0, Entries: items("a")}), memory.CodeNotFound)
		got, err := k.Batches.Seal(k.Context(), b)
		k.must(err)
		k.same("counts", got.Counts, memory.Counts{Total: 1, Queued: 1})
	},
	"IsSweptWhenItWasLeft": func(k kit) {
		var pages [][]store.Entry
		for range 130 {
			pages = append(pages, items("x"))
		}
		left := k.upload(batch("bat_left"), pages...)
		k.upload(batch("bat_empty"))
		sealed := k.sealed("bat_sealed", items("a"))
		n, err := k.Batches.Sweep(k.Context(), past())
		k.must(err)
		k.same("swept too early", n, 0)
		n, err = k.Batches.Sweep(k.Context(), soon())
		k.must(err)
		k.same("swept", n, 2)
		_, err = k.Batches.Seal(k.Context(), left)
		k.fails(err, memory.CodeNotFound)
		k.fails(k.Batches.AddPage(k.Context(), store.Page{Workspace: ws, BatchID: left.ID, Number: 130, Entries: items("x")}), memory.CodeNotFound)
		k.same("sealed", k.batch("bat_sealed"), sealed)
		k.sealed("bat_left", items("a")) // the id is free
	},
}

var itemTests = map[string]func(k kit){
	"AreInOrderAndWhole": func(k kit) {
		b := k.sealed("bat_1", items("a", "", "c"), items("d", "e"), items("f"))
		for _, limit := range []int{1, 2, 3, 5, 6, 7} {
			var got []int
			for _, item := range k.items(store.ItemQuery{BatchID: b.ID, Limit: limit}) {
				got = append(got, item.Index)
			}
			k.same("indexes", got, []int{0, 1, 2, 3, 4, 5})
		}
		rejected := k.items(store.ItemQuery{BatchID: b.ID})[1]
		k.same("rejected", rejected, memory.Item{Index: 1, Line: 2, Status: memory.StatusRejected, Pointer: "/content",
			Error: &memory.Fault{Code: memory.CodeInvalid, Detail: "empty"}})
	},
	"AreSelectedByStatus": func(k kit) {
		b := k.sealed("bat_1", items("a", "", "c"), items("d", "e"), items("f"))
		k.set(b.ID, 0, memory.Item{Index: 2, Status: memory.StatusFailed, MemoryID: "mem_c"})
		k.set(b.ID, 1, memory.Item{Index: 4, Status: memory.StatusProcessing, MemoryID: "mem_e"})
		for _, row := range []struct {
			statuses []memory.Status
			want     []int
		}{
			{[]memory.Status{memory.StatusFailed}, []int{2}},
			{[]memory.Status{memory.StatusQueued}, []int{0, 3, 5}},
			{[]memory.Status{memory.StatusQueued, memory.StatusRejected}, []int{0, 1, 3, 5}},
			{[]memory.Status{memory.StatusCompleted}, nil},
		} {
			for _, limit := range []int{1, 10} {
				var got []int
				for _, item := range k.items(store.ItemQuery{BatchID: b.ID, Statuses: row.statuses, Limit: limit}) {
					got = append(got, item.Index)
				}
				k.same(fmt.Sprint(row.statuses), got, row.want)
			}
		}
	},
	"RefuseWhatIsNoCursor": func(k kit) {
		b := k.sealed("bat_1", items("a"))
		k.badCursor(func(cursor string) error {
			_, _, err := k.Batches.Items(k.Context(), store.ItemQuery{Workspace: ws, BatchID: b.ID, Limit: 5, Cursor: cursor})
			return err
		})
	},
	"AreSetByIndex": func(k kit) {
		b := k.sealed("bat_1", items("a", "b", ""), items("d"))
		want := memory.Item{Index: 1, MemoryID: "mem_b", Version: 3, Status: memory.StatusFailed, Error: &memory.Fault{Code: memory.CodeQuota, Step: memory.StepSchema},
			Tokens: 12, CostUSD: 0.5}
		k.set(b.ID, 0, want)
		want.Line = 2
		got := k.items(store.ItemQuery{BatchID: b.ID})
		k.same("item", got[1], want)
		k.same("others", []memory.Status{got[0].Status, got[2].Status, got[3].Status}, []memory.Status{memory.StatusQueued, memory.StatusRejected, memory.StatusQueued})
		k.same("sums", []any{k.batch(b.ID).Tokens, k.batch(b.ID).CostUSD}, []any{12, 0.5})
		k.set(b.ID, 1, memory.Item{Index: 3, Status: memory.StatusCompleted, MemoryID: "mem_d", Tokens: 3, CostUSD: 0.25})
		k.same("sums", []any{k.batch(b.ID).Tokens, k.batch(b.ID).CostUSD}, []any{15, 0.75})
		k.fails(k.BatchRuns.SetItems(k.Context(), b.ID, 2, nil), memory.CodeNotFound)
		k.fails(k.BatchRuns.SetItems(k.Context(), "bat_unknown", 0, nil), memory.CodeNotFound)
	},
	"ThatAreOverStayAsTheyAre": func(k kit) {
		for _, s := range []memory.Status{memory.StatusCompleted, memory.StatusDegraded, memory.StatusFailed, memory.StatusCancelled} {
			b := k.sealed("bat_"+string(s), items("a", ""))
			k.set(b.ID, 0, memory.Item{Index: 0, Status: s, MemoryID: "mem_a"})
			want := k.items(store.ItemQuery{BatchID: b.ID})
			k.set(b.ID, 0, memory.Item{Index: 0, Status: memory.StatusProcessing, MemoryID: "mem_other"}, memory.Item{Index: 1, Status: memory.StatusCompleted})
			k.same("items", k.items(store.ItemQuery{BatchID: b.ID}), want)
		}
	},
	"KeepWhatWasRejectedAsItCame": func(k kit) {
		upload := items("a", "", "", "d")
		upload[1].Item.Sent = memory.SentOf([]byte(`{"content": "",  "é": "\u0000"}` + "\x00\t"))
		upload[2].Item.Sent = &memory.Sent{Bytes: []byte("caf\xe9\x00"), Cut: true}
		b := k.sealed("bat_1", upload)
		check := func() {
			k.Helper()
			for i, item := range k.items(store.ItemQuery{BatchID: b.ID}) {
				k.same("what was sent", item.Sent, upload[i].Item.Sent)
			}
		}
		check()
		k.set(b.ID, 0, memory.Item{Index: 0, Status: memory.StatusFailed}, memory.Item{Index: 3, Status: memory.StatusCompleted, MemoryID: "mem_d"})
		check()
		k.must(second(k.BatchRuns.Finish(k.Context(), b.ID, memory.BatchCompletedWithErrors, nil)))
		_, _, err := k.BatchRuns.Reopen(k.Context(), ws, b.ID)
		k.must(err)
		check()
	},
	"KeepWhatWasUploadedUntilTheyAreAdmitted": func(k kit) {
		in := full().Memory
		upload := items("a", "", "c", "d", "e", "f")
		upload[0].Input = &memory.Input{Content: in.Content, ExternalID: in.ExternalID, Metadata: in.Metadata, OccurredAt: in.OccurredAt,
			Track: memory.TrackDurable, Priority: memory.PriorityNormal, WebhookURL: in.WebhookURL}
		want := slices.Clone(upload)
		b := k.sealed("bat_1", upload)
		for i := range want {
			want[i].Item.Index, want[i].Item.Line = i, i+1
		}
		k.same("page", k.page(b.ID, 0), store.Page{Workspace: ws, BatchID: b.ID, Entries: want})
		k.set(b.ID, 0, memory.Item{Index: 2, Status: memory.StatusProcessing, MemoryID: "mem_c"}, // admitted
			memory.Item{Index: 3, Status: memory.StatusCancelled}, // over
			memory.Item{Index: 4, Status: memory.StatusFailed},    // not admitted: it may be tried again
			memory.Item{Index: 5, Status: memory.StatusCompleted, MemoryID: "mem_f"})
		kept := func() (out []bool) {
			for _, e := range k.page(b.ID, 0).Entries {
				out = append(out, e.Input != nil)
			}
			return out
		}
		k.same("kept", kept(), []bool{true, false, false, false, true, false})
		k.same("content", k.page(b.ID, 0).Entries[0].Input, want[0].Input)
		k.set(b.ID, 0, memory.Item{Index: 0, Status: memory.StatusProcessing, MemoryID: "mem_a"})
		k.same("kept", kept(), []bool{false, false, false, false, true, false})
	},
}

var batchListTests = map[string]func(k kit){
	"AreNewestFirstAndWhole": func(k kit) {
		var want []string
		start := time.Now().Add(-time.Hour)
		for i := range 7 {
			b := batch(fmt.Sprintf("bat_%d", i))
			b.CreatedAt = memory.At(start.Add(time.Duration(i/2) * time.Millisecond))
			_, err := k.Batches.Seal(k.Context(), k.upload(b, items("a")))
			k.must(err)
			want = append([]string{b.ID}, want...)
		}
		theirs := batch("bat_theirs")
		theirs.Workspace = "wsp_two"
		_, err := k.Batches.Seal(k.Context(), k.upload(theirs))
		k.must(err)
		for _, limit := range []int{1, 3, 7, 8} {
			var got []string
			for cursor := ""; ; {
				page, next, err := k.Batches.List(k.Context(), ws, limit, cursor)
				k.must(err)
				for _, b := range page {
					got = append(got, b.ID)
				}
				if cursor = next; next == "" {
					break
				}
			}
			k.same("ids", got, want)
		}
	},
	"RefuseWhatIsNoCursor": func(k kit) {
		k.badCursor(func(cursor string) error {
			_, _, err := k.Batches.List(k.Context(), ws, 5, cursor)
			return err
		})
	},
	"AreCountedByStatus": func(k kit) {
		k.sealed("bat_1", items("a"))
		k.sealed("bat_2", items("a"))
		k.sealed("bat_3", items("a"))
		k.must(second(k.BatchRuns.Finish(k.Context(), "bat_2", memory.BatchFailed, nil)))
		k.must(second(k.BatchRuns.Advance(k.Context(), "bat_3", memory.BatchPaused)))
		got, err := k.Batches.Count(k.Context(), ws)
		k.must(err)
		k.same("counts", got, map[memory.BatchStatus]int{memory.BatchQueued: 1, memory.BatchFailed: 1, memory.BatchPaused: 1})
		got, err = k.Batches.Count(k.Context(), "wsp_two")
		k.must(err)
		k.same("counts", got, map[memory.BatchStatus]int{})
	},
}
