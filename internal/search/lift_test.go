package search

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchyard-ai/switchyard/internal/store"
)

func TestLift(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	at := func(id string, minute int, score float64) store.Hit {
		return store.Hit{MemoryID: id, OccurredAt: noon.Add(time.Duration(minute) * time.Minute), Score: score}
	}
	never := func(id string, score float64) store.Hit { return store.Hit{MemoryID: id, Score: score} }
	by := func(score, best float64) float64 { return score + lent*best*(1-score) }
	for name, c := range map[string]struct{ hits, want []store.Hit }{
		"NoHits":           {nil, nil},
		"ANeighbourLifts":  {[]store.Hit{at("a", 0, 0.9), at("b", 60, 0.5), at("c", 2, 0.4)}, []store.Hit{at("a", 0, by(0.9, 0.4)), at("c", 2, by(0.4, 0.9)), at("b", 60, 0.5)}},
		"TooFarApart":      {[]store.Hit{at("a", 0, 1), at("b", 3, 0.5)}, []store.Hit{at("a", 0, 1), at("b", 3, 0.5)}},
		"TheBestOneCounts": {[]store.Hit{at("a", 0, 0.5), at("b", 1, 0.3), at("c", 2, 0.2)}, []store.Hit{at("a", 0, by(0.5, 0.3)), at("b", 1, by(0.3, 0.5)), at("c", 2, by(0.2, 0.5))}},
		"WithoutATime":     {[]store.Hit{never("a", 1), never("b", 0.5)}, []store.Hit{never("a", 1), never("b", 0.5)}},
		"TiesGoByID":       {[]store.Hit{at("b", 0, 0.5), at("a", 1, 0.5)}, []store.Hit{at("a", 1, by(0.5, 0.5)), at("b", 0, by(0.5, 0.5))}},
		"OrderOfOneMoment": {[]store.Hit{at("a", 0, 0.9), at("b", 0, 0.8), at("c", 0, 0.1)}, []store.Hit{at("a", 0, by(0.9, 0.8)), at("b", 0, by(0.8, 0.9)), at("c", 0, by(0.1, 0.9))}},
		"NothingAboveOne":  {[]store.Hit{at("a", 0, 1), at("b", 0, 1)}, []store.Hit{at("a", 0, 1), at("b", 0, 1)}},
	} {
		lift(c.hits, 2*time.Minute)
		if d := cmp.Diff(c.want, c.hits, cmpopts.EquateApprox(0, 1e-12)); d != "" {
			t.Errorf("%s: -want +got:\n%s", name, d)
		}
	}
	off := []store.Hit{at("a", 0, 1), at("b", 0, 0.5)}
	lift(off, -1)
	if off[1].Score != 0.5 {
		t.Errorf("switched off, it still changes scores: %v", off)
	}
}

func BenchmarkLift(b *testing.B) {
	for _, n := range []int{50, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			hits := make([]store.Hit, n) // all at once: the worst case
			for i := range hits {
				hits[i] = store.Hit{MemoryID: fmt.Sprint(i), OccurredAt: time.UnixMilli(1), Score: 1 / float64(i+1)}
			}
			for b.Loop() {
				lift(hits, time.Minute)
			}
		})
	}
}
