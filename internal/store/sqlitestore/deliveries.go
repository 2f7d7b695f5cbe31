package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
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
	err := d.s.write(ctx, func(t *tx) error {
		if done, err := createNew(t, ds, created); done || err != nil {
			return err
		}
		if err := t.undo(); err != nil { // some were there before
			return err
		}
		return createEach(t, ds, created)
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// deliveryCounts are by how much a transaction changes how many deliveries there are of a status.
type deliveryCounts map[store.DeliveryStatus]int

func (c deliveryCounts) move(from, to store.DeliveryStatus) {
	c[from]--
	c[to]++
}

func (c deliveryCounts) add(t *tx) error {
	for status, n := range c {
		if n == 0 {
			continue
		}
		if _, err := t.exec("INSERT INTO delivery_counts VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n", status, n); err != nil {
			return err
		}
	}
	return nil
}

// createNew stores deliveries that all are new, many in a statement, and answers false where one of them is not: what it
// has done is then to be undone.
func createNew(t *tx, ds []store.Delivery, created []bool) (bool, error) {
	c, err := newCreation(t)
	if err != nil {
		return false, err
	}
	for len(ds) > 0 {
		rows := insertRows
		if len(ds) < rows {
			rows = 1
		}
		n, err := c.add(ds[:rows])
		if err != nil || n < rows {
			return false, err
		}
		ds = ds[rows:]
	}
	for i := range created {
		created[i] = true
	}
	return true, c.end()
}

// createEach stores those deliveries that are new.
func createEach(t *tx, ds []store.Delivery, created []bool) error {
	c, err := newCreation(t)
	if err != nil {
		return err
	}
	for i := range ds {
		n, err := c.add(ds[i : i+1])
		if err != nil {
			return err
		}
		created[i] = n == 1
	}
	return c.end()
}

// creation stores deliveries in one transaction. Of those that follow each other with the same body, as the deliveries of
// one event do, the body is stored once.
type creation struct {
	t      *tx
	last   int64 // the greatest seq
	counts deliveryCounts
	bodies []deliveryBody
}

// deliveryBody is a body on its way into the store.
type deliveryBody struct {
	seq  int64 // that of the first delivery that has it
	body []byte
	refs int // how many have it
}

func newCreation(t *tx) (*creation, error) {
	c := &creation{t: t, counts: deliveryCounts{}}
	return c, t.queryRow("SELECT coalesce(max(seq), 0) FROM deliveries").Scan(&c.last)
}

// add stores deliveries, one or insertRows, and returns how many of them are new. Where it is some and not all, nothing
// more may be added.
func (c *creation) add(ds []store.Delivery) (int, error) {
	args := make([]any, 0, len(ds)*deliveryValues)
	for i := range ds {
		seq := c.last + int64(i) + 1
		args = appendDelivery(args, seq, &ds[i], c.share(seq, ds[i].Body))
	}
	n, err := c.t.change(insertDeliveries(len(ds)), args...)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		c.unshare()
		return 0, nil
	}
	c.last += int64(n)
	for i := range ds {
		c.counts[ds[i].Status]++
	}
	return n, nil
}

// share returns the seq of the body of the delivery of that seq.
func (c *creation) share(seq int64, body []byte) int64 {
	if n := len(c.bodies); n > 0 && bytes.Equal(c.bodies[n-1].body, body) {
		c.bodies[n-1].refs++
		return c.bodies[n-1].seq
	}
	c.bodies = append(c.bodies, deliveryBody{seq, body, 1})
	return seq
}

// unshare takes the latest share back.
func (c *creation) unshare() {
	last := len(c.bodies) - 1
	if c.bodies[last].refs--; c.bodies[last].refs == 0 {
		c.bodies = c.bodies[:last]
	}
}

const (
	insertRows     = 16 // more at a time save nothing
	deliveryValues = 16
)

func insertDeliveries(rows int) string {
	const row = ", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	return `INSERT INTO deliveries
		(seq, id, workspace, endpoint_id, url, event_id, event_type, status, round, owner, lease_until, fence, created_at, updated_at, attempts, body_seq)
		VALUES ` + strings.Repeat(row, rows)[2:] + " ON CONFLICT (id) DO NOTHING"
}

func appendDelivery(args []any, seq int64, d *store.Delivery, body int64) []any {
	attempts := "[]"
	if len(d.Attempts) > 0 {
		attempts = jsonOf(d.Attempts)
	}
	return append(args, seq, d.ID, d.Workspace, d.EndpointID, d.URL, d.EventID, d.EventType, string(d.Status), d.Round, d.Lease.Owner,
		msOf(d.Lease.Until), d.Lease.Fence, d.CreatedAt.UnixMilli(), d.UpdatedAt.UnixMilli(), attempts, body)
}

func (c *creation) end() error {
	for _, b := range c.bodies {
		body := slices.Concat([]byte{}, b.body) // never NULL
		if _, err := c.t.exec("INSERT INTO delivery_bodies (seq, body, refs) VALUES (?, ?, ?)", b.seq, body, b.refs); err != nil {
			return err
		}
	}
	return c.counts.add(c.t)
}

const (
	deliveryColumns = `id, workspace, endpoint_id, url, event_id, event_type, status, round, owner, lease_until, fence, created_at, updated_at, attempts`
	bodyColumn      = `, (SELECT body FROM delivery_bodies b WHERE b.seq = coalesce(body_seq, deliveries.seq))`

	selectDelivery = "SELECT " + deliveryColumns + bodyColumn + " FROM deliveries WHERE workspace = ? AND id = ?"
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
func (d deliveries) Requeue(ctx context.Context, workspace, id string) (out store.Delivery, err error) {
	err = d.s.write(ctx, func(t *tx) error {
		was, err := scanWholeDelivery(t.queryRow(selectDelivery, workspace, id).Scan)
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE deliveries
			SET status = 'pending', round = round + 1, owner = '', lease_until = ?, fence = fence + 1, updated_at = max(updated_at, ?)
			WHERE workspace = ? AND id = ?`, time.Time{}.UnixMilli(), memory.Now().UnixMilli(), workspace, id)
		if err != nil {
			return err
		}
		counts := deliveryCounts{}
		counts.move(was.Status, store.DeliveryPending)
		if err := counts.add(t); err != nil {
			return err
		}
		out, err = scanWholeDelivery(t.queryRow(selectDelivery, workspace, id).Scan)
		return err
	})
	if err != nil {
		return store.Delivery{}, err
	}
	return out, nil
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
	err := d.s.write(ctx, func(t *tx) (err error) {
		counts := deliveryCounts{}
		for i := range as {
			if kept[i], err = recordAttempt(t, &as[i], counts); err != nil {
				return err
			}
		}
		return counts.add(t)
	})
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// recordAttempt takes a delivery to be pending, as it is but for one whose attempt was recorded before.
func recordAttempt(t *tx, a *store.Attempted, counts deliveryCounts) (bool, error) {
	was := store.DeliveryPending
	n, err := updateAttempted(t, a, was)
	if err != nil {
		return false, err
	}
	if n == 0 {
		err := t.queryRow("SELECT status FROM deliveries WHERE workspace = ? AND id = ? AND fence = ?", a.Workspace, a.DeliveryID, a.Fence).Scan(&was)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if n, err = updateAttempted(t, a, was); err != nil {
			return false, err
		}
	}
	counts.move(was, a.Status)
	return n > 0, nil
}

