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

// Depth is how many memories of each list Fuse wants for an answer of limit memories: one more than it fuses, by which it
// sees whether the list is cut between memories that are equally good.
func (f Fusion) Depth(limit int) int { return max(50, 4*limit) + 1 }

// Fuse merges two ranked lists, each of distinct memories and best first, into the best limit memories, best first, ties
// by id. A memory counts weight / (K + rank) in each list that has it; the score is the sum as a share of what the first
// place in both would give: 1 is the first of both lists, never reached by a memory that only one list has. Memories that a
// list finds equally good share the best of their ranks, and those that its end would divide are not in it (see Cut), so
// that no score hangs on an id. The passage shown is that of the list in which the memory ranks better, of the vectors' list
// where they agree.
func (f Fusion) Fuse(vector, lexical []Hit, limit int) []Hit {
	k, wv, wl := cmp.Or(f.K, 5), cmp.Or(f.Vector, 1), cmp.Or(f.Lexical, 1)
	most := (wv + wl) / (k + 1)
	share := func(weight float64, i int) float64 { return weight / (k + float64(i+1)) / most }

	vector = Cut(vector, f.Depth(limit)-1, limit, func(h Hit) *float64 { return h.Vector })
	lexical = Cut(lexical, f.Depth(limit)-1, limit, func(h Hit) *float64 { return h.Lexical })
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
		if tied(list[i-1], list[i], score) {
			out[i] = out[i-1]
		}
	}
	return out
}

// Cut shortens a list, best first, to its first n hits. Where the cut divides hits that are equally good, none of these stays:
// which of them are before it would hang on ids, which are not the same wherever the same memories come in. Where fewer than
// least would be left, ids decide.
func Cut(list []Hit, n, least int, score func(Hit) *float64) []Hit {
	if len(list) <= n {
		return list
	}
	k := n
	for k > 0 && tied(list[k-1], list[k], score) {
		k--
	}
	if k < least {
		k = n
	}
	return list[:k]
}

// Alike reports whether scores, as shares of the best possible, are the same but for how they were rounded.
func Alike(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

func tied(x, y Hit, score func(Hit) *float64) bool {
	a, b := score(x), score(y)
	return a != nil && b != nil && Alike(*a, *b)
}

// BestFirst orders hits by score, ties by id.
func BestFirst(a, b Hit) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.MemoryID, b.MemoryID))
}
