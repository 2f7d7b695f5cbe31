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

// memoryModelTests let chance do things to one memory, and compare the store with a model of it after each.
var memoryModelTests = map[string]func(k kit){
	"AMemoryDoesWhatAModelDoes": func(k kit) {
		rapid.Check(k.T, func(rt *rapid.T) {
			m := &memoryModel{kit: k, rt: rt, ref: memory.Ref{Workspace: id.New(id.Workspace), ID: id.New(id.Memory)}, name: id.New(id.Process)}
			for range rapid.IntRange(1, 25).Draw(rt, "steps") {
				m.step()
				m.compare()
			}
			m.forget()
		})
	},
}

// memoryModel is what there should be of one memory. Fences are the store's to choose: the model knows those it was told,
// and that they grow.
type memoryModel struct {
	kit
	rt   *rapid.T
	name string // makes owners and events of its own
	made int    // contents and events

	ref     memory.Ref // of the version in force
	there   bool
	content string
	status  memory.Status
	owner   string
	expired bool // the lease, of an open memory
	steps   map[string]memory.StepStatus
	owed    []memory.Event

	fence  int64
	former []int64 // fences that are not in force any more
}

func (m *memoryModel) open() bool { return m.there && !m.status.Final() }

// fenced notes the fence that came into force.
func (m *memoryModel) fenced(fence int64) {
	if m.fence != 0 {
		m.former = append(m.former, m.fence)
	}
	if fence <= m.fence {
		m.rt.Fatalf("the fence went from %d to %d", m.fence, fence)
	}
	m.fence = fence
}

func (m *memoryModel) must(err error) {
	if err != nil {
		m.rt.Fatal(err)
	}
}

// step does one thing, to the store and the model.
func (m *memoryModel) step() {
	actions := map[string]func(){
		"put": m.put, "change": m.change, "claim": m.claim, "checkpoint": m.checkpoint, "finish": m.finish,
		"release": m.release, "renew": m.renew, "entrust": m.entrust, "delete": m.delete, "settle": m.settle,
	}
	// What drives a memory on is drawn more often than what ends or forgets it.
	names := []string{"put", "put", "change", "claim", "claim", "claim", "checkpoint", "checkpoint", "finish", "release", "renew", "entrust", "delete", "settle"}
	actions[rapid.SampledFrom(names).Draw(m.rt, "action")]()
}

func (m *memoryModel) anOwner() string {
	return rapid.SampledFrom([]string{"a", "b"}).Draw(m.rt, "owner") + m.name
}

// aFence is the one in force, or one that was.
func (m *memoryModel) aFence() (fence int64, current bool) {
	if len(m.former) > 0 && rapid.IntRange(0, 3).Draw(m.rt, "stale") == 0 {
		return rapid.SampledFrom(m.former).Draw(m.rt, "fence"), false
	}
	return m.fence, true
}

// aRef is the version in force, or the one before it.
func (m *memoryModel) aRef() (ref memory.Ref, current bool) {
	ref = m.ref
	if ref.Version > 1 && rapid.IntRange(0, 4).Draw(m.rt, "old version") == 0 {
		ref.Version--
	}
	return ref, m.there && ref == m.ref
}

func (m *memoryModel) intake() store.Intake {
	in := store.Intake{Memory: memory.Memory{
		ID: m.ref.ID, Workspace: m.ref.Workspace, Content: rapid.SampledFrom([]string{"one", "two"}).Draw(m.rt, "content"),
		Track: memory.TrackRealtime, Reason: "a model", CreatedAt: memory.Now(),
	}}
	if rapid.Bool().Draw(m.rt, "leased") {
		in.Lease = store.Lease{Owner: m.anOwner(), Until: soon()}
	}
	return in
}

func (m *memoryModel) put() { m.take(m.intake()) }

// change puts on the condition that the version is one that was, or is, or will be.
func (m *memoryModel) change() {
	in := m.intake()
	in.IfVersion = max(1, m.ref.Version+rapid.IntRange(-1, 1).Draw(m.rt, "version"))
	m.take(in)
}

