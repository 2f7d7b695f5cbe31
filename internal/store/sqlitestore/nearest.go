package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Nearest implements [store.Vectors]. In a workspace of more points than there are candidates it goes by the sketch first.
func (v vectors) Nearest(ctx context.Context, qs []store.VectorQuery) ([][]store.Hit, error) {
	out := make([][]store.Hit, len(qs))
	for _, at := range sameRegion(qs) {
		if err := v.nearestOf(ctx, qs, at, out); err != nil {
			return nil, wrap(err)
		}
	}
	return out, nil
}

// sameRegion groups the places of queries that are about the same workspace and model.
func sameRegion(qs []store.VectorQuery) [][]int {
	type about struct {
		workspace string
		model     store.Model
	}
	groups := map[about]int{}
	var out [][]int
	for i, q := range qs {
		key := about{q.Workspace, q.Model}
		g, ok := groups[key]
		if !ok {
			g = len(out)
			groups[key], out = g, append(out, nil)
		}
		out[g] = append(out[g], i)
	}
	return out
}

// candidates is how many points are compared exactly for an answer of limit memories.
func candidates(limit int) int { return max(160, 16*limit) }

// nearestOf answers the queries at the given places, all of one workspace and model.
func (v vectors) nearestOf(ctx context.Context, qs []store.VectorQuery, at []int, out [][]store.Hit) error {
	for _, i := range at {
		q := qs[i]
		q.Mode = store.Vector
		if err := q.Check(); err != nil {
			return err
		}
	}
	first := qs[at[0]]
	place, err := v.searched(ctx, store.VectorQuery{Mode: store.Vector, Model: first.Model})
	if err != nil {
		return err
	}
	in, ok, err := v.within(ctx, store.VectorQuery{Workspace: place + first.Workspace})
	if err != nil || !ok {
		return err
	}
	k := v.s.sketches.of(in.lo>>workspaceBits, first.Model.Dimensions)
	if err := k.refresh(ctx, v.s, in); err != nil {
		return err
	}
	near, all := make([][]int64, len(at)), map[int64]bool{}
	for n, i := range at {
		near[n] = k.near(qs[i].Vector, candidates(qs[i].Limit+len(qs[i].Exclude)))
		for _, id := range near[n] {
			all[id] = true
		}
	}
	points, err := v.points(ctx, all)
	if err != nil {
		return err
	}
	for n, i := range at {
		out[i] = rank(qs[i], near[n], points)
	}
	return nil
}

// A located point is one with its vector.
type located struct {
	store.Hit
	number int
	vector []float32
}

func (v vectors) points(ctx context.Context, ids map[int64]bool) (map[int64]located, error) {
	list := make([]int64, 0, len(ids))
	for id := range ids {
		list = append(list, id)
	}
	slices.Sort(list)
	rows, err := v.s.query(ctx, `SELECT p.id, m.memory_id, m.version, m.occurred_at, p.passage, p.starts, p.ends, p.vector
		FROM json_each(?) ids JOIN search_points p ON p.id = ids.value JOIN search_memories m ON m.id = p.memory`, jsonOf(list))
	out := make(map[int64]located, len(list))
	_, err = collect(rows, err, func(r *sql.Rows) (p located, err error) {
		var id int64
		var occurred sql.NullInt64
		var vector []byte
		err = r.Scan(&id, &p.MemoryID, &p.Version, &occurred, &p.number, &p.Start, &p.End, &vector)
		if occurred.Valid {
			p.OccurredAt = time.UnixMilli(occurred.Int64).UTC()
		}
		p.vector = unpackFloats(vector)
		out[id] = p
		return p, err
	})
	return out, err
}

// rank compares the candidates of a query exactly.
func rank(q store.VectorQuery, near []int64, points map[int64]located) []store.Hit {
	unit := store.Direction(q.Vector)
	if unit == nil {
		return nil
	}
	var found []passage
	for _, id := range near {
		p, ok := points[id]
		if !ok || slices.Contains(q.Exclude, p.MemoryID) {
			continue // it was deleted, or is not wanted
		}
		cosine := max(-1, min(1, dot(unit, p.vector)))
		p.Score, p.Vector = max(0, cosine), &cosine
		found = append(found, passage{Hit: p.Hit, number: p.number, rank: -cosine})
	}
	slices.SortFunc(found, func(a, b passage) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.MemoryID, b.MemoryID), cmp.Compare(a.number, b.number))
	})
	hits := firsts(found)
	return hits[:min(q.Limit, len(hits))]
}

func dot(a, b []float32) float64 {
	var sum float32
	for i, x := range a {
		sum += x * b[i]
	}
	return float64(sum)
}
