package storetest

import (
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Vectors checks what [store.Vectors] promises. open gives an empty store.
func Vectors(t *testing.T, open func(testing.TB) store.Vectors) {
	t.Helper()
	checks[store.Vectors]{
		{"NearestComeFirst", vectorsNearest},
		{"VectorsOfAnyLengthAreCompared", vectorsLength},
		{"PassagesWithTheWordsAreFound", vectorsWords},
		{"HybridFusesBothLists", vectorsHybrid},
		{"TheBestPassageStandsForItsMemory", vectorsPassages},
		{"LimitCountsMemories", vectorsLimit},
		{"TiesGoByID", vectorsTies},
		{"ExcludedMemoriesAreLeftOut", vectorsExclude},
		{"ALaterVersionTakesThePlace", vectorsLater},
		{"AnOlderVersionIsDropped", vectorsOlder},
		{"RepeatingChangesNothing", vectorsRepeat},
		{"AMemoryIsNeverAbsent", vectorsPresent},
		{"UpsertsAtTheSameTimeAreAllThere", vectorsConcurrent},
		{"DeletedMemoriesAreForgotten", vectorsDelete},
		{"WhatIsHeldIsListed", vectorsHeld},
		{"WorkspacesAreApart", vectorsApart},
		{"AnEmptyStoreFindsNothing", vectorsEmpty},
		{"TheFirstUpsertSettlesTheModel", vectorsModel},
		{"OtherModelsAreRefused", vectorsMismatch},
		{"QueriesThatMakeNoSenseAreRefused", vectorsInvalid},
		{"AnyTextIsAQuery", vectorsAnyText},
		{"APageOfQueriesIsAnswered", vectorsPage},
		{"FiltersTellKindsOfValuesApart", vectorsKinds},
		{"FiltersDoWhatMatchDoes", vectorsFilters},
	}.run(t, open)
}

// model is what the vectors of these tests come from.
var model = store.Model{ID: "compass", Dimensions: 4}

// compass is a vector in a plane: the cosine between two of them is that of the difference of their angles.
func compass(degrees float64) []float32 {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	return []float32{float32(cos), float32(sin), 0, 0}
}

func cosine(degrees float64) float64 { return math.Cos(degrees * math.Pi / 180) }

// point is a memory of one passage.
func point(workspace, id string, degrees float64, text string) store.Point {
	return store.Point{
		Workspace: workspace, MemoryID: id, Version: 1, End: len(text), Text: text, Vector: compass(degrees),
		Fields: store.Fields{CreatedAt: noon},
	}
}

func upsert(t testing.TB, s store.Vectors, ps ...store.Point) {
	t.Helper()
	must(t, s.Upsert(t.Context(), model, ps))
}

func find(t testing.TB, s store.Vectors, q store.VectorQuery) []store.Hit {
	t.Helper()
	q.Model = model
	if q.Limit == 0 {
		q.Limit = 10
	}
	return get[[]store.Hit](t)(s.Search(t.Context(), q))
}

func byVector(workspace string, degrees float64) store.VectorQuery {
	return store.VectorQuery{Workspace: workspace, Mode: store.Vector, Vector: compass(degrees)}
}

func byWords(workspace, text string) store.VectorQuery {
	return store.VectorQuery{Workspace: workspace, Mode: store.Lexical, Text: text}
}

func found(hits []store.Hit) []string {
	var ids []string
	for _, h := range hits {
		ids = append(ids, h.MemoryID)
	}
	return ids
}

// roughly compares what floating point makes of scores.
func roughly(t testing.TB, what string, want, got []store.Hit) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-5), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("%s: -want +got:\n%s", what, d)
	}
}

func vectorsNearest(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	far := point(ws, "far", 80, "one")
	far.Version, far.Start, far.End, far.Fields.OccurredAt = 7, 5, 8, noon
	upsert(t, s, far, point(ws, "near", -10, "two"), point(ws, "behind", 135, ""), point(ws, "further behind", 180, ""))
	hit := func(id string, angle float64) store.Hit {
		return store.Hit{MemoryID: id, Version: 1, Score: max(0, cosine(angle)), Vector: new(cosine(angle))}
	}
	near, middle, behind, opposite := hit("near", 10), hit("far", 80), hit("behind", 135), hit("further behind", 180)
	near.End, middle.Version, middle.Start, middle.End, middle.OccurredAt = 3, 7, 5, 8, noon
	byWord := middle
	byWord.Score, byWord.Vector, byWord.Lexical = 1, nil, new(1.0)
	roughly(t, "by words", []store.Hit{byWord}, find(t, s, byWords(ws, "one")))
	roughly(t, "all", []store.Hit{near, middle, behind, opposite}, find(t, s, byVector(ws, 0)))
	q := byVector(ws, 0)
	q.Limit = 2
	roughly(t, "two", []store.Hit{near, middle}, find(t, s, q))
}

