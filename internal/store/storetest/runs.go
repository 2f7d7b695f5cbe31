package storetest

import (
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func contents(ds []memory.Draft) (out []string) {
	for _, d := range ds {
		out = append(out, d.Memory.Content)
	}
	return out
}

var claimTests = map[string]func(k kit){
	"GivesDraftsInTheOrderOfTheRefs": func(k kit) {
		ps := k.put(full(), text("b"), text("c"))
		ref := func(i int) memory.Ref { return ps[i].Memory.Ref() }
		until := soon()
		ds, err := k.Runs.Claim(k.Context(), store.Claim{Refs: []memory.Ref{ref(2), ref(0), ref(1)}, Owner: "p", Track: memory.TrackDurable, Until: until})
		k.must(err)
		k.same("contents", contents(ds), []string{"c", full().Memory.Content, "b"})
		want := ps[0].Memory
		want.Status, want.Track = memory.StatusProcessing, memory.TrackDurable
		want.StartedAt, want.UpdatedAt = ds[1].Memory.StartedAt, ds[1].Memory.UpdatedAt
		k.same("draft", ds[1].Memory, want)
		k.same("stored", k.get(ref(0)), want)
		if want.StartedAt == nil {
			k.Error("started_at is not set")
		}
		if ds[1].Fence != ps[0].Fence+1 {
			k.Errorf("fence %d after %d", ds[1].Fence, ps[0].Fence)
		}
	},
	"TakesEachOnce": func(k kit) {
		p := k.put(text("a"))[0]
		ds := k.claim("p", p.Memory.Ref(), p.Memory.Ref())
		if len(ds) != 1 || !k.checkpoint(ds[0], done(memory.StepUseCases), nil) {
			k.Errorf("%d drafts, or one that is fenced off", len(ds))
		}
	},
	"LeavesWhatIsNotToBeHad": func(k kit) {
		ps := k.put(leased(text("another's"), "q", soon()), leased(text("a batch's"), "q", store.Forever), text("elsewhere"), text("of another version"))
		refs := []memory.Ref{ps[0].Memory.Ref(), ps[1].Memory.Ref(), ps[2].Memory.Ref(), ps[3].Memory.Ref(), {Workspace: ws, ID: "mem_missing", Version: 1}}
		refs[2].Workspace, refs[3].Version = "wsp_two", 2
		for _, s := range []memory.Status{memory.StatusCompleted, memory.StatusFailed, memory.StatusDegraded, memory.StatusCancelled} {
			d := k.ended(text("over"), s)
			refs = append(refs, d.Memory.Ref())
		}
		refs = append(refs, k.put(text("free"))[0].Memory.Ref())
		k.same("claimed", contents(k.claim("p", refs...)), []string{"free"})
		k.same("stored", k.get(refs[0]), ps[0].Memory)
	},
	"TakesAnExpiredLeaseAndFencesItsOwnerOff": func(k kit) {
		p := k.put(text("a"))[0]
		expired, err := k.Runs.Claim(k.Context(), store.Claim{Refs: []memory.Ref{p.Memory.Ref()}, Owner: "p", Track: memory.TrackRealtime, Until: past()})
		k.must(err)
		k.checkpoint(expired[0], done(memory.StepUseCases), &memory.Output{UseCases: []string{"a use"}})
		d := k.own(p.Memory.Ref(), "q")
		if d.Fence != expired[0].Fence+1 {
			k.Errorf("fence %d after %d", d.Fence, expired[0].Fence)
		}
		k.same("use cases", d.Memory.UseCases, []string{"a use"})
		k.same("started_at", d.Memory.StartedAt, expired[0].Memory.StartedAt)
		k.refused(expired[0])
	},
	"ByItsOwnerIsANewRun": func(k kit) {
		first := k.run(text("a"), "p")
		second := k.own(first.Memory.Ref(), "p")
		if second.Fence != first.Fence+1 {
			k.Errorf("fence %d after %d", second.Fence, first.Fence)
		}
		k.same("started_at", second.Memory.StartedAt, first.Memory.StartedAt)
		k.refused(first)
	},
	"NeedsAnOwner": func(k kit) {
		p := k.put(leased(text("a"), "", soon()))[0]
		_, err := k.Runs.Claim(k.Context(), store.Claim{Refs: []memory.Ref{p.Memory.Ref()}, Until: soon()})
		k.fails(err, memory.CodeInternal)
	},
	"DraftsAreThoseThatTheOwnerHolds": func(k kit) {
		mine, other := k.run(text("mine"), "p"), k.run(text("another's"), "q")
		free, over := k.put(text("free"))[0].Memory, k.ended(text("over"), memory.StatusFailed)
		old := mine.Memory.Ref()
		old.Version++
		ds, err := k.Runs.Drafts(k.Context(), "p", []memory.Ref{other.Memory.Ref(), old, free.Ref(), over.Memory.Ref(), mine.Memory.Ref()})
		k.must(err)
		k.same("drafts", ds, []memory.Draft{mine})
		if !k.checkpoint(mine, done(memory.StepUseCases), nil) {
			k.Error("reading the draft fenced the run off")
		}
	},
	"DraftsAreGoneAfterARelease": func(k kit) {
		d := k.run(text("a"), "p")
		k.release(d.Memory.Ref(), d.Fence)
		ds, err := k.Runs.Drafts(k.Context(), "p", []memory.Ref{d.Memory.Ref()})
		k.must(err)
		k.same("drafts", ds, []memory.Draft(nil))
	},
}

var embedding = memory.Embedding{Model: "e", Passages: []memory.Passage{
	{Start: 0, End: 5, Vector: []float32{0.25, -1.5, 3e-30}}, {Start: 5, End: 9, Vector: []float32{1, 2, 3}},
}}

var graph = memory.Graph{
	Nodes:         []memory.Node{{ID: "nod_1", Type: "person", Name: "Dorothy", Properties: map[string]string{"home": "Kansas"}}, {ID: "nod_2", Type: "dog", Name: "Toto"}},
	Relationships: []memory.Relationship{{From: "nod_1", Type: "owns", To: "nod_2", Properties: map[string]string{"since": "long"}}},
}

var checkpointTests = map[string]func(k kit){
	"ShowsAtOnce": func(k kit) {
		d := k.run(text("a"), "p")
		steps := []memory.Receipt{tried(memory.StepRelated), done(memory.StepUseCases)}
		k.checkpoint(d, steps[0], nil)
		k.checkpoint(d, steps[1], &memory.Output{UseCases: []string{"one", "two"}})
		m := k.get(d.Memory.Ref())
		k.same("steps", m.Steps, steps)
		k.same("use cases", m.UseCases, []string{"one", "two"})
		k.same("status", m.Status, memory.StatusProcessing)
	},
	"KeepsAllThatTheNextStepsNeed": func(k kit) {
		d := k.run(text("a"), "p")
		k.checkpoint(d, done(memory.StepUseCases), &memory.Output{UseCases: []string{"one"}})
		k.checkpoint(d, done(memory.StepRelated), &memory.Output{Related: []memory.Related{{ID: "m", Score: 0.5}}, Embedding: &embedding})
		k.checkpoint(d, done(memory.StepSchema), &memory.Output{Graph: &graph})
		next, err := k.Runs.Drafts(k.Context(), "p", []memory.Ref{d.Memory.Ref()})
		k.must(err)
		k.same("use cases", next[0].Memory.UseCases, []string{"one"})
		k.same("related", next[0].Memory.Related, []memory.Related{{ID: "m", Score: 0.5}})
		k.same("graph", next[0].Memory.Graph, graph)
		k.same("embedding", next[0].Embedding, &embedding)
		k.same("fence", next[0].Fence, d.Fence)
	},
	"TakesThePlaceOfAnAttemptBefore": func(k kit) {
		d := k.run(text("a"), "p")
		k.checkpoint(d, tried(memory.StepUseCases), nil)
		k.checkpoint(d, tried(memory.StepRelated), nil)
		second := tried(memory.StepUseCases)
		second.Attempts = 2
		k.checkpoint(d, second, nil)
		m := k.get(d.Memory.Ref())
		k.same("steps", []any{len(m.Steps), m.Steps[0]}, []any{2, second})
		k.checkpoint(d, done(memory.StepUseCases), &memory.Output{UseCases: []string{"one"}})
		k.same("status", k.get(d.Memory.Ref()).Steps[0].Status, memory.StepCompleted)
	},
	"OfACompletedStepStaysAsItIs": func(k kit) {
		d := k.run(text("a"), "p")
		first := done(memory.StepRelated)
		k.checkpoint(d, first, &memory.Output{Related: []memory.Related{{ID: "first"}}, Embedding: &embedding})
		other := embedding
		other.Model = "other"
		for _, late := range []memory.Receipt{done(memory.StepRelated), tried(memory.StepRelated)} {
			late.Attempts = 2
			if !k.checkpoint(d, late, &memory.Output{Related: []memory.Related{{ID: "second"}}, Embedding: &other}) {
				k.Error("work that is done was refused")
			}
		}
		next := k.own(d.Memory.Ref(), "p")
		k.same("receipt", next.Memory.Steps, []memory.Receipt{first})
		k.same("related", next.Memory.Related, []memory.Related{{ID: "first"}})
		k.same("embedding", next.Embedding, &embedding)
	},
	"IsRefusedAloneWithinAPage": func(k kit) {
		a, b, c := k.run(text("a"), "p"), k.run(text("b"), "p"), k.run(text("c"), "p")
		k.own(b.Memory.Ref(), "p")
		cs := []store.Checkpoint{}
		for _, d := range []memory.Draft{a, b, c} {
			cs = append(cs, store.Checkpoint{Ref: d.Memory.Ref(), Fence: d.Fence, Receipt: done(memory.StepUseCases)})
		}
		cs[2].Ref.Version = 2
		oks, err := k.Runs.Checkpoint(k.Context(), cs)
		k.must(err)
		k.same("taken", oks, []bool{true, false, false})
		for i, d := range []memory.Draft{a, b, c} {
			k.same("steps", len(k.get(d.Memory.Ref()).Steps) == 1, oks[i])
		}
	},
	"OfAFenceThatIsNotInForceYetIsRefused": func(k kit) {
		d := k.run(text("a"), "p")
		d.Fence++
		k.refused(d)
	},
	"OfAnotherWorkspaceIsRefused": func(k kit) {
		d := k.run(text("a"), "p")
		d.Memory.Workspace = "wsp_two"
		if k.checkpoint(d, done(memory.StepUseCases), nil) {
			k.Error("taken")
		}
	},
}

var finishTests = map[string]func(k kit){
	"EndsTheRunAndOwesTheEventInOneWrite": func(k kit) {
		d := k.run(leased(full(), "p", soon()), "p")
		k.checkpoint(d, done(memory.StepUseCases), &memory.Output{UseCases: []string{"one"}})
		e, fault := event("a", memory.Now()), &memory.Fault{Code: memory.CodeGaveUp, Detail: "enough", Step: memory.StepSchema}
		skipped := memory.Receipt{Name: memory.StepSchema, Status: memory.StepSkipped}
		late := memory.Receipt{Name: memory.StepUseCases, Status: memory.StepFailed}
		oks, err := k.Runs.Finish(k.Context(), []store.Finish{{Ref: d.Memory.Ref(), Fence: d.Fence, Status: memory.StatusDegraded, Error: fault,
			Receipts: []memory.Receipt{skipped, late}, Event: e}})
		k.must(err)
		k.same("ended", oks, []bool{true})
		m := k.get(d.Memory.Ref())
		k.same("status", m.Status, memory.StatusDegraded)
		k.same("error", m.Error, fault)
		k.same("use cases", m.UseCases, []string{"one"})
		k.same("steps", []any{m.Steps[0].Status, m.Steps[1]}, []any{memory.StepCompleted, skipped})
		if m.CompletedAt == nil || m.CompletedAt.Before(m.StartedAt.Time) {
			k.Errorf("completed at %v, started at %v", m.CompletedAt, m.StartedAt)
		}
		k.same("owed", k.owed(), []memory.Event{*e})
	},
	"LeavesNoLease": func(k kit) {
		d := k.run(text("a"), "p")
		k.finish(d, memory.StatusFailed, nil)
		k.same("orphans", k.orphans(), []store.Orphan(nil))
		k.same("claimed", len(k.claim("p", d.Memory.Ref())), 0)
		n, err := k.Leases.Renew(k.Context(), "p", soon())
		k.must(err)
		k.same("renewed", n, 0)
	},
	"IsRefusedTheSecondTime": func(k kit) {
		d := k.run(text("a"), "p")
		if !k.finish(d, memory.StatusFailed, nil) {
			k.Error("refused")
		}
		k.refused(d)
	},
	"NeedsNoEvent": func(k kit) {
		k.finish(k.run(text("a"), "p"), memory.StatusCompleted, nil)
		k.same("owed", k.owed(), []memory.Event(nil))
	},
	"NeedsAFinalStatus": func(k kit) {
		d := k.run(text("a"), "p")
		_, err := k.Runs.Finish(k.Context(), []store.Finish{{Ref: d.Memory.Ref(), Fence: d.Fence, Status: memory.StatusQueued}})
		k.fails(err, memory.CodeInternal)
	},
	"DropsTheVectors": func(k kit) {
		d := k.run(known("a", "one"), "p")
		k.checkpoint(d, done(memory.StepRelated), &memory.Output{Embedding: &embedding})
		k.finish(d, memory.StatusFailed, nil)
		p := k.take(known("a", "one"), store.Resumed)
		next := k.own(p.Memory.Ref(), "p")
		if next.Embedding != nil {
			k.Error("the vectors are still there")
		}
	},
	"IsRefusedAloneWithinAPage": func(k kit) {
		a, b := k.run(text("a"), "p"), k.run(text("b"), "p")
		k.own(a.Memory.Ref(), "p")
		oks, err := k.Runs.Finish(k.Context(), []store.Finish{
			{Ref: a.Memory.Ref(), Fence: a.Fence, Status: memory.StatusCompleted, Event: event("a", memory.Now())},
			{Ref: b.Memory.Ref(), Fence: b.Fence, Status: memory.StatusCompleted, Event: event("b", memory.Now())},
		})
		k.must(err)
		k.same("ended", oks, []bool{false, true})
		k.same("status", k.get(a.Memory.Ref()).Status, memory.StatusProcessing)
		k.same("owed", len(k.owed()), 1)
	},
}

var releaseTests = map[string]func(k kit){
	"GivesTheMemoryUpAtOnce": func(k kit) {
		d := k.run(text("a"), "p")
		k.checkpoint(d, done(memory.StepUseCases), &memory.Output{UseCases: []string{"one"}})
		if !k.release(d.Memory.Ref(), d.Fence) {
			k.Error("refused")
		}
		m := k.get(d.Memory.Ref())
		k.same("track and reason", []any{m.Track, m.Reason, m.UseCases}, []any{memory.TrackDurable, "released", []string{"one"}})
		if m.Status.Final() {
			k.Errorf("it is %s", m.Status)
		}
		k.same("orphans", k.orphans(), []store.Orphan{{Ref: d.Memory.Ref(), Track: memory.TrackDurable, Owner: "p"}})
		k.own(d.Memory.Ref(), "q")
		k.refused(d)
	},
	"IsNotTakenBackByARenewal": func(k kit) {
		d := k.run(text("a"), "p")
		k.release(d.Memory.Ref(), d.Fence)
		n, err := k.Leases.Renew(k.Context(), "p", soon())
		k.must(err)
		k.same("renewed", n, 0)
		k.own(d.Memory.Ref(), "q")
	},
}

var leaseTests = map[string]func(k kit){
	"RenewIsForTheOpenMemoriesOfTheOwner": func(k kit) {
		k.run(text("other"), "q")
		k.ended(text("over"), memory.StatusFailed) // by p
		ps := k.put(leased(text("a"), "p", past()), leased(text("b"), "p", soon()), text("free"))
		n, err := k.Leases.Renew(k.Context(), "p", soon())
		k.must(err)
		k.same("renewed", n, 2)
		k.same("claimed", contents(k.claim("r", ps[0].Memory.Ref(), ps[1].Memory.Ref(), ps[2].Memory.Ref())), []string{"free"})
		_, err = k.Leases.Renew(k.Context(), "p", past())
		k.must(err)
		k.same("claimed", contents(k.claim("r", ps[0].Memory.Ref(), ps[1].Memory.Ref())), []string{"a", "b"})
	},
	"OwnedAreTheOpenMemoriesOfTheOwner": func(k kit) {
		owned := func(owner string) []memory.Ref {
			refs, err := k.Leases.Owned(k.Context(), owner)
			k.must(err)
			return refs
		}
		k.run(text("other"), "q")
		k.ended(text("over"), memory.StatusFailed) // by p
		k.put(text("free"))
		late, held, released := k.put(leased(text("a"), "p", past())), k.run(text("b"), "p"), k.run(text("c"), "p")
		k.same("before", len(owned("p")), 3)
		k.release(released.Memory.Ref(), released.Fence)
		k.same("after", len(owned("p")), 2)
		for _, ref := range []memory.Ref{late[0].Memory.Ref(), held.Memory.Ref()} { // that a lease has ended does not matter
			if !slices.Contains(owned("p"), ref) {
				k.Errorf("%v is not among %v", ref, owned("p"))
			}
		}
		k.same("nobody's", owned(""), []memory.Ref(nil))
		k.same("a stranger's", owned("stranger"), []memory.Ref(nil))
	},
	"RenewOfNobodysIsNothing": func(k kit) {
		k.put(text("free"))
		for _, owner := range []string{"", "stranger"} {
			n, err := k.Leases.Renew(k.Context(), owner, soon())
			k.must(err)
			k.same("renewed", n, 0)
		}
	},
	"OrphansAreThoseWhoseLeaseExpiredLongestFirst": func(k kit) {
		now := time.Now()
		at := func(content string, d time.Duration) store.Intake {
			return leased(text(content), "p "+content, now.Add(d))
		}
		k.put(at("second", -time.Minute), at("third", -time.Second), at("not yet", time.Minute), at("never", 0))
		k.put(leased(text("a batch's"), "b", store.Forever), text("first"))
		k.ended(text("over"), memory.StatusFailed)
		content := func(os []store.Orphan) (out []string) {
			for _, o := range os {
				out = append(out, k.get(o.Ref).Content)
			}
			return out
		}
		got, err := k.Leases.Orphans(k.Context(), now.Truncate(time.Millisecond), 10)
		k.must(err)
		k.same("orphans", content(got), []string{"first", "second", "third"})
		k.same("owners", []string{got[0].Owner, got[1].Owner}, []string{"", "p second"})
		k.same("version and track", []any{got[1].Ref.Version, got[1].Track}, []any{1, memory.TrackRealtime})
		got, err = k.Leases.Orphans(k.Context(), now, 2)
		k.must(err)
		k.same("limited", content(got), []string{"first", "second"})
		got, err = k.Leases.Orphans(k.Context(), now.AddDate(1000, 0, 0), 10)
		k.must(err)
		k.same("ever", len(got), 5)
	},
	"EntrustGivesOrphansToANewOwner": func(k kit) {
		expired := k.put(leased(text("expired"), "p", past()))[0]
		free := k.put(text("free"))[0]
		held := k.put(leased(text("held"), "p", soon()))[0]
		over := k.ended(text("over"), memory.StatusFailed)
		var ts []store.Trust
		for _, ref := range []memory.Ref{expired.Memory.Ref(), free.Memory.Ref(), held.Memory.Ref(), over.Memory.Ref(), {Workspace: ws, ID: "mem_missing", Version: 1}} {
			ts = append(ts, store.Trust{Ref: ref, Owner: "workflow", Reason: "its process died"})
		}
		ts[1].Reason = ""
		oks, err := k.Leases.Entrust(k.Context(), ts, soon())
		k.must(err)
		k.same("entrusted", oks, []bool{true, true, false, false, false})
		m, n := k.get(expired.Memory.Ref()), k.get(free.Memory.Ref())
		k.same("track and reason", []any{m.Track, m.Reason, n.Track, n.Reason}, []any{memory.TrackDurable, "its process died", memory.TrackDurable, "a test"})
		k.same("orphans", k.orphans(), []store.Orphan(nil))
		k.same("claimed by others", len(k.claim("q", expired.Memory.Ref(), free.Memory.Ref())), 0)
		if d := k.own(expired.Memory.Ref(), "workflow"); d.Fence != expired.Fence+1 {
			k.Errorf("fence %d after %d", d.Fence, expired.Fence)
		}
	},
	"EntrustIsForTheVersionThatItNames": func(k kit) {
		ref := k.put(text("a"))[0].Memory.Ref()
		ref.Version = 2
		oks, err := k.Leases.Entrust(k.Context(), []store.Trust{{Ref: ref, Owner: "w"}}, soon())
		k.must(err)
		k.same("entrusted", oks, []bool{false})
	},
	"AnEntrustedRunIsTakenUpByNobodyElse": func(k kit) {
		p := k.put(leased(text("a"), "p", past()))[0]
		_, err := k.Leases.Entrust(k.Context(), []store.Trust{{Ref: p.Memory.Ref(), Owner: "w"}}, soon())
		k.must(err)
		n, err := k.Leases.Renew(k.Context(), "p", soon())
		k.must(err)
		k.same("renewed by the former owner", n, 0)
		oks, err := k.Leases.Entrust(k.Context(), []store.Trust{{Ref: p.Memory.Ref(), Owner: "v"}}, soon())
		k.must(err)
		k.same("entrusted again", oks, []bool{false})
	},
}

var outboxTests = map[string]func(k kit){
	"HoldsEventsOldestFirst": func(k kit) {
		now := time.Now()
		at := func(name string, ago time.Duration) *memory.Event { return event(name, memory.At(now.Add(-ago))) }
		var want []memory.Event
		for _, e := range []*memory.Event{at("x", 2*time.Second), at("y", 3*time.Second)} {
			k.finish(k.run(text("x"), "p"), memory.StatusCompleted, e)
			want = append([]memory.Event{*e}, want...)
		}
		b := k.sealed("bat_1", items("x"))
		e := at("c", time.Second)
		k.must(second(k.BatchRuns.Finish(k.Context(), b.ID, memory.BatchCompleted, e)))
		want = append(want, *e)
		k.same("owed", k.owed(), want)
		first, err := k.Outbox.Owed(k.Context(), 2)
		k.must(err)
		k.same("limited", first, want[:2])
		k.must(k.Outbox.Settle(k.Context(), []memory.Event{want[1], {ID: "evt_unknown"}}))
		k.must(k.Outbox.Settle(k.Context(), []memory.Event{want[1]}))
		k.must(k.Outbox.Settle(k.Context(), nil))
		k.same("owed", k.owed(), []memory.Event{want[0], want[2]})
	},
	"AMemoryMayOweSeveral": func(k kit) {
		in := known("a", "one")
		now := memory.Now()
		k.finish(k.run(in, "p"), memory.StatusFailed, event("1", now))
		k.finish(k.run(in, "p"), memory.StatusFailed, event("2", now))
		k.finish(k.run(known("a", "two"), "p"), memory.StatusCompleted, event("3", now))
		k.same("owed", len(k.owed()), 3)
	},
}

func second[A any](_ A, err error) error { return err }
