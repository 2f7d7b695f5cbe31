package store

import (
	"cmp"
	"math"
	"slices"
)

// Fusion is how a hybrid search makes one list of two: weighted reciprocal rank fusion. Its zero value works.
type Fusion struct {
	// K flattens the difference between ranks. Default: 5: on conversations, where the first places of either list are
	// good ones, it finds 2 to 3 per cent more of what answers a question than the customary 60 (recall at 5).
	K float64
	// Vector and Lexical are how much a place in each list counts. Default: 1 each.
	Vector, Lexical float64
}

// Depth is how many memories of each list are to be fused for an answer of limit memories.
func (f Fusion) Depth(limit int) int { return max(50, 4*limit) }

// Fuse merges two ranked lists, each of distinct memories and best first, into the best limit memories, best first, ties
// by id. A memory counts weight / (K + rank) in each list that has it; the score is the sum as a share of what the first
// place in both would give: 1 is the first of both lists, never reached by a memory that only one list has. Memories that a
// list finds equally good share the best of their ranks, so that no score hangs on an id. The passage
// shown is that of the list in which the memory ranks better, of the vectors' list where they agree.
func (f Fusion) Fuse(vector, lexical []Hit, limit int) []Hit {
	k, wv, wl := cmp.Or(f.K, 5), cmp.Or(f.Vector, 1), cmp.Or(f.Lexical, 1)
	most := (wv + wl) / (k + 1)
	share := func(weight float64, i int) float64 { return weight / (k + float64(i+1)) / most }

	at := make(map[string]int, len(vector)) // the place in the vectors' list, which is how out begins
	out := make([]Hit, 0, len(vector)+len(lexical))
	near := ranks(vector, func(h Hit) *float64 { return h.Vector })
	for i, h := range vector {
		at[h.MemoryID] = i
		h.Score = share(wv, near[i])
		out = append(out, h)
	}
	match := ranks(lexical, func(h Hit) *float64 { return h.Lexical })
	for i, h := range lexical {
		j, both := at[h.MemoryID]
		if !both {
			h.Score = share(wl, match[i])
			out = append(out, h)
			continue
		}
		if match[i] < near[j] {
			out[j].Version, out[j].Start, out[j].End = h.Version, h.Start, h.End
		}
		out[j].Score = min(1, out[j].Score+share(wl, match[i]))
		out[j].Lexical = h.Lexical
	}
	slices.SortFunc(out, BestFirst)
	return out[:min(limit, len(out))]
}

// ranks are the places of hits in their list, from 0, where those that are equally good share one.
func ranks(list []Hit, score func(Hit) *float64) []int {
	out := make([]int, len(list))
	for i := 1; i < len(list); i++ {
		out[i] = i
		if a, b := score(list[i-1]), score(list[i]); a != nil && b != nil && math.Abs(*a-*b) < 1e-6 {
			out[i] = out[i-1]
		}
	}
	return out
}

// BestFirst orders hits by score, ties by id.
func BestFirst(a, b Hit) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.MemoryID, b.MemoryID))
}
