package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// batchModelTests let chance do things to one batch, and compare the store with a model of it after each.
var batchModelTests = map[string]func(k kit){
	"ABatchDoesWhatAModelDoes": func(k kit) {
		rapid.Check(k.T, func(rt *rapid.T) {
			m := &batchModel{kit: k, rt: rt, batch: batch(id.New(id.Batch))}
			m.batch.Workspace = id.New(id.Workspace)
			for range rapid.IntRange(1, 30).Draw(rt, "steps") {
				m.step()
				m.compare()
			}
			m.forget()
		})
	},
}

// pageItems is how many items a page of the model has.
const pageItems = 3

// batchModel is what there should be of one batch.
type batchModel struct {
	kit
	rt    *rapid.T
	batch memory.Batch // as it was created
	made  int          // events

	stage   batchStage
	pages   int
	items   []memory.Status
	status  memory.BatchStatus
	run     int
	expired bool // its lease
	marks   []int
	owed    int
}

type batchStage string

const (
	noBatch   batchStage = ""
	uploading batchStage = "uploading"
	sealed    batchStage = "sealed"
)

func (m *batchModel) open() bool { return m.stage == sealed && !m.status.Final() }

func (m *batchModel) step() {
	actions := map[string]func(){
		"create": m.create, "add": m.add, "seal": m.seal, "set": m.set, "advance": m.advance, "finish": m.finish,
		"reopen": m.reopen, "announce": m.announce, "entrust": m.entrust, "recount": m.recount,
	}
	names := []string{"create", "add", "add", "seal", "set", "set", "set", "set", "advance", "finish", "reopen", "announce", "entrust", "recount"}
	if m.stage != sealed { // else most runs would end before anything can happen
		names = []string{"create", "create", "add", "add", "seal", "seal", "finish", "advance", "reopen"}
	}
	actions[rapid.SampledFrom(names).Draw(m.rt, "action")]()
}

// answered checks how a call ended: want "" is no error.
func (m *batchModel) answered(what string, err error, want memory.Code) bool {
	if got := memory.CodeOf(err); got != want {
		m.rt.Fatalf("%s of a batch that is %q (%s) ends with %v, of code %q; want %q", what, m.stage, m.status, err, got, want)
	}
	return err == nil
}

// code says which error a call must end with: one a stage.
func (m *batchModel) code(none, whileUploading, whenSealed memory.Code) memory.Code {
	switch m.stage {
	case uploading:
		return whileUploading
	case sealed:
		return whenSealed
	case noBatch:
	}
	return none
}

func (m *batchModel) create() {
	if m.answered("the creation", m.Batches.Create(m.Context(), m.batch), m.code("", "", memory.CodeConflict)) {
		m.stage, m.pages, m.items = uploading, 0, nil
	}
}

func (m *batchModel) add() {
	p := store.Page{Workspace: m.batch.Workspace, BatchID: m.batch.ID, Number: m.pages}
	statuses := []memory.Status{memory.StatusQueued, memory.StatusQueued, memory.StatusRejected}
	for i, s := range statuses {
		e := store.Entry{Item: memory.Item{Index: len(m.items) + i, Status: s}}
		if s == memory.StatusQueued {
			e.Input = &memory.Input{Content: "x"}
		}
		p.Entries = append(p.Entries, e)
	}
	err := m.Batches.AddPage(m.Context(), p)
	if m.answered("a page", err, m.code(memory.CodeNotFound, "", memory.CodeConflict)) {
		m.pages++
		m.items = append(m.items, statuses...)
	}
}

func (m *batchModel) seal() {
	b := m.batch
	b.Pages = m.pages
	missing := m.stage == uploading && rapid.IntRange(0, 3).Draw(m.rt, "missing") == 0
	if missing {
		b.Pages++
	}
	want := m.code(memory.CodeNotFound, "", "")
	if missing {
		want = memory.CodeConflict
	}
	_, err := m.Batches.Seal(m.Context(), b)
	if m.answered("the seal", err, want) && m.stage == uploading {
		m.stage, m.status, m.run, m.expired = sealed, memory.BatchQueued, 1, true
	}
}

func (m *batchModel) set() {
	if len(m.items) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.items)-1).Draw(m.rt, "item")
	s := rapid.SampledFrom([]memory.Status{memory.StatusProcessing, memory.StatusCompleted, memory.StatusFailed, memory.StatusDegraded, memory.StatusCancelled}).Draw(m.rt, "status")
	err := m.BatchRuns.SetItems(m.Context(), m.batch.ID, i/pageItems, []memory.Item{{Index: i, MemoryID: "mem", Version: 1, Status: s}})
	if m.answered("an item", err, m.code(memory.CodeNotFound, memory.CodeNotFound, "")) && !m.items[i].Final() {
		m.items[i] = s
	}
}

// said checks a yes or no.
func (m *batchModel) said(what string, got bool, err error, want bool) {
	if err != nil || got != want {
		m.rt.Fatalf("%s of a batch that is %q (%s) is answered %v, %v; want %v", what, m.stage, m.status, got, err, want)
	}
}

func (m *batchModel) advance() {
	s := rapid.SampledFrom([]memory.BatchStatus{memory.BatchProcessing, memory.BatchPaused, memory.BatchQueued}).Draw(m.rt, "status")
	ok, err := m.BatchRuns.Advance(m.Context(), m.batch.ID, s)
	m.said("an advance", ok, err, m.open())
	if ok {
		m.status = s
	}
}

