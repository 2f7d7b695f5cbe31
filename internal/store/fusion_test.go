package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/switchyard-ai/switchyard/internal/store"
)

func TestFuse(t *testing.T) {
	t.Parallel()
	vector := []store.Hit{
		{MemoryID: "a", Version: 1, Start: 0, End: 9, Vector: new(0.9)},
		{MemoryID: "b", Version: 1, Start: 10, End: 19, Vector: new(0.8)},
		{MemoryID: "c", Version: 1, Start: 20, End: 29, Vector: new(0.7)},
	}
	lexical := []store.Hit{
		{MemoryID: "c", Version: 2, Start: 1, End: 2, Lexical: new(1.0)},
		{MemoryID: "b", Version: 2, Start: 3, End: 4, Lexical: new(0.5)},
		{MemoryID: "d", Version: 1, Start: 5, End: 6, Lexical: new(0.1)},
	}
	both := func(i, j float64) float64 { return (1/(5+i) + 1/(5+j)) / (2.0 / 6) }
	want := []store.Hit{
		{MemoryID: "c", Version: 2, Start: 1, End: 2, Score: both(3, 1), Vector: new(0.7), Lexical: new(1.0)},
		{MemoryID: "b", Version: 1, Start: 10, End: 19, Score: both(2, 2), Vector: new(0.8), Lexical: new(0.5)},
		{MemoryID: "a", Version: 1, Start: 0, End: 9, Score: 0.5, Vector: new(0.9)},
		{MemoryID: "d", Version: 1, Start: 5, End: 6, Score: 6.0 / 8 / 2, Lexical: new(0.1)},
	}
	got := store.Fusion{}.Fuse(vector, lexical, 10)
	if d := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if d := cmp.Diff(want[:2], store.Fusion{}.Fuse(vector, lexical, 2), cmpopts.EquateApprox(0, 1e-12)); d != "" {
		t.Errorf("limit 2: -want +got:\n%s", d)
	}
	if vector[2].Lexical != nil || vector[2].Version != 1 {
		t.Error("the arguments were changed")
	}
}

func TestTiesShareARank(t *testing.T) {
	t.Parallel()
	hits := func(ids ...string) (out []store.Hit) {
		for _, id := range ids {
			out = append(out, store.Hit{MemoryID: id, Vector: new(0.5), Lexical: new(0.5)})
		}
		return out
	}
	for _, order := range [][]store.Hit{hits("a", "b", "c"), hits("c", "a", "b")} {
		for _, h := range (store.Fusion{}).Fuse(order, order, 10) {
			if h.Score != 1 {
				t.Errorf("%s scores %v, want 1 as the others that are as good", h.MemoryID, h.Score)
			}
		}
	}
}

// TestNoScoreHangsOnAnID fuses lists whose ends divide memories that are equally good, in either order of these.
func TestNoScoreHangsOnAnID(t *testing.T) {
	t.Parallel()
	const limit = 10
	depth := store.Fusion{}.Depth(limit)
	list := func(tie int, ids ...string) (out []store.Hit) { // from place tie on all are equally good; ids are the last
		for i := range depth - len(ids) {
			out = append(out, store.Hit{MemoryID: fmt.Sprintf("m%03d", i), Vector: new(1 - float64(min(i, tie))/100), Lexical: new(1 - float64(min(i, tie))/100)})
		}
		for _, id := range ids {
			out = append(out, store.Hit{MemoryID: id, Vector: new(1 - float64(tie)/100), Lexical: new(1 - float64(tie)/100)})
		}
		return out
	}
	fuse := func(vector []store.Hit) map[string]float64 {
		scores := map[string]float64{}
		for _, h := range (store.Fusion{}).Fuse(vector, []store.Hit{{MemoryID: "x", Lexical: new(1.0)}, {MemoryID: "y", Lexical: new(1.0)}}, limit) {
			scores[h.MemoryID] = h.Score
		}
		return scores
	}
	if x, y := fuse(list(depth-4, "x", "y")), fuse(list(depth-4, "y", "x")); x["x"] != x["y"] || cmp.Diff(x, y) != "" {
		t.Errorf("where the cut falls between x and y they score %v, and %v", x, y)
	}
	if got := fuse(list(3, "y", "x")); len(got) != limit {
		t.Errorf("where nearly all are equally good, %d are left, want %d", len(got), limit)
	}
	kept := fuse(list(depth-2, "y", "x")) // the cut falls before both, so neither is among the fused
	if kept["x"] != kept["y"] {
		t.Errorf("x and y score %v", kept)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	var list []store.Hit
	for _, score := range []float64{9, 8, 7, 7 + 1e-9, 7, 6} {
		list = append(list, store.Hit{Score: score})
	}
	for _, c := range []struct{ n, least, want int }{{6, 1, 6}, {9, 1, 6}, {5, 1, 5}, {4, 1, 2}, {3, 1, 2}, {3, 2, 2}, {3, 3, 3}, {2, 1, 2}, {1, 1, 1}} {
		if got := len(store.Cut(list, c.n, c.least, func(h store.Hit) *float64 { return &h.Score })); got != c.want {
			t.Errorf("cut to %d, at least %d: %d are left, want %d", c.n, c.least, got, c.want)
		}
	}
}

func TestFuseWeights(t *testing.T) {
	t.Parallel()
	a, b := []store.Hit{{MemoryID: "a"}}, []store.Hit{{MemoryID: "b"}}
	first := func(f store.Fusion) string { return f.Fuse(a, b, 1)[0].MemoryID }
	if got := first(store.Fusion{Vector: 2}); got != "a" {
		t.Errorf("vectors weigh more, but %s is first", got)
	}
	if got := first(store.Fusion{Lexical: 2}); got != "b" {
		t.Errorf("words weigh more, but %s is first", got)
	}
	if got := first(store.Fusion{}); got != "a" {
		t.Errorf("a tie goes to %s, want the lower id", got)
	}
}

func TestFuseHolds(t *testing.T) {
	t.Parallel()
	list := rapid.Custom(func(t *rapid.T) []store.Hit {
		ids := rapid.SliceOfNDistinct(rapid.IntRange(0, 20), 0, 12, rapid.ID[int]).Draw(t, "ids")
		var out []store.Hit
		for _, id := range ids {
			out = append(out, store.Hit{MemoryID: fmt.Sprintf("m%02d", id)})
		}
		return out
	})
	rapid.Check(t, func(t *rapid.T) {
		f := store.Fusion{
			K:       rapid.Float64Range(0.1, 100).Draw(t, "k"),
			Vector:  rapid.Float64Range(0.1, 10).Draw(t, "vector"),
			Lexical: rapid.Float64Range(0.1, 10).Draw(t, "lexical"),
		}
		v, l := list.Draw(t, "v"), list.Draw(t, "l")
		got := f.Fuse(v, l, 100)
		union := map[string]bool{}
		for _, h := range slices.Concat(v, l) {
			union[h.MemoryID] = true
		}
		if len(got) != len(union) {
			t.Fatalf("%d memories of %d", len(got), len(union))
		}
		if !slices.IsSortedFunc(got, store.BestFirst) {
			t.Fatalf("not in order: %v", got)
		}
		for _, h := range got {
			if h.Score <= 0 || h.Score > 1+1e-12 {
				t.Fatalf("score %v of %s is outside 0 to 1", h.Score, h.MemoryID)
			}
		}
		if len(v) > 0 && len(l) > 0 && v[0].MemoryID == l[0].MemoryID && got[0].Score < 1-1e-12 {
			t.Fatalf("the first of both lists scores %v, want 1", got[0].Score)
		}
	})
}
