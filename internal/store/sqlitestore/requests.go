package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Requests gives the records of idempotent requests.
func (s *Store) Requests() store.Requests { return requests{s} }

type requests struct{ s *Store }

var _ store.Requests = requests{}

// Begin implements [store.Requests].
func (q requests) Begin(ctx context.Context, r store.Request, now time.Time) (store.Request, bool, error) {
	var out store.Request
	var mine bool
	err := q.s.write(ctx, func(t *tx) (err error) {
		out, mine, err = begin(t, r, now)
		return err
	})
	if err != nil {
		return store.Request{}, false, err
	}
	return out, mine, nil
}

func begin(t *tx, r store.Request, now time.Time) (store.Request, bool, error) {
	old, err := storedRequest(t, r.Workspace, r.Key)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return r, false, err
	case old.Answer != nil || old.Until.After(now) || old.Fingerprint != r.Fingerprint:
		return old, false, nil
	default:
		r.ResourceID = old.ResourceID
	}
	r.Answer = nil
	_, err = t.exec("INSERT OR REPLACE INTO requests (workspace, key, fingerprint, resource_id, created_at, until) VALUES (?, ?, ?, ?, ?, ?)",
		r.Workspace, r.Key, r.Fingerprint[:], r.ResourceID, r.CreatedAt.UnixMilli(), msOf(r.Until))
	return r, true, err
}

func storedRequest(t *tx, workspace, key string) (store.Request, error) {
	r := store.Request{Workspace: workspace, Key: key}
	var fingerprint, body []byte
	var created, until int64
	var status sql.NullInt64
	var header sql.NullString
	err := t.queryRow("SELECT fingerprint, resource_id, created_at, until, status, header, body FROM requests WHERE workspace = ? AND key = ?", workspace, key).
		Scan(&fingerprint, &r.ResourceID, &created, &until, &status, &header, &body)
	if err != nil {
		return r, err
	}
	copy(r.Fingerprint[:], fingerprint)
	r.CreatedAt, r.Until = time.UnixMilli(created).UTC(), time.UnixMilli(until).UTC()
	if !status.Valid {
		return r, nil
	}
	r.Answer = &store.Answer{Status: int(status.Int64), Body: body}
	return r, json.Unmarshal([]byte(header.String), &r.Answer.Header)
}

// Extend implements [store.Requests].
func (q requests) Extend(ctx context.Context, workspace, key string, until time.Time) error {
	return q.s.write(ctx, func(t *tx) error {
		_, err := t.exec("UPDATE requests SET until = ? WHERE workspace = ? AND key = ? AND status IS NULL", msOf(until), workspace, key)
		return err
	})
}

// Complete implements [store.Requests].
func (q requests) Complete(ctx context.Context, workspace, key string, a store.Answer) error {
	return q.s.write(ctx, func(t *tx) error {
		_, err := t.exec("UPDATE requests SET status = ?, header = ?, body = ? WHERE workspace = ? AND key = ? AND status IS NULL",
			a.Status, jsonOf(a.Header), a.Body, workspace, key)
		return err
	})
}

// Abandon implements [store.Requests].
func (q requests) Abandon(ctx context.Context, workspace, key string) error {
	return q.s.write(ctx, func(t *tx) error {
		_, err := t.exec("DELETE FROM requests WHERE workspace = ? AND key = ? AND status IS NULL", workspace, key)
		return err
	})
}

// Sweep implements [store.Requests].
func (q requests) Sweep(ctx context.Context, before time.Time) (int, error) {
	return q.s.sweep(ctx, "DELETE FROM requests WHERE (workspace, key) IN (SELECT workspace, key FROM requests WHERE created_at < ? LIMIT ?)", msOf(before))
}

// sweepSize is how many rows are swept in one write, so that other writes are not held up for long.
const sweepSize = 500

// sweep runs a statement that deletes up to as many rows as its last parameter says, until there are none.
func (s *Store) sweep(ctx context.Context, text string, args ...any) (total int, err error) {
	for {
		var n int
		err := s.write(ctx, func(t *tx) error {
			n, err = t.change(text, append(args, sweepSize)...)
			return err
		})
		total += n
		if err != nil || n < sweepSize {
			return total, err
		}
	}
}
