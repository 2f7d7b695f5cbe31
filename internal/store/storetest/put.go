package storetest

import (
	"encoding/json"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// full is an intake with everything that an intake can have.
func full() store.Intake {
	in := known("crm-42", "The lion was a coward. \"Ünïcode\" <b>&</b> \u2028 too.")
	in.Memory.Priority = memory.PriorityInteractive
	in.Memory.BatchID = "bat_1"
	in.Memory.WebhookURL = "https://example.com/hook"
	in.Memory.OccurredAt = memory.At(time.Date(1900, 5, 17, 1, 2, 3, 4e6, time.UTC)).Ptr()
	in.Memory.Metadata = memory.Metadata{"topic": "oz", "year": 1900.0, "good": true, "ratio": 0.5, "empty": ""}
	return in
}

var putTests = map[string]func(k kit){
	"ANewMemoryIsCreated": func(k kit) {
		in := full()
		p := k.take(in, store.Created)
		want := in.Memory
		want.Version, want.UpdatedAt = 1, p.Memory.UpdatedAt
		k.same("created", p.Memory, want)
		k.same("stored", k.get(p.Memory.Ref()), want)
		if p.Memory.UpdatedAt.IsZero() {
			k.Error("updated_at is not set")
		}
	},
	"AMemoryOfTheLeastIsCreated": func(k kit) {
		p := k.take(text("x"), store.Created)
		k.same("stored", k.get(p.Memory.Ref()), p.Memory)
	},
	"NothingIsNothing": func(k kit) {
		if ps := k.put(); len(ps) != 0 {
			k.Error(ps)
		}
	},
	"AnswersHaveTheOrderOfTheIntakes": func(k kit) {
		k.put(known("a", "one"), known("b", "one"))
		in := []store.Intake{known("b", "two"), text("new"), known("a", "one"), known("c", "one")}
		ps := k.put(in...)
		k.same("kinds", kinds(ps), []store.PutKind{store.Updated, store.Created, store.Unchanged, store.Created})
		for i, p := range ps {
			k.same("content", p.Memory.Content, in[i].Memory.Content)
			k.same("stored", k.get(p.Memory.Ref()), p.Memory)
		}
	},
	"TwoOfAnExternalIDInOneCallAreTwoVersions": func(k kit) {
		ps := k.put(known("a", "one"), known("a", "two"), known("a", "two"), known("a", "three"))
		k.same("kinds", kinds(ps), []store.PutKind{store.Created, store.Updated, store.Unchanged, store.Updated})
		k.same("versions", []int{ps[0].Memory.Version, ps[1].Memory.Version, ps[2].Memory.Version, ps[3].Memory.Version}, []int{1, 2, 2, 3})
		k.same("stored", k.get(ps[0].Memory.Ref()), ps[3].Memory)
	},
	"MemoriesWithoutExternalIDAreNeverTheSame": func(k kit) {
		k.same("kinds", kinds(k.put(text("x"), text("x"))), []store.PutKind{store.Created, store.Created})
	},
	"WorkspacesAreApart": func(k kit) {
		one, two := known("a", "one"), known("a", "two")
		two.Memory.Workspace, two.Memory.ID = "wsp_two", one.Memory.ID
		k.same("kinds", kinds(k.put(one, two)), []store.PutKind{store.Created, store.Created})
		k.same("content", k.get(memory.Ref{Workspace: ws, ID: one.Memory.ID}).Content, "one")
		k.same("content", k.get(memory.Ref{Workspace: "wsp_two", ID: one.Memory.ID}).Content, "two")
	},
	"TheFenceIsTheStores": func(k kit) {
		in := text("x")
		in.Lease = store.Lease{Owner: "p", Until: soon(), Fence: 99}
		p := k.take(in, store.Created)
		if p.Fence == 99 {
			k.Error("the fence of the intake was taken")
		}
		if d := k.own(p.Memory.Ref(), "p"); d.Fence != p.Fence+1 {
			k.Errorf("the first claim has fence %d after %d", d.Fence, p.Fence)
		}
	},
	"WhoTookItInMayReleaseItUnderItsFence": func(k kit) {
		for _, in := range []store.Intake{known("a", "one"), known("a", "two")} { // created, updated
			p := k.put(leased(in, "p", soon()))[0]
			if !k.release(p.Memory.Ref(), p.Fence) {
				k.Errorf("not released after %s", p.Kind)
			}
		}
	},
	"AChangeIsMadeToTheVersionItWasMeantFor": func(k kit) {
		p := k.take(known("a", "one"), store.Created)
		in := text("two")
		in.Memory.ID, in.IfVersion = p.Memory.ID, 1
		changed := k.take(in, store.Updated)
		k.same("version", changed.Memory.Version, 2)
		k.same("external id", changed.Memory.ExternalID, "a")
		k.same("stored", k.get(p.Memory.Ref()), changed.Memory)

		in.Memory.Content = "three"
		stale := k.take(in, store.Stale)
		k.same("stale", stale.Memory, changed.Memory)
		k.same("stored", k.get(p.Memory.Ref()), changed.Memory)
	},
	"AChangeOfWhatIsNotThereIsStale": func(k kit) {
		p := k.take(text("one"), store.Created)
		elsewhere := text("two")
		elsewhere.Memory.ID, elsewhere.Memory.Workspace, elsewhere.IfVersion = p.Memory.ID, "wsp_two", 1
		missing := text("two")
		missing.IfVersion = 1
		for _, in := range []store.Intake{elsewhere, missing} {
			k.same("stale", k.take(in, store.Stale), store.Put{Kind: store.Stale})
			ms, err := k.Memories.Get(k.Context(), in.Memory.Workspace, in.Memory.ID)
			k.must(err)
			k.same("stored", ids(ms), []string(nil))
		}
	},
}

// ended takes a memory in and ends it, with one step done and one given up.
func (k kit) ended(in store.Intake, s memory.Status) memory.Draft {
	k.Helper()
	d := k.run(in, "p")
	k.checkpoint(d, done(memory.StepUseCases), &memory.Output{UseCases: []string{"a use"}})
	k.checkpoint(d, tried(memory.StepRelated), nil)
	ok, err := k.Runs.Finish(k.Context(), []store.Finish{{
		Ref: d.Memory.Ref(), Fence: d.Fence, Status: s, Error: &memory.Fault{Code: memory.CodeQuota, Detail: "no credit"},
		Receipts: []memory.Receipt{{Name: memory.StepRelated, Status: memory.StepFailed, Attempts: 2}, {Name: memory.StepSchema, Status: memory.StepSkipped}},
	}})
	k.must(err)
	if !ok[0] {
		k.Fatal("the run was not ended")
	}
	return d
}

var resubmitTests = map[string]func(k kit){
	"OtherContentIsTheNextVersion": func(k kit) { k.updates(func(m *memory.Memory) { m.Content = "other" }) },
	"OtherMetadataAreTheNextVersion": func(k kit) {
		k.updates(func(m *memory.Memory) { m.Metadata = memory.Metadata{"topic": "kansas"} })
	},
	"NoMetadataAreTheNextVersion": func(k kit) { k.updates(func(m *memory.Memory) { m.Metadata = nil }) },
	"AnotherTimeIsTheNextVersion": func(k kit) {
		k.updates(func(m *memory.Memory) { m.OccurredAt = memory.At(m.OccurredAt.Add(time.Millisecond)).Ptr() })
	},
	"NoTimeIsTheNextVersion": func(k kit) { k.updates(func(m *memory.Memory) { m.OccurredAt = nil }) },
	"TheIDAloneServesToo": func(k kit) {
		p := k.take(text("one"), store.Created)
		in := text("two")
		in.Memory.ID = p.Memory.ID
		k.same("version", k.take(in, store.Updated).Memory.Version, 2)
		k.same("version", k.take(in, store.Unchanged).Memory.Version, 2)
	},
	"ANewVersionFencesTheRunOff": func(k kit) {
		d := k.run(known("a", "one"), "p")
		next := k.take(known("a", "two"), store.Updated)
		k.refused(d)
		d.Memory.Version = next.Memory.Version // not even by the new version's name
		k.refused(d)
	},
	"ANewVersionLeavesNoTraceOfTheRun": func(k kit) {
		d := k.run(known("a", "one"), "p")
		k.checkpoint(d, done(memory.StepRelated), &memory.Output{Related: []memory.Related{{ID: "m", Score: 1}},
			Embedding: &memory.Embedding{Model: "e", Passages: []memory.Passage{{End: 3, Vector: []float32{1}}}}})
		next := k.take(known("a", "two"), store.Updated)
		d = k.own(next.Memory.Ref(), "q")
		k.same("steps", d.Memory.Steps, []memory.Receipt(nil))
		k.same("related", d.Memory.Related, []memory.Related(nil))
		if d.Embedding != nil {
			k.Error("the vectors of the version before are there")
		}
	},
	"TheSameInSomebodysHandsIsUnchanged": func(k kit) {
		in := full()
		created := k.take(in, store.Created)
		again := full()
		again.Memory.Track, again.Memory.BatchID, again.Lease = memory.TrackDurable, "bat_2", store.Lease{Owner: "q", Until: soon()}
		k.same("queued", k.take(again, store.Unchanged), store.Put{Kind: store.Unchanged, Memory: created.Memory, Fence: created.Fence})

		d := k.own(created.Memory.Ref(), "p")
		before := k.get(created.Memory.Ref())
		k.same("processing", k.take(again, store.Unchanged), store.Put{Kind: store.Unchanged, Memory: before, Fence: d.Fence})
		if !k.checkpoint(d, done(memory.StepUseCases), nil) {
			k.Error("the run was fenced off")
		}
	},
	"TheSameCompletedIsUnchanged": func(k kit) {
		d := k.ended(full(), memory.StatusCompleted)
		before := k.get(d.Memory.Ref())
		k.same("completed", k.take(full(), store.Unchanged), store.Put{Kind: store.Unchanged, Memory: before, Fence: d.Fence})
		k.same("stored", k.get(d.Memory.Ref()), before)
		k.same("orphans", k.orphans(), []store.Orphan(nil))
	},
	"NumbersAreTheSameWhateverTheirType": func(k kit) {
		in := known("a", "one")
		in.Memory.Metadata = memory.Metadata{"n": 5.0}
		k.take(in, store.Created)
		for _, n := range []any{5, int64(5), json.Number("5"), json.Number("5.0")} {
			in.Memory.Metadata = memory.Metadata{"n": n}
			k.take(in, store.Unchanged)
		}
	},
	"TheSameFailedIsResumed":    func(k kit) { k.resumes(memory.StatusFailed) },
	"TheSameDegradedIsResumed":  func(k kit) { k.resumes(memory.StatusDegraded) },
	"TheSameCancelledIsResumed": func(k kit) { k.resumes(memory.StatusCancelled) },
}

// updates checks that a memory that differs by the change is taken as the next version.
func (k kit) updates(change func(*memory.Memory)) {
	k.Helper()
	d := k.ended(full(), memory.StatusFailed)
	in := leased(full(), "q", soon())
	in.Memory.BatchID, in.Memory.Track, in.Memory.Reason, in.Memory.WebhookURL = "bat_2", memory.TrackDurable, "again", ""
	change(&in.Memory)
	p := k.take(in, store.Updated)
	want := in.Memory
	want.ID, want.Version, want.CreatedAt, want.UpdatedAt = d.Memory.ID, 2, d.Memory.CreatedAt, p.Memory.UpdatedAt
	k.same("updated", p.Memory, want)
	k.same("stored", k.get(p.Memory.Ref()), want)
	if p.Fence <= d.Fence {
		k.Errorf("fence %d after %d", p.Fence, d.Fence)
	}
	if got := k.claim("p", p.Memory.Ref()); len(got) > 0 {
		k.Error("it is not leased to whom the intake says")
	}
	k.own(p.Memory.Ref(), "q")
}

// resumes checks that the same memory is queued again after it ended so.
func (k kit) resumes(s memory.Status) {
	k.Helper()
	d := k.ended(full(), s)
	before := k.get(d.Memory.Ref())
	in := leased(full(), "q", soon())
	in.Memory.BatchID, in.Memory.Track, in.Memory.Reason = "bat_2", memory.TrackDurable, "again"
	p := k.take(in, store.Resumed)
	want := before
	want.Status, want.BatchID, want.Track, want.Reason = memory.StatusQueued, "bat_2", memory.TrackDurable, "again"
	want.Error, want.CompletedAt, want.UpdatedAt = nil, nil, p.Memory.UpdatedAt
	want.Steps = before.Steps[:1] // the one that was completed
	k.same("resumed", p.Memory, want)
	k.same("stored", k.get(p.Memory.Ref()), want)
	if p.Fence <= d.Fence {
		k.Errorf("fence %d after %d", p.Fence, d.Fence)
	}
	k.refused(d)
	if got := k.claim("p", p.Memory.Ref()); len(got) > 0 {
		k.Error("it is not leased to whom the intake says")
	}
	k.same("use cases", k.own(p.Memory.Ref(), "q").Memory.UseCases, []string{"a use"})
}
