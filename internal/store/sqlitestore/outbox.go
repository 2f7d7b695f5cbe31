package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Outbox gives the events that memories and batches owe.
func (s *Store) Outbox() store.Outbox { return outbox{s} }

type outbox struct{ s *Store }

var _ store.Outbox = outbox{}

// owe records an event in the transaction of what it tells. A memory or batch may owe several at a time.
func owe(tx *tx, workspace, subject string, e *memory.Event) error {
	if e == nil {
		return nil
	}
	_, err := tx.exec("INSERT INTO owed (id, workspace, subject, at, event) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		e.ID, workspace, subject, e.Time.UnixMilli(), jsonOf(e))
	return err
}

func (o outbox) Owed(ctx context.Context, limit int) ([]memory.Event, error) {
	rows, err := o.s.query(ctx, "SELECT event FROM owed ORDER BY at, id LIMIT ?", limit)
	found, err := collect(rows, err, func(r *sql.Rows) (e memory.Event, err error) {
		var text string
		if err := r.Scan(&text); err != nil {
			return e, err
		}
		return e, json.Unmarshal([]byte(text), &e)
	})
	return found, wrap(err)
}

func (o outbox) Settle(ctx context.Context, events []memory.Event) error {
	return o.s.write(ctx, func(tx *tx) error {
		for _, e := range events {
			if _, err := tx.exec("DELETE FROM owed WHERE id = ?", e.ID); err != nil {
				return err
			}
		}
		return nil
	})
}
