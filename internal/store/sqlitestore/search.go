package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Search implements [store.Vectors].
func (v vectors) Search(ctx context.Context, q store.VectorQuery) ([]store.Hit, error) {
	hits, err := v.search(ctx, q)
	return hits, wrap(err)
}

func (v vectors) search(ctx context.Context, q store.VectorQuery) ([]store.Hit, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	place, err := v.searched(ctx, q)
	if err != nil {
		return nil, err
	}
	q.Workspace = place + q.Workspace
	in, ok, err := v.within(ctx, q)
	if err != nil || !ok {
		return nil, err
	}
	switch q.Mode {
	case store.Vector:
		return v.nearest(ctx, in, q.Vector, q.Limit)
	case store.Lexical:
		return v.matching(ctx, in, q.Text, q.Limit)
	}
	var fusion store.Fusion
	depth := fusion.Depth(q.Limit)
	near, err := v.nearest(ctx, in, q.Vector, depth)
	if err != nil {
		return nil, err
	}
	match, err := v.matching(ctx, in, q.Text, depth)
	return fusion.Fuse(near, match, q.Limit), err
}

// searched is where the vectors lie that the query is about: those in force, or, for vectors of the model before, what that
// one left.
func (v vectors) searched(ctx context.Context, q store.VectorQuery) (place string, err error) {
	if q.Mode == store.Lexical {
		return "", nil
	}
	stored, err := v.Model(ctx)
	if err != nil || stored == (store.Model{}) || stored == q.Model {
		return "", err // where nothing is stored nothing will be found
	}
	st, err := readMove(v.s.queryRow(ctx, selectMove))
	if err == nil && st.previous == q.Model {
		return previousPlace, nil
	}
	if err == nil {
		err = stored.Same(q.Model)
	}
	return "", err
}

// A region is what of the store a query is about: a range of ids, which is a workspace, and of these the memories that two
// queries for ids name.
type region struct {
	lo, hi  int64
	only    *subquery // nil: all
	without *subquery // nil: none
}

type subquery struct {
	text string
	args []any
}

// narrow returns the conditions that keep a query in the region, each a format that has the subquery in place of %s, and
// the parameters that belong to them.
func (in region) narrow(only, without string) (text string, args []any) {
	if in.only != nil {
		text, args = strings.Replace(only, "%s", in.only.text, 1), in.only.args
	}
	if in.without != nil {
		text += strings.Replace(without, "%s", in.without.text, 1)
		args = slices.Concat(args, in.without.args)
	}
	return text, args
}

// within returns the region of a query, and false where the workspace has nothing.
func (v vectors) within(ctx context.Context, q store.VectorQuery) (in region, ok bool, err error) {
	var ws int64
	err = v.s.queryRow(ctx, "SELECT number FROM search_workspaces WHERE workspace = ?", q.Workspace).Scan(&ws)
	if errors.Is(err, sql.ErrNoRows) {
		return region{}, false, nil
	}
	if err != nil {
		return region{}, false, err
	}
	in.lo, in.hi = idRange(ws)
	if q.Filter != nil {
		condition, args, err := filterSQL(*q.Filter, ws)
		if err != nil {
			return region{}, false, err
		}
		in.only = &subquery{"SELECT m.id FROM search_memories m WHERE m.id BETWEEN ? AND ? AND " + condition, append([]any{in.lo, in.hi}, args...)}
	}
	if len(q.Exclude) > 0 {
		in.without = &subquery{"SELECT id FROM search_memories WHERE workspace = ? AND memory_id IN (SELECT value FROM json_each(?))", []any{ws, jsonOf(q.Exclude)}}
	}
	return in, true, nil
}

// nearest returns the best want memories by vector.
func (v vectors) nearest(ctx context.Context, in region, vector []float32, want int) ([]store.Hit, error) {
	unit := direction(vector)
	if unit == nil {
		return nil, nil
	}
	where, more := in.narrow(" AND memory IN (%s)", " AND memory NOT IN (%s)")
	text := `SELECT m.memory_id, m.version, m.occurred_at, p.passage, p.starts, p.ends, p.distance
		FROM (SELECT memory, passage, starts, ends, vec_distance_l2(vector, ?) AS distance FROM search_points
			WHERE id BETWEEN ? AND ? AND vector IS NOT NULL` + where + ` ORDER BY distance LIMIT ?) p
		JOIN search_memories m ON m.id = p.memory`
	args := append([]any{unit, in.lo, in.hi}, more...)
	hits, err := best(want, func(limit int) ([]passage, error) {
		return v.passages(ctx, in, text, append(slices.Clone(args), limit))
	}, func(p *passage) { p.Score = 1 - p.rank*p.rank/2 }) // on vectors of length 1, that is the cosine
	for i := range hits {
		cosine := max(-1, min(1, hits[i].Score))
		hits[i].Vector, hits[i].Score = &cosine, max(0, cosine)
	}
	return hits, err
}

