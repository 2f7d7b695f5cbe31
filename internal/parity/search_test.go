package parity

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/qdrantstore"
	"github.com/switchyard-ai/switchyard/internal/store/qdrantstore/qdranttest"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestSearchesFindTheSame stores the same passages in the embedded store and in Qdrant, and compares what searches of every
// mode find: the same memories in the same order with the same scores, up to the rounding of what is nearly equal.
func TestSearchesFindTheSame(t *testing.T) {
	t.Parallel()
	m := store.Model{ID: "random", Dimensions: 32}
	embedded, qdrant := openSQLite(t), openQdrant(t)
	r := rand.New(rand.NewPCG(3, 4))
	var page []store.Point
	for i := range 900 {
		page = append(page, passages(r, m, i)...)
	}
	for _, s := range []store.Vectors{embedded, qdrant} {
		if err := s.Upsert(t.Context(), m, page); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for i := range 200 {
		q := store.VectorQuery{
			Workspace: fmt.Sprint("w", i%3), Mode: []store.Mode{store.Vector, store.Lexical, store.Hybrid}[r.IntN(3)],
			Model: m, Vector: direction(r, m), Text: words(r, 2+r.IntN(5)), Limit: 10,
		}
		if r.IntN(2) == 0 {
			q.Filter = &store.Filter{Op: store.Gte, Field: "metadata.n", Values: []any{float64(r.IntN(10))}}
		}
		want, err := embedded.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := qdrant.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-4), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s %q with %+v: -embedded +Qdrant:\n%s", q.Mode, q.Text, q.Filter, d)
		}
		found += len(want)
	}
	if found < 1500 {
		t.Errorf("all searches together found %d memories: too few to say anything", found)
	}
}

func openSQLite(t *testing.T) store.Vectors {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "switchyard.db"), sqlitestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Vectors()
}

func openQdrant(t *testing.T) store.Vectors {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		t.Fatal(err)
	}
	server, err := qdranttest.New(qdranttest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s, err := qdrantstore.Open(t.Context(), qdrantstore.Config{Address: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Vectors()
}

// passages are those of one memory: mostly one.
func passages(r *rand.Rand, m store.Model, i int) []store.Point {
	var out []store.Point
	for n := range max(1, i%9-5) {
		out = append(out, store.Point{
			Workspace: fmt.Sprint("w", i%3), MemoryID: fmt.Sprintf("m%04d", i), Version: 1, Passage: n, Start: 10 * n, End: 10*n + 9,
			Text: words(r, 3+r.IntN(20)), Vector: direction(r, m),
			Fields: store.Fields{CreatedAt: time.UnixMilli(int64(i)), Metadata: memory.Metadata{"n": float64(i % 10)}},
		})
	}
	return out
}

func words(r *rand.Rand, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("word%d", int(300*r.Float64()*r.Float64()))
	}
	return strings.Join(out, " ")
}

func direction(r *rand.Rand, m store.Model) []float32 {
	v := make([]float32, m.Dimensions)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}
