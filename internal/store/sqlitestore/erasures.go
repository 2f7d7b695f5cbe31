package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Erasures gives which memories are to be erased.
func (s *Store) Erasures() store.Erasures { return erasures{s} }

type erasures struct{ s *Store }

var _ store.Erasures = erasures{}

func (es erasures) Note(ctx context.Context, workspace string, at time.Time, ids ...string) error {
	return es.s.write(ctx, func(tx *tx) error {
		for _, id := range ids {
			_, err := tx.exec(`INSERT INTO erasures (workspace, memory_id, noted_at, checks, due_at) VALUES (?1, ?2, ?3, 0, ?3)
				ON CONFLICT DO UPDATE SET due_at = excluded.due_at`, workspace, id, at.UnixMilli())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (es erasures) Due(ctx context.Context, now time.Time, limit int) ([]store.Erasure, error) {
	rows, err := es.s.query(ctx, `SELECT workspace, memory_id, noted_at, checks, due_at FROM erasures
		WHERE due_at < ? ORDER BY due_at LIMIT ?`, msOf(now), limit)
	found, err := collect(rows, err, func(r *sql.Rows) (e store.Erasure, err error) {
		var noted, due int64
		err = r.Scan(&e.Workspace, &e.MemoryID, &noted, &e.Checks, &due)
		e.NotedAt, e.DueAt = time.UnixMilli(noted).UTC(), time.UnixMilli(due).UTC()
		return e, err
	})
	return found, wrap(err)
}

func (es erasures) Checked(ctx context.Context, checked []store.Erasure) error {
	return es.s.write(ctx, func(tx *tx) error {
		for _, e := range checked {
			due := sql.NullInt64{Int64: e.DueAt.UnixMilli(), Valid: !e.DueAt.IsZero()}
			_, err := tx.exec("UPDATE erasures SET checks = ?, due_at = ? WHERE workspace = ? AND memory_id = ?", e.Checks, due, e.Workspace, e.MemoryID)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (es erasures) Sweep(ctx context.Context, before time.Time) (int, error) {
	return es.s.sweep(ctx, `DELETE FROM erasures WHERE (workspace, memory_id) IN
		(SELECT workspace, memory_id FROM erasures WHERE due_at IS NULL AND noted_at < ? LIMIT ?)`, msOf(before))
}
