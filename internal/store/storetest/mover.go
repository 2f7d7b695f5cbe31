package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Movable are vectors that can be moved to another model.
type Movable interface {
	store.Vectors
	store.Mover
}

// Mover checks what [store.Mover] promises. open gives an empty store.
func Mover(t *testing.T, open func(testing.TB) Movable) {
	t.Helper()
	checks[Movable]{
		{"TheNextModelIsBuiltBeside", moverBeside},
		{"SwitchingPutsItInForce", moverSwitch},
		{"FinishingDropsTheModelBefore", moverFinish},
		{"AMoveIsTakenUpAgain", moverResume},
		{"AMoveToAnotherModelTakesItsPlace", moverReplaced},
		{"MovingBackBeginsAnew", moverBack},
		{"WhatIsMissingIsSaid", moverMissing},
		{"AnEmptyStoreIsMovedAtOnce", moverEmpty},
		{"DeletingForgetsEverywhere", moverDelete},
		{"OnlyTheModelOfTheMoveIsTaken", moverRefused},
		{"WhatWasWrittenBeforeTheSwitchIsThere", moverRace},
	}.run(t, open)
}

// next is the model that these tests move to. Its vectors turn the other way round: what is near is the difference.
var next = store.Model{ID: "sextant/2", Dimensions: 3}

// moved is what the next model makes of a memory of one passage.
func moved(workspace, id string, degrees float64, text string) store.Point {
	p := point(workspace, id, 0, text)
	p.Vector = compass(-degrees)[:3]
	return p
}

func byNext(workspace string, degrees float64, limit int) store.VectorQuery {
	return store.VectorQuery{Workspace: workspace, Mode: store.Vector, Model: next, Vector: compass(-degrees)[:3], Limit: limit}
}

func findNext(t testing.TB, s store.Vectors, workspace string, degrees float64) []string {
	t.Helper()
	return found(get[[]store.Hit](t)(s.Search(t.Context(), byNext(workspace, degrees, 10))))
}

func beginMove(t testing.TB, s Movable) store.Move {
	t.Helper()
	return get[store.Move](t)(s.Begin(t.Context(), next))
}

func moverBeside(t *testing.T, s Movable) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, "lion"), point(ws, "b", 40, "tiger"))
	want(t, "move", store.Move{From: model}, beginMove(t, s))
	must(t, s.Move(t.Context(), next, []store.Point{moved(ws, "a", 0, "lion"), moved(ws, "c", 0, "lion and bear")}))

	want(t, "model in force", model, get[store.Model](t)(s.Model(t.Context())))
	want(t, "found", []string{"a", "b"}, found(find(t, s, byVector(ws, 0))))
	want(t, "found by words", []string{"a"}, found(find(t, s, byWords(ws, "lion"))))
	want(t, "held", map[version]int{{"a", 1}: 1, {"b", 1}: 1}, held(t, s, store.HeldQuery{Workspace: ws, Limit: 10}))
	upsert(t, s, point(ws, "d", 80, "written meanwhile"))
	_, err := s.Search(t.Context(), byNext(ws, 0, 1))
	wantCode(t, err, memory.CodeModelMismatch)
	wantCode(t, s.Upsert(t.Context(), next, []store.Point{moved(ws, "a", 0, "")}), memory.CodeModelMismatch)
}

func moverSwitch(t *testing.T, s Movable) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, "lion"), point(ws, "b", 40, "tiger"), point(ws, "c", 80, "only in the old one"))
	beginMove(t, s)
	must(t, s.Move(t.Context(), next, []store.Point{moved(ws, "a", 0, "lion"), moved(ws, "b", 40, "tiger")}))
	for range 2 {
		must(t, s.Switch(t.Context(), next))
		want(t, "move", store.Move{From: model, Switched: true}, beginMove(t, s))
	}
	want(t, "model in force", next, get[store.Model](t)(s.Model(t.Context())))
	want(t, "found", []string{"b", "a"}, findNext(t, s, ws, 50))
	want(t, "found by words", []string{}, found(find(t, s, byWords(ws, "old"))))
	want(t, "held", map[version]int{{"a", 1}: 1, {"b", 1}: 1}, held(t, s, store.HeldQuery{Workspace: ws, Limit: 10}))
	wantCode(t, s.Upsert(t.Context(), model, []store.Point{point(ws, "d", 0, "")}), memory.CodeModelMismatch)
	want(t, "found by the model before", []string{"a", "b", "c"}, found(find(t, s, byVector(ws, 0))))
	must(t, s.Upsert(t.Context(), next, []store.Point{moved(ws, "d", 60, "new")}))
	must(t, s.Move(t.Context(), next, []store.Point{moved(ws, "c", 80, "later")}))
	want(t, "found after an upsert", []string{"d", "c", "b", "a"}, findNext(t, s, ws, 65))
}

