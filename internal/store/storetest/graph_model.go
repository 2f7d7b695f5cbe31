package storetest

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// graphState is the plainest thing that keeps the promises of [store.Graph]: what each memory says, and everything else
// worked out anew for each question.
type graphState struct {
	says map[string]map[string]store.Mention // by workspace and memory
}

func newGraphModel() *graphState { return &graphState{map[string]map[string]store.Mention{}} }

func (s *graphState) merge(ms []store.Mention) {
	for _, m := range ms {
		of := s.says[m.Ref.Workspace]
		if of == nil {
			of = map[string]store.Mention{}
			s.says[m.Ref.Workspace] = of
		}
		if of[m.Ref.ID].Ref.Version <= m.Ref.Version {
			of[m.Ref.ID] = m
		}
	}
}

func (s *graphState) delete(workspace string, ids []string) {
	for _, id := range ids {
		delete(s.says[workspace], id)
	}
}

// edge is what makes a relationship the same.
type edge struct{ from, kind, to string }

// world is what the memories of a workspace say together.
type world struct {
	nodes map[string]memory.Node
	edges map[edge]memory.Relationship
}

func (s *graphState) world(workspace string) world {
	w := world{map[string]memory.Node{}, map[edge]memory.Relationship{}}
	types, names := map[string]map[string]int{}, map[string]map[string]int{}
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(s.says[workspace]))) { // the newest first
		said := s.says[workspace][id].Graph
		own := map[string]bool{}
		for _, n := range said.Nodes {
			if own[n.ID] {
				continue
			}
			own[n.ID] = true
			all := w.nodes[n.ID]
			all.ID = n.ID
			all.Type, all.Name = count(types, n.ID, n.Type), count(names, n.ID, n.Name)
			all.MemoryIDs = append(all.MemoryIDs, id)
			all.Properties = under(all.Properties, n.Properties)
			w.nodes[n.ID] = all
		}
		joined := map[edge]bool{}
		for _, r := range said.Relationships {
			e := edge{r.From, r.Type, r.To}
			if !own[r.From] || !own[r.To] || joined[e] {
				continue
			}
			joined[e] = true
			all := w.edges[e]
			all.From, all.Type, all.To = r.From, r.Type, r.To
			all.MemoryIDs = append(all.MemoryIDs, id)
			all.Properties = under(all.Properties, r.Properties)
			w.edges[e] = all
		}
	}
	return w
}

// count counts a form of a name of the node and returns the one that is used most, ties alphabetical.
func count(forms map[string]map[string]int, id, form string) string {
	if forms[id] == nil {
		forms[id] = map[string]int{}
	}
	forms[id][form]++
	return slices.MaxFunc(slices.Collect(maps.Keys(forms[id])), func(a, b string) int {
		return cmp.Or(cmp.Compare(forms[id][a], forms[id][b]), cmp.Compare(b, a))
	})
}

// under returns the properties with those of an older memory below them.
func under(properties, older map[string]string) map[string]string {
	out := maps.Clone(older)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, properties)
	return out
}

