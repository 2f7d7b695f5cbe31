package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Vectors gives the index of passages, by meaning and by words.
func (s *Store) Vectors() store.Vectors { return vectors{s} }

// Vectors lie in an ordinary table that a search reads through, with the distance functions of sqlite-vec: exact, and as
// quick for a filtered search as for any. Its vec0 tables read a big workspace 1.5 times as fast, but take the room of 64
// vectors for the smallest one, look through the chunks of all workspaces for those of one, and answer with 4,096
// passages at most.
type vectors struct{ s *Store }

var _ store.Vectors = vectors{}

// Upsert implements [store.Vectors]. It is one transaction.
func (v vectors) Upsert(ctx context.Context, m store.Model, points []store.Point) error {
	if len(points) == 0 {
		return nil
	}
	for i := range points {
		if err := fits(m, points[i].Vector); err != nil {
			return err
		}
	}
	return v.s.write(ctx, func(t *tx) error {
		if err := settle(t, m); err != nil {
			return err
		}
		for _, ps := range byMemory(points) {
			if err := index(t, ps); err != nil {
				return err
			}
		}
		return nil
	})
}

// fits checks that a vector is one that the model can have made.
func fits(m store.Model, vector []float32) error {
	if m.ID == "" || len(vector) == 0 || len(vector) != m.Dimensions {
		return memory.Errorf(memory.CodeModelMismatch, "a vector of %d dimensions does not come from the model %q, which has %d",
			len(vector), m.ID, m.Dimensions)
	}
	for _, f := range vector {
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			return memory.Errorf(memory.CodeInvalid, "a vector of the model %q has an element that is no number", m.ID)
		}
	}
	return nil
}

// settle makes m the model of the store, if it has none yet.
func settle(t *tx, m store.Model) error {
	if _, err := t.exec("INSERT INTO search_model VALUES (1, ?, ?) ON CONFLICT DO NOTHING", m.ID, m.Dimensions); err != nil {
		return err
	}
	var stored store.Model
	if err := t.queryRow("SELECT id, dimensions FROM search_model").Scan(&stored.ID, &stored.Dimensions); err != nil {
		return err
	}
	return sameModel(stored, m)
}

func sameModel(stored, m store.Model) error {
	if stored == m {
		return nil
	}
	return memory.Errorf(memory.CodeModelMismatch, "the store holds vectors of the model %q with %d dimensions; these are of %q with %d",
		stored.ID, stored.Dimensions, m.ID, m.Dimensions)
}

// byMemory groups points by version of a memory; earlier versions come first.
func byMemory(points []store.Point) [][]store.Point {
	var order []memory.Ref
	groups := map[memory.Ref][]store.Point{}
	for _, p := range points {
		ref := memory.Ref{Workspace: p.Workspace, ID: p.MemoryID, Version: p.Version}
		if groups[ref] == nil {
			order = append(order, ref)
		}
		groups[ref] = append(groups[ref], p)
	}
	slices.SortStableFunc(order, func(a, b memory.Ref) int { return cmp.Compare(a.Version, b.Version) })
	out := make([][]store.Point, len(order))
	for i, ref := range order {
		out[i] = groups[ref]
	}
	return out
}

// index puts the points of a memory in place of those that it has, unless those are of a later version.
func index(t *tx, points []store.Point) error {
	p := points[0]
	ws, err := workspaceNumber(t, p.Workspace)
	if err != nil {
		return err
	}
	var id int64
	var version int
	err = t.queryRow("SELECT id, version FROM search_memories WHERE workspace = ? AND memory_id = ?", ws, p.MemoryID).Scan(&id, &version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		id, err = nextID(t, ws)
	case err == nil && version > p.Version:
		return nil
	case err == nil:
		err = unindex(t, id)
	}
	if err != nil {
		return err
	}
	if err := insertMemory(t, ws, id, p); err != nil {
		return err
	}
	for _, p := range points {
		if err := insertPoint(t, ws, id, p); err != nil {
			return err
		}
	}
	return nil
}