func vectorsLength(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	long, short, none := point(ws, "long", 30, ""), point(ws, "short", 20, ""), point(ws, "none", 0, "words only")
	for i := range long.Vector {
		long.Vector[i] *= 1000
		short.Vector[i] /= 1000
		none.Vector[i] = 0
	}
	upsert(t, s, long, short, none)
	q := byVector(ws, 0)
	q.Vector, q.Limit = []float32{50, 0, 0, 0}, 2
	got := find(t, s, q)
	want(t, "found", []string{"short", "long"}, found(got))
	if math.Abs(got[0].Score-cosine(20)) > 1e-5 {
		t.Errorf("the score is %v, want %v", got[0].Score, cosine(20))
	}
	want(t, "found by words", []string{"none"}, found(find(t, s, byWords(ws, "words"))))
}

func vectorsWords(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	both := point(ws, "both", 0, "The lion met the tin woodman.")
	both.Start, both.End = 100, 129
	upsert(t, s, both,
		point(ws, "one", 0, "A LION slept in the forest, far away from all the others."),
		point(ws, "none", 0, "Dorothy walked on."),
		point(ws, "empty", 0, ""))
	got := find(t, s, byWords(ws, "Which lion is a woodman?"))
	want(t, "found", []string{"both", "one"}, found(got))
	if got[0].Score != 1 || got[1].Score <= 0 || got[1].Score >= 1 {
		t.Errorf("scores are %v and %v, want 1 and less", got[0].Score, got[1].Score)
	}
	for _, h := range got {
		if h.Vector != nil || h.Lexical == nil || *h.Lexical != h.Score {
			t.Errorf("the parts of the score of %s are %v and %v, want none and %v", h.MemoryID, h.Vector, h.Lexical, h.Score)
		}
	}
	want(t, "passage", []int{100, 129}, []int{got[0].Start, got[0].End})
	want(t, "found by a word that is not there", []string{}, found(find(t, s, byWords(ws, "scarecrow"))))
}

func vectorsHybrid(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	near := point(ws, "near", 5, "nothing in common")
	both := point(ws, "both", 10, "the emerald city")
	words := point(ws, "words", 170, "emerald emerald emerald")
	upsert(t, s, near, both, words, point(ws, "neither", 90, "something else"))
	q := byVector(ws, 0)
	q.Mode, q.Text = store.Hybrid, "Emerald City"
	got := find(t, s, q)
	if found(got)[0] != "both" || len(got) != 4 {
		t.Errorf("found %v, want both first and all of them", found(got))
	}
	for _, h := range got {
		lexical := h.MemoryID == "both" || h.MemoryID == "words"
		if h.Vector == nil || (h.Lexical != nil) != lexical || h.Score <= 0 || h.Score > 1 {
			t.Errorf("the score of %s is %v of %v and %v", h.MemoryID, h.Score, h.Vector, h.Lexical)
		}
	}
	q.Limit = 50
	fused := store.Fusion{}.Fuse(find(t, s, byVector(ws, 0)), find(t, s, byWords(ws, q.Text)), 50)
	roughly(t, "fused", fused, find(t, s, q))
	q.Limit = 1
	roughly(t, "the best", fused[:1], find(t, s, q))
	q.Text, q.Limit = "words that nobody said", 2
	want(t, "without words", []string{"near", "both"}, found(find(t, s, q)))
}

func vectorsPassages(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	var ps []store.Point
	for i, angle := range []float64{70, 20, 40} {
		p := point(ws, "long", angle, []string{"of a wizard", "of a witch", "of a wizard and a wizard and nothing else than a wizard"}[i])
		p.Passage, p.Start, p.End = i, 100*i, 100*i+50
		ps = append(ps, p)
	}
	upsert(t, s, append(ps, point(ws, "short", 30, "one wizard, among many other words that make this less telling"))...)
	got := find(t, s, byVector(ws, 0))
	want(t, "found", []string{"long", "short"}, found(got))
	want(t, "passage by vector", []int{100, 150}, []int{got[0].Start, got[0].End})
	got = find(t, s, byWords(ws, "witch"))
	want(t, "found by words", []string{"long"}, found(got))
	want(t, "passage by words", []int{100, 150}, []int{got[0].Start, got[0].End})
	want(t, "found by many passages", []string{"long", "short"}, found(find(t, s, byWords(ws, "wizard"))))
}

