package storetest

import (
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Graph checks what [store.Graph] promises. open gives an empty store.
func Graph(t *testing.T, open func(testing.TB) store.Graph) {
	t.Helper()
	checks[store.Graph]{
		{"MergeAndDeleteDoWhatAModelDoes", graphModel},
		{"NodesAreFoundByAnyFormOfTheirName", graphNames},
		{"NodesComeInPages", graphPages},
		{"NeighboursAreWithinDepth", graphDepth},
		{"NeighboursAreTheNearest", graphNearest},
		{"ANodeShowsItsNewestSources", graphSources},
		{"OlderVersionsAreDropped", graphOlder},
		{"MergesAtTheSameTimeAreAllThere", graphConcurrent},
		{"WhatIsHeldIsListed", graphHeld},
		{"WorkspacesAreApart", graphApart},
		{"AnEmptyGraphAnswersNothing", graphEmpty},
	}.run(t, open)
}

func node(workspace, kind, name string) memory.Node {
	return memory.Node{ID: store.NodeID(workspace, kind, name), Type: kind, Name: name}
}

func mention(workspace, id string, version int, g memory.Graph) store.Mention {
	return store.Mention{Ref: memory.Ref{Workspace: workspace, ID: id, Version: version}, Graph: g}
}

// chain is a graph of persons, each of whom knows the next.
func chain(workspace string, names ...string) memory.Graph {
	var g memory.Graph
	for i, name := range names {
		g.Nodes = append(g.Nodes, node(workspace, "person", name))
		if i > 0 {
			g.Relationships = append(g.Relationships, memory.Relationship{From: g.Nodes[i-1].ID, Type: "KNOWS", To: g.Nodes[i].ID})
		}
	}
	return g
}

func merge(t testing.TB, s store.Graph, ms ...store.Mention) {
	t.Helper()
	must(t, s.Merge(t.Context(), ms))
}

func nodeNames(nodes []memory.Node) []string {
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return names
}

func nodesOf(t testing.TB, s store.Graph, q store.NodeQuery) []memory.Node {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	nodes, _, err := s.Nodes(t.Context(), q)
	must(t, err)
	return nodes
}

func neighbours(t testing.TB, s store.Graph, workspace, name string, depth, limit int) memory.Graph {
	t.Helper()
	return get[memory.Graph](t)(s.Neighbours(t.Context(), workspace, []string{store.NodeID(workspace, "person", name)}, depth, limit))
}

func graphModel(t *testing.T, s store.Graph) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newGraphModel()
		workspaces := []string{newWorkspace(), newWorkspace()}
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			ws := rapid.SampledFrom(workspaces).Draw(rt, "workspace")
			if rapid.IntRange(0, 2).Draw(rt, "step") == 0 {
				ids := rapid.SliceOfN(someMemoryID, 0, 3).Draw(rt, "delete")
				if err := s.Delete(t.Context(), ws, ids...); err != nil {
					rt.Fatal(err)
				}
				m.delete(ws, ids)
			} else {
				ms := rapid.SliceOfN(someMention(workspaces), 0, 6).Draw(rt, "merge")
				if err := s.Merge(t.Context(), ms); err != nil {
					rt.Fatal(err)
				}
				m.merge(ms)
			}
			m.check(rt, t.Context(), s, ws)
		}
	})
}

func graphNames(t *testing.T, s store.Graph) {
	ws := newWorkspace()
	lion, city := node(ws, "Animal", "The Cowardly Lion"), node(ws, "Place", "Emerald City")
	toy := node(ws, "Toy", "cowardly lion")
	merge(t, s, mention(ws, "m1", 1, memory.Graph{Nodes: []memory.Node{lion, city}}), mention(ws, "m2", 1, memory.Graph{Nodes: []memory.Node{toy, city}}))
	for _, c := range []struct {
		name, kind string
		want       []string
	}{
		{"", "", []string{"Emerald City", "", ""}},
		{"cowardly lion", "", []string{"", ""}},
		{"  the COWARDLY   lion. ", "animal", []string{"The Cowardly Lion"}},
		{"cowardly lion", "toy", []string{"cowardly lion"}},
		{"", " PLACE", []string{"Emerald City"}},
		{"Çowardly_líon’s", "toy", []string{"cowardly lion"}},
		{"emerald-city", "", []string{"Emerald City"}},
		{"lion", "", nil},
		{"cowardly lion", "place", nil},
	} {
		got := nodeNames(nodesOf(t, s, store.NodeQuery{Workspace: ws, Name: c.name, Type: c.kind}))
		if len(got) != len(c.want) {
			t.Errorf("%q of type %q: found %v", c.name, c.kind, got)
			continue
		}
		for i := range c.want {
			if c.want[i] != "" && c.want[i] != got[i] {
				t.Errorf("%q of type %q: found %v, want %v", c.name, c.kind, got, c.want)
			}
		}
	}
}

