package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Documents tests the ports that share the documents: Memories, Runs, Leases, Outbox,
// Erasures, Batches and BatchRuns. open
// returns an empty store for each test.
func Documents(t *testing.T, open func(tb testing.TB) Ports) {
	for name, tests := range map[string]map[string]func(k kit){
		"Put":         putTests,
		"Resubmit":    resubmitTests,
		"Get":         getTests,
		"List":        listTests,
		"Asked":       askedTests,
		"Delete":      deleteTests,
		"Erasures":    erasureTests,
		"Sums":        sumTests,
		"Claim":       claimTests,
		"Checkpoint":  checkpointTests,
		"Finish":      finishTests,
		"Release":     releaseTests,
		"Leases":      leaseTests,
		"Outbox":      outboxTests,
		"Upload":      uploadTests,
		"Items":       itemTests,
		"BatchLists":  batchListTests,
		"BatchRuns":   batchRunTests,
		"Reopen":      reopenTests,
		"Concurrency": concurrencyTests,
		"MemoryModel": memoryModelTests,
		"BatchModel":  batchModelTests,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(kit{t, open(t)})
				})
			}
		})
	}
}

// kit is a store under test with shorthands that fail the test where a call fails.
type kit struct {
	*testing.T
	Ports
}

const ws = "wsp_one"

// text is an intake of the content that nobody has leased.
func text(content string) store.Intake {
	return store.Intake{Memory: memory.Memory{
		ID: id.New(id.Memory), Workspace: ws, Content: content, Status: memory.StatusQueued,
		Track: memory.TrackRealtime, Reason: "a test", CreatedAt: memory.Now(),
	}}
}

// known is text with an external id.
func known(external, content string) store.Intake {
	in := text(content)
	in.Memory.ExternalID = external
	return in
}

func leased(in store.Intake, owner string, until time.Time) store.Intake {
	in.Lease = store.Lease{Owner: owner, Until: until}
	return in
}

func soon() time.Time { return time.Now().Add(time.Minute) }
func past() time.Time { return time.Now().Add(-time.Minute) }

func (k kit) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// fails checks that err has the code.
func (k kit) fails(err error, want memory.Code) {
	k.Helper()
	if got := memory.CodeOf(err); got != want {
		k.Errorf("got error %v (code %q), want code %q", err, got, want)
	}
}

