package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// segmentBits is how many points share a segment of the full text. A search looks for each term in each segment of its
// workspace, a write changes the newest segment only.
const segmentBits = 10

// postings are what terms count for in points, to be written in the order in which SQLite keeps them.
type postings []posting

type posting struct {
	store.TermWeight
	point int64
}

func (ps *postings) add(point int64, terms []store.TermWeight) {
	for _, w := range terms {
		*ps = append(*ps, posting{w, point})
	}
}

func (ps postings) write(t *tx) error {
	slices.SortFunc(ps, func(a, b posting) int {
		return cmp.Or(cmp.Compare(a.point>>segmentBits, b.point>>segmentBits), cmp.Compare(a.Term, b.Term), cmp.Compare(a.point, b.point))
	})
	for _, p := range ps {
		_, err := t.exec("INSERT INTO search_terms VALUES (?, ?, ?, ?)", p.point>>segmentBits, int64(p.Term), p.point, float64(p.Weight))
		if err != nil {
			return err
		}
	}
	return nil
}

// pointTerms are the terms of a point, as it keeps them.
type pointTerms struct {
	id    int64
	terms []byte
}

// unlist removes the postings of the point.
func (p pointTerms) unlist(t *tx) error {
	for b := p.terms; len(b) >= 4; b = b[4:] {
		if _, err := t.exec("DELETE FROM search_terms WHERE segment = ? AND term = ? AND point = ?",
			p.id>>segmentBits, int64(binary.LittleEndian.Uint32(b)), p.id); err != nil {
			return err
		}
	}
	return nil
}

func packTerms(ws []store.TermWeight) []byte {
	b := make([]byte, 0, 4*len(ws))
	for _, w := range ws {
		b = binary.LittleEndian.AppendUint32(b, uint32(w.Term))
	}
	return b
}

// A weighted query is its terms that the workspace has, each with its IDF there, and the workspace's segments: what a
// search for words joins with the full text.
type weighted struct {
	terms    [][2]float64
	segments []int64
}

func (v vectors) weigh(ctx context.Context, in region, query string) (w weighted, err error) {
	terms := store.QueryTerms(query)
	if len(terms) == 0 {
		return w, nil
	}
	var last, all int64
	if err := v.s.queryRow(ctx, "SELECT last, points FROM search_workspaces WHERE number = ?", in.lo>>workspaceBits).Scan(&last, &all); err != nil {
		return w, err
	}
	for s := in.lo >> segmentBits; s <= (in.lo+last)>>segmentBits; s++ {
		w.segments = append(w.segments, s)
	}
	rows, err := v.s.query(ctx, `SELECT q.value, count(*) FROM json_each(?) q CROSS JOIN json_each(?) s
		CROSS JOIN search_terms t ON t.segment = s.value AND t.term = q.value GROUP BY q.key`, jsonOf(terms), jsonOf(w.segments))
	counts, err := collect(rows, err, func(r *sql.Rows) (c [2]int, err error) { return c, r.Scan(&c[0], &c[1]) })
	for _, c := range counts {
		w.terms = append(w.terms, [2]float64{float64(c[0]), store.IDF(int(all), c[1])})
	}
	return w, err
}