func graphPages(t *testing.T, s store.Graph) {
	ws := newWorkspace()
	for i := range 7 { // person 0 is in seven memories, person 6 in one
		var names []string
		for j := 0; j <= 6-i; j++ {
			names = append(names, fmt.Sprint("person ", j))
		}
		merge(t, s, mention(ws, fmt.Sprint("m", i), 1, chain(ws, names...)))
	}
	all := nodesOf(t, s, store.NodeQuery{Workspace: ws})
	want(t, "all", []string{"person 0", "person 1", "person 2", "person 3", "person 4", "person 5", "person 6"}, nodeNames(all))
	for _, q := range []store.NodeQuery{{Limit: 1}, {Limit: 3}, {Limit: 7}, {Limit: 3, Type: "Person"}} {
		q.Workspace = ws
		var got []memory.Node
		for range all {
			page, next, err := s.Nodes(t.Context(), q)
			must(t, err)
			if len(page) > q.Limit {
				t.Fatalf("a page of %d, want %d at most", len(page), q.Limit)
			}
			got = append(got, page...)
			if q.Cursor = next; next == "" {
				break
			}
		}
		want(t, fmt.Sprint("in pages of ", q.Limit), all, got)
	}
	_, _, err := s.Nodes(t.Context(), store.NodeQuery{Workspace: ws, Limit: 1, Cursor: "no cursor"})
	wantCode(t, err, memory.CodeInvalid)
}

func graphDepth(t *testing.T, s store.Graph) {
	ws := newWorkspace()
	merge(t, s, mention(ws, "m1", 1, chain(ws, "a", "b", "c", "d", "e")))
	for depth, names := range [][]string{1: {"c", "b", "d"}, 2: {"c", "b", "d", "a", "e"}, 3: {"c", "b", "d", "a", "e"}} {
		if depth == 0 {
			continue
		}
		g := neighbours(t, s, ws, "c", depth, 100)
		got := nodeNames(g.Nodes)
		if len(got) != len(names) || got[0] != "c" {
			t.Errorf("depth %d: found %v, want %v", depth, got, names)
		}
		if len(g.Relationships) != len(names)-1 {
			t.Errorf("depth %d: %d relationships, want those between the nodes, %d", depth, len(g.Relationships), len(names)-1)
		}
	}
	from := []string{store.NodeID(ws, "person", "a"), "nod_unknown", store.NodeID(ws, "person", "e")}
	g := get[memory.Graph](t)(s.Neighbours(t.Context(), ws, from, 1, 100))
	if got := nodeNames(g.Nodes); len(got) != 4 {
		t.Errorf("around a and e: found %v, want a, b, d and e", got)
	}
}

func graphNearest(t *testing.T, s store.Graph) {
	ws := newWorkspace()
	for i := range 5 { // each friend has friends, the later ones are mentioned more often
		for j := 0; j <= i; j++ {
			merge(t, s, mention(ws, fmt.Sprintf("m%d.%d", i, j), 1, chain(ws, "hub", fmt.Sprint("friend ", i), fmt.Sprint("their friend ", i))))
		}
	}
	want(t, "four", []string{"hub", "friend 4", "friend 3", "friend 2"}, nodeNames(neighbours(t, s, ws, "hub", 3, 4).Nodes))
	g := neighbours(t, s, ws, "hub", 3, 7)
	want(t, "seven", []string{"hub", "friend 4", "friend 3", "friend 2", "friend 1", "friend 0", "their friend 4"}, nodeNames(g.Nodes))
	if len(g.Relationships) != 6 {
		t.Errorf("%d relationships, want the 6 between the nodes", len(g.Relationships))
	}
	want(t, "one", []string{"hub"}, nodeNames(neighbours(t, s, ws, "hub", 3, 1).Nodes))
}

