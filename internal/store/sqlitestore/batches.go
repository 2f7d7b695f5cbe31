package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Batches gives batches and their items.
func (s *Store) Batches() store.Batches { return batches{s} }

type batches struct{ s *Store }

var _ store.Batches = batches{}

// erasePages is how many pages of an upload are forgotten in one write: others are to get their turn.
const erasePages = 64

// Create forgets what an earlier try left before the new row takes its place.
func (bs batches) Create(ctx context.Context, b memory.Batch) error {
	var earlier int64
	err := bs.s.write(ctx, func(tx *tx) (err error) {
		if earlier, err = abandon(tx, b.Workspace, b.ID); err != nil || earlier != 0 {
			return err
		}
		return createBatch(tx, b)
	})
	if err != nil || earlier == 0 {
		return err
	}
	if err := bs.erase(ctx, earlier); err != nil {
		return err
	}
	return bs.s.write(ctx, func(tx *tx) error { return createBatch(tx, b) })
}

// abandon closes an upload of the id to further pages and returns its seq; 0 where there is none.
func abandon(tx *tx, workspace, id string) (seq int64, err error) {
	var owner string
	var status memory.BatchStatus
	err = tx.queryRow("SELECT seq, workspace, status FROM batches WHERE id = ?", id).Scan(&seq, &owner, &status)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, nil
	case err != nil:
		return 0, err
	case owner != workspace || status != memory.BatchUploading:
		return 0, memory.Errorf(memory.CodeConflict, "there is a batch of this id already")
	}
	_, err = tx.exec("UPDATE batches SET uploaded_at = 0 WHERE seq = ?", seq)
	return seq, err
}

func createBatch(tx *tx, b memory.Batch) error {
	_, err := tx.exec(`INSERT INTO batches (id, workspace, name, status, track, reason, priority, webhook_url, pages, run, marks,
			queued, processing, completed, degraded, failed, cancelled, rejected, tokens, cost, created_at, uploaded_at)
		VALUES (?, ?, ?, 'uploading', ?, ?, ?, ?, 0, 1, ',', 0, 0, 0, 0, 0, 0, 0, 0, 0, ?, ?)`,
		b.ID, b.Workspace, b.Name, b.Track, b.Reason, b.Priority, b.WebhookURL, b.CreatedAt.UnixMilli(), time.Now().UnixMilli())
	return err
}

