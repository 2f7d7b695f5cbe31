package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Deliveries gives deliveries and their attempts.
func (s *Store) Deliveries() store.Deliveries { return deliveries{s} }

type deliveries struct{ s *Store }

var _ store.Deliveries = deliveries{}

// Create implements [store.Deliveries].
func (d deliveries) Create(ctx context.Context, ds []store.Delivery) ([]bool, error) {
	created := make([]bool, len(ds))
	if len(ds) == 0 {
		return created, nil
	}
	err := d.s.write(ctx, func(t *tx) (err error) {
		for i := range ds {
			if created[i], err = createDelivery(t, &ds[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

func createDelivery(t *tx, d *store.Delivery) (bool, error) {
	attempts := d.Attempts
	if attempts == nil {
		attempts = []store.Attempt{}
	}
	var seq int64
	err := t.queryRow(`INSERT INTO deliveries
		(id, workspace, endpoint_id, url, event_id, event_type, status, round, owner, lease_until, fence, created_at, updated_at, attempts)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING seq`,
		d.ID, d.Workspace, d.EndpointID, d.URL, d.EventID, d.EventType, d.Status, d.Round, d.Lease.Owner, msOf(d.Lease.Until), d.Lease.Fence,
		d.CreatedAt.UnixMilli(), d.UpdatedAt.UnixMilli(), jsonOf(attempts)).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = t.exec("INSERT INTO delivery_bodies VALUES (?, ?)", seq, slices.Concat([]byte{}, d.Body)) // never NULL
	return true, err
}

const (
	deliveryColumns = `id, workspace, endpoint_id, url, event_id, event_type, status, round, owner, lease_until, fence, created_at, updated_at, attempts`
	deliveryBody    = `, (SELECT body FROM delivery_bodies b WHERE b.seq = deliveries.seq)`

	selectDelivery = "SELECT " + deliveryColumns + deliveryBody + " FROM deliveries WHERE workspace = ? AND id = ?"
)

// scanDelivery reads deliveryColumns, and the body where more says so.
func scanDelivery(scan func(...any) error, more ...any) (d store.Delivery, err error) {
	var until, created, updated int64
	var attempts []byte
	err = scan(append([]any{&d.ID, &d.Workspace, &d.EndpointID, &d.URL, &d.EventID, &d.EventType, &d.Status, &d.Round, &d.Lease.Owner, &until,
		&d.Lease.Fence, &created, &updated, &attempts}, more...)...)
	if err != nil {
		return d, err
	}
	d.Lease.Until, d.CreatedAt, d.UpdatedAt = time.UnixMilli(until).UTC(), timeOf(created), timeOf(updated)
	return d, json.Unmarshal(attempts, &d.Attempts)
}

func scanWholeDelivery(scan func(...any) error) (store.Delivery, error) {
	var body []byte
	d, err := scanDelivery(scan, &body)
	d.Body = body
	return d, err
}

// Get implements [store.Deliveries].
func (d deliveries) Get(ctx context.Context, workspace, id string) (store.Delivery, error) {
	out, err := scanWholeDelivery(d.s.queryRow(ctx, selectDelivery, workspace, id).Scan)
	return out, wrap(err)
}

// List implements [store.Deliveries].
func (d deliveries) List(ctx context.Context, q store.DeliveryQuery) ([]store.Delivery, string, error) {
	text, args, err := listDeliveries(q)
	if err != nil {
		return nil, "", err
	}
	rows, err := d.s.query(ctx, text, args...)
	out, err := collect(rows, err, func(r *sql.Rows) (store.Delivery, error) { return scanDelivery(r.Scan) })
	if err != nil {
		return nil, "", wrap(err)
	}
	if len(out) <= q.Limit {
		return out, "", nil
	}
	out = out[:q.Limit]
	last := out[q.Limit-1]
	return out, store.EncodeCursor(last.CreatedAt.UnixMilli(), last.ID), nil
}

func listDeliveries(q store.DeliveryQuery) (string, []any, error) {
	text, args := "SELECT "+deliveryColumns+" FROM deliveries WHERE workspace = ?", []any{q.Workspace}
	and := func(condition string, values ...any) {
		text += " AND " + condition
		args = append(args, values...)
	}
	if q.EndpointID != "" {
		and("endpoint_id = ?", q.EndpointID)
	}
	if len(q.Statuses) > 0 {
		and("status IN (SELECT value FROM json_each(?))", jsonOf(q.Statuses))
	}
	if !q.Since.IsZero() {
		and("created_at >= ?", msOf(q.Since))
	}
	if q.Cursor != "" {
		var created int64
		var id string
		if err := store.DecodeCursor(q.Cursor, &created, &id); err != nil {
			return "", nil, err
		}
		and("(created_at, id) < (?, ?)", created, id)
	}
	return text + " ORDER BY created_at DESC, id DESC LIMIT ?", append(args, q.Limit+1), nil
}

// Claim implements [store.Deliveries].
func (d deliveries) Claim(ctx context.Context, workspace, id, owner string, now, until time.Time) (store.Delivery, bool, error) {
	return d.change(ctx, workspace, id, `UPDATE deliveries SET owner = ?, lease_until = ?, fence = fence + 1
		WHERE workspace = ? AND id = ? AND status = 'pending' AND (lease_until <= ? OR owner = ?)`,
		owner, msOf(until), workspace, id, now.UnixMilli(), owner)
}

// Requeue implements [store.Deliveries].
func (d deliveries) Requeue(ctx context.Context, workspace, id string) (store.Delivery, error) {
	out, ok, err := d.change(ctx, workspace, id, `UPDATE deliveries
		SET status = 'pending', round = round + 1, owner = '', lease_until = ?, fence = fence + 1, updated_at = max(updated_at, ?)
		WHERE workspace = ? AND id = ?`, time.Time{}.UnixMilli(), memory.Now().UnixMilli(), workspace, id)
	if err == nil && !ok {
		err = found(0, nil)
	}
	return out, err
}

// change runs an update of one delivery and returns what it made of it, or false where it did not apply.
func (d deliveries) change(ctx context.Context, workspace, id, text string, args ...any) (out store.Delivery, ok bool, err error) {
	err = d.s.write(ctx, func(t *tx) error {
		n, err := t.change(text, args...)
		if err != nil || n == 0 {
			out, ok = store.Delivery{}, false
			return err
		}
		ok = true
		out, err = scanWholeDelivery(t.queryRow(selectDelivery, workspace, id).Scan)
		return err
	})
	if err != nil {
		return store.Delivery{}, false, err
	}
	return out, ok, nil
}

// Attempted implements [store.Deliveries].
func (d deliveries) Attempted(ctx context.Context, as []store.Attempted) ([]bool, error) {
	kept := make([]bool, len(as))
	if len(as) == 0 {
		return kept, nil
	}
	err := d.s.write(ctx, func(t *tx) error {
		for i, a := range as {
			n, err := t.change(`UPDATE deliveries
				SET attempts = json_insert(attempts, '$[#]', json(?)), status = ?, lease_until = ?, updated_at = max(updated_at, ?)
				WHERE workspace = ? AND id = ? AND fence = ?`,
				jsonOf(a.Attempt), a.Status, msOf(a.Until), a.Attempt.At.UnixMilli(), a.Workspace, a.DeliveryID, a.Fence)
			if err != nil {
				return err
			}
			kept[i] = n > 0
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return kept, nil
}

const dueDeliveries = "SELECT " + deliveryColumns + deliveryBody + ` FROM deliveries
	WHERE status = 'pending' AND lease_until < ? ORDER BY lease_until, id LIMIT ?`

// Due implements [store.Deliveries].
func (d deliveries) Due(ctx context.Context, now time.Time, limit int) ([]store.Delivery, error) {
	rows, err := d.s.query(ctx, dueDeliveries, msOf(now), limit)
	out, err := collect(rows, err, func(r *sql.Rows) (store.Delivery, error) { return scanWholeDelivery(r.Scan) })
	return out, wrap(err)
}

const oldestPending = "SELECT min(created_at) FROM deliveries WHERE status = 'pending'"

// Stats implements [store.Deliveries].
func (d deliveries) Stats(ctx context.Context) (map[store.DeliveryStatus]int, time.Time, error) {
	rows, err := d.s.query(ctx, "SELECT status, n FROM delivery_counts WHERE n > 0")
	counts := map[store.DeliveryStatus]int{}
	_, err = collect(rows, err, func(r *sql.Rows) (_ struct{}, err error) {
		var status store.DeliveryStatus
		var n int
		err = r.Scan(&status, &n)
		counts[status] = n
		return struct{}{}, err
	})
	if err != nil {
		return nil, time.Time{}, wrap(err)
	}
	var oldest sql.NullInt64
	if err := d.s.queryRow(ctx, oldestPending).Scan(&oldest); err != nil || !oldest.Valid {
		return counts, time.Time{}, wrap(err)
	}
	return counts, time.UnixMilli(oldest.Int64).UTC(), nil
}

const sweepDeliveries = "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries WHERE status <> 'pending' AND created_at < ? LIMIT ?)"

// Sweep implements [store.Deliveries].
func (d deliveries) Sweep(ctx context.Context, before time.Time) (int, error) {
	return d.s.sweep(ctx, sweepDeliveries, msOf(before))
}
