package sqlitestore

import (
	"context"
	"database/sql"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// A snapshot answers several queries from one state of the graph.
type snapshot struct {
	s  *Store
	tx *sql.Tx
}

func (s *Store) snapshot(ctx context.Context, read func(snapshot) error) error {
	tx, err := s.reads.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	return read(snapshot{s, tx})
}

func (r snapshot) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	stmt, err := r.s.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	return r.tx.StmtContext(ctx, stmt).QueryContext(ctx, args...)
}

// supportedNode is a node that was found, before its sources are read.
type supportedNode struct {
	id      string
	support int
}

func nodeIDs(nodes []supportedNode) []string {
	ids := make([]string, len(nodes)) // not nil: it becomes a JSON list
	for i, n := range nodes {
		ids[i] = n.id
	}
	return ids
}

// supported runs a query for ids and how many memories support each.
func (r snapshot) supported(ctx context.Context, text string, args ...any) ([]supportedNode, error) {
	rows, err := r.query(ctx, text, args...)
	return collect(rows, err, func(r *sql.Rows) (n supportedNode, err error) { return n, r.Scan(&n.id, &n.support) })
}

// adjacent returns up to limit nodes, most supported first, that a relationship joins to one of the edge and that were not
// seen yet.
func (r snapshot) adjacent(ctx context.Context, workspace string, edge, seen []supportedNode, limit int) ([]supportedNode, error) {
	from := jsonOf(nodeIDs(edge))
	return r.supported(ctx, `SELECT n.id, n.support FROM (
			SELECT r.to_node AS id FROM json_each(?) AS ids CROSS JOIN graph_relationships r ON r.workspace = ? AND r.from_node = ids.value
			UNION
			SELECT r.from_node FROM json_each(?) AS ids CROSS JOIN graph_relationships r ON r.workspace = ? AND r.to_node = ids.value
		) AS joined CROSS JOIN graph_nodes n ON n.workspace = ? AND n.id = joined.id
		WHERE n.id NOT IN (SELECT value FROM json_each(?)) ORDER BY n.support DESC, n.id LIMIT ?`,
		from, workspace, from, workspace, workspace, jsonOf(nodeIDs(seen)), limit)
}

// nodes returns the nodes of the ids as their newest sources show them, in the order of the ids. Where the newest sources
// begin is looked up once a node: a hub has very many.
func (r snapshot) nodes(ctx context.Context, workspace string, ids []string) ([]memory.Node, error) {
	rows, err := r.query(ctx, `SELECT s.node, s.memory_id, s.type, s.name, s.properties
		FROM json_each(?) AS ids CROSS JOIN graph_node_sources s ON s.workspace = ? AND s.node = ids.value AND s.memory_id >= coalesce((
			SELECT memory_id FROM graph_node_sources WHERE workspace = ? AND node = ids.value ORDER BY memory_id DESC LIMIT 1 OFFSET ?), '')
		ORDER BY ids.key, s.memory_id DESC`, jsonOf(ids), workspace, workspace, store.MaxSources-1)
	sources, err := collect(rows, err, func(r *sql.Rows) (s store.NodeSource, err error) {
		return s, r.Scan(&s.Node, &s.MemoryID, &s.Type, &s.Name, &s.Properties)
	})
	if err != nil {
		return nil, err
	}
	return store.NodesOf(sources)
}

// relationships returns those between the nodes of the ids, as their newest sources show them.
func (r snapshot) relationships(ctx context.Context, workspace string, ids []string) ([]memory.Relationship, error) {
	list := jsonOf(ids)
	rows, err := r.query(ctx, `SELECT s.from_node, s.type, s.to_node, s.memory_id, s.properties
		FROM json_each(?) AS ids CROSS JOIN graph_relationships r ON r.workspace = ? AND r.from_node = ids.value
		CROSS JOIN graph_relationship_sources s
			ON s.workspace = r.workspace AND s.from_node = r.from_node AND s.to_node = r.to_node AND s.type = r.type AND s.memory_id >= coalesce((
			SELECT memory_id FROM graph_relationship_sources
			WHERE workspace = r.workspace AND from_node = r.from_node AND to_node = r.to_node AND type = r.type
			ORDER BY memory_id DESC LIMIT 1 OFFSET ?), '')
		WHERE +r.to_node IN (SELECT value FROM json_each(?))
		ORDER BY s.from_node, s.type, s.to_node, s.memory_id DESC`, list, workspace, store.MaxSources-1, list)
	sources, err := collect(rows, err, func(r *sql.Rows) (s store.RelationshipSource, err error) {
		return s, r.Scan(&s.From, &s.Type, &s.To, &s.MemoryID, &s.Properties)
	})
	if err != nil {
		return nil, err
	}
	return store.RelationshipsOf(sources)
}