// matching returns the best want memories by words.
func (v vectors) matching(ctx context.Context, in region, text string, want int) ([]store.Hit, error) {
	words, err := v.weigh(ctx, in, text)
	if err != nil || len(words.terms) == 0 {
		return nil, err
	}
	where, more := in.narrow( // the + keeps SQLite from looking for each of the points in each segment
		" AND +t.point IN (SELECT id FROM search_points WHERE memory IN (%s))",
		" AND +t.point NOT IN (SELECT id FROM search_points WHERE memory IN (%s))")
	query := `SELECT m.memory_id, m.version, m.occurred_at, p.passage, p.starts, p.ends, -w.score
		FROM (SELECT t.point AS id, sum(t.weight * (q.value ->> 1)) AS score FROM json_each(?) q CROSS JOIN json_each(?) s
			CROSS JOIN search_terms t ON t.segment = s.value AND t.term = CAST(q.value ->> 0 AS INTEGER)` + where + `
			GROUP BY t.point ORDER BY score DESC LIMIT ?) w
		JOIN search_points p ON p.id = w.id
		JOIN search_memories m ON m.id = p.memory`
	args := append([]any{jsonOf(words.terms), jsonOf(words.segments)}, more...)
	hits, err := best(want, func(limit int) ([]passage, error) {
		return v.passages(ctx, in, query, append(slices.Clone(args), limit))
	}, func(p *passage) { p.Score = -p.rank })
	for i := len(hits) - 1; i >= 0; i-- {
		hits[i].Score /= hits[0].Score
		hits[i].Lexical = new(hits[i].Score)
	}
	return hits, err
}

// A passage is a point that was found.
type passage struct {
	store.Hit
	number int
	rank   float64 // as SQL orders by it: the lower, the better
}

func (v vectors) passages(ctx context.Context, in region, text string, args []any) ([]passage, error) {
	query := v.s.query
	if in.only != nil { // there are as many texts as filters: not to be kept
		query = v.s.reads.QueryContext
	}
	rows, err := query(ctx, text, args...)
	return collect(rows, err, func(r *sql.Rows) (p passage, err error) {
		var occurred sql.NullInt64
		err = r.Scan(&p.MemoryID, &p.Version, &occurred, &p.number, &p.Start, &p.End, &p.rank)
		if occurred.Valid {
			p.OccurredAt = time.UnixMilli(occurred.Int64).UTC()
		}
		return p, err
	})
}

// best returns the want best memories, each by its best passage. As a memory may have many passages among the best, it
// fetches more of them until it is sure.
func best(want int, fetch func(limit int) ([]passage, error), score func(*passage)) ([]store.Hit, error) {
	for limit := 2 * want; ; limit *= 4 {
		found, err := fetch(limit)
		if err != nil {
			return nil, err
		}
		for i := range found {
			score(&found[i])
		}
		slices.SortFunc(found, func(a, b passage) int {
			return cmp.Or(store.BestFirst(a.Hit, b.Hit), cmp.Compare(a.number, b.number))
		})
		hits := firsts(found)
		// What was not fetched is no better than the last that was. If it is as good as the last wanted one, it may come
		// before that by its id.
		if len(found) < limit || len(hits) >= want && found[len(found)-1].Score < hits[want-1].Score {
			return hits[:min(want, len(hits))], nil
		}
	}
}

// firsts returns the first passage of each memory.
func firsts(found []passage) []store.Hit {
	var hits []store.Hit
	seen := make(map[string]bool, len(found))
	for _, p := range found {
		if !seen[p.MemoryID] {
			seen[p.MemoryID] = true
			hits = append(hits, p.Hit)
		}
	}
	return hits
}
