package main

import (
	"context"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// merged counts what came through to the graph.
type merged struct {
	store.Graph
	n int
}

func (m *merged) Merge(_ context.Context, ms []store.Mention) error {
	m.n += len(ms)
	return nil
}

// TestGraphWithoutConstraintsIsNotWritten also holds the error to the reason: a server that is away is not one that lacks
// something.
func TestGraphWithoutConstraintsIsNotWritten(t *testing.T) {
	t.Parallel()
	state := memory.Errorf(memory.CodeUnavailable, "the graph is not available at the moment")
	d := &dependency{check: func(context.Context) error {
		if state == nil {
			return nil
		}
		return state
	}}
	graph := &merged{}
	write := func() error { return constrained{graph, d}.Merge(t.Context(), make([]store.Mention, 1)) }

	if err := write(); memory.CodeOf(err) != memory.CodeUnavailable || strings.Contains(err.Error(), "migrate") {
		t.Errorf("while it is away: %v", err)
	}
	state = memory.Errorf(memory.CodeConflict, "Neo4j lacks an index")
	if err := write(); memory.CodeOf(err) != memory.CodeUnavailable || !strings.Contains(err.Error(), "switchyard migrate") {
		t.Errorf("while it lacks something: %v", err)
	}
	if graph.n != 0 {
		t.Error("it was written")
	}
	if state = nil; write() != nil || graph.n != 1 {
		t.Errorf("%d were written once all was there", graph.n)
	}
}
