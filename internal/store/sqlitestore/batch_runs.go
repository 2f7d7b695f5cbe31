package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// BatchRuns gives how far batches are.
func (s *Store) BatchRuns() store.BatchRuns { return batchRuns{s} }

type batchRuns struct{ s *Store }

var _ store.BatchRuns = batchRuns{}

func (br batchRuns) Current(ctx context.Context, workspace, batchID string) (ref store.BatchRef, err error) {
	err = br.s.queryRow(ctx, `SELECT workspace, id, run, pages, priority FROM batches
		WHERE workspace = ? AND id = ? AND status <> 'uploading'`, workspace, batchID).
		Scan(&ref.Workspace, &ref.ID, &ref.Run, &ref.Pages, &ref.Priority)
	if errors.Is(err, sql.ErrNoRows) {
		return ref, noBatch()
	}
	return ref, wrap(err)
}

// rewritePages is how many pages are rewritten in one write where a whole batch changes: others are to get their turn.
const rewritePages = 32

// sweep is a change of many pages of one batch, some at a time in the order of their number.
type sweep struct {
	text  string // the query for the pages to change; its parameters are the batch, the number to go on from and how many
	after int
	apply func(*memory.Item)
}

// some changes the next pages and reports whether those were the last.
func (s *sweep) some(tx *tx, batch int64) (done bool, err error) {
	rows, err := tx.query(s.text, batch, s.after, rewritePages)
	pages, err := collect(rows, err, func(r *sql.Rows) (page, error) { return scanPage(r) })
	if err != nil {
		return false, err
	}
	for _, p := range pages {
		if err := p.rewrite(tx, s.apply); err != nil {
			return false, err
		}
		s.after = p.number
	}
	return len(pages) < rewritePages, nil
}

const (
	openPages   = "SELECT " + pageColumns + " FROM pages AS p WHERE batch = ? AND number > ? AND queued + processing > 0 ORDER BY number LIMIT ?"
	failedPages = "SELECT " + pageColumns + " FROM pages AS p WHERE batch = ? AND number > ? AND failed + degraded > 0 ORDER BY number LIMIT ?"
)

// Reopen queues the items of a large batch in several writes and the batch itself in the last one. Cut short, it has
// left items queued in a batch that is over; the next Reopen goes on from there.
func (br batchRuns) Reopen(ctx context.Context, workspace, batchID string) (ref store.BatchRef, open int, err error) {
	failed := sweep{text: failedPages, after: -1, apply: store.Requeue}
	for done := false; !done; {
		err = br.s.write(ctx, func(tx *tx) error {
			seq, err := reopenable(tx, workspace, batchID)
			if err != nil {
				return err
			}
			if done, err = failed.some(tx, seq); err != nil || !done {
				return err
			}
			ref, open, err = reopen(tx, seq)
			return err
		})
		if err != nil {
			return store.BatchRef{}, 0, err
		}
	}
	return ref, open, nil
}

func reopenable(tx *tx, workspace, id string) (seq int64, err error) {
	var over bool
	err = tx.queryRow("SELECT seq, lease_until IS NULL FROM batches WHERE workspace = ? AND id = ? AND status <> 'uploading'", workspace, id).Scan(&seq, &over)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, noBatch()
	}
	if err == nil && !over {
		return 0, memory.Errorf(memory.CodeConflict, "the batch is not over")
	}
	return seq, err
}

func reopen(tx *tx, seq int64) (ref store.BatchRef, open int, err error) {
	_, err = tx.exec(`UPDATE batches SET status = 'queued', run = run + 1, completed_at = NULL, lease_until = 0
		WHERE seq = ? AND queued + processing > 0`, seq)
	if err != nil {
		return ref, 0, err
	}
	err = tx.queryRow("SELECT workspace, id, run, pages, priority, queued + processing FROM batches WHERE seq = ?", seq).
		Scan(&ref.Workspace, &ref.ID, &ref.Run, &ref.Pages, &ref.Priority, &open)
	return ref, open, err
}

func (br batchRuns) Advance(ctx context.Context, batchID string, s memory.BatchStatus) (bool, error) {
	if s.Final() || s == memory.BatchUploading {
		return false, memory.Errorf(memory.CodeInternal, "a batch does not advance to %q", s)
	}
	return br.one(ctx, "UPDATE batches SET status = ?, started_at = coalesce(started_at, ?) WHERE id = ? AND lease_until IS NOT NULL",
		s, time.Now().UnixMilli(), batchID)
}

// one makes a change and reports whether it found its row.
func (br batchRuns) one(ctx context.Context, text string, args ...any) (found bool, err error) {
	err = br.s.write(ctx, func(tx *tx) error {
		n, err := tx.change(text, args...)
		found = n == 1
		return err
	})
	return found && err == nil, err
}