func (m *memoryModel) take(in store.Intake) {
	out, err := m.Memories.Put(m.Context(), []store.Intake{in})
	m.must(err)
	want := m.expected(in)
	if out[0].Kind != want {
		m.rt.Fatalf("put of %q if version %d is %s, want %s (there: %v, %s, version %d of %q)",
			in.Memory.Content, in.IfVersion, out[0].Kind, want, m.there, m.status, m.ref.Version, m.content)
	}
	switch want {
	case store.Created:
		m.there, m.ref.Version, m.steps, m.owed = true, 1, map[string]memory.StepStatus{}, nil
	case store.Updated:
		m.ref.Version++
		m.steps = map[string]memory.StepStatus{}
	case store.Resumed:
		for name, s := range m.steps {
			if s != memory.StepCompleted {
				delete(m.steps, name)
			}
		}
	case store.Unchanged, store.Stale:
		return
	}
	m.content, m.status = in.Memory.Content, memory.StatusQueued
	m.owner, m.expired = in.Lease.Owner, in.Lease.Owner == ""
	m.fenced(out[0].Fence)
}

func (m *memoryModel) expected(in store.Intake) store.PutKind {
	switch {
	case in.IfVersion != 0 && (!m.there || in.IfVersion != m.ref.Version):
		return store.Stale
	case !m.there:
		return store.Created
	case in.Memory.Content != m.content:
		return store.Updated
	case m.status.Final() && m.status != memory.StatusCompleted:
		return store.Resumed
	}
	return store.Unchanged
}

func (m *memoryModel) claim() {
	owner := m.anOwner()
	ref, current := m.aRef()
	gets := current && m.open() && (m.expired || m.owner == owner)
	until := soon()
	brief := rapid.IntRange(0, 3).Draw(m.rt, "brief") == 0 // the lease is over as soon as it begins
	if brief {
		until = past()
	}
	drafts, err := m.Runs.Claim(m.Context(), store.Claim{Refs: []memory.Ref{ref}, Owner: owner, Track: memory.TrackDurable, Until: until})
	m.must(err)
	if (len(drafts) == 1) != gets {
		m.rt.Fatalf("%d drafts claimed by %s, want it to get the memory: %v (held by %s, expired %v)", len(drafts), owner, gets, m.owner, m.expired)
	}
	if gets {
		m.owner, m.expired, m.status = owner, brief, memory.StatusProcessing
		m.fenced(drafts[0].Fence)
	}
}

// written checks whether a write of a run was taken when it should be.
func (m *memoryModel) written(what string, oks []bool, err error, want bool) {
	m.must(err)
	if len(oks) != 1 || oks[0] != want {
		m.rt.Fatalf("%s is answered %v, want %v (there: %v, %s)", what, oks, want, m.there, m.status)
	}
}

func (m *memoryModel) checkpoint() {
	ref, current := m.aRef()
	fence, inForce := m.aFence()
	step := rapid.SampledFrom([]string{memory.StepUseCases, memory.StepIndex}).Draw(m.rt, "step")
	status := rapid.SampledFrom([]memory.StepStatus{memory.StepCompleted, memory.StepPending, memory.StepFailed}).Draw(m.rt, "step status")
	c := store.Checkpoint{Ref: ref, Fence: fence, Receipt: memory.Receipt{Name: step, Status: status, Attempts: 1}}
	if status == memory.StepCompleted {
		c.Output = &memory.Output{}
	}
	oks, err := m.Runs.Checkpoint(m.Context(), []store.Checkpoint{c})
	ok := current && inForce && m.open()
	m.written("a checkpoint", oks, err, ok)
	if ok && m.steps[step] != memory.StepCompleted {
		m.steps[step] = status
	}
}

func (m *memoryModel) finish() {
	ref, current := m.aRef()
	fence, inForce := m.aFence()
	status := rapid.SampledFrom([]memory.Status{memory.StatusCompleted, memory.StatusDegraded, memory.StatusFailed, memory.StatusCancelled}).Draw(m.rt, "status")
	m.made++
	e := event(fmt.Sprint(m.name, m.made), memory.Now())
	e.Workspace = m.ref.Workspace
	oks, err := m.Runs.Finish(m.Context(), []store.Finish{{Ref: ref, Fence: fence, Status: status, Event: e}})
	ok := current && inForce && m.open()
	m.written("an end", oks, err, ok)
	if ok {
		m.status, m.owner, m.expired = status, "", false
		m.owed = append(m.owed, *e)
	}
}

