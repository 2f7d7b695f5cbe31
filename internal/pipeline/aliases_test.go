package pipeline

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/local"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestMayBeAlias(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"NASA", "National Aeronautics and Space Administration", true},
		{"N.A.S.A.", "National Aeronautics and Space Administration", true},
		{"NYC", "New York City", true},
		{"USA", "United States of America", true},
		{"IBM Corp.", "IBM", true},
		{"Acme, Inc.", "ACME", true},
		{"Smith, John", "John Smith", true},
		{"University of Kansas", "Kansas University", true},

		{"John Smith", "Jane Smith", false},
		{"John Smith", "Smith", false},
		{"John Smith", "John", false},
		{"John Smith", "John Smith Jr.", false},
		{"Mr Smith", "Mrs Smith", false},
		{"Paul Simon", "Simon Paul", false},
		{"Marie Curie", "Maria Curie", false},
		{"Daniel Stern", "Daniela Stern", false},
		{"Wicked Witch of the West", "Wicked Witch of the East", false},
		{"University of California", "University of California, Berkeley", false},
		{"Henry VIII", "Henry VII", false},
		{"Apollo 11", "Apollo 12", false},
		{"Dorothy", "Dorothy Gale", false},
		{"EU", "European Union", false}, // two letters stand for too much
		{"nasa", "National Aeronautics and Space Administration", false},
		{"Anna", "Alaska Natives Nursing Association", false}, // not in capitals
		{"Inc.", "Ltd.", false},
		{"tech company", "tech", false},
		{"", "", false},
	} {
		for _, names := range [][2]string{{row.a, row.b}, {row.b, row.a}} {
			if got := mayBeAlias(names[0], names[1]); got != row.want {
				t.Errorf("%q and %q: %v", names[0], names[1], got)
			}
		}
	}
}

// script answers each content with its graph.
type script struct {
	llm.Extractor
	graphs map[string][]llm.Node
}

func (s script) Graph(_ context.Context, q llm.Question) (llm.Graph, error) {
	return llm.Graph{Nodes: s.graphs[q.Content], Usage: llm.Usage{Model: "script", Tokens: 7}}, nil
}

// away fails where something is embedded.
type away struct{ llm.Embedder }

func (away) Embed(context.Context, []string) (llm.Vectors, error) {
	return llm.Vectors{}, memory.Wrap(memory.CodeUnavailable, errors.New("refused"), "the embedding model is away")
}

func aliasRig(t *testing.T, embedder llm.Embedder, graphs map[string][]llm.Node) (*Pipeline, *sqlitestore.Store) {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), sqlitestore.Config{Synchronous: "OFF"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if embedder == nil {
		if embedder, err = local.NewEmbedder(); err != nil {
			t.Fatal(err)
		}
	}
	return New(Parts{
		Extractor: script{graphs: graphs}, Embedder: embedder, Graph: s.Graph(), Memories: s.Memories(), Workspaces: s.Workspaces(),
	}, Config{}), s
}

// tell runs generate_schema and update_relationships for a memory, to which the others named are related.
func tell(t *testing.T, p *Pipeline, id, content string, related ...string) Result {
	t.Helper()
	d := memory.Draft{Memory: memory.Memory{ID: id, Workspace: "w", Version: 1, Content: content}}
	for _, r := range related {
		d.Memory.Related = append(d.Memory.Related, memory.Related{ID: r, Score: 0.9})
	}
	r := p.schema(t.Context(), d)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	d.Apply(r.Output)
	if rs := p.relationships(t.Context(), []memory.Draft{d}); rs[0].Err != nil {
		t.Fatal(rs[0].Err)
	}
	return r
}