func vectorsLimit(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	var ps []store.Point
	for i := range 700 { // all of them better than what follows
		p := point(ws, "long", float64(i)/100, "tornado")
		p.Passage = i
		ps = append(ps, p)
	}
	for i := range 5 {
		ps = append(ps, point(ws, fmt.Sprint("short", i), 30+float64(i), fmt.Sprint("a tornado among other words", i)))
	}
	upsert(t, s, ps...)
	wanted := []string{"long", "short0", "short1", "short2"}
	hybrid := byVector(ws, 0)
	hybrid.Mode, hybrid.Text = store.Hybrid, "tornado"
	for _, q := range []store.VectorQuery{byVector(ws, 0), byWords(ws, "tornado"), hybrid} {
		q.Limit = 4
		want(t, string(q.Mode), wanted, found(find(t, s, q)))
	}
}

func vectorsTies(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	var ps []store.Point
	for i := range 100 {
		ps = append(ps, point(ws, fmt.Sprintf("m%02d", (i*37)%100), 45, "the same words"))
	}
	upsert(t, s, ps...)
	hybrid := byVector(ws, 0)
	hybrid.Mode, hybrid.Text = store.Hybrid, "words"
	for _, q := range []store.VectorQuery{byVector(ws, 0), byWords(ws, "words"), hybrid} {
		q.Limit = 3
		want(t, string(q.Mode), []string{"m00", "m01", "m02"}, found(find(t, s, q)))
	}
}

func vectorsExclude(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 1, "word"), point(ws, "b", 2, "word"), point(ws, "c", 3, "word"))
	hybrid := byVector(ws, 0)
	hybrid.Mode, hybrid.Text = store.Hybrid, "word"
	for _, q := range []store.VectorQuery{byVector(ws, 0), byWords(ws, "word"), hybrid} {
		q.Exclude = []string{"a", "unknown"}
		want(t, string(q.Mode), []string{"b", "c"}, found(find(t, s, q)))
		q.Exclude = []string{"a", "b", "c"}
		want(t, string(q.Mode), []string{}, found(find(t, s, q)))
	}
}

func vectorsLater(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	old := []store.Point{point(ws, "a", 10, "yellow"), point(ws, "a", 20, "brick"), point(ws, "b", 60, "road")}
	old[1].Passage = 1
	old[0].Fields.Metadata = memory.Metadata{"colour": "yellow"}
	upsert(t, s, old...)
	later := point(ws, "a", 90, "silver shoes")
	later.Version, later.Fields.Metadata = 2, memory.Metadata{"metal": "silver"}
	upsert(t, s, later)
	got := find(t, s, byVector(ws, 0))
	want(t, "found", []string{"b", "a"}, found(got))
	if got[1].Version != 2 {
		t.Errorf("version %d was found, want 2", got[1].Version)
	}
	for _, word := range []string{"yellow", "brick"} {
		want(t, "found by "+word, []string{}, found(find(t, s, byWords(ws, word))))
	}
	want(t, "found by silver", []string{"a"}, found(find(t, s, byWords(ws, "silver"))))
	q := byVector(ws, 0)
	q.Filter = &store.Filter{Op: store.Exists, Field: "metadata.colour", Values: []any{true}}
	want(t, "found by the old label", []string{}, found(find(t, s, q)))

	first, second := point(ws, "c", 0, "first"), point(ws, "c", 0, "second")
	second.Version = 2
	upsert(t, s, second, first) // of one call the later version counts, wherever it is
	want(t, "found of two", []string{}, found(find(t, s, byWords(ws, "first"))))
	want(t, "found of two", []string{"c"}, found(find(t, s, byWords(ws, "second"))))
}

func vectorsOlder(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	now := point(ws, "a", 0, "now")
	now.Version = 3
	upsert(t, s, now)
	stale := point(ws, "a", 90, "stale")
	stale.Version = 2
	upsert(t, s, stale, point(ws, "b", 45, "another"))
	got := find(t, s, byVector(ws, 0))
	want(t, "found", []string{"a", "b"}, found(got))
	if got[0].Version != 3 {
		t.Errorf("version %d was found, want 3", got[0].Version)
	}
	want(t, "found by words", []string{}, found(find(t, s, byWords(ws, "stale"))))
}

func vectorsRepeat(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	ps := []store.Point{point(ws, "a", 10, "lion"), point(ws, "a", 30, "tiger"), point(ws, "b", 20, "lion and bear")}
	ps[1].Passage = 1
	upsert(t, s, ps...)
	hybrid := byVector(ws, 0)
	hybrid.Mode, hybrid.Text = store.Hybrid, "lion"
	queries := []store.VectorQuery{byVector(ws, 0), byWords(ws, "lion"), hybrid}
	var before [][]store.Hit
	for _, q := range queries {
		before = append(before, find(t, s, q))
	}
	for range 3 {
		upsert(t, s, ps...)
	}
	must(t, s.Upsert(t.Context(), model, nil))
	for i, q := range queries {
		want(t, string(q.Mode), before[i], find(t, s, q))
	}
}

