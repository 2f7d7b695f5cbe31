package sqlitestore

import (
	"context"
	"database/sql"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Leases gives who answers for open memories.
func (s *Store) Leases() store.Leases { return leases{s} }

type leases struct{ s *Store }

var _ store.Leases = leases{}

func (ls leases) Renew(ctx context.Context, owner string, until time.Time) (n int, err error) {
	if owner == "" {
		return 0, nil
	}
	err = ls.s.write(ctx, func(tx *tx) error {
		n, err = tx.change("UPDATE memories SET lease_until = ? WHERE owner = ? AND lease_until IS NOT NULL", msOf(until), owner)
		return err
	})
	return n, err
}

func (ls leases) Owned(ctx context.Context, owner string) ([]memory.Ref, error) {
	if owner == "" {
		return nil, nil
	}
	rows, err := ls.s.query(ctx, "SELECT workspace, id, version FROM memories WHERE owner = ? AND lease_until IS NOT NULL", owner)
	found, err := collect(rows, err, func(r *sql.Rows) (ref memory.Ref, err error) {
		return ref, r.Scan(&ref.Workspace, &ref.ID, &ref.Version)
	})
	return found, wrap(err)
}

func (ls leases) Orphans(ctx context.Context, now time.Time, limit int) ([]store.Orphan, error) {
	rows, err := ls.s.query(ctx, `SELECT workspace, id, version, track, last_owner FROM memories
		WHERE lease_until < ? ORDER BY lease_until, seq LIMIT ?`, msOf(now), limit)
	found, err := collect(rows, err, func(r *sql.Rows) (o store.Orphan, err error) {
		return o, r.Scan(&o.Ref.Workspace, &o.Ref.ID, &o.Ref.Version, &o.Track, &o.Owner)
	})
	return found, wrap(err)
}

func (ls leases) Entrust(ctx context.Context, ts []store.Trust, until time.Time) ([]bool, error) {
	return runs(ls).each(ctx, len(ts), func(tx *tx, i int) (bool, error) {
		t, now := ts[i], time.Now().UnixMilli()
		n, err := tx.change(`UPDATE memories SET owner = ?1, last_owner = ?1, lease_until = ?2, track = ?3, reason = iif(?4 = '', reason, ?4), updated_at = ?5
			WHERE workspace = ?6 AND id = ?7 AND version = ?8 AND lease_until <= ?5`,
			t.Owner, msOf(until), memory.TrackDurable, t.Reason, now, t.Ref.Workspace, t.Ref.ID, t.Ref.Version)
		return n == 1, err
	})
}

// Load reads sums that triggers keep, of workspaces that have open memories.
func (ls leases) Load(ctx context.Context) (map[memory.Track]int, error) {
	return counts[memory.Track](ctx, ls.s, "SELECT track, sum(n) FROM counts WHERE n > 0 AND status IN ('queued', 'processing') GROUP BY track")
}
