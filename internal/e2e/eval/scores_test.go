package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScores(t *testing.T) {
	t.Parallel()
	s := scores{}
	s.add(question{Category: 1, Evidence: []string{"a", "b", "a"}}, []string{"x", "a", "y", "z", "v", "b"})
	s.add(question{Category: 2, Evidence: []string{"c"}}, nil)
	want := scores{0: {2, 0.5, 1}, 1: {1, 0.5, 1}, 2: {1, 0, 0}}
	if d := cmp.Diff(want, s, cmp.AllowUnexported(score{})); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
