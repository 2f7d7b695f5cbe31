package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Endpoints gives webhook endpoints.
func (s *Store) Endpoints() store.Endpoints { return endpoints{s} }

type endpoints struct{ s *Store }

var _ store.Endpoints = endpoints{}

const insertEndpoint = `INSERT INTO endpoints
	(url, events, description, headers, signing, format, secrets, disabled, failing_from, created_at, updated_at, id, workspace, revision)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? + 1) ON CONFLICT DO NOTHING`

const updateEndpoint = `UPDATE endpoints SET
	url = ?, events = ?, description = ?, headers = ?, signing = ?, format = ?, secrets = ?, disabled = ?, failing_from = ?, created_at = ?, updated_at = ?,
	revision = revision + 1 WHERE id = ? AND workspace = ? AND revision = ?`

// Save implements [store.Endpoints].
func (e endpoints) Save(ctx context.Context, p store.Endpoint) error {
	var failing any
	if !p.FailingFrom.IsZero() {
		failing = p.FailingFrom.UnixMilli()
	}
	text := updateEndpoint
	if p.Revision == 0 {
		text = insertEndpoint
	}
	return e.s.write(ctx, func(t *tx) error {
		return changed(t.change(text, p.URL, jsonOf(p.Events), p.Description, jsonOf(p.Headers), p.Signing, p.Format, jsonOf(p.Secrets), p.Disabled,
			failing, p.CreatedAt.UnixMilli(), p.UpdatedAt.UnixMilli(), p.ID, p.Workspace, p.Revision))
	})
}

const selectEndpoints = `SELECT id, workspace, url, events, description, headers, signing, format, secrets, disabled, failing_from, created_at, updated_at, revision
	FROM endpoints `

func scanEndpoint(scan func(...any) error) (e store.Endpoint, err error) {
	var events, headers, secrets string
	var failing sql.NullInt64
	var created, updated int64
	err = scan(&e.ID, &e.Workspace, &e.URL, &events, &e.Description, &headers, &e.Signing, &e.Format, &secrets, &e.Disabled,
		&failing, &created, &updated, &e.Revision)
	if err != nil {
		return e, err
	}
	e.CreatedAt, e.UpdatedAt = timeOf(created), timeOf(updated)
	if failing.Valid {
		e.FailingFrom = time.UnixMilli(failing.Int64).UTC()
	}
	return e, errors.Join(
		json.Unmarshal([]byte(events), &e.Events),
		json.Unmarshal([]byte(headers), &e.Headers),
		json.Unmarshal([]byte(secrets), &e.Secrets),
	)
}

// Get implements [store.Endpoints].
func (e endpoints) Get(ctx context.Context, workspace, id string) (store.Endpoint, error) {
	p, err := scanEndpoint(e.s.queryRow(ctx, selectEndpoints+"WHERE workspace = ? AND id = ?", workspace, id).Scan)
	return p, wrap(err)
}

// List implements [store.Endpoints].
func (e endpoints) List(ctx context.Context, workspace string) ([]store.Endpoint, error) {
	rows, err := e.s.query(ctx, selectEndpoints+"WHERE workspace = ? ORDER BY created_at, id", workspace)
	list, err := collect(rows, err, func(r *sql.Rows) (store.Endpoint, error) { return scanEndpoint(r.Scan) })
	return list, wrap(err)
}

// Delete implements [store.Endpoints].
func (e endpoints) Delete(ctx context.Context, workspace, id string) error {
	return e.s.write(ctx, func(t *tx) error {
		return found(t.change("DELETE FROM endpoints WHERE workspace = ? AND id = ?", workspace, id))
	})
}
