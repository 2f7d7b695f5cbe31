package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Graph gives the nodes and relationships that memories speak of.
func (s *Store) Graph() store.Graph { return graph{s} }

// What is stored is what each memory says. Triggers keep the nodes and relationships that follow from it.
type graph struct{ s *Store }

var _ store.Graph = graph{}

// Merge implements [store.Graph].
func (g graph) Merge(ctx context.Context, ms []store.Mention) error {
	if len(ms) == 0 {
		return nil
	}
	return g.s.write(ctx, func(t *tx) error {
		for i := range ms {
			if err := mention(t, &ms[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func mention(t *tx, m *store.Mention) error {
	var version int
	err := t.queryRow("SELECT version FROM graph_memories WHERE workspace = ? AND memory_id = ?", m.Ref.Workspace, m.Ref.ID).Scan(&version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) || version > m.Ref.Version {
		return err
	}
	if err := withdraw(t, m.Ref.Workspace, m.Ref.ID); err != nil {
		return err
	}
	if _, err := t.exec("INSERT INTO graph_memories (workspace, memory_id, version) VALUES (?, ?, ?)", m.Ref.Workspace, m.Ref.ID, m.Ref.Version); err != nil {
		return err
	}
	known := make(map[string]bool, len(m.Graph.Nodes))
	for _, n := range m.Graph.Nodes {
		known[n.ID] = true
		if err := supportNode(t, m.Ref, n); err != nil {
			return err
		}
	}
	for _, r := range m.Graph.Relationships {
		if !known[r.From] || !known[r.To] {
			continue
		}
		if err := supportRelationship(t, m.Ref, r); err != nil {
			return err
		}
	}
	return nil
}

// withdraw removes what a memory says, and with it what nobody else says. Left alone, SQLite would read through the
// workspace by the primary key.
func withdraw(t *tx, workspace, memoryID string) error {
	for _, text := range []string{
		"DELETE FROM graph_relationship_sources INDEXED BY graph_relationship_sources_memories WHERE workspace = ? AND memory_id = ?",
		"DELETE FROM graph_node_sources INDEXED BY graph_node_sources_memories WHERE workspace = ? AND memory_id = ?",
		"DELETE FROM graph_memories WHERE workspace = ? AND memory_id = ?",
	} {
		if _, err := t.exec(text, workspace, memoryID); err != nil {
			return err
		}
	}
	return nil
}

// supportNode, as supportRelationship, says OR IGNORE for the reason that the triggers' comment gives.
func supportNode(t *tx, by memory.Ref, n memory.Node) error {
	_, err := t.exec("INSERT OR IGNORE INTO graph_nodes (workspace, id, type, name, support) VALUES (?, ?, ?, ?, 0)",
		by.Workspace, n.ID, store.NormalName(n.Type), store.NormalName(n.Name))
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT OR IGNORE INTO graph_node_sources (workspace, node, memory_id, type, name, properties) VALUES (?, ?, ?, ?, ?, ?)", by.Workspace, n.ID, by.ID, n.Type, n.Name, jsonOf(n.Properties))
	return err
}

func supportRelationship(t *tx, by memory.Ref, r memory.Relationship) error {
	_, err := t.exec("INSERT OR IGNORE INTO graph_relationships (workspace, from_node, to_node, type, support) VALUES (?, ?, ?, ?, 0)",
		by.Workspace, r.From, r.To, r.Type)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT OR IGNORE INTO graph_relationship_sources (workspace, from_node, to_node, type, memory_id, properties) VALUES (?, ?, ?, ?, ?, ?)", by.Workspace, r.From, r.To, r.Type, by.ID, jsonOf(r.Properties))
	return err
}

// Delete implements [store.Graph].
func (g graph) Delete(ctx context.Context, workspace string, memoryIDs ...string) error {
	if len(memoryIDs) == 0 {
		return nil
	}
	return g.s.write(ctx, func(t *tx) error {
		for _, id := range memoryIDs {
			if err := withdraw(t, workspace, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Nodes implements [store.Graph].
func (g graph) Nodes(ctx context.Context, q store.NodeQuery) ([]memory.Node, string, error) {
	text, args, err := listNodes(q)
	if err != nil {
		return nil, "", err
	}
	var nodes []memory.Node
	var next string
	err = g.s.snapshot(ctx, func(r snapshot) error {
		found, err := r.supported(ctx, text, args...)
		if err != nil {
			return err
		}
		if len(found) > q.Limit {
			found = found[:q.Limit]
			last := found[q.Limit-1]
			next = store.EncodeCursor(last.support, last.id)
		}
		nodes, err = r.nodes(ctx, q.Workspace, nodeIDs(found))
		return err
	})
	return nodes, next, wrap(err)
}

func listNodes(q store.NodeQuery) (string, []any, error) {
	text, args := "SELECT id, support FROM graph_nodes WHERE workspace = ?", []any{q.Workspace}
	if q.Name != "" {
		text += " AND name = ?"
		args = append(args, store.NormalName(q.Name))
	}
	if q.Type != "" {
		text += " AND type = ?"
		args = append(args, store.NormalName(q.Type))
	}
	if q.Cursor != "" {
		var support int
		var id string
		if err := store.DecodeCursor(q.Cursor, &support, &id); err != nil {
			return "", nil, err
		}
		text += " AND support <= ? AND (support < ? OR id > ?)"
		args = append(args, support, support, id)
	}
	return text + " ORDER BY support DESC, id LIMIT ?", append(args, q.Limit+1), nil
}

// Of implements [store.Graph].
func (g graph) Of(ctx context.Context, workspace string, memoryIDs ...string) (nodes []memory.Node, err error) {
	err = g.s.snapshot(ctx, func(r snapshot) error {
		found, err := r.supported(ctx, `SELECT id, support FROM graph_nodes WHERE workspace = ? AND id IN
			(SELECT node FROM graph_node_sources WHERE workspace = ? AND memory_id IN (SELECT value FROM json_each(?)))
			ORDER BY support DESC, id`, workspace, workspace, jsonOf(memoryIDs))
		if err != nil {
			return err
		}
		nodes, err = r.nodes(ctx, workspace, nodeIDs(found))
		return err
	})
	return nodes, wrap(err)
}

// Neighbours implements [store.Graph]. It goes outwards one relationship at a time and stops as soon as it has enough.
func (g graph) Neighbours(ctx context.Context, workspace string, start []string, depth, limit int) (out memory.Graph, err error) {
	err = g.s.snapshot(ctx, func(r snapshot) error {
		seen, err := r.supported(ctx, "SELECT id, support FROM graph_nodes WHERE workspace = ? AND id IN (SELECT value FROM json_each(?)) ORDER BY support DESC, id LIMIT ?",
			workspace, jsonOf(start), limit)
		if err != nil {
			return err
		}
		for edge := seen; depth > 0 && len(edge) > 0 && len(seen) < limit; depth-- {
			if edge, err = r.adjacent(ctx, workspace, edge, seen, limit-len(seen)); err != nil {
				return err
			}
			seen = append(seen, edge...)
		}
		ids := nodeIDs(seen)
		if out.Nodes, err = r.nodes(ctx, workspace, ids); err != nil {
			return err
		}
		out.Relationships, err = r.relationships(ctx, workspace, ids)
		return err
	})
	return out, wrap(err)
}

// heldGraph names the indexes for the reason that withdraw gives.
const heldGraph = `SELECT m.memory_id, m.version,
		(SELECT count(*) FROM graph_node_sources AS n INDEXED BY graph_node_sources_memories WHERE n.workspace = m.workspace AND n.memory_id = m.memory_id) +
		(SELECT count(*) FROM graph_relationship_sources AS r INDEXED BY graph_relationship_sources_memories WHERE r.workspace = m.workspace AND r.memory_id = m.memory_id)
	FROM graph_memories AS m WHERE m.workspace = ?`

// Held implements [store.Graph].
func (g graph) Held(ctx context.Context, q store.HeldQuery) ([]store.Holding, string, error) {
	return g.s.held(ctx, heldGraph, q)
}
