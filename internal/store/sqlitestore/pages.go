package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// sums is what the items of a page add up to. The batch keeps the sums of its pages: both change in one transaction.
type sums struct {
	counts memory.Counts
	tokens int
	cost   int64
}

func sumsOf(items []memory.Item) (t sums) {
	for _, item := range items {
		t.counts.Add(item.Status, 1)
		t.tokens += item.Tokens
		t.cost += costOf(item.CostUSD)
	}
	return t
}

func (t sums) plus(more sums) sums {
	c, m := &t.counts, more.counts
	c.Total += m.Total
	c.Queued += m.Queued
	c.Processing += m.Processing
	c.Completed += m.Completed
	c.Degraded += m.Degraded
	c.Failed += m.Failed
	c.Cancelled += m.Cancelled
	c.Rejected += m.Rejected
	t.tokens += more.tokens
	t.cost += more.cost
	return t
}

// addSums brings the sums of a batch up to date with a page that was changed.
func addSums(tx *tx, batch int64, now, was sums) error {
	n, w := now.counts, was.counts
	_, err := tx.exec(`UPDATE batches SET queued = queued + ?, processing = processing + ?, completed = completed + ?, degraded = degraded + ?,
			failed = failed + ?, cancelled = cancelled + ?, rejected = rejected + ?, tokens = tokens + ?, cost = cost + ? WHERE seq = ?`,
		n.Queued-w.Queued, n.Processing-w.Processing, n.Completed-w.Completed, n.Degraded-w.Degraded,
		n.Failed-w.Failed, n.Cancelled-w.Cancelled, n.Rejected-w.Rejected, now.tokens-was.tokens, now.cost-was.cost, batch)
	return err
}

// page is a stored page.
type page struct {
	seq, batch int64
	number     int
	items      []memory.Item
}

const pageColumns = "p.seq, p.batch, p.number, p.items"

func scanPage(r scanner, more ...any) (p page, err error) {
	var items string
	if err := r.Scan(append([]any{&p.seq, &p.batch, &p.number, &items}, more...)...); err != nil {
		return p, err
	}
	return p, json.Unmarshal([]byte(items), &p.items)
}

// rewrite changes the items of a page, and with them its counts, the sums of the batch and what is kept of the upload.
func (p page) rewrite(tx *tx, change func(*memory.Item)) error {
	was, had := sumsOf(p.items), needed(p.items)
	for i := range p.items {
		change(&p.items[i])
	}
	now := sumsOf(p.items)
	if err := p.count(tx, now.counts); err != nil {
		return err
	}
	if has := needed(p.items); !slices.Equal(has, had) {
		if err := p.dropInputs(tx, has); err != nil {
			return err
		}
	}
	return addSums(tx, p.batch, now, was)
}

// count writes the items of a page with their counts.
func (p page) count(tx *tx, c memory.Counts) error {
	_, err := tx.exec(`UPDATE pages SET queued = ?, processing = ?, completed = ?, degraded = ?, failed = ?, cancelled = ?, rejected = ?, items = ? WHERE seq = ?`,
		c.Queued, c.Processing, c.Completed, c.Degraded, c.Failed, c.Cancelled, c.Rejected, jsonOf(p.items), p.seq)
	return err
}

// needed says of each item whether what was uploaded for it must be kept.
func needed(items []memory.Item) []bool {
	out := make([]bool, len(items))
	for i, item := range items {
		out[i] = store.NeedsInput(item)
	}
	return out
}

func (p page) dropInputs(tx *tx, keep []bool) error {
	if !slices.Contains(keep, true) {
		_, err := tx.exec("DELETE FROM uploads WHERE seq = ?", p.seq)
		return err
	}
	var text string
	err := tx.queryRow("SELECT inputs FROM uploads WHERE seq = ?", p.seq).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	var inputs []json.RawMessage
	if err := json.Unmarshal([]byte(text), &inputs); err != nil {
		return err
	}
	for i := range inputs {
		if !keep[i] {
			inputs[i] = json.RawMessage("null")
		}
	}
	_, err = tx.exec("UPDATE uploads SET inputs = ? WHERE seq = ?", jsonOf(inputs), p.seq)
	return err
}

