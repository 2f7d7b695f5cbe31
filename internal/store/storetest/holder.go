package storetest

import (
	"fmt"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// version is one version of a memory.
type version struct {
	id string
	n  int
}

// held reads all pages and adds the parts up; what holds no part counts as not there.
func held(t testing.TB, s store.Holder, q store.HeldQuery) map[version]int {
	t.Helper()
	all := map[version]int{}
	for n := 0; ; n++ {
		page, next, err := s.Held(t.Context(), q)
		must(t, err)
		for _, h := range page {
			if h.Parts > 0 {
				all[version{h.MemoryID, h.Version}] += h.Parts
			}
		}
		if next == "" {
			return all
		}
		if n > 1000 {
			t.Fatal("the pages have no end")
		}
		q.Cursor = next
	}
}

func vectorsHeld(t *testing.T, s store.Vectors) {
	ours, theirs := newWorkspace(), newWorkspace()
	all := store.HeldQuery{Workspace: ours, Limit: 3}
	want(t, "held by an empty store", map[version]int{}, held(t, s, all))
	expected := map[version]int{}
	for i := range 11 {
		p := point(ours, fmt.Sprintf("m%02d", i), float64(i), "text")
		p.Version = i + 1
		second := p
		second.Passage = 1
		upsert(t, s, p, second)
		expected[version{p.MemoryID, p.Version}] = 2
	}
	upsert(t, s, point(theirs, "m00", 0, "text"))
	want(t, "held", expected, held(t, s, all))

	next := point(ours, "m03", 0, "text")
	next.Version = 9
	upsert(t, s, next)
	must(t, s.Delete(t.Context(), ours, "m00"))
	delete(expected, version{"m03", 4})
	delete(expected, version{"m00", 1})
	expected[version{"m03", 9}] = 1
	want(t, "held after a new version and a deletion", expected, held(t, s, all))

	some := store.HeldQuery{Workspace: ours, MemoryIDs: []string{"m00", "m03", "m10", "unknown"}, Limit: 1}
	want(t, "held of some", map[version]int{{"m03", 9}: 1, {"m10", 11}: 2}, held(t, s, some))
	want(t, "held of another workspace", map[version]int{{"m00", 1}: 1}, held(t, s, store.HeldQuery{Workspace: theirs, Limit: 10}))
}

func graphHeld(t *testing.T, s store.Graph) {
	ours, theirs := newWorkspace(), newWorkspace()
	all := store.HeldQuery{Workspace: ours, Limit: 3}
	want(t, "held by an empty store", map[version]int{}, held(t, s, all))
	expected := map[version]int{}
	for i := range 11 {
		m := mention(ours, fmt.Sprintf("m%02d", i), i+1, chain(ours, "a", "b", fmt.Sprint(i)))
		merge(t, s, m)
		expected[version{m.Ref.ID, m.Ref.Version}] = 5 // three nodes, two relationships
	}
	merge(t, s, mention(theirs, "m00", 1, chain(theirs, "a")), mention(theirs, "m01", 1, memory.Graph{}))
	want(t, "held", expected, held(t, s, all))

	merge(t, s, mention(ours, "m03", 9, chain(ours, "a")))
	must(t, s.Delete(t.Context(), ours, "m00"))
	delete(expected, version{"m03", 4})
	delete(expected, version{"m00", 1})
	expected[version{"m03", 9}] = 1
	want(t, "held after a new version and a deletion", expected, held(t, s, all))

	some := store.HeldQuery{Workspace: ours, MemoryIDs: []string{"m00", "m03", "m10", "unknown"}, Limit: 1}
	want(t, "held of some", map[version]int{{"m03", 9}: 1, {"m10", 11}: 5}, held(t, s, some))
	want(t, "held of another workspace", map[version]int{{"m00", 1}: 1}, held(t, s, store.HeldQuery{Workspace: theirs, Limit: 10}))
}
