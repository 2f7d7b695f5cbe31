package storetest

import (
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// due are the erasures that are due before noon plus d.
func (k kit) due(d time.Duration, limit int) []store.Erasure {
	k.Helper()
	es, err := k.Erasures.Due(k.Context(), noon.Add(d), limit)
	k.must(err)
	return es
}

func (k kit) note(at time.Duration, ids ...string) {
	k.Helper()
	k.must(k.Erasures.Note(k.Context(), ws, noon.Add(at), ids...))
}

var erasureTests = map[string]func(k kit){
	"WhatIsNotedIsDueLongestFirst": func(k kit) {
		k.same("before", k.due(time.Hour, 9), []store.Erasure{})
		k.note(time.Second, "b")
		k.note(0, "a")
		k.must(k.Erasures.Note(k.Context(), ws, noon))
		a := store.Erasure{Workspace: ws, MemoryID: "a", NotedAt: noon, DueAt: noon}
		b := store.Erasure{Workspace: ws, MemoryID: "b", NotedAt: noon.Add(time.Second), DueAt: noon.Add(time.Second)}
		k.same("both", k.due(time.Hour, 9), []store.Erasure{a, b})
		k.same("limited", k.due(time.Hour, 1), []store.Erasure{a})
		k.same("due before", k.due(time.Second, 9), []store.Erasure{a})
	},
	"AnErasureIsDueWhenItsLatestCheckSays": func(k kit) {
		k.note(0, "a", "b")
		es := k.due(time.Hour, 9)
		es[0].Checks, es[0].DueAt = 1, noon.Add(time.Minute)
		es[1].Checks, es[1].DueAt = 4, time.Time{}
		k.must(k.Erasures.Checked(k.Context(), append(es, store.Erasure{Workspace: ws, MemoryID: "unknown"})))
		k.same("at once", k.due(time.Minute, 9), []store.Erasure{})
		k.same("later", k.due(time.Hour, 9), es[:1])
	},
	"NotedAgainItIsDueAgain": func(k kit) {
		k.note(0, "a")
		e := k.due(time.Hour, 9)[0]
		e.Checks, e.DueAt = 4, time.Time{}
		k.must(k.Erasures.Checked(k.Context(), []store.Erasure{e}))
		k.note(time.Minute, "a")
		e.DueAt = noon.Add(time.Minute)
		k.same("again", k.due(time.Hour, 9), []store.Erasure{e})
	},
	"WhatIsDueIsNotSwept": func(k kit) {
		k.note(0, "a", "b")
		es := k.due(time.Hour, 9)
		es[0].DueAt = time.Time{}
		k.must(k.Erasures.Checked(k.Context(), es[:1]))
		n, err := k.Erasures.Sweep(k.Context(), noon)
		k.must(err)
		k.same("noted before", n, 0)
		n, err = k.Erasures.Sweep(k.Context(), noon.Add(time.Hour))
		k.must(err)
		k.same("swept", n, 1)
		k.same("due", k.due(time.Hour, 9), es[1:])
	},
	"NoMemoryIsTakenInUnderTheIDOfAnErasure": func(k kit) {
		in, other := text("a"), text("b")
		other.Memory.Workspace, other.Memory.ID = "wsp_two", in.Memory.ID
		k.take(in, store.Created)
		k.note(0, in.Memory.ID)
		k.take(in, store.Unchanged) // it is there still
		k.must(k.Memories.Delete(k.Context(), ws, in.Memory.ID))
		k.same("put", k.take(in, store.Erased), store.Put{Kind: store.Erased})
		k.same("listed", len(k.list(store.MemoryQuery{})), 0)
		k.take(other, store.Created)
		k.same("in one call", kinds(k.put(text("c"), in, text("d"))), []store.PutKind{store.Created, store.Erased, store.Created})
	},
	"TheExternalIDOfAnErasedMemoryIsFree": func(k kit) {
		in := known("x", "a")
		k.take(in, store.Created)
		k.note(0, in.Memory.ID)
		k.must(k.Memories.Delete(k.Context(), ws, in.Memory.ID))
		k.take(known("x", "a"), store.Created)
		k.same("under the erased id", k.take(in, store.Unchanged).Memory.ExternalID, "x")
	},
	"ASweptErasureFreesTheID": func(k kit) {
		in := text("a")
		k.note(0, in.Memory.ID)
		e := k.due(time.Hour, 9)[0]
		e.DueAt = time.Time{}
		k.must(k.Erasures.Checked(k.Context(), []store.Erasure{e}))
		_, err := k.Erasures.Sweep(k.Context(), noon.Add(time.Hour))
		k.must(err)
		k.take(in, store.Created)
	},
}

// asked is an intake of what was said at noon plus d.
func asked(in store.Intake, d time.Duration) store.Intake {
	in.AskedAt = noon.Add(d)
	return in
}

var askedTests = map[string]func(k kit){
	"WhatWasSaidEarlierDoesNotTakeThePlaceOfWhatWasSaidLater": func(k kit) {
		p := k.take(asked(known("a", "later"), time.Minute), store.Created)
		stale := k.take(asked(known("a", "earlier"), 0), store.Stale)
		k.same("stale", stale, store.Put{Kind: store.Stale, Memory: p.Memory, Fence: p.Fence})
		k.same("stored", k.get(p.Memory.Ref()), p.Memory)
		k.take(asked(known("a", "equally late"), time.Minute), store.Updated)
		k.take(asked(known("a", "latest"), time.Hour), store.Updated)
		k.take(asked(known("a", "equally late"), time.Minute), store.Stale)
	},
	"WhatIsSaidWithoutATimeIsSaidNow": func(k kit) {
		k.take(asked(known("a", "one"), 0), store.Created)
		p := k.take(known("a", "two"), store.Updated)
		k.take(asked(known("a", "one"), 0), store.Stale)
		in := text("three")
		in.Memory.ID, in.IfVersion = p.Memory.ID, p.Memory.Version
		k.take(in, store.Updated)
		late := known("a", "four")
		late.AskedAt = time.Now().Add(time.Hour)
		k.take(late, store.Updated)
		k.take(known("a", "five"), store.Updated) // without a time it is never too early
	},
	"TheSameIsTheSameWheneverItWasSaid": func(k kit) {
		k.take(asked(known("a", "one"), time.Minute), store.Created)
		k.take(asked(known("a", "one"), 0), store.Unchanged)
		k.ended(known("b", "one"), "failed")
		k.take(asked(known("b", "one"), 0), store.Resumed)
	},
}
