package sqlitestore

import (
	"fmt"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// near is a vector that has something of the other.
func (l *library) near(v []float32) []float32 {
	out := l.vector()
	for i := range out {
		out[i] = 0.7*out[i] + v[i]
	}
	return out
}

// families makes n memories, of which each ten are near each other.
func (l *library) families(n int) []store.Point {
	var out []store.Point
	var head []float32
	for len(out) < n {
		page := l.page("w")
		for i := range page {
			if len(out)%10 == 0 {
				head = page[i].Vector
			}
			page[i].Vector = l.near(head)
			out = append(out, page[i])
		}
	}
	return out[:n]
}

// TestNearestMissesLittle compares with the exact search, in a workspace of far more points than are compared exactly.
func TestNearestMissesLittle(t *testing.T) {
	t.Parallel()
	v, l := openNew(t).Vectors(), newLibrary()
	points := l.families(4000)
	if err := v.Upsert(t.Context(), benchModel, points); err != nil {
		t.Fatal(err)
	}
	var qs []store.VectorQuery
	for i := range 64 {
		qs = append(qs, store.VectorQuery{Workspace: "w", Mode: store.Vector, Model: benchModel, Vector: points[i*61].Vector, Limit: 10})
	}
	got, err := v.Nearest(t.Context(), qs)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i, q := range qs {
		want, err := v.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if got[i][0].MemoryID != want[0].MemoryID {
			t.Errorf("query %d: the nearest is %s, want %s", i, got[i][0].MemoryID, want[0].MemoryID)
		}
		in := map[string]bool{}
		for _, h := range want {
			in[h.MemoryID] = true
		}
		for _, h := range got[i] {
			if in[h.MemoryID] {
				found++
			}
		}
	}
	if share := float64(found) / float64(10*len(qs)); share < 0.95 {
		t.Errorf("of the 10 nearest, %.3f are found, want 0.95", share)
	}
}

// TestSketchesKeepUp: what was deleted does not crowd out what is there, and sketches stay within their bound.
func TestSketchesKeepUp(t *testing.T) {
	t.Parallel()
	s, l := openNew(t), newLibrary()
	v := s.Vectors()
	s.sketches.bound = 1 // one at a time
	points := l.families(3000)
	ask := func(workspace string, vector []float32) []store.Hit {
		t.Helper()
		got, err := v.Nearest(t.Context(), []store.VectorQuery{{Workspace: workspace, Mode: store.Vector, Model: benchModel, Vector: vector, Limit: 5}})
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	for _, workspace := range []string{"w", "v", "w"} {
		for i := range points {
			points[i].Workspace = workspace
		}
		if err := v.Upsert(t.Context(), benchModel, points); err != nil {
			t.Fatal(err)
		}
		if got := ask(workspace, points[10].Vector); got[0].MemoryID != points[10].MemoryID {
			t.Errorf("in %s the nearest is %s", workspace, got[0].MemoryID)
		}
		if n := len(s.sketches.kept); n != 1 {
			t.Errorf("%d sketches are kept, want 1", n)
		}
	}
	var ids []string
	for _, p := range points[:2900] {
		ids = append(ids, p.MemoryID)
	}
	if err := v.Delete(t.Context(), "w", ids...); err != nil {
		t.Fatal(err)
	}
	if got := ask("w", points[10].Vector); len(got) != 5 {
		t.Errorf("after deletions %d are found, want 5", len(got))
	}
}

// BenchmarkNearest searches for a page of memories, at once and one by one.
func BenchmarkNearest(b *testing.B) {
	for _, n := range []int{1_000, 20_000} {
		v, l := openNew(b).Vectors(), newLibrary()
		points := l.families(n)
		for i := 0; i < n; i += store.PageSize {
			if err := v.Upsert(b.Context(), benchModel, points[i:min(n, i+store.PageSize)]); err != nil {
				b.Fatal(err)
			}
		}
		qs := make([]store.VectorQuery, store.PageSize)
		for i := range qs {
			qs[i] = store.VectorQuery{Workspace: "w", Mode: store.Vector, Model: benchModel, Vector: points[i*7].Vector, Limit: 5}
		}
		var page, single float64
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := v.Nearest(b.Context(), qs); err != nil {
					b.Fatal(err)
				}
			}
			page = float64(b.Elapsed()) / float64(b.N)
		})
		b.Run(fmt.Sprint(n, "/one-by-one"), func(b *testing.B) {
			for b.Loop() {
				for _, q := range qs {
					if _, err := v.Search(b.Context(), q); err != nil {
						b.Fatal(err)
					}
				}
			}
			single = float64(b.Elapsed()) / float64(b.N)
			b.ReportMetric(single/page, "times-page")
		})
	}
}
