package neo4jstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// A reading asks several things in one transaction. Neo4j reads what is committed at the time of each: what vanishes
// between two of them is left out of the answer.
type reading struct{ tx }

func (s *Store) snapshot(ctx context.Context, read func(reading) error) error {
	_, err := s.read(ctx, func(t tx) ([]*neo4j.Record, error) { return nil, read(reading{t}) })
	return err
}

// ranked is a node that was found, before its sources are read. Its rank is the number of memories that support it, below
// zero, so that the most supported come first in an index.
type ranked struct {
	id   string
	rank int
}

func idsOf(nodes []ranked) []string {
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.id
	}
	return ids
}

func idsOfNodes(nodes []memory.Node) []string {
	ids := make([]string, len(nodes))
	for i, n := range nodes {
		ids[i] = n.ID
	}
	return ids
}

// ranked runs a statement for ids and ranks.
func (r reading) ranked(statement string, params map[string]any) ([]ranked, error) {
	found, err := r.run(statement, params)
	var out []ranked
	for _, f := range found {
		out = append(out, ranked{text(f, "id"), number(f, "rank")})
	}
	return out, err
}

// around returns up to limit nodes within depth relationships of the start, the nearest first.
func (r reading) around(workspace string, start []string, depth, limit int) ([]string, error) {
	found, err := r.ranked(entitiesByID, map[string]any{"workspace": workspace, "ids": start, "limit": limit})
	seen := idsOf(found)
	for edge := seen; err == nil && depth > 0 && len(edge) > 0 && len(seen) < limit; depth-- {
		found, err = r.ranked(adjacent, map[string]any{"workspace": workspace, "edge": edge, "seen": seen, "limit": limit - len(seen)})
		edge = idsOf(found)
		seen = append(seen, edge...)
	}
	return seen, err
}

// nodes returns the nodes of the ids as their newest sources show them, in the order of the ids.
func (r reading) nodes(workspace string, ids []string) ([]memory.Node, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := r.run(entitySources, map[string]any{"workspace": workspace, "ids": ids, "most": store.MaxSources})
	if err != nil {
		return nil, err
	}
	sources := make([]store.NodeSource, len(found))
	at := make(map[string]int, len(ids))
	for i, id := range ids {
		at[id] = i
	}
	for i, f := range found {
		sources[i] = store.NodeSource{Node: text(f, "entity"), MemoryID: text(f, "memory"), Type: text(f, "type"), Name: text(f, "name"), Properties: text(f, "properties")}
	}
	slices.SortFunc(sources, func(a, b store.NodeSource) int {
		return cmp.Or(cmp.Compare(at[a.Node], at[b.Node]), cmp.Compare(b.MemoryID, a.MemoryID))
	})
	return store.NodesOf(sources)
}

// relationships returns those between the nodes of the ids, as their newest sources show them.
func (r reading) relationships(workspace string, ids []string) ([]memory.Relationship, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := r.run(relatedSources, map[string]any{"workspace": workspace, "ids": ids, "most": store.MaxSources})
	if err != nil {
		return nil, err
	}
	sources := make([]store.RelationshipSource, len(found))
	for i, f := range found {
		sources[i] = store.RelationshipSource{From: text(f, "from"), Type: text(f, "type"), To: text(f, "to"), MemoryID: text(f, "memory"), Properties: text(f, "properties")}
	}
	slices.SortFunc(sources, func(a, b store.RelationshipSource) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Type, b.Type), cmp.Compare(a.To, b.To), cmp.Compare(b.MemoryID, a.MemoryID))
	})
	return store.RelationshipsOf(sources)
}

// text is a value that the statement gives as a string.
func text(r *neo4j.Record, name string) string {
	v, _ := r.Get(name)
	return v.(string)
}

// number is a value that the statement gives as an integer.
func number(r *neo4j.Record, name string) int {
	v, _ := r.Get(name)
	return int(v.(int64))
}