func (m *memoryModel) release() {
	ref, current := m.aRef()
	fence, inForce := m.aFence()
	oks, err := m.Runs.Release(m.Context(), []store.Release{{Ref: ref, Fence: fence, Track: memory.TrackDurable, Reason: "released"}})
	ok := current && inForce && m.open()
	m.written("a release", oks, err, ok)
	if ok {
		m.owner, m.expired = "", true
	}
}

func (m *memoryModel) renew() {
	owner := m.anOwner()
	n, err := m.Leases.Renew(m.Context(), owner, soon())
	m.must(err)
	want := 0
	if m.open() && m.owner == owner {
		want, m.expired = 1, false
	}
	if n != want {
		m.rt.Fatalf("%s renewed %d leases, want %d", owner, n, want)
	}
}

func (m *memoryModel) entrust() {
	ref, current := m.aRef()
	owner := m.anOwner()
	oks, err := m.Leases.Entrust(m.Context(), []store.Trust{{Ref: ref, Owner: owner}}, soon())
	ok := current && m.open() && m.expired
	m.written("a trust", oks, err, ok)
	if ok {
		m.owner, m.expired = owner, false
	}
}

func (m *memoryModel) delete() {
	m.must(m.Memories.Delete(m.Context(), m.ref.Workspace, m.ref.ID))
	m.there, m.status, m.owner, m.expired, m.owed = false, "", "", false, nil
}

func (m *memoryModel) settle() {
	if len(m.owed) > 0 {
		m.must(m.Outbox.Settle(m.Context(), m.owed[:1]))
		m.owed = m.owed[1:]
	}
}

// forget leaves nothing for the memories that come after.
func (m *memoryModel) forget() {
	m.delete()
	m.compare()
}

// compare looks at all that can be seen of the memory.
func (m *memoryModel) compare() {
	found, err := m.Memories.Get(m.Context(), m.ref.Workspace, m.ref.ID)
	m.must(err)
	if (len(found) == 1) != m.there {
		m.rt.Fatalf("%d memories found, want it there: %v", len(found), m.there)
	}
	counts, err := m.Memories.Count(m.Context(), m.ref.Workspace)
	m.must(err)
	want := map[memory.Status]int{}
	if m.there {
		want[m.status] = 1
		m.compareDocument(found[0])
	}
	for s, n := range counts {
		if n != want[s] {
			m.rt.Fatalf("the counts are %v, want %v", counts, want)
		}
	}
	orphans, err := m.Leases.Orphans(m.Context(), time.Now().Add(time.Second), 1000)
	m.must(err)
	isOne := slices.ContainsFunc(orphans, func(o store.Orphan) bool { return o.Ref == m.ref })
	if want := m.open() && m.expired; isOne != want {
		m.rt.Fatalf("it is an orphan: %v, want %v", isOne, want)
	}
	m.compareOwed()
}

func (m *memoryModel) compareDocument(got memory.Memory) {
	steps := map[string]memory.StepStatus{}
	for _, r := range got.Steps {
		steps[r.Name] = r.Status
	}
	d := diff(m.steps, steps)
	if got.Ref() != m.ref || got.Status != m.status || got.Content != m.content || d != "" || (got.CompletedAt != nil) != m.status.Final() {
		m.rt.Fatalf("the memory is version %d, %s, %q, completed %v; want version %d, %s, %q; steps (-want +got):\n%s",
			got.Version, got.Status, got.Content, got.CompletedAt, m.ref.Version, m.status, m.content, d)
	}
}

func (m *memoryModel) compareOwed() {
	events, err := m.Outbox.Owed(m.Context(), 1000)
	m.must(err)
	prefix := "evt_" + m.name
	var owed, want []string
	for _, e := range events {
		if strings.HasPrefix(e.ID, prefix) {
			owed = append(owed, e.ID)
		}
	}
	for _, e := range m.owed {
		want = append(want, e.ID)
	}
	slices.Sort(owed)
	slices.Sort(want)
	if !slices.Equal(owed, want) {
		m.rt.Fatalf("%v are owed, want %v", owed, want)
	}
}
