package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

// journal is what parts did, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) part(name string, started *sync.WaitGroup) part {
	started.Add(1)
	return part{name, func(ctx context.Context) error {
		started.Done()
		<-ctx.Done()
		j.add(name + " stopped")
		return nil
	}}
}

func TestRunStages(t *testing.T) {
	t.Parallel()

	t.Run("StopInOrder", func(t *testing.T) {
		t.Parallel()
		var j journal
		var started sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		stages := [][]part{{j.part("intake", &started)}, {j.part("track", &started)}, {j.part("worker", &started)}}
		go func() { started.Wait(); cancel() }()
		if err := runStages(ctx, stages...); err != nil {
			t.Fatal(err)
		}
		if want := []string{"intake stopped", "track stopped", "worker stopped"}; !slices.Equal(j.lines, want) {
			t.Errorf("got %v", j.lines)
		}
	})

	t.Run("APartThatEndsStopsTheRest", func(t *testing.T) {
		t.Parallel()
		var j journal
		var started sync.WaitGroup
		broken := part{"api", func(context.Context) error { return errors.New("the port is taken") }}
		err := runStages(t.Context(), []part{broken}, []part{j.part("worker", &started)})
		if err == nil || !strings.Contains(err.Error(), "api: the port is taken") {
			t.Errorf("got %v", err)
		}
		if !slices.Equal(j.lines, []string{"worker stopped"}) {
			t.Errorf("got %v", j.lines)
		}
	})
}

func TestClosersCloseTheLatestFirst(t *testing.T) {
	t.Parallel()
	var (
		c     closers
		order []string
	)
	for _, name := range []string{"store", "client"} {
		c.add(func() error { order = append(order, name); return nil })
	}
	if err := c.close(); err != nil || !slices.Equal(order, []string{"client", "store"}) {
		t.Errorf("closed %v, %v", order, err)
	}
}