func (br batchRuns) Page(ctx context.Context, batchID string, number int) (store.Page, error) {
	out := store.Page{BatchID: batchID, Number: number}
	var inputsText sql.NullString
	p, err := scanPage(br.s.queryRow(ctx, "SELECT "+pageColumns+`, b.workspace, u.inputs FROM batches AS b
		JOIN pages AS p ON p.batch = b.seq LEFT JOIN uploads AS u ON u.seq = p.seq
		WHERE b.id = ? AND b.status <> 'uploading' AND p.number = ?`, batchID, number), &out.Workspace, &inputsText)
	if errors.Is(err, sql.ErrNoRows) {
		return out, noPage()
	}
	if err != nil {
		return out, wrap(err)
	}
	inputs := make([]*memory.Input, len(p.items))
	if err := decode(inputsText, &inputs); err != nil {
		return out, wrap(err)
	}
	for i, item := range p.items {
		out.Entries = append(out.Entries, store.Entry{Item: item, Input: inputs[i]})
	}
	return out, nil
}

func noPage() error {
	return memory.Errorf(memory.CodeNotFound, "there is no such page of a batch of this id")
}

func (br batchRuns) SetItems(ctx context.Context, batchID string, number int, items []memory.Item) error {
	byIndex := make(map[int]memory.Item, len(items))
	for _, item := range items {
		byIndex[item.Index] = item
	}
	return br.s.write(ctx, func(tx *tx) error {
		p, err := scanPage(tx.queryRow("SELECT "+pageColumns+` FROM batches AS b JOIN pages AS p ON p.batch = b.seq
			WHERE b.id = ? AND b.status <> 'uploading' AND p.number = ?`, batchID, number))
		if errors.Is(err, sql.ErrNoRows) {
			return noPage()
		}
		if err != nil {
			return err
		}
		return p.rewrite(tx, func(item *memory.Item) {
			if became, ok := byIndex[item.Index]; ok {
				store.Became(item, became)
			}
		})
	})
}

// Items skips pages by their counts, so that a few failed items of a million are found at once.
func (bs batches) Items(ctx context.Context, q store.ItemQuery) ([]memory.Item, string, error) {
	number, index := 0, -1
	if q.Cursor != "" {
		if err := store.DecodeCursor(q.Cursor, &number, &index); err != nil {
			return nil, "", err
		}
	}
	var batch int64
	err := bs.s.queryRow(ctx, "SELECT seq FROM batches WHERE workspace = ? AND id = ? AND status <> 'uploading'", q.Workspace, q.BatchID).Scan(&batch)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", noBatch()
	}
	if err != nil {
		return nil, "", wrap(err)
	}
	out, next, err := bs.items(ctx, batch, number, index, q)
	return out, next, wrap(err)
}

func (bs batches) items(ctx context.Context, batch int64, number, index int, q store.ItemQuery) ([]memory.Item, string, error) {
	has := func(s memory.Status) bool { return len(q.Statuses) == 0 || slices.Contains(q.Statuses, s) }
	rows, err := bs.s.query(ctx, "SELECT "+pageColumns+` FROM pages AS p WHERE p.batch = ? AND p.number >= ? AND
		(p.queued * ? + p.processing * ? + p.completed * ? + p.degraded * ? + p.failed * ? + p.cancelled * ? + p.rejected * ?) > 0 ORDER BY p.number`,
		batch, number, has(memory.StatusQueued), has(memory.StatusProcessing), has(memory.StatusCompleted), has(memory.StatusDegraded),
		has(memory.StatusFailed), has(memory.StatusCancelled), has(memory.StatusRejected))
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = rows.Close() }()
	var out []memory.Item
	cursor := ""
	for rows.Next() {
		p, err := scanPage(rows)
		if err != nil {
			return nil, "", fmt.Errorf("items: %w", err)
		}
		for _, item := range p.items {
			if item.Index <= index || !has(item.Status) {
				continue
			}
			if len(out) == q.Limit {
				return out, cursor, nil
			}
			out, cursor = append(out, item), store.EncodeCursor(p.number, item.Index)
		}
	}
	return out, "", rows.Err()
}
