package sqlitestore

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// texts stores one memory for each text, named by it, and returns a search by words.
func texts(tb testing.TB, s *Store, texts ...string) func(tb testing.TB, query string) []string {
	tb.Helper()
	m := store.Model{ID: "flat", Dimensions: 1}
	var ps []store.Point
	for _, text := range texts {
		ps = append(ps, store.Point{Workspace: "w", MemoryID: text, Version: 1, Text: text, Vector: []float32{1}})
	}
	if err := s.Vectors().Upsert(tb.Context(), m, ps); err != nil {
		tb.Fatal(err)
	}
	return func(tb testing.TB, query string) []string {
		tb.Helper()
		hits, err := s.Vectors().Search(tb.Context(), store.VectorQuery{Workspace: "w", Mode: store.Lexical, Text: query, Limit: 100})
		if err != nil {
			tb.Fatalf("%q: %v", query, err)
		}
		var ids []string
		for _, h := range hits {
			ids = append(ids, h.MemoryID)
		}
		slices.Sort(ids)
		return ids
	}
}

func TestWordsAreFoundInTheirForms(t *testing.T) {
	t.Parallel()
	find := texts(t, openNew(t), "She painted a sunrise", "painting classes", "Café Zürich", "cafes", "dogs’ home", "the who", "don't")
	for query, want := range map[string][]string{
		"paint":             {"She painted a sunrise", "painting classes"},
		"PAINTS!":           {"She painted a sunrise", "painting classes"},
		"cafe":              {"Café Zürich", "cafes"},
		"zurich":            {"Café Zürich"},
		"a dog's life":      {"dogs’ home"},
		"what is painted?":  {"She painted a sunrise", "painting classes"},
		"the":               {"the who"}, // a stop word is searched for where there is nothing else
		"the who":           {"the who"},
		"who is the artist": nil,
		"":                  nil,
		"?!":                nil,
	} {
		if d := cmp.Diff(want, find(t, query)); d != "" {
			t.Errorf("%q: -want +got:\n%s", query, d)
		}
	}
}

// FuzzSearchByWords: whatever is searched for, the answer is no error; and a text is found by itself, if it has a word.
func FuzzSearchByWords(f *testing.F) {
	for _, text := range storetest.StrangeTexts() {
		f.Add(text)
	}
	s := openNew(f)
	find := texts(f, s, "any text at all")
	f.Fuzz(func(t *testing.T, text string) {
		find(t, text)
	})
}

// TestFiltersOfAnySize: what ParseFilter lets through is answered, or refused with a code.
func TestFiltersOfAnySize(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	texts(t, s, "word")
	leaf := store.Filter{Op: store.Not, Args: []store.Filter{{Op: store.Eq, Field: "metadata.a", Values: []any{"x"}}}}
	wide := func(op store.Op, n int, arg store.Filter) store.Filter {
		return store.Filter{Op: op, Args: slices.Repeat([]store.Filter{arg}, n)}
	}
	deep := leaf
	for range 8 {
		deep = store.Filter{Op: store.Not, Args: []store.Filter{{Op: store.Or, Args: []store.Filter{deep, leaf}}}}
	}
	many := store.Filter{Op: store.In, Field: "metadata.a", Values: slices.Repeat([]any{"x"}, 100)}
	for name, c := range map[string]struct {
		filter store.Filter
		code   memory.Code
	}{
		"deep":            {deep, ""},
		"wide":            {wide(store.And, 2000, leaf), ""},
		"deep and wide":   {wide(store.Or, 100, wide(store.And, 20, leaf)), ""},
		"too many values": {wide(store.And, 200, many), memory.CodeInvalid},
	} {
		_, err := s.Vectors().Search(t.Context(), store.VectorQuery{Workspace: "w", Mode: store.Lexical, Text: "word", Filter: &c.filter, Limit: 1})
		if memory.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want code %q", name, err, c.code)
		}
	}
}

// TestNothingIsLeftBehind: when all memories are deleted, only the workspaces' numbers and the model are there.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	l := newLibrary()
	page, mentions := l.page("w"), l.mentions("w")
	var ids []string
	for i := range page {
		ids = append(ids, page[i].MemoryID, mentions[i].Ref.ID)
	}
	for range 2 {
		second := slices.Clone(page)
		for i := range second {
			second[i].Passage = 1
		}
		if err := errors.Join(s.Vectors().Upsert(t.Context(), benchModel, slices.Concat(page, second)), s.Graph().Merge(t.Context(), mentions)); err != nil {
			t.Fatal(err)
		}
		for i := range page {
			page[i].Version++
			mentions[i].Ref.Version++
		}
	}
	check := func(empty bool) {
		t.Helper()
		for _, table := range []string{"search_memories", "search_labels", "search_points", "search_terms",
			"graph_memories", "graph_nodes", "graph_node_sources", "graph_relationships", "graph_relationship_sources"} {
			var n int
			if err := s.queryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || (n == 0) != empty {
				t.Errorf("%s has %d rows, %v", table, n, err)
			}
		}
		var points int
		if err := s.queryRow(t.Context(), "SELECT sum(points) FROM search_workspaces").Scan(&points); err != nil || (points == 0) != empty {
			t.Errorf("the workspaces count %d points, %v", points, err)
		}
	}
	check(false)
	if err := errors.Join(s.Vectors().Delete(t.Context(), "w", ids...), s.Graph().Delete(t.Context(), "w", ids...)); err != nil {
		t.Fatal(err)
	}
	check(true)
}

func TestMover(t *testing.T) {
	t.Parallel()
	storetest.Mover(t, func(tb testing.TB) storetest.Movable { return vectors{openNew(tb)} })
}