// list returns the nodes that hold, most supported first.
func (w world) list(holds func(memory.Node) bool) []memory.Node {
	var out []memory.Node
	for _, n := range w.nodes {
		if holds(n) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b memory.Node) int {
		return cmp.Or(cmp.Compare(len(b.MemoryIDs), len(a.MemoryIDs)), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func (w world) neighbours(start []string, depth, limit int) memory.Graph {
	seen := map[string]bool{}
	var g memory.Graph
	next := w.list(func(n memory.Node) bool { return slices.Contains(start, n.ID) })
	for level := 0; level <= depth; level++ {
		for _, n := range next {
			seen[n.ID] = true
		}
		g.Nodes = append(g.Nodes, next...)
		next = w.list(func(n memory.Node) bool {
			return !seen[n.ID] && slices.ContainsFunc(slices.Collect(maps.Keys(w.edges)), func(e edge) bool {
				return e.from == n.ID && seen[e.to] || e.to == n.ID && seen[e.from]
			})
		})
	}
	g.Nodes = g.Nodes[:min(limit, len(g.Nodes))]
	shown := func(id string) bool {
		return slices.ContainsFunc(g.Nodes, func(n memory.Node) bool { return n.ID == id })
	}
	for e, r := range w.edges {
		if shown(e.from) && shown(e.to) {
			g.Relationships = append(g.Relationships, r)
		}
	}
	return g
}

// check asks the store everything that the model knows.
func (s *graphState) check(t *rapid.T, ctx context.Context, g store.Graph, workspace string) {
	w := s.world(workspace)
	ask := func(what string, want []memory.Node, got []memory.Node, err error) {
		if d := diff(want, got); d != "" || err != nil {
			t.Fatalf("%s: %v -want +got:\n%s", what, err, d)
		}
	}
	all := w.list(func(memory.Node) bool { return true })
	got, next, err := g.Nodes(ctx, store.NodeQuery{Workspace: workspace, Limit: 100})
	ask("nodes"+next, all, got, err)

	kind, name := someType.Draw(t, "type"), someName.Draw(t, "name")
	got, _, err = g.Nodes(ctx, store.NodeQuery{Workspace: workspace, Type: kind, Name: name, Limit: 100})
	ask("nodes by name", w.list(func(n memory.Node) bool { return n.ID == store.NodeID(workspace, kind, name) }), got, err)

	ids := rapid.SliceOfN(someMemoryID, 0, 3).Draw(t, "ids")
	got, err = g.Of(ctx, workspace, ids...)
	ask("nodes of memories", w.list(func(n memory.Node) bool {
		return slices.ContainsFunc(n.MemoryIDs, func(id string) bool { return slices.Contains(ids, id) })
	}), got, err)

	start := []string{store.NodeID(workspace, kind, name), "nod_unknown"}
	if len(all) > 0 {
		start = append(start, rapid.SampledFrom(all).Draw(t, "start").ID)
	}
	depth, limit := rapid.IntRange(1, 3).Draw(t, "depth"), rapid.IntRange(1, 8).Draw(t, "limit")
	want := w.neighbours(start, depth, limit)
	answer, err := g.Neighbours(ctx, workspace, start, depth, limit)
	ask("neighbours", want.Nodes, answer.Nodes, err)
	if d := diff(sorted(want.Relationships), sorted(answer.Relationships)); d != "" {
		t.Fatalf("relationships between neighbours: -want +got:\n%s", d)
	}
}

func sorted(rs []memory.Relationship) []memory.Relationship {
	return slices.SortedFunc(slices.Values(rs), func(a, b memory.Relationship) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Type, b.Type), cmp.Compare(a.To, b.To))
	})
}

var (
	someMemoryID   = rapid.SampledFrom([]string{"m1", "m2", "m3", "m4", "m5", "m10"})
	someType       = rapid.SampledFrom([]string{"person", "Person", "animal"})
	someName       = rapid.SampledFrom([]string{"Dorothy", "dorothy", "The Dorothy", "DOROTHY", "Toto", "toto’s", "Oz", "Lion"})
	someProperties = rapid.MapOfN(rapid.SampledFrom([]string{"k1", "k2", `k"3`}), rapid.SampledFrom([]string{"", "1", "2", "é'\""}), 0, 2)
)

func someMention(workspaces []string) *rapid.Generator[store.Mention] {
	return rapid.Custom(func(t *rapid.T) store.Mention {
		ws := rapid.SampledFrom(workspaces).Draw(t, "workspace")
		m := mention(ws, someMemoryID.Draw(t, "memory"), rapid.IntRange(1, 4).Draw(t, "version"), memory.Graph{})
		anyNode := rapid.Custom(func(t *rapid.T) memory.Node {
			n := node(ws, someType.Draw(t, "type"), someName.Draw(t, "name"))
			n.Properties = someProperties.Draw(t, "properties")
			return n
		})
		m.Graph.Nodes = rapid.SliceOfN(anyNode, 0, 5).Draw(t, "nodes")
		m.Graph.Relationships = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) memory.Relationship {
			return memory.Relationship{
				From: anyNode.Draw(t, "from").ID, Type: rapid.SampledFrom([]string{"KNOWS", "OWNS"}).Draw(t, "type"), To: anyNode.Draw(t, "to").ID,
				Properties: someProperties.Draw(t, "properties"),
			}
		}), 0, 5).Draw(t, "relationships")
		return m
	})
}