// Finish cancels the items of a large batch in several writes; the last of them ends the batch.
func (br batchRuns) Finish(ctx context.Context, batchID string, s memory.BatchStatus, owed *memory.Event) (ended bool, err error) {
	if !s.Final() {
		return false, memory.Errorf(memory.CodeInternal, "a batch cannot end as %q", s)
	}
	open := sweep{text: openPages, after: -1, apply: store.Cancel}
	for done := false; !done; {
		err = br.s.write(ctx, func(tx *tx) error {
			var seq int64
			var workspace string
			err := tx.queryRow("SELECT seq, workspace FROM batches WHERE id = ? AND lease_until IS NOT NULL", batchID).Scan(&seq, &workspace)
			if errors.Is(err, sql.ErrNoRows) {
				done = true
				return nil
			}
			if err != nil {
				return err
			}
			if done = s != memory.BatchCancelled; !done {
				if done, err = open.some(tx, seq); err != nil || !done {
					return err
				}
			}
			ended = true
			if _, err := tx.exec("UPDATE batches SET status = ?, completed_at = ?, lease_until = NULL WHERE seq = ?", s, time.Now().UnixMilli(), seq); err != nil {
				return err
			}
			return owe(tx, workspace, batchID, owed)
		})
		if err != nil {
			return false, err
		}
	}
	return ended, nil
}

func (br batchRuns) Announce(ctx context.Context, batchID string, mark int, owed *memory.Event) (announced bool, err error) {
	err = br.s.write(ctx, func(tx *tx) error {
		var workspace string
		err := tx.queryRow(`UPDATE batches SET marks = marks || ?1 || ',' WHERE id = ?2 AND lease_until IS NOT NULL AND instr(marks, ',' || ?1 || ',') = 0
			RETURNING workspace`, fmt.Sprint(mark), batchID).Scan(&workspace)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		announced = true
		return owe(tx, workspace, batchID, owed)
	})
	return announced && err == nil, err
}

func (br batchRuns) Adrift(ctx context.Context, now time.Time, limit int) ([]store.BatchRef, error) {
	rows, err := br.s.query(ctx, `SELECT workspace, id, run, pages, priority FROM batches
		WHERE lease_until IS NOT NULL AND lease_until < ? ORDER BY created_at, id LIMIT ?`, msOf(now), limit)
	found, err := collect(rows, err, func(r *sql.Rows) (b store.BatchRef, err error) {
		return b, r.Scan(&b.Workspace, &b.ID, &b.Run, &b.Pages, &b.Priority)
	})
	return found, wrap(err)
}

func (br batchRuns) Entrust(ctx context.Context, batchID string, until time.Time) error {
	_, err := br.one(ctx, "UPDATE batches SET lease_until = ? WHERE id = ? AND lease_until IS NOT NULL", msOf(until), batchID)
	return err
}

// Recount reads all pages of the batch in one write: it is a repair, not everyday work.
func (br batchRuns) Recount(ctx context.Context, batchID string) (wrong bool, err error) {
	err = br.s.write(ctx, func(tx *tx) error {
		var seq int64
		var had sums
		c := &had.counts
		err := tx.queryRow(`SELECT seq, queued, processing, completed, degraded, failed, cancelled, rejected, tokens, cost FROM batches
			WHERE id = ? AND status <> 'uploading'`, batchID).
			Scan(&seq, &c.Queued, &c.Processing, &c.Completed, &c.Degraded, &c.Failed, &c.Cancelled, &c.Rejected, &had.tokens, &had.cost)
		if errors.Is(err, sql.ErrNoRows) {
			return noBatch()
		}
		if err != nil {
			return err
		}
		c.Total = c.Queued + c.Processing + c.Completed + c.Degraded + c.Failed + c.Cancelled + c.Rejected
		now, err := recountPages(tx, seq)
		if wrong = err == nil && now != had; !wrong {
			return err
		}
		return addSums(tx, seq, now, had)
	})
	return wrong && err == nil, err
}

// recountPages makes the sums of all pages of a batch anew, each page's own among them.
func recountPages(tx *tx, batch int64) (all sums, err error) {
	for after := -1; ; {
		rows, err := tx.query("SELECT "+pageColumns+" FROM pages AS p WHERE batch = ? AND number > ? ORDER BY number LIMIT ?", batch, after, rewritePages)
		pages, err := collect(rows, err, func(r *sql.Rows) (page, error) { return scanPage(r) })
		if err != nil || len(pages) == 0 {
			return all, err
		}
		for _, p := range pages {
			now := sumsOf(p.items)
			all = all.plus(now)
			if err := p.count(tx, now.counts); err != nil {
				return all, err
			}
			after = p.number
		}
	}
}