// workspaceNumber returns the number of a workspace, which it gets at its first memory.
func workspaceNumber(t *tx, workspace string) (int64, error) {
	if _, err := t.exec("INSERT INTO search_workspaces (workspace, last) VALUES (?, 0) ON CONFLICT DO NOTHING", workspace); err != nil {
		return 0, err
	}
	var n int64
	return n, t.queryRow("SELECT number FROM search_workspaces WHERE workspace = ?", workspace).Scan(&n)
}

// workspaceBits is how far the workspace's number is shifted in ids.
const workspaceBits = 40

// idRange returns the least and the greatest id of a workspace.
func idRange(ws int64) (lo, hi int64) { return ws << workspaceBits, (ws+1)<<workspaceBits - 1 }

func nextID(t *tx, ws int64) (int64, error) {
	var n int64
	err := t.queryRow("UPDATE search_workspaces SET last = last + 1 WHERE number = ? RETURNING last", ws).Scan(&n)
	return ws<<workspaceBits + n, err
}

func insertMemory(t *tx, ws, id int64, p store.Point) error {
	var occurred any
	if !p.Fields.OccurredAt.IsZero() {
		occurred = p.Fields.OccurredAt.UnixMilli()
	}
	_, err := t.exec(`INSERT INTO search_memories (id, workspace, memory_id, version, external_id, batch_id, created_at, occurred_at)
		VALUES (?, ?, ?, ?, nullif(?, ''), nullif(?, ''), ?, ?)`,
		id, ws, p.MemoryID, p.Version, p.Fields.ExternalID, p.Fields.BatchID, p.Fields.CreatedAt.UnixMilli(), occurred)
	if err != nil {
		return err
	}
	for key, value := range p.Fields.Metadata {
		l := label(value)
		if l == nil {
			continue
		}
		if _, err := t.exec("INSERT INTO search_labels VALUES (?, ?, ?, ?)", ws, key, l, id); err != nil {
			return err
		}
	}
	return nil
}

func insertPoint(t *tx, ws, id int64, p store.Point) error {
	n, err := nextID(t, ws)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO search_points VALUES (?, ?, ?, ?, ?, ?)", n, id, p.Passage, p.Start, p.End, direction(p.Vector))
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO search_words (rowid, text) VALUES (?, ?)", n, p.Text)
	return err
}

// direction is the vector at length 1, as sqlite-vec takes it; nil where it has no direction.
func direction(vector []float32) any {
	var sum float64
	for _, f := range vector {
		sum += float64(f) * float64(f)
	}
	if sum == 0 {
		return nil
	}
	unit, length := make([]float32, len(vector)), math.Sqrt(sum)
	for i, f := range vector {
		unit[i] = float32(float64(f) / length)
	}
	return packFloats(unit)
}

// unindex removes a memory from the index.
func unindex(t *tx, id int64) error {
	for _, text := range []string{
		"DELETE FROM search_words WHERE rowid IN (SELECT id FROM search_points WHERE memory = ?)",
		"DELETE FROM search_points WHERE memory = ?",
		"DELETE FROM search_labels WHERE memory = ?",
		"DELETE FROM search_memories WHERE id = ?",
	} {
		if _, err := t.exec(text, id); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements [store.Vectors].
func (v vectors) Delete(ctx context.Context, workspace string, memoryIDs ...string) error {
	if len(memoryIDs) == 0 {
		return nil
	}
	return v.s.write(ctx, func(t *tx) error {
		rows, err := t.query(`SELECT id FROM search_memories
			WHERE workspace = (SELECT number FROM search_workspaces WHERE workspace = ?)
			AND memory_id IN (SELECT value FROM json_each(?))`, workspace, jsonOf(memoryIDs))
		ids, err := collect(rows, err, func(r *sql.Rows) (id int64, err error) { return id, r.Scan(&id) })
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := unindex(t, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Model implements [store.Vectors].
func (v vectors) Model(ctx context.Context) (store.Model, error) {
	var m store.Model
	err := v.s.queryRow(ctx, "SELECT id, dimensions FROM search_model").Scan(&m.ID, &m.Dimensions)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return m, wrap(err)
}
