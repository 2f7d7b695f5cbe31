package neo4jstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Graph gives the nodes and relationships that memories speak of.
func (s *Store) Graph() store.Graph { return graph{s} }

type graph struct{ s *Store }

var _ store.Graph = graph{}

// Merge implements [store.Graph].
func (g graph) Merge(ctx context.Context, ms []store.Mention) error {
	ms = newest(ms)
	if len(ms) == 0 {
		return nil
	}
	return g.s.write(ctx, func(t tx) error {
		if err := t.lock(workspacesOf(ms)); err != nil {
			return err
		}
		current, err := t.current(ms)
		if err != nil || len(current) == 0 {
			return err
		}
		return t.replace(current)
	})
}

// newest are the mentions that count where a memory has several: the highest version, the last of those.
func newest(ms []store.Mention) []store.Mention {
	type key struct{ workspace, id string }
	at := map[key]int{}
	var out []store.Mention
	for _, m := range ms {
		k := key{m.Ref.Workspace, m.Ref.ID}
		i, again := at[k]
		switch {
		case !again:
			at[k] = len(out)
			out = append(out, m)
		case out[i].Ref.Version <= m.Ref.Version:
			out[i] = m
		}
	}
	return out
}

func workspacesOf(ms []store.Mention) []string {
	var out []string
	for _, m := range ms {
		out = append(out, m.Ref.Workspace)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lock makes other transactions that write to the workspaces wait until this one is over. All take the locks in the same
// order.
func (t tx) lock(workspaces []string) error {
	_, err := t.run(lockWorkspaces, map[string]any{"workspaces": workspaces})
	return err
}

// current leaves out the mentions of versions older than what is stored.
func (t tx) current(ms []store.Mention) ([]store.Mention, error) {
	found, err := t.run(storedVersions, map[string]any{"memories": memoryRows(ms)})
	if err != nil {
		return nil, err
	}
	older := map[memory.Ref]bool{}
	for _, r := range found {
		i, version := number(r, "i"), number(r, "version")
		older[ms[i].Ref] = version > ms[i].Ref.Version
	}
	return slices.DeleteFunc(slices.Clone(ms), func(m store.Mention) bool { return older[m.Ref] }), nil
}

// replace makes the memories say what is given, and nothing else.
func (t tx) replace(ms []store.Mention) error {
	p := pageOf(ms)
	memories := map[string]any{"memories": memoryRows(ms)}
	for _, step := range []struct {
		statement string
		params    map[string]any
	}{
		{withdrawRelated, memories},
		{withdrawEntities, memories},
		{putMemories, memories},
		{supportEntities, map[string]any{"entities": p.entities}},
		{makeRelated, map[string]any{"related": p.related}},
		{supportRelated, map[string]any{"states": p.states}},
	} {
		if _, err := t.run(step.statement, step.params); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements [store.Graph].
func (g graph) Delete(ctx context.Context, workspace string, memoryIDs ...string) error {
	if len(memoryIDs) == 0 {
		return nil
	}
	var ms []store.Mention
	for _, id := range memoryIDs {
		ms = append(ms, store.Mention{Ref: memory.Ref{Workspace: workspace, ID: id}})
	}
	memories := map[string]any{"memories": memoryRows(newest(ms))}
	return g.s.write(ctx, func(t tx) error {
		if err := t.lock([]string{workspace}); err != nil {
			return err
		}
		for _, statement := range []string{withdrawRelated, withdrawEntities, deleteMemories} {
			if _, err := t.run(statement, memories); err != nil {
				return err
			}
		}
		return nil
	})
}

// Nodes implements [store.Graph].
func (g graph) Nodes(ctx context.Context, q store.NodeQuery) (nodes []memory.Node, next string, err error) {
	params := map[string]any{
		"workspace": q.Workspace, "name": indexed(store.NormalName(q.Name)), "type": indexed(store.NormalName(q.Type)),
		"rank": -1 << 62, "id": "", "limit": q.Limit + 1,
	}
	if q.Cursor != "" {
		var support int
		var id string
		if err := store.DecodeCursor(q.Cursor, &support, &id); err != nil {
			return nil, "", err
		}
		params["rank"], params["id"] = -support, id
	}
	err = g.s.snapshot(ctx, func(r reading) error {
		found, err := r.ranked(listStatement(q), params)
		if err != nil {
			return err
		}
		next = ""
		if len(found) > q.Limit {
			found = found[:q.Limit]
			last := found[q.Limit-1]
			next = store.EncodeCursor(-last.rank, last.id)
		}
		nodes, err = r.nodes(q.Workspace, idsOf(found))
		return err
	})
	return nodes, next, err
}

// listStatement chooses the statement whose index serves.
func listStatement(q store.NodeQuery) string {
	switch {
	case q.Name != "" && q.Type != "":
		return listNamedAndTyped
	case q.Name != "":
		return listNamed
	case q.Type != "":
		return listTyped
	}
	return listAll
}

// Of implements [store.Graph].
func (g graph) Of(ctx context.Context, workspace string, memoryIDs ...string) (nodes []memory.Node, err error) {
	err = g.s.snapshot(ctx, func(r reading) error {
		found, err := r.ranked(entitiesOfMemories, map[string]any{"workspace": workspace, "memories": memoryIDs})
		if err != nil {
			return err
		}
		nodes, err = r.nodes(workspace, idsOf(found))
		return err
	})
	return nodes, err
}

// Neighbours implements [store.Graph]. It goes outwards one relationship at a time and stops as soon as it has enough: the
// paths to a node, of which there are very many around hubs, are never walked.
func (g graph) Neighbours(ctx context.Context, workspace string, start []string, depth, limit int) (out memory.Graph, err error) {
	err = g.s.snapshot(ctx, func(r reading) error {
		seen, err := r.around(workspace, start, depth, limit)
		if err != nil {
			return err
		}
		if out.Nodes, err = r.nodes(workspace, seen); err != nil {
			return err
		}
		out.Relationships, err = r.relationships(workspace, idsOfNodes(out.Nodes))
		return err
	})
	return out, err
}

// Held implements [store.Graph].
func (g graph) Held(ctx context.Context, q store.HeldQuery) (out []store.Holding, next string, err error) {
	params := map[string]any{"workspace": q.Workspace, "after": "", "limit": q.Limit + 1, "ids": q.MemoryIDs}
	if q.Cursor != "" {
		var last string
		if err := store.DecodeCursor(q.Cursor, &last); err != nil {
			return nil, "", err
		}
		params["after"] = last
	}
	statement := heldByAll
	if len(q.MemoryIDs) > 0 {
		statement = heldBySome
	}
	found, err := g.s.read(ctx, func(t tx) ([]*neo4j.Record, error) { return t.run(statement, params) })
	for _, r := range found {
		out = append(out, store.Holding{MemoryID: text(r, "id"), Version: number(r, "version"), Parts: number(r, "parts")})
	}
	slices.SortFunc(out, func(a, b store.Holding) int { return cmp.Compare(a.MemoryID, b.MemoryID) })
	if len(out) > q.Limit {
		out = out[:q.Limit]
		next = store.EncodeCursor(out[q.Limit-1].MemoryID)
	}
	return out, next, err
}