func moverFinish(t *testing.T, s Movable) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, "lion"))
	beginMove(t, s)
	wantCode(t, s.Finish(t.Context(), next), memory.CodeConflict)
	must(t, s.Move(t.Context(), next, []store.Point{moved(ws, "a", 0, "lion")}))
	must(t, s.Switch(t.Context(), next))
	for range 2 {
		must(t, s.Finish(t.Context(), next))
	}
	want(t, "move", store.Move{Switched: true}, beginMove(t, s))
	q := byVector(ws, 0)
	q.Model, q.Limit = model, 1
	_, err := s.Search(t.Context(), q)
	wantCode(t, err, memory.CodeModelMismatch)
	want(t, "found", []string{"a"}, findNext(t, s, ws, 0))
}

func moverResume(t *testing.T, s Movable) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, "lion"))
	beginMove(t, s)
	must(t, s.Move(t.Context(), next, []store.Point{moved(ws, "a", 0, "lion")}))
	must(t, s.Save(t.Context(), next, "half of it"))
	want(t, "move", store.Move{From: model, Progress: "half of it"}, beginMove(t, s))
	must(t, s.Switch(t.Context(), next))
	want(t, "move after the switch", store.Move{From: model, Switched: true}, beginMove(t, s))
	must(t, s.Save(t.Context(), next, "the rest"))
	want(t, "move in the end", store.Move{From: model, Switched: true, Progress: "the rest"}, beginMove(t, s))
	want(t, "found", []string{"a"}, findNext(t, s, ws, 0))
}

func moverReplaced(t *testing.T, s Movable) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, "lion"))
	other := store.Model{ID: "other", Dimensions: 3}
	get[store.Move](t)(s.Begin(t.Context(), other))
	must(t, s.Move(t.Context(), other, []store.Point{moved(ws, "a", 0, "lion")}))
	must(t, s.Save(t.Context(), other, "half of it"))
	want(t, "move", store.Move{From: model}, beginMove(t, s))
	ref := memory.Ref{Workspace: ws, ID: "a", Version: 1}
	want(t, "missing", []memory.Ref{ref}, get[[]memory.Ref](t)(s.Missing(t.Context(), next, []memory.Ref{ref})))
	wantCode(t, s.Move(t.Context(), other, []store.Point{moved(ws, "b", 0, "")}), memory.CodeConflict)
	want(t, "the other one", store.Move{From: model}, get[store.Move](t)(s.Begin(t.Context(), other)))
	want(t, "missing in the other one", []memory.Ref{ref}, get[[]memory.Ref](t)(s.Missing(t.Context(), other, []memory.Ref{ref})))
}

func moverBack(t *testing.T, s Movable) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, "lion"))
	beginMove(t, s)
	must(t, s.Switch(t.Context(), next))
	want(t, "move back", store.Move{From: next}, get[store.Move](t)(s.Begin(t.Context(), model)))
	ref := memory.Ref{Workspace: ws, ID: "a", Version: 1}
	want(t, "missing", []memory.Ref{ref}, get[[]memory.Ref](t)(s.Missing(t.Context(), model, []memory.Ref{ref})))
	must(t, s.Move(t.Context(), model, []store.Point{point(ws, "b", 0, "tiger")}))
	must(t, s.Switch(t.Context(), model))
	want(t, "found", []string{"b"}, found(find(t, s, byVector(ws, 0))))
}

