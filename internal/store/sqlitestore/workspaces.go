package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Workspaces gives workspaces.
func (s *Store) Workspaces() store.Workspaces { return workspaces{s} }

type workspaces struct{ s *Store }

var _ store.Workspaces = workspaces{}

const selectWorkspaces = "SELECT id, name, created_at, secrets, schema, revision FROM workspaces "

func scanWorkspace(scan func(...any) error) (w store.Workspace, err error) {
	var created int64
	var secrets string
	if err := scan(&w.ID, &w.Name, &created, &secrets, &w.Schema, &w.Revision); err != nil {
		return w, err
	}
	w.CreatedAt = timeOf(created)
	return w, json.Unmarshal([]byte(secrets), &w.Secrets)
}

// Get implements [store.Workspaces].
func (w workspaces) Get(ctx context.Context, id string) (store.Workspace, error) {
	ws, err := scanWorkspace(w.s.queryRow(ctx, selectWorkspaces+"WHERE id = ?", id).Scan)
	return ws, wrap(err)
}

// Save implements [store.Workspaces].
func (w workspaces) Save(ctx context.Context, ws store.Workspace) error {
	return w.s.write(ctx, func(t *tx) error {
		if ws.Revision == 0 {
			return changed(t.change("INSERT INTO workspaces (id, name, created_at, secrets, schema, revision) VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT DO NOTHING",
				ws.ID, ws.Name, ws.CreatedAt.UnixMilli(), jsonOf(ws.Secrets), ws.Schema))
		}
		return changed(t.change("UPDATE workspaces SET name = ?, created_at = ?, secrets = ?, schema = ?, revision = revision + 1 WHERE id = ? AND revision = ?",
			ws.Name, ws.CreatedAt.UnixMilli(), jsonOf(ws.Secrets), ws.Schema, ws.ID, ws.Revision))
	})
}

// List implements [store.Workspaces].
func (w workspaces) List(ctx context.Context) ([]store.Workspace, error) {
	rows, err := w.s.query(ctx, selectWorkspaces+"ORDER BY created_at, id")
	list, err := collect(rows, err, func(r *sql.Rows) (store.Workspace, error) { return scanWorkspace(r.Scan) })
	return list, wrap(err)
}
