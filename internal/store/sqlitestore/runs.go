package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Runs gives how far memories are.
func (s *Store) Runs() store.Runs { return runs{s} }

type runs struct{ s *Store }

var _ store.Runs = runs{}

func (rs runs) Claim(ctx context.Context, c store.Claim) ([]memory.Draft, error) {
	if c.Owner == "" {
		return nil, memory.Errorf(memory.CodeInternal, "a claim needs an owner")
	}
	fences := map[memory.Ref]int64{}
	err := rs.s.write(ctx, func(tx *tx) error {
		for _, ref := range c.Refs {
			if fences[ref] != 0 {
				continue // named twice
			}
			fence, err := claim(tx, c, ref)
			if err != nil {
				return err
			}
			fences[ref] = fence
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return rs.drafts(ctx, c.Owner, c.Refs, func(d *memory.Draft) bool {
		got := fences[d.Memory.Ref()]
		delete(fences, d.Memory.Ref()) // once, should it be named twice
		return got != 0 && got == d.Fence
	})
}

// claim returns the new fence; 0 where the memory is not to be had.
func claim(tx *tx, c store.Claim, ref memory.Ref) (fence int64, err error) {
	now := time.Now().UnixMilli()
	err = tx.queryRow(`UPDATE memories SET owner = ?1, last_owner = ?1, fence = fence + 1, lease_until = ?2, status = 'processing',
			track = iif(?3 = '', track, ?3), started_at = coalesce(started_at, ?4), updated_at = ?4
		WHERE workspace = ?5 AND id = ?6 AND version = ?7 AND lease_until IS NOT NULL AND (lease_until <= ?4 OR owner = ?1)
		RETURNING fence`, c.Owner, msOf(c.Until), c.Track, now, ref.Workspace, ref.ID, ref.Version).Scan(&fence)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return fence, err
}

func (rs runs) Drafts(ctx context.Context, owner string, refs []memory.Ref) ([]memory.Draft, error) {
	return rs.drafts(ctx, owner, refs, func(*memory.Draft) bool { return true })
}

// drafts reads what owner holds among refs and keeps those that keep says. It reads beside the writer: it is the larger
// part of a claim.
func (rs runs) drafts(ctx context.Context, owner string, refs []memory.Ref, keep func(*memory.Draft) bool) ([]memory.Draft, error) {
	if owner == "" {
		return nil, nil
	}
	rows, err := rs.s.query(ctx, `SELECT `+memoryColumns+`, e.model, e.passages, e.vectors FROM json_each(?1) AS wanted
		CROSS JOIN memories AS m ON m.workspace = wanted.value ->> 'workspace' AND m.id = wanted.value ->> 'id' AND m.version = wanted.value ->> 'version'
			AND m.owner = ?2 AND m.lease_until IS NOT NULL
		JOIN contents AS c ON c.seq = m.seq LEFT JOIN embeddings AS e ON e.seq = m.seq ORDER BY wanted.key`, jsonOf(refs), owner)
	all, err := collect(rows, err, scanDraft)
	if err != nil {
		return nil, wrap(err)
	}
	kept := all[:0]
	for i := range all {
		if keep(&all[i]) {
			kept = append(kept, all[i])
		}
	}
	return kept, nil
}

func scanDraft(rows *sql.Rows) (memory.Draft, error) {
	var model, passages sql.NullString
	var vectors []byte
	m, err := scanMemory(rows, &model, &passages, &vectors)
	if err != nil {
		return memory.Draft{}, err
	}
	d := memory.Draft{Memory: m.Memory, Fence: m.fence}
	if model.Valid {
		d.Embedding, err = unpackEmbedding(model.String, passages.String, vectors)
	}
	return d, err
}

func (rs runs) Checkpoint(ctx context.Context, cs []store.Checkpoint) ([]bool, error) {
	rows := make([]checkpoint, len(cs))
	for i, c := range cs {
		rows[i] = checkpointOf(c.Receipt, c.Output)
	}
	return rs.each(ctx, len(cs), func(tx *tx, i int) (bool, error) {
		now := time.Now().UnixMilli()
		var seq int64
		err := tx.queryRow("UPDATE memories SET updated_at = ? "+ifCurrent+" RETURNING seq", now, cs[i].Ref.Workspace, cs[i].Ref.ID, cs[i].Ref.Version, cs[i].Fence).Scan(&seq)
		if err != nil {
			return false, err
		}
		return true, rows[i].save(tx, seq)
	})
}

// ifCurrent is the condition of every write of a run; its parameters are workspace, id, version and fence.
const ifCurrent = "WHERE workspace = ? AND id = ? AND version = ? AND fence = ? AND lease_until IS NOT NULL"

// each makes n changes in one write. A change that finds no row is refused: false, not an error.
func (rs runs) each(ctx context.Context, n int, change func(tx *tx, i int) (bool, error)) ([]bool, error) {
	out := make([]bool, n)
	err := rs.s.write(ctx, func(tx *tx) error {
		for i := range out {
			ok, err := change(tx, i)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			out[i] = ok
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (rs runs) Finish(ctx context.Context, fs []store.Finish) ([]bool, error) {
	for _, f := range fs {
		if !f.Status.Final() {
			return nil, memory.Errorf(memory.CodeInternal, "a run cannot end as %q", f.Status)
		}
	}
	return rs.each(ctx, len(fs), func(tx *tx, i int) (bool, error) { return finish(tx, &fs[i]) })
}

func finish(tx *tx, f *store.Finish) (bool, error) {
	now := time.Now().UnixMilli()
	var fault sql.NullString
	if f.Error != nil {
		fault = textOrNull(jsonOf(f.Error))
	}
	var seq int64
	err := tx.queryRow("UPDATE memories SET status = ?, error = ?, completed_at = ?, updated_at = ?, owner = '', lease_until = NULL "+ifCurrent+" RETURNING seq",
		f.Status, fault, now, now, f.Ref.Workspace, f.Ref.ID, f.Ref.Version, f.Fence).Scan(&seq)
	if err != nil {
		return false, err
	}
	for _, r := range f.Receipts {
		if err := checkpointOf(r, nil).save(tx, seq); err != nil {
			return false, err
		}
	}
	if _, err := tx.exec("DELETE FROM embeddings WHERE seq = ?", seq); err != nil {
		return false, err
	}
	return true, owe(tx, f.Ref.Workspace, f.Ref.ID, f.Event)
}

// Release leaves no owner, so that a renewal by the former one does not take the memory back.
func (rs runs) Release(ctx context.Context, releases []store.Release) ([]bool, error) {
	return rs.each(ctx, len(releases), func(tx *tx, i int) (bool, error) {
		r := releases[i]
		n, err := tx.change("UPDATE memories SET track = ?, reason = ?, owner = '', lease_until = 0, updated_at = ? "+ifCurrent,
			r.Track, r.Reason, time.Now().UnixMilli(), r.Ref.Workspace, r.Ref.ID, r.Ref.Version, r.Fence)
		return n == 1, err
	})
}

// checkpoint is a receipt and output in the form in which they are written.
type checkpoint struct {
	step      string
	completed bool
	tokens    int
	cost      int64
	receipt   string
	output    sql.NullString
	embedding *memory.Embedding
}

func checkpointOf(r memory.Receipt, o *memory.Output) checkpoint {
	c := checkpoint{step: r.Name, completed: r.Status == memory.StepCompleted, tokens: r.Tokens, cost: costOf(r.CostUSD), receipt: jsonOf(r)}
	if o != nil {
		rest := *o
		c.embedding, rest.Embedding = rest.Embedding, nil
		c.output = textOrNull(jsonOf(rest))
	}
	return c
}

// save writes the checkpoint unless the step is completed already.
func (c checkpoint) save(tx *tx, seq int64) error {
	n, err := tx.change(`INSERT INTO checkpoints (seq, step, place, completed, tokens, cost, receipt, output)
		VALUES (?1, ?2, (SELECT count(*) FROM checkpoints WHERE seq = ?1), ?3, ?4, ?5, ?6, ?7)
		ON CONFLICT DO UPDATE SET completed = excluded.completed, tokens = excluded.tokens, cost = excluded.cost,
			receipt = excluded.receipt, output = excluded.output WHERE NOT completed`,
		seq, c.step, c.completed, c.tokens, c.cost, c.receipt, c.output)
	if err != nil || n == 0 || c.embedding == nil {
		return err
	}
	passages, vectors := packEmbedding(c.embedding)
	_, err = tx.exec("INSERT OR REPLACE INTO embeddings (seq, model, passages, vectors) VALUES (?, ?, ?, ?)", seq, c.embedding.Model, passages, vectors)
	return err
}

// packEmbedding makes a list of [start, end, dimensions] and the vectors, one after the other.
func packEmbedding(e *memory.Embedding) (passages string, vectors []byte) {
	list := make([][3]int, len(e.Passages))
	for i, p := range e.Passages {
		list[i] = [3]int{p.Start, p.End, len(p.Vector)}
		vectors = append(vectors, packFloats(p.Vector)...)
	}
	if vectors == nil {
		vectors = []byte{}
	}
	return jsonOf(list), vectors
}

func unpackEmbedding(model, passages string, vectors []byte) (*memory.Embedding, error) {
	var list [][3]int
	if err := json.Unmarshal([]byte(passages), &list); err != nil {
		return nil, err
	}
	e := &memory.Embedding{Model: model, Passages: make([]memory.Passage, len(list))}
	for i, p := range list {
		size := 4 * p[2]
		if size > len(vectors) {
			return nil, memory.Errorf(memory.CodeInternal, "a stored embedding is cut short")
		}
		e.Passages[i] = memory.Passage{Start: p[0], End: p[1], Vector: unpackFloats(vectors[:size])}
		vectors = vectors[size:]
	}
	return e, nil
}
