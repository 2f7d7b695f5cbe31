package search

import (
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
)

const (
	// minCandidates is how many hits of a hybrid search are ranked at least.
	minCandidates = 50
	// lent is how much of what a memory lacks to a score of 1 its best neighbour makes up for, if that has 1 itself. On
	// conversations, anything from 0.3 to 0.7 finds 4 to 5 per cent more of what answers a question.
	lent = 0.4
)

// lift ranks hits anew: what occurred within the given time of a hit that is good by itself is likely about the same thing,
// as are the turns of a conversation that come before and after. Scores stay between 0 and 1, none gets lower, and hits that
// all occurred at once, as those of an import without times of day, keep their order.
func lift(hits []store.Hit, within time.Duration) {
	if within < 0 {
		return
	}
	byTime := make([]*store.Hit, 0, len(hits))
	for i := range hits {
		if !hits[i].OccurredAt.IsZero() {
			byTime = append(byTime, &hits[i])
		}
	}
	slices.SortFunc(byTime, func(a, b *store.Hit) int { return a.OccurredAt.Compare(b.OccurredAt) })
	best := make([]float64, len(byTime))
	for i, a := range byTime {
		for j := i + 1; j < len(byTime) && byTime[j].OccurredAt.Sub(a.OccurredAt) <= within; j++ {
			best[i], best[j] = max(best[i], byTime[j].Score), max(best[j], a.Score)
		}
	}
	for i, h := range byTime {
		h.Score += lent * best[i] * (1 - h.Score)
	}
	slices.SortFunc(hits, store.BestFirst)
}