func nodes(t *testing.T, s *sqlitestore.Store) map[string][]string {
	t.Helper()
	found, _, err := s.Graph().Nodes(t.Context(), store.NodeQuery{Workspace: "w", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, n := range found {
		out[n.Type+" "+n.Name] = n.MemoryIDs
	}
	return out
}

func place(names ...string) (out []llm.Node) {
	for _, n := range names {
		out = append(out, llm.Node{Type: "Place", Name: n})
	}
	return out
}

func TestAliases(t *testing.T) {
	t.Parallel()
	graphs := map[string][]llm.Node{
		"long": place("New York City"), "short": place("NYC", "Kansas"), "other type": {{Type: "Club", Name: "NYC"}},
		"acm": place("Academy of Country Music"), "ACM": place("ACM"),
		"john": {{Type: "Person", Name: "John Smith"}}, "jane": {{Type: "Person", Name: "Jane Smith"}}, "turned": {{Type: "Person", Name: "Smith, John"}},
	}
	for name, row := range map[string]struct {
		tell []string // contents; each memory is related to those before it
		want map[string][]string
	}{
		"InitialsTakeTheNameThatIsThere":         {list("long", "short"), map[string][]string{"Place New York City": list("mem_1", "mem_0"), "Place Kansas": list("mem_1")}},
		"TheFirstNameStays":                      {list("short", "long"), map[string][]string{"Place NYC": list("mem_1", "mem_0"), "Place Kansas": list("mem_0")}},
		"TypesAreApart":                          {list("long", "other type"), map[string][]string{"Place New York City": list("mem_0"), "Club NYC": list("mem_1")}},
		"InitialsThatMeanSomethingElseStayApart": {list("acm", "ACM"), map[string][]string{"Place Academy of Country Music": list("mem_0"), "Place ACM": list("mem_1")}},
		"JohnIsNotJane":                          {list("john", "jane"), map[string][]string{"Person John Smith": list("mem_0"), "Person Jane Smith": list("mem_1")}},
		"ACommaTurnsAName":                       {list("john", "jane", "turned"), map[string][]string{"Person John Smith": list("mem_2", "mem_0"), "Person Jane Smith": list("mem_1")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := aliasRig(t, nil, graphs)
			var before []string
			for i, content := range row.tell {
				id := "mem_" + string(rune('0'+i))
				first := tell(t, p, id, content, before...)
				if again := tell(t, p, id, content, before...); cmp.Diff(first.Output, again.Output) != "" {
					t.Errorf("%s the second time:\n%s", content, cmp.Diff(first.Output, again.Output))
				}
				before = append(before, id)
			}
			if diff := cmp.Diff(row.want, nodes(t, s)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	t.Run("TheMemorysOwnWordIsKept", func(t *testing.T) {
		t.Parallel()
		p, _ := aliasRig(t, nil, graphs)
		tell(t, p, "mem_0", "long")
		got := tell(t, p, "mem_1", "short", "mem_0").Output.Graph.Nodes[0]
		want := memory.Node{ID: store.NodeID("w", "Place", "New York City"), Type: "Place", Name: "New York City", Properties: map[string]string{"alias": "NYC"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("WhatIsDeletedLeavesTheRest", func(t *testing.T) {
		t.Parallel()
		p, s := aliasRig(t, nil, graphs)
		tell(t, p, "mem_0", "long")
		tell(t, p, "mem_1", "short", "mem_0")
		if err := s.Graph().Delete(t.Context(), "w", "mem_0"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string][]string{"Place New York City": list("mem_1"), "Place Kansas": list("mem_1")}, nodes(t, s)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if err := s.Graph().Delete(t.Context(), "w", "mem_1"); err != nil {
			t.Fatal(err)
		}
		if left := nodes(t, s); len(left) != 0 {
			t.Errorf("left %v", left)
		}
	})
	t.Run("WithoutAnEmbeddingModelTheAnswerStaysAndSaysSo", func(t *testing.T) {
		t.Parallel()
		p, s := aliasRig(t, away{}, graphs)
		tell(t, p, "mem_0", "long")
		r := tell(t, p, "mem_1", "short", "mem_0")
		if !strings.Contains(r.Usage.Notice, "were not compared") || r.Usage.Tokens != 7 || len(nodes(t, s)) != 3 {
			t.Errorf("usage %+v, nodes %v", r.Usage, nodes(t, s))
		}
	})
}

func list(s ...string) []string { return s }
