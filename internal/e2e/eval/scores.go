package main

import (
	"fmt"
	"maps"
	"slices"
)

// score sums up the recall of questions: the share of a question's evidence among the first 5 and 10 memories found.
type score struct {
	questions int
	at5, at10 float64
}

// scores are by category; 0 is all.
type scores map[int]score

func (s scores) add(q question, found []string) {
	for _, category := range []int{0, q.Category} {
		t := s[category]
		t.questions++
		t.at5 += recall(q.Evidence, found[:min(5, len(found))])
		t.at10 += recall(q.Evidence, found)
		s[category] = t
	}
}

// recall is the share of the evidence that was found.
func recall(evidence, found []string) float64 {
	want := map[string]bool{}
	for _, id := range evidence {
		want[id] = true
	}
	n := 0
	for _, id := range found {
		if want[id] {
			n++
		}
	}
	return float64(n) / float64(max(1, len(want)))
}

func (s scores) print(mode string) {
	fmt.Printf("%-12s questions  recall@5  recall@10\n", mode)
	for _, category := range slices.Sorted(maps.Keys(s)) {
		name, t := fmt.Sprint("category ", category), s[category]
		if category == 0 {
			name = "all"
		}
		fmt.Printf("  %-10s %9d  %8.3f  %9.3f\n", name, t.questions, t.at5/float64(t.questions), t.at10/float64(t.questions))
	}
	fmt.Println()
}