// updateAttempted appends to the list of attempts as text: reading it as JSON would cost more than all the rest.
func updateAttempted(t *tx, a *store.Attempted, was store.DeliveryStatus) (int, error) {
	return t.change(`UPDATE deliveries
		SET attempts = substr(attempts, 1, length(attempts) - 1) || iif(attempts = '[]', '', ',') || ? || ']', status = ?, lease_until = ?, updated_at = max(updated_at, ?)
		WHERE workspace = ? AND id = ? AND fence = ? AND status = ?`,
		jsonOf(a.Attempt), a.Status, msOf(a.Until), a.Attempt.At.UnixMilli(), a.Workspace, a.DeliveryID, a.Fence, was)
}

const dueDeliveries = "SELECT " + deliveryColumns + bodyColumn + ` FROM deliveries
	WHERE status = 'pending' AND lease_until < ? ORDER BY lease_until, id LIMIT ?`

// Due implements [store.Deliveries].
func (d deliveries) Due(ctx context.Context, now time.Time, limit int) ([]store.Delivery, error) {
	rows, err := d.s.query(ctx, dueDeliveries, msOf(now), limit)
	out, err := collect(rows, err, func(r *sql.Rows) (store.Delivery, error) { return scanWholeDelivery(r.Scan) })
	return out, wrap(err)
}

const oldestPending = "SELECT min(created_at) FROM deliveries INDEXED BY deliveries_due WHERE status = 'pending'"

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