func (m *batchModel) event() *memory.Event {
	m.made++
	e := event(fmt.Sprint(m.batch.ID, "-", m.made), memory.Now())
	e.Workspace = m.batch.Workspace
	return e
}

func (m *batchModel) finish() {
	s := rapid.SampledFrom([]memory.BatchStatus{memory.BatchCompleted, memory.BatchCompletedWithErrors, memory.BatchFailed, memory.BatchCancelled}).Draw(m.rt, "status")
	ok, err := m.BatchRuns.Finish(m.Context(), m.batch.ID, s, m.event())
	m.said("the end", ok, err, m.open())
	if !ok {
		return
	}
	m.status, m.expired = s, false
	m.owed++
	for i := range m.items {
		if s == memory.BatchCancelled && !m.items[i].Final() {
			m.items[i] = memory.StatusCancelled
		}
	}
}

func (m *batchModel) reopen() {
	want := m.code(memory.CodeNotFound, memory.CodeNotFound, "")
	if m.open() {
		want = memory.CodeConflict
	}
	ref, n, err := m.BatchRuns.Reopen(m.Context(), m.batch.Workspace, m.batch.ID)
	if !m.answered("a retry", err, want) {
		return
	}
	left := 0
	for i, s := range m.items {
		if s == memory.StatusFailed || s == memory.StatusDegraded {
			m.items[i] = memory.StatusQueued
		}
		if !m.items[i].Final() {
			left++
		}
	}
	if left > 0 {
		m.run++
		m.status, m.expired = memory.BatchQueued, true
	}
	if n != left || n > 0 && ref.Run != m.run {
		m.rt.Fatalf("run %d has %d items to do, want run %d with %d", ref.Run, n, m.run, left)
	}
}

func (m *batchModel) announce() {
	mark := rapid.SampledFrom([]int{25, 50, 75}).Draw(m.rt, "mark")
	ok, err := m.BatchRuns.Announce(m.Context(), m.batch.ID, mark, m.event())
	m.said("a mark", ok, err, m.open() && !slices.Contains(m.marks, mark))
	if ok {
		m.marks = append(m.marks, mark)
		m.owed++
	}
}

func (m *batchModel) entrust() {
	expired := rapid.Bool().Draw(m.rt, "expired")
	until := soon()
	if expired {
		until = past()
	}
	if err := m.BatchRuns.Entrust(m.Context(), m.batch.ID, until); err != nil {
		m.rt.Fatal(err)
	}
	if m.open() {
		m.expired = expired
	}
}

func (m *batchModel) recount() {
	wrong, err := m.BatchRuns.Recount(m.Context(), m.batch.ID)
	m.said("whether the counts are wrong", wrong, err, false)
}

// compare looks at all that can be seen of the batch.
func (m *batchModel) compare() {
	got, err := m.Batches.Get(m.Context(), m.batch.Workspace, m.batch.ID)
	if !m.answered("a look", err, m.code(memory.CodeNotFound, memory.CodeNotFound, "")) {
		return
	}
	var counts memory.Counts
	for _, s := range m.items {
		counts.Add(s, 1)
	}
	if got.Status != m.status || got.Counts != counts || got.Pages != m.pages || (got.CompletedAt != nil) != m.status.Final() {
		m.rt.Fatalf("the batch is %s with %+v on %d pages, completed %v; want %s with %+v on %d", got.Status, got.Counts, got.Pages, got.CompletedAt, m.status, counts, m.pages)
	}
	items, _, err := m.Batches.Items(m.Context(), store.ItemQuery{Workspace: m.batch.Workspace, BatchID: m.batch.ID, Limit: 1000})
	var statuses []memory.Status
	for _, item := range items {
		statuses = append(statuses, item.Status)
	}
	if d := diff(m.items, statuses); err != nil || d != "" {
		m.rt.Fatalf("items (-want +got), %v:\n%s", err, d)
	}
	adrift, err := m.BatchRuns.Adrift(m.Context(), time.Now().Add(time.Second), 1000)
	is := slices.ContainsFunc(adrift, func(b store.BatchRef) bool { return b.ID == m.batch.ID })
	if want := m.open() && m.expired; err != nil || is != want {
		m.rt.Fatalf("it is adrift: %v, %v; want %v", is, err, want)
	}
}

// forget looks at what is owed, and leaves nothing for the batches that come after.
func (m *batchModel) forget() {
	events, err := m.Outbox.Owed(m.Context(), 1000)
	if err != nil {
		m.rt.Fatal(err)
	}
	prefix := "evt_" + m.batch.ID + "-"
	ours := slices.DeleteFunc(events, func(e memory.Event) bool { return !strings.HasPrefix(e.ID, prefix) })
	if len(ours) != m.owed {
		m.rt.Fatalf("%d events are owed, want %d", len(ours), m.owed)
	}
	if err := m.Outbox.Settle(m.Context(), ours); err != nil {
		m.rt.Fatal(err)
	}
	if m.open() {
		if _, err := m.BatchRuns.Finish(m.Context(), m.batch.ID, memory.BatchCancelled, nil); err != nil {
			m.rt.Fatal(err)
		}
	}
}
