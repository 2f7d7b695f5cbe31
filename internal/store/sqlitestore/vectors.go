package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/switchyard-ai/switchyard/internal/store"
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
	if err := fit(m, points); err != nil {
		return err
	}
	memories := entries(points)
	return v.s.write(ctx, func(t *tx) error {
		if err := settle(t, m); err != nil {
			return err
		}
		return index(t, memories)
	})
}

// fit checks that the vectors are ones that the model can have made.
func fit(m store.Model, points []store.Point) error {
	for i := range points {
		if err := m.Fits(points[i].Vector); err != nil {
			return err
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
	return stored.Same(m)
}

// An entry is a point with its terms, which are made before the one writer is asked.
type entry struct {
	store.Point
	terms []store.TermWeight
}

// entries are the points of the latest version of each memory.
func entries(points []store.Point) [][]entry {
	memories := store.Latest(points)
	out := make([][]entry, len(memories))
	for i, ps := range memories {
		for _, p := range ps {
			out[i] = append(out[i], entry{p, store.PassageTerms(p.Text)})
		}
	}
	return out
}

// index puts the points of memories in place of those that are there, unless those are of a later version.
func index(t *tx, memories [][]entry) error {
	ids, err := allot(t, memories)
	if err != nil {
		return err
	}
	var ps postings
	for _, points := range memories {
		p, ok, err := makePlace(t, ids[points[0].Workspace], points)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := p.fill(t, &ps); err != nil {
			return err
		}
	}
	return ps.write(t)
}

// workspaceBits is how far the workspace's number is shifted in ids.
const workspaceBits = 40

// idRange returns the least and the greatest id of a workspace.
func idRange(ws int64) (lo, hi int64) { return ws << workspaceBits, (ws+1)<<workspaceBits - 1 }

// idSource gives new ids of a workspace.
type idSource struct{ ws, last int64 }

func (s *idSource) next() int64 {
	s.last++
	return s.ws<<workspaceBits + s.last
}

// allot gives each workspace, which gets its number at its first memory, as many ids as its memories may need.
func allot(t *tx, memories [][]entry) (map[string]*idSource, error) {
	need := map[string]int64{}
	for _, points := range memories {
		need[points[0].Workspace] += int64(len(points)) + 1
	}
	out := map[string]*idSource{}
	for workspace, n := range need {
		_, err := t.exec("INSERT INTO search_workspaces (workspace, last, points) VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET last = last + excluded.last", workspace, n)
		if err != nil {
			return nil, err
		}
		var s idSource
		if err := t.queryRow("SELECT number, last FROM search_workspaces WHERE workspace = ?", workspace).Scan(&s.ws, &s.last); err != nil {
			return nil, err
		}
		s.last -= n
		out[workspace] = &s
	}
	return out, nil
}

// A place is where the points of a memory go.
type place struct {
	ids    *idSource
	memory int64 // id in search_memories
	points []entry
}

// makePlace clears what is there of the memory; false where that is of a later version.
func makePlace(t *tx, ids *idSource, points []entry) (place, bool, error) {
	p := place{ids: ids, points: points}
	var version int
	err := t.queryRow("SELECT id, version FROM search_memories WHERE workspace = ? AND memory_id = ?", ids.ws, points[0].MemoryID).
		Scan(&p.memory, &version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		p.memory = ids.next()
		return p, true, nil
	case err != nil || version > points[0].Version:
		return place{}, false, err
	}
	return p, true, unindex(t, p.memory)
}

// fill writes the memory and its points; what their terms count for goes to ps.
func (p place) fill(t *tx, ps *postings) error {
	if err := insertMemory(t, p.ids.ws, p.memory, p.points[0].Point); err != nil {
		return err
	}
	for _, point := range p.points {
		id := p.ids.next()
		_, err := t.exec("INSERT INTO search_points VALUES (?, ?, ?, ?, ?, ?, ?)",
			id, p.memory, point.Passage, point.Start, point.End, direction(point.Vector), packTerms(point.terms))
		if err != nil {
			return err
		}
		ps.add(id, point.terms)
	}
	_, err := t.exec("UPDATE search_workspaces SET points = points + ? WHERE number = ?", len(p.points), p.ids.ws)
	return err
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

// direction is the vector at length 1, as sqlite-vec takes it; nil where it has no direction.
func direction(vector []float32) any {
	if unit := store.Direction(vector); unit != nil {
		return packFloats(unit)
	}
	return nil
}

// unindex removes a memory from the index.
func unindex(t *tx, id int64) error {
	rows, err := t.query("SELECT id, terms FROM search_points WHERE memory = ?", id)
	points, err := collect(rows, err, func(r *sql.Rows) (p pointTerms, err error) { return p, r.Scan(&p.id, &p.terms) })
	if err != nil {
		return err
	}
	for _, p := range points {
		if err := p.unlist(t); err != nil {
			return err
		}
	}
	if _, err := t.exec("UPDATE search_workspaces SET points = points - ? WHERE number = ?", len(points), id>>workspaceBits); err != nil {
		return err
	}
	for _, text := range []string{
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

// Delete implements [store.Vectors]. It forgets also what is moved to, and what was moved from.
func (v vectors) Delete(ctx context.Context, workspace string, memoryIDs ...string) error {
	if len(memoryIDs) == 0 {
		return nil
	}
	return v.s.write(ctx, func(t *tx) error {
		rows, err := t.query(`SELECT id FROM search_memories
			WHERE workspace IN (SELECT number FROM search_workspaces WHERE workspace IN (?, ?, ?))
			AND memory_id IN (SELECT value FROM json_each(?))`, workspace, nextPlace+workspace, previousPlace+workspace, jsonOf(memoryIDs))
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

const heldPoints = `SELECT m.memory_id, m.version, (SELECT count(*) FROM search_points AS p WHERE p.memory = m.id) FROM search_memories AS m
	WHERE m.workspace = (SELECT number FROM search_workspaces WHERE workspace = ?)`

// Held implements [store.Vectors].
func (v vectors) Held(ctx context.Context, q store.HeldQuery) ([]store.Holding, string, error) {
	return v.s.held(ctx, heldPoints, q)
}

// held runs a query for holdings by memory, to which it adds which memories, in the order of their ids.
func (s *Store) held(ctx context.Context, text string, q store.HeldQuery) ([]store.Holding, string, error) {
	last, args := "", []any{q.Workspace}
	if q.Cursor != "" {
		if err := store.DecodeCursor(q.Cursor, &last); err != nil {
			return nil, "", err
		}
	}
	if len(q.MemoryIDs) > 0 {
		text += " AND m.memory_id IN (SELECT value FROM json_each(?))"
		args = append(args, jsonOf(q.MemoryIDs))
	}
	rows, err := s.query(ctx, text+" AND m.memory_id > ? ORDER BY m.memory_id LIMIT ?", append(args, last, q.Limit+1)...)
	out, err := collect(rows, err, func(r *sql.Rows) (h store.Holding, err error) {
		return h, r.Scan(&h.MemoryID, &h.Version, &h.Parts)
	})
	if err != nil || len(out) <= q.Limit {
		return out, "", wrap(err)
	}
	return out[:q.Limit], store.EncodeCursor(out[q.Limit-1].MemoryID), nil
}