// erase forgets an abandoned upload, some pages at a time.
func (bs batches) erase(ctx context.Context, seq int64) error {
	for n := 1; n > 0; {
		err := bs.s.write(ctx, func(tx *tx) (err error) {
			if _, err := tx.exec("DELETE FROM uploads WHERE seq IN (SELECT seq FROM pages WHERE batch = ? ORDER BY number LIMIT ?)", seq, erasePages); err != nil {
				return err
			}
			n, err = tx.change("DELETE FROM pages WHERE seq IN (SELECT seq FROM pages WHERE batch = ? ORDER BY number LIMIT ?)", seq, erasePages)
			if err != nil || n > 0 {
				return err
			}
			_, err = tx.exec("DELETE FROM batches WHERE seq = ?", seq)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (bs batches) AddPage(ctx context.Context, p store.Page) error {
	items, inputs := make([]memory.Item, len(p.Entries)), make([]*memory.Input, len(p.Entries))
	kept := false
	for i, e := range p.Entries {
		items[i], inputs[i] = e.Item, e.Input
		kept = kept || e.Input != nil
	}
	t, itemsText, inputsText := sumsOf(items), jsonOf(items), jsonOf(inputs)
	return bs.s.write(ctx, func(tx *tx) error {
		batch, err := uploading(tx, p.Workspace, p.BatchID)
		if err != nil {
			return err
		}
		c := t.counts
		res, err := tx.exec(`INSERT INTO pages (batch, number, queued, processing, completed, degraded, failed, cancelled, rejected, items)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			batch, p.Number, c.Queued, c.Processing, c.Completed, c.Degraded, c.Failed, c.Cancelled, c.Rejected, itemsText)
		if err != nil {
			return err
		}
		seq, err := res.LastInsertId()
		if err != nil {
			return err
		}
		if kept {
			if _, err := tx.exec("INSERT INTO uploads (seq, inputs) VALUES (?, ?)", seq, inputsText); err != nil {
				return err
			}
		}
		if _, err := tx.exec("UPDATE batches SET pages = pages + 1, uploaded_at = ? WHERE seq = ?", time.Now().UnixMilli(), batch); err != nil {
			return err
		}
		return addSums(tx, batch, t, sums{})
	})
}

// uploading returns the seq of a batch that takes pages.
func uploading(tx *tx, workspace, id string) (seq int64, err error) {
	var status memory.BatchStatus
	err = tx.queryRow("SELECT seq, status FROM batches WHERE id = ? AND workspace = ? AND uploaded_at > 0", id, workspace).Scan(&seq, &status)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, noBatch()
	}
	if err == nil && status != memory.BatchUploading {
		return 0, memory.Errorf(memory.CodeConflict, "the batch is complete already")
	}
	return seq, err
}

func noBatch() error { return memory.Errorf(memory.CodeNotFound, "there is no batch of this id") }

func (bs batches) Seal(ctx context.Context, b memory.Batch) (sealed memory.Batch, err error) {
	err = bs.s.write(ctx, func(tx *tx) error {
		seq, err := uploading(tx, b.Workspace, b.ID)
		if err == nil {
			err = seal(tx, seq, b)
		} else if memory.CodeOf(err) == memory.CodeConflict { // sealed before
			err = nil
		}
		if err != nil {
			return err
		}
		sealed, err = scanBatch(tx.queryRow(selectBatch, b.Workspace, b.ID))
		return err
	})
	return sealed, err
}

func seal(tx *tx, seq int64, b memory.Batch) error {
	n, err := tx.change(`UPDATE batches SET status = 'queued', name = ?, priority = ?, webhook_url = ?, lease_until = 0 WHERE seq = ? AND pages = ?
			AND pages = (SELECT coalesce(max(number), -1) + 1 FROM pages WHERE batch = ?4)`,
		b.Name, b.Priority, b.WebhookURL, seq, b.Pages)
	if err == nil && n == 0 {
		return memory.Errorf(memory.CodeConflict, "pages of the upload are missing")
	}
	return err
}

const batchColumns = `id, workspace, name, status, track, reason, priority, webhook_url, pages,
	queued, processing, completed, degraded, failed, cancelled, rejected, tokens, cost, created_at, started_at, completed_at`

const selectBatch = "SELECT " + batchColumns + " FROM batches WHERE workspace = ? AND id = ? AND status <> 'uploading'"

func scanBatch(r scanner) (b memory.Batch, err error) {
	var created, cost int64
	var started, completed sql.NullInt64
	c := &b.Counts
	err = r.Scan(&b.ID, &b.Workspace, &b.Name, &b.Status, &b.Track, &b.Reason, &b.Priority, &b.WebhookURL, &b.Pages,
		&c.Queued, &c.Processing, &c.Completed, &c.Degraded, &c.Failed, &c.Cancelled, &c.Rejected, &b.Tokens, &cost, &created, &started, &completed)
	c.Total = c.Queued + c.Processing + c.Completed + c.Degraded + c.Failed + c.Cancelled + c.Rejected
	b.CostUSD, b.CreatedAt, b.StartedAt, b.CompletedAt = usdOf(cost), timeOf(created), timeOrNil(started), timeOrNil(completed)
	if errors.Is(err, sql.ErrNoRows) {
		err = noBatch()
	}
	return b, err
}

func (bs batches) Get(ctx context.Context, workspace, id string) (memory.Batch, error) {
	b, err := scanBatch(bs.s.queryRow(ctx, selectBatch, workspace, id))
	return b, wrap(err)
}

func (bs batches) List(ctx context.Context, workspace string, limit int, cursor string) ([]memory.Batch, string, error) {
	at, id := int64(math.MaxInt64), ""
	if cursor != "" {
		if err := store.DecodeCursor(cursor, &at, &id); err != nil {
			return nil, "", err
		}
	}
	rows, err := bs.s.query(ctx, "SELECT "+batchColumns+` FROM batches WHERE workspace = ? AND status <> 'uploading' AND (created_at, id) < (?, ?)
		ORDER BY created_at DESC, id DESC LIMIT ?`, workspace, at, id, limit+1)
	found, err := collect(rows, err, func(r *sql.Rows) (memory.Batch, error) { return scanBatch(r) })
	if err != nil || len(found) <= limit {
		return found, "", wrap(err)
	}
	last := found[limit-1]
	return found[:limit], store.EncodeCursor(last.CreatedAt.UnixMilli(), last.ID), nil
}

// Count reads no more than an index: batches are few beside their items.
func (bs batches) Count(ctx context.Context, workspace string) (map[memory.BatchStatus]int, error) {
	return counts[memory.BatchStatus](ctx, bs.s, "SELECT status, count(*) FROM batches WHERE workspace = ? AND status <> 'uploading' GROUP BY status", workspace)
}

// Sweep also finishes what a Create or Sweep that was cut short has left.
func (bs batches) Sweep(ctx context.Context, before time.Time) (int, error) {
	var seqs []int64
	err := bs.s.write(ctx, func(tx *tx) error {
		rows, err := tx.query("UPDATE batches SET uploaded_at = 0 WHERE status = 'uploading' AND uploaded_at < ? RETURNING seq", msOf(before))
		seqs, err = collect(rows, err, func(r *sql.Rows) (seq int64, err error) { return seq, r.Scan(&seq) })
		return err
	})
	if err != nil {
		return 0, err
	}
	for i, seq := range seqs {
		if err := bs.erase(ctx, seq); err != nil {
			return i, err
		}
	}
	return len(seqs), nil
}
