//go:build e2e

package qdrantstore

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/qdrantstore/qdranttest"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestVectorsOnTheEngine runs the suite against Qdrant's own engine: its filters, searches, fusion, IDF and conditional
// upserts rather than ours.
func TestVectorsOnTheEngine(t *testing.T) {
	t.Parallel()
	address := testservers.QdrantEngine(t)
	storetest.Vectors(t, func(tb testing.TB) store.Vectors { return openNew(tb, address).Vectors() })
}

// TestTheServerForTestsAnswersAsTheEngine stores the same points in both, and compares what searches find, scores and all.
func TestTheServerForTestsAnswersAsTheEngine(t *testing.T) {
	t.Parallel()
	m := store.Model{ID: "random", Dimensions: 16}
	ours, theirs := openNew(t, serve(t, qdranttest.Config{})).Vectors(), openNew(t, testservers.QdrantEngine(t)).Vectors()
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		page := somePoints(r, m, 40)
		for name, s := range map[string]store.Vectors{"ours": ours, "theirs": theirs} {
			if err := s.Upsert(t.Context(), m, page); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	found := 0
	for i := range 300 {
		q := someQuery(r, m)
		want, err := theirs.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ours.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-4), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("query %d, %s %q with %+v: -engine +ours:\n%s", i, q.Mode, q.Text, q.Filter, d)
		}
		found += len(want)
	}
	if found < 1000 {
		t.Errorf("all queries together found %d memories: too few to say anything", found)
	}
}

func someWords(r *rand.Rand, n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = fmt.Sprintf("word%d", int(40*r.Float64()*r.Float64()))
	}
	return strings.Join(words, " ")
}

func someVector(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// somePoints makes points of three workspaces: of memories with several versions and up to three passages.
func somePoints(r *rand.Rand, m store.Model, n int) []store.Point {
	var out []store.Point
	for range n {
		id, version := r.IntN(300), 1+r.IntN(2)
		p := store.Point{
			Workspace: fmt.Sprint("w", id%3), MemoryID: fmt.Sprintf("m%03d", id), Version: version,
			Fields: store.Fields{
				CreatedAt: time.UnixMilli(int64(1000 * id)), OccurredAt: time.UnixMilli(int64(500 * id)),
				Metadata: memory.Metadata{"n": float64(id % 7), "s": someWords(r, 1), "b": id%2 == 0},
			},
		}
		for passage := range 1 + max(0, id%5-2) {
			p.Passage, p.Start, p.End = passage, 10*passage, 10*passage+9
			p.Text, p.Vector = someWords(r, 1+r.IntN(12)), someVector(r, m.Dimensions)
			out = append(out, p)
		}
	}
	return out
}

func someQuery(r *rand.Rand, m store.Model) store.VectorQuery {
	q := store.VectorQuery{
		Workspace: fmt.Sprint("w", r.IntN(3)), Mode: []store.Mode{store.Vector, store.Lexical, store.Hybrid}[r.IntN(3)], Model: m,
		Vector: someVector(r, m.Dimensions), Text: someWords(r, 1+r.IntN(4)), Limit: 1 + r.IntN(15),
	}
	switch r.IntN(5) {
	case 0:
		q.Filter = &store.Filter{Op: store.Lte, Field: "metadata.n", Values: []any{float64(r.IntN(7))}}
	case 1:
		q.Filter = &store.Filter{Op: store.Gt, Field: "metadata.s", Values: []any{someWords(r, 1)}}
	case 2:
		q.Filter = &store.Filter{Op: store.Ne, Field: "metadata.b", Values: []any{true}}
	}
	return q
}