func moverMissing(t *testing.T, s Movable) {
	ours, theirs := newWorkspace(), newWorkspace()
	upsert(t, s, point(ours, "a", 0, ""))
	beginMove(t, s)
	later := moved(ours, "b", 0, "")
	later.Version = 3
	long := moved(ours, "c", 0, "")
	var ps []store.Point
	for i := range 900 {
		long.Passage = i
		ps = append(ps, long)
	}
	must(t, s.Move(t.Context(), next, append(ps, later, moved(theirs, "a", 0, ""))))
	ref := func(ws, id string, version int) memory.Ref {
		return memory.Ref{Workspace: ws, ID: id, Version: version}
	}
	refs := []memory.Ref{ref(ours, "c", 1), ref(ours, "a", 1), ref(ours, "b", 3), ref(theirs, "a", 1), ref(ours, "b", 4), ref(theirs, "b", 3)}
	missing := []memory.Ref{ref(ours, "a", 1), ref(ours, "b", 4), ref(theirs, "b", 3)}
	want(t, "missing", missing, get[[]memory.Ref](t)(s.Missing(t.Context(), next, refs)))
	must(t, s.Switch(t.Context(), next))
	want(t, "missing after the switch", missing, get[[]memory.Ref](t)(s.Missing(t.Context(), next, refs)))
	want(t, "missing of none", 0, len(get[[]memory.Ref](t)(s.Missing(t.Context(), next, nil))))
}

func moverEmpty(t *testing.T, s Movable) {
	ws := newWorkspace()
	want(t, "move", store.Move{Switched: true}, beginMove(t, s))
	want(t, "model", next, get[store.Model](t)(s.Model(t.Context())))
	must(t, s.Move(t.Context(), next, []store.Point{moved(ws, "a", 0, "")}))
	must(t, s.Switch(t.Context(), next))
	must(t, s.Finish(t.Context(), next))
	want(t, "found", []string{"a"}, findNext(t, s, ws, 0))
}

func moverDelete(t *testing.T, s Movable) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, ""), point(ws, "b", 10, ""), point(ws, "c", 20, ""))
	beginMove(t, s)
	must(t, s.Move(t.Context(), next, []store.Point{moved(ws, "a", 0, ""), moved(ws, "b", 10, ""), moved(ws, "c", 20, "")}))
	must(t, s.Delete(t.Context(), ws, "a"))
	must(t, s.Switch(t.Context(), next))
	want(t, "found in the next", []string{"b", "c"}, findNext(t, s, ws, 0))
	must(t, s.Delete(t.Context(), ws, "b"))
	want(t, "found after the switch", []string{"c"}, findNext(t, s, ws, 0))
	want(t, "found in the one before", []string{"c"}, found(find(t, s, byVector(ws, 0))))
}

func moverRefused(t *testing.T, s Movable) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, ""))
	ref := memory.Ref{Workspace: ws, ID: "a", Version: 1}
	refused := func() {
		t.Helper()
		_, err := s.Missing(t.Context(), next, []memory.Ref{ref})
		for name, err := range map[string]error{
			"missing": err, "save": s.Save(t.Context(), next, "x"), "switch": s.Switch(t.Context(), next), "finish": s.Finish(t.Context(), next),
			"move": s.Move(t.Context(), next, []store.Point{moved(ws, "a", 0, "")}),
		} {
			if memory.CodeOf(err) != memory.CodeConflict {
				t.Errorf("%s without a move: %v", name, err)
			}
		}
	}
	refused()
	_, err := s.Begin(t.Context(), store.Model{})
	wantCode(t, err, memory.CodeInvalid)
	beginMove(t, s)
	wantCode(t, s.Move(t.Context(), next, []store.Point{point(ws, "a", 0, "")}), memory.CodeModelMismatch)
	get[store.Move](t)(s.Begin(t.Context(), store.Model{ID: "other", Dimensions: 2}))
	refused()
}

// moverRace writes with the model before while another takes over: each upsert was either refused, or is among what is
// found to be missing afterwards.
func moverRace(t *testing.T, s Movable) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "first", 0, ""))
	beginMove(t, s)
	var wg sync.WaitGroup
	var written sync.Map
	var started atomic.Int64
	half := make(chan struct{})
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				p := point(ws, fmt.Sprintf("m%d-%04d", w, i), 0, "")
				err := s.Upsert(t.Context(), model, []store.Point{p})
				if memory.CodeOf(err) == memory.CodeModelMismatch {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				written.Store(p.MemoryID, true)
				if started.Add(1) == 40 {
					close(half)
				}
			}
		})
	}
	<-half
	must(t, s.Switch(t.Context(), next))
	q := byVector(ws, 0)
	q.Limit = 100_000
	there := map[string]bool{} // what is seen by who looks after the switch
	for _, id := range found(find(t, s, q)) {
		there[id] = true
	}
	wg.Wait()
	written.Range(func(id, _ any) bool {
		if !there[id.(string)] {
			t.Errorf("%s was accepted, but is not there right after the switch", id)
		}
		return true
	})
}