func graphSources(t *testing.T, s store.Graph) {
	ws := newWorkspace()
	var ms []store.Mention
	var newest []string
	for i := range store.MaxSources + 20 {
		g := chain(ws, "hub", "other")
		g.Nodes[0].Properties = map[string]string{"latest": fmt.Sprint(i)}
		g.Relationships[0].Properties = map[string]string{"latest": fmt.Sprint(i)}
		if i < 20 {
			g.Nodes[0].Name, g.Nodes[0].Properties["old"] = "HUB", "forgotten"
		}
		m := mention(ws, fmt.Sprintf("m%03d", i), 1, g)
		ms = append(ms, m)
		newest = append([]string{m.Ref.ID}, newest...)
	}
	merge(t, s, ms...)
	newest = newest[:store.MaxSources]
	properties := map[string]string{"latest": fmt.Sprint(len(ms) - 1)}
	g := neighbours(t, s, ws, "hub", 1, 10)
	hub, other := g.Nodes[0], g.Nodes[1]
	if hub.Name != "hub" {
		hub, other = other, hub
	}
	want(t, "hub", memory.Node{ID: store.NodeID(ws, "person", "hub"), Type: "person", Name: "hub", Properties: properties, MemoryIDs: newest}, hub)
	want(t, "relationship", []memory.Relationship{{From: hub.ID, Type: "KNOWS", To: other.ID, Properties: properties, MemoryIDs: newest}}, g.Relationships)
	want(t, "hub, found by name", []memory.Node{hub}, nodesOf(t, s, store.NodeQuery{Workspace: ws, Name: "hub"}))
}

func graphOlder(t *testing.T, s store.Graph) {
	ws := newWorkspace()
	merge(t, s, mention(ws, "m1", 2, chain(ws, "a", "b")))
	merge(t, s, mention(ws, "m1", 1, chain(ws, "stale")))
	if got := nodeNames(nodesOf(t, s, store.NodeQuery{Workspace: ws})); len(got) != 2 {
		t.Errorf("found %v, want a and b", got)
	}
	merge(t, s, mention(ws, "m1", 3, memory.Graph{})) // says nothing, and that is what counts
	merge(t, s, mention(ws, "m1", 2, chain(ws, "a", "b")))
	want(t, "nodes", []memory.Node{}, nodesOf(t, s, store.NodeQuery{Workspace: ws}))
}

func graphConcurrent(t *testing.T, s store.Graph) {
	ws := newWorkspace()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			m := mention(ws, fmt.Sprintf("m%02d", i), 1, chain(ws, "hub", fmt.Sprint("spoke ", i)))
			for range 2 {
				if err := s.Merge(t.Context(), []store.Mention{m}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	g := neighbours(t, s, ws, "hub", 1, 100)
	if len(g.Nodes) != 21 || len(g.Relationships) != 20 || len(g.Nodes[0].MemoryIDs) != 20 {
		t.Errorf("%d nodes, %d relationships and %d sources of the hub, want 21, 20 and 20", len(g.Nodes), len(g.Relationships), len(g.Nodes[0].MemoryIDs))
	}
}

func graphApart(t *testing.T, s store.Graph) {
	ours, theirs := newWorkspace(), newWorkspace()
	g := chain(ours, "a", "b")
	merge(t, s, mention(ours, "m1", 1, g))
	merge(t, s, mention(theirs, "m1", 5, chain(theirs, "a", "c")))
	want(t, "their neighbours of our node", memory.Graph{}, get[memory.Graph](t)(s.Neighbours(t.Context(), theirs, []string{g.Nodes[0].ID}, 3, 10)))
	must(t, s.Delete(t.Context(), theirs, "m1"))
	if got := nodesOf(t, s, store.NodeQuery{Workspace: ours}); len(got) != 2 {
		t.Errorf("our nodes: %v", got)
	}
	want(t, "their nodes", []memory.Node{}, nodesOf(t, s, store.NodeQuery{Workspace: theirs}))
	want(t, "what their memories support", []memory.Node{}, get[[]memory.Node](t)(s.Of(t.Context(), theirs, "m1")))
}

func graphEmpty(t *testing.T, s store.Graph) {
	ws := newWorkspace()
	must(t, s.Merge(t.Context(), nil))
	must(t, s.Delete(t.Context(), ws))
	must(t, s.Delete(t.Context(), ws, "m1"))
	want(t, "nodes", []memory.Node{}, nodesOf(t, s, store.NodeQuery{Workspace: ws}))
	want(t, "nodes of a memory", []memory.Node{}, get[[]memory.Node](t)(s.Of(t.Context(), ws, "m1")))
	want(t, "nodes of no memory", []memory.Node{}, get[[]memory.Node](t)(s.Of(t.Context(), ws)))
	want(t, "neighbours", memory.Graph{}, neighbours(t, s, ws, "a", 3, 10))
	want(t, "neighbours of none", memory.Graph{}, get[memory.Graph](t)(s.Neighbours(t.Context(), ws, nil, 1, 10)))
}