// same compares what is stored with what is expected; an empty list and none are the same.
func (k kit) same(what string, got, want any) {
	k.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		k.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (k kit) put(in ...store.Intake) []store.Put {
	k.Helper()
	out, err := k.Memories.Put(k.Context(), in)
	k.must(err)
	if len(out) != len(in) {
		k.Fatalf("%d answers to %d intakes", len(out), len(in))
	}
	return out
}

// take puts one memory in and checks what became of it.
func (k kit) take(in store.Intake, want store.PutKind) store.Put {
	k.Helper()
	p := k.put(in)[0]
	if p.Kind != want {
		k.Fatalf("the memory was %s, want %s", p.Kind, want)
	}
	return p
}

// get returns the one memory.
func (k kit) get(ref memory.Ref) memory.Memory {
	k.Helper()
	ms, err := k.Memories.Get(k.Context(), ref.Workspace, ref.ID)
	k.must(err)
	if len(ms) != 1 {
		k.Fatalf("%d memories of id %s, want 1", len(ms), ref.ID)
	}
	return ms[0]
}

func (k kit) claim(owner string, refs ...memory.Ref) []memory.Draft {
	k.Helper()
	ds, err := k.Runs.Claim(k.Context(), store.Claim{Refs: refs, Owner: owner, Track: memory.TrackRealtime, Until: soon()})
	k.must(err)
	return ds
}

// run puts a memory in and claims it.
func (k kit) run(in store.Intake, owner string) memory.Draft {
	k.Helper()
	return k.own(k.put(in)[0].Memory.Ref(), owner)
}

// own claims a memory that is to be had.
func (k kit) own(ref memory.Ref, owner string) memory.Draft {
	k.Helper()
	ds := k.claim(owner, ref)
	if len(ds) != 1 {
		k.Fatalf("%d drafts claimed, want 1", len(ds))
	}
	return ds[0]
}

func (k kit) checkpoint(d memory.Draft, r memory.Receipt, o *memory.Output) bool {
	k.Helper()
	oks, err := k.Runs.Checkpoint(k.Context(), []store.Checkpoint{{Ref: d.Memory.Ref(), Fence: d.Fence, Receipt: r, Output: o}})
	k.must(err)
	return len(oks) == 1 && oks[0]
}

func (k kit) finish(d memory.Draft, s memory.Status, e *memory.Event) bool {
	k.Helper()
	oks, err := k.Runs.Finish(k.Context(), []store.Finish{{Ref: d.Memory.Ref(), Fence: d.Fence, Status: s, Event: e}})
	k.must(err)
	return len(oks) == 1 && oks[0]
}

func (k kit) release(ref memory.Ref, fence int64) bool {
	k.Helper()
	oks, err := k.Runs.Release(k.Context(), []store.Release{{Ref: ref, Fence: fence, Track: memory.TrackDurable, Reason: "released"}})
	k.must(err)
	return len(oks) == 1 && oks[0]
}

// refused checks that no write of the run is taken, and that none leaves a trace.
func (k kit) refused(d memory.Draft) {
	k.Helper()
	before, err := k.Memories.Get(k.Context(), d.Memory.Workspace, d.Memory.ID)
	k.must(err)
	if k.checkpoint(d, done(memory.StepSchema), &memory.Output{Graph: &memory.Graph{Nodes: []memory.Node{{ID: "late"}}}}) {
		k.Error("a checkpoint of a run that is over was taken")
	}
	if k.finish(d, memory.StatusCompleted, event("late", memory.Now())) {
		k.Error("the end of a run that is over was taken")
	}
	if k.release(d.Memory.Ref(), d.Fence) {
		k.Error("the release of a run that is over was taken")
	}
	after, err := k.Memories.Get(k.Context(), d.Memory.Workspace, d.Memory.ID)
	k.must(err)
	k.same("memory after refused writes", after, before)
	for _, e := range k.owed() {
		if e.ID == "evt_late" {
			k.Error("a refused end owes an event")
		}
	}
}

func (k kit) owed() []memory.Event {
	k.Helper()
	es, err := k.Outbox.Owed(k.Context(), 1000)
	k.must(err)
	return es
}

func (k kit) orphans() []store.Orphan {
	k.Helper()
	os, err := k.Leases.Orphans(k.Context(), time.Now().Add(time.Millisecond), 1000)
	k.must(err)
	return os
}

// done is the receipt of a completed step.
func done(step string) memory.Receipt {
	return memory.Receipt{Name: step, Status: memory.StepCompleted, Track: memory.TrackRealtime, Attempts: 1,
		StartedAt: memory.Now().Ptr(), DurationMS: 12, Model: "a model", Tokens: 7, CostUSD: 0.25, Notice: "cut"}
}

// tried is the receipt of a step that failed and will be tried again.
func tried(step string) memory.Receipt {
	return memory.Receipt{Name: step, Status: memory.StepPending, Attempts: 1, StartedAt: memory.Now().Ptr(),
		Error: &memory.Fault{Code: memory.CodeTimeout, Detail: "slow", Step: step}}
}

func event(name string, at memory.Time) *memory.Event {
	return &memory.Event{ID: "evt_" + name, Type: memory.EventMemoryCompleted, Workspace: ws, Time: at,
		Data: []byte(`{"id":"` + name + `"}`), URL: "https://example.com/" + name}
}

func ids(ms []memory.Memory) (out []string) {
	for _, m := range ms {
		out = append(out, m.ID)
	}
	return out
}

func kinds(ps []store.Put) (out []store.PutKind) {
	for _, p := range ps {
		out = append(out, p.Kind)
	}
	return out
}

// numbered makes n intakes a millisecond apart, oldest first.
func numbered(n int) (out []store.Intake) {
	start := time.Now().Add(-time.Hour)
	for i := range n {
		in := text(fmt.Sprintf("memory %d", i))
		in.Memory.ID = id.From(id.Memory, start, fmt.Sprint(i))
		in.Memory.CreatedAt = memory.At(start.Add(time.Duration(i) * time.Millisecond))
		out = append(out, in)
	}
	return out
}