func vectorsPresent(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	version := func(n int) store.Point {
		p := point(ws, "a", float64(n%90), "kansas")
		p.Version = n
		return p
	}
	upsert(t, s, version(1))
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for n := 2; n <= 40; n++ {
			if err := s.Upsert(t.Context(), model, []store.Point{version(n)}); err != nil {
				t.Error(err)
			}
		}
	})
	hybrid := byVector(ws, 0)
	hybrid.Mode, hybrid.Text = store.Hybrid, "kansas"
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		for _, q := range []store.VectorQuery{byVector(ws, 0), byWords(ws, "kansas"), hybrid} {
			if got := found(find(t, s, q)); len(got) != 1 {
				t.Errorf("%s search: found %v, want a", q.Mode, got)
			}
		}
	}
	wg.Wait()
}

func vectorsConcurrent(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			p := point(ws, fmt.Sprintf("m%02d", i), float64(i), "poppies")
			if err := s.Upsert(t.Context(), model, []store.Point{p}); err != nil {
				t.Error(err)
				return
			}
			q := byVector(ws, float64(i))
			q.Limit, q.Model = 1, model
			hits, err := s.Search(t.Context(), q)
			if err != nil || len(hits) != 1 || hits[0].MemoryID != p.MemoryID {
				t.Errorf("found %v, %v right after the upsert of %s", hits, err, p.MemoryID)
			}
		})
	}
	wg.Wait()
	for _, q := range []store.VectorQuery{byVector(ws, 0), byWords(ws, "poppies")} {
		q.Limit = 50
		if got := found(find(t, s, q)); len(got) != 20 {
			t.Errorf("%s search: found %d, want 20", q.Mode, len(got))
		}
	}
}

func vectorsDelete(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	must(t, s.Delete(t.Context(), ws, "a")) // before there is anything
	two := point(ws, "a", 10, "second passage")
	two.Passage = 1
	two.Fields.Metadata = memory.Metadata{"x": 1.0}
	upsert(t, s, point(ws, "a", 0, "first passage"), two, point(ws, "b", 0, "passage"), point(ws, "c", 0, "passage"))
	must(t, s.Delete(t.Context(), ws))
	must(t, s.Delete(t.Context(), ws, "a", "c", "unknown"))
	for _, q := range []store.VectorQuery{byVector(ws, 0), byWords(ws, "passage")} {
		want(t, string(q.Mode), []string{"b"}, found(find(t, s, q)))
	}
	must(t, s.Delete(t.Context(), ws, "a"))
	upsert(t, s, point(ws, "a", 5, "back again")) // also at a version that was there before
	want(t, "found", []string{"b", "a"}, found(find(t, s, byVector(ws, 0))))
	want(t, "found by words", []string{}, found(find(t, s, byWords(ws, "first"))))
}

func vectorsApart(t *testing.T, s store.Vectors) {
	ours, theirs := newWorkspace(), newWorkspace()
	upsert(t, s, point(ours, "a", 30, "ours"), point(theirs, "a", 0, "theirs and ours"), point(theirs, "b", 0, "theirs"))
	check := func() {
		t.Helper()
		roughly(t, "by vector", []store.Hit{{MemoryID: "a", Version: 1, End: 4, Score: cosine(30), Vector: new(cosine(30))}}, find(t, s, byVector(ours, 0)))
		roughly(t, "by words", []store.Hit{{MemoryID: "a", Version: 1, End: 4, Score: 1, Lexical: new(1.0)}}, find(t, s, byWords(ours, "ours theirs")))
	}
	check()
	want(t, "theirs by vector", []string{"a", "b"}, found(find(t, s, byVector(theirs, 0))))
	roughly(t, "theirs by words", []store.Hit{{MemoryID: "a", Version: 1, End: 15, Score: 1, Lexical: new(1.0)}}, find(t, s, byWords(theirs, "ours")))
	q := byVector(theirs, 0)
	q.Exclude = []string{"a"}
	want(t, "theirs without a", []string{"b"}, found(find(t, s, q)))
	must(t, s.Delete(t.Context(), theirs, "a", "b"))
	check()
	want(t, "deleted", []string{}, found(find(t, s, byVector(theirs, 0))))
}

func vectorsEmpty(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	check := func() {
		t.Helper()
		hybrid := byVector(ws, 0)
		hybrid.Mode, hybrid.Text = store.Hybrid, "words"
		for _, q := range []store.VectorQuery{byVector(ws, 0), byWords(ws, "words"), hybrid} {
			want(t, string(q.Mode), []store.Hit{}, find(t, s, q))
		}
	}
	check()
	upsert(t, s, point(newWorkspace(), "a", 0, "words"))
	check() // of a workspace that has nothing
}
