package sqlitestore

import (
	"context"
	"database/sql"
	"math/bits"
	"slices"
	"sync"
)

// A sketch holds the signs of the vectors of a workspace, a bit for each dimension, in memory: 32 bytes where the vector
// has 1,024. The share of bits that two vectors have in common says roughly how near they are (Charikar, Similarity
// Estimation Techniques from Rounding Algorithms, 2002), so a page of vectors is compared with a hundred thousand
// in some milliseconds; those that seem near are then compared exactly.
type sketch struct {
	mu         sync.RWMutex
	dimensions int
	words      int      // of 64 bits, a vector
	last       int64    // the greatest id that was looked at: later points have greater ones
	ids        []int64  // of the points
	signs      []uint64 // words for each of them
}

// signsOf packs the signs of a vector as the table has it: little-endian floats, whose top bit is the sign.
func signsOf(vector []byte, to []uint64) []uint64 {
	var word uint64
	n := len(vector) / 4
	for i := range n {
		word |= uint64(vector[4*i+3]>>7) << (i % 64)
		if i%64 == 63 || i == n-1 {
			to = append(to, word)
			word = 0
		}
	}
	return to
}

// refresh takes in the points that were written since, by this process or another. One that has lost many of its points
// begins anew.
func (k *sketch) refresh(ctx context.Context, s *Store, in region) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var points, last int64
	err := s.queryRow(ctx, "SELECT points, last FROM search_workspaces WHERE number = ?", in.lo>>workspaceBits).Scan(&points, &last)
	if err != nil || in.lo+last == k.last {
		return err
	}
	if int64(len(k.ids)) > 2*points+1024 {
		k.ids, k.signs, k.last = nil, nil, 0
	}
	rows, err := s.query(ctx, "SELECT id, vector FROM search_points WHERE id > ? AND id <= ? AND vector IS NOT NULL ORDER BY id", max(k.last, in.lo), in.hi)
	if err != nil {
		return err
	}
	if err := k.take(rows); err != nil {
		return err
	}
	k.last = max(k.last, in.lo+last) // what is written from now on has greater ids
	return nil
}

func (k *sketch) take(rows *sql.Rows) error {
	defer rows.Close()
	var vector sql.RawBytes
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id, &vector); err != nil {
			return err
		}
		if k.last = id; len(vector) == 4*k.dimensions { // those of another model are not to be compared
			k.ids, k.signs = append(k.ids, id), signsOf(vector, k.signs)
		}
	}
	return rows.Err()
}

// near returns the ids of about n points whose signs differ least from the vector's, no fewer, unless there are no more.
func (k *sketch) near(vector []float32, n int) []int64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if len(k.ids) <= n {
		return append([]int64(nil), k.ids...)
	}
	own := signsOf(packFloats(vector), nil)
	differ, counts := make([]uint16, len(k.ids)), make([]int, k.dimensions+1)
	for i := range k.ids {
		d := 0
		for j, w := range k.signs[i*k.words : (i+1)*k.words] {
			d += bits.OnesCount64(w ^ own[j])
		}
		differ[i] = uint16(d)
		counts[d]++
	}
	limit, within := 0, counts[0]
	for within < n {
		limit++
		within += counts[limit]
	}
	out := make([]int64, 0, within)
	for i, d := range differ {
		if int(d) <= limit {
			out = append(out, k.ids[i])
		}
	}
	return out
}

// size is what the sketch takes in memory, in bytes.
func (k *sketch) size() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return 8 * (cap(k.ids) + cap(k.signs))
}

// sketches are those of the workspaces that were asked for last, within a bound.
type sketches struct {
	mu    sync.Mutex
	bound int
	order []sketchKey // the one asked for last is last
	kept  map[sketchKey]*sketch
}

type sketchKey struct{ workspace, dimensions int64 }

func newSketches(bound int) *sketches { return &sketches{bound: bound, kept: map[sketchKey]*sketch{}} }

// of returns the sketch of a workspace, and forgets those of others that were not asked for longest while all take too
// much room.
func (c *sketches) of(ws int64, dimensions int) *sketch {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := sketchKey{ws, int64(dimensions)}
	k := c.kept[key]
	if k == nil {
		k = &sketch{dimensions: dimensions, words: (dimensions + 63) / 64}
		c.kept[key] = k
	}
	c.order = append(slices.DeleteFunc(c.order, func(o sketchKey) bool { return o == key }), key)
	for total := c.size(); total > c.bound && len(c.order) > 1; {
		total -= c.kept[c.order[0]].size()
		delete(c.kept, c.order[0])
		c.order = c.order[1:]
	}
	return k
}

func (c *sketches) size() (total int) {
	for _, k := range c.kept {
		total += k.size()
	}
	return total
}
