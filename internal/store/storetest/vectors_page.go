package storetest

import (
	"fmt"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// vectorsPage holds Nearest against Search, while what is stored changes.
func vectorsPage(t *testing.T, s store.Vectors) {
	here, there := newWorkspace(), newWorkspace()
	want(t, "of an empty store", [][]store.Hit{nil}, nearest(t, s, byVector(here, 0)))
	var ps []store.Point
	for i := range 20 {
		ps = append(ps, point(here, fmt.Sprint("m", i), 17.31*float64(i), ""), point(there, fmt.Sprint("o", i), 11.47*float64(i), ""))
	}
	second := point(here, "m3", 200, "")
	second.Passage = 1
	upsert(t, s, append(ps, second)...)
	var qs []store.VectorQuery
	for i := range 10 {
		q := byVector([]string{here, there}[i%2], 31.73*float64(i))
		q.Limit = 1 + i
		if i > 4 {
			q.Exclude = []string{"m1", "m2", "o3"}
		}
		qs = append(qs, q)
	}
	same := func(when string) {
		t.Helper()
		answers := nearest(t, s, qs...)
		for i, q := range qs {
			roughly(t, fmt.Sprint(when, ", query ", i), find(t, s, q), answers[i])
		}
	}
	same("at first")
	later := point(here, "m5", 30, "")
	later.Version = 2
	upsert(t, s, later, point(here, "new", 31, ""))
	same("after changes")
	must(t, s.Delete(t.Context(), here, "m0", "m7", "new"))
	same("after deletions")
	q := byVector(here, 0)
	q.Model, q.Limit = store.Model{ID: "another", Dimensions: 4}, 1
	_, err := s.Nearest(t.Context(), []store.VectorQuery{q})
	wantCode(t, err, memory.CodeModelMismatch)
}

func nearest(t testing.TB, s store.Vectors, qs ...store.VectorQuery) [][]store.Hit {
	t.Helper()
	for i := range qs {
		qs[i].Model, qs[i].Limit = model, max(qs[i].Limit, 1)
	}
	return get[[][]store.Hit](t)(s.Nearest(t.Context(), qs))
}
