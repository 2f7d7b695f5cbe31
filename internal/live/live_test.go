package live_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/switchyard-ai/switchyard/internal/live"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func event(workspace, id string, version int) live.Event {
	return live.OfMemory(memory.Memory{Workspace: workspace, ID: id, Version: version})
}

func TestHub(t *testing.T) {
	t.Parallel()
	t.Run("AWatcherGetsItsEventsInOrder", func(t *testing.T) {
		t.Parallel()
		var h live.Hub
		events, stop := h.Subscribe(t.Context(), "w", "mem_1")
		defer stop()
		h.Progress(memory.Memory{Workspace: "w", ID: "mem_1", Version: 1})
		h.Publish(event("w", "mem_1", 2))
		for want := 1; want <= 2; want++ {
			if got := (<-events).Memory.Version; got != want {
				t.Fatalf("event %d says version %d", want, got)
			}
		}
	})
	t.Run("OthersAreNotToldOfIt", func(t *testing.T) {
		t.Parallel()
		var h live.Hub
		sameIDElsewhere, stop := h.Subscribe(t.Context(), "other", "mem_1")
		defer stop()
		otherID, stop2 := h.Subscribe(t.Context(), "w", "mem_2")
		defer stop2()
		h.Publish(event("w", "mem_1", 1))
		select {
		case e := <-sameIDElsewhere:
			t.Fatalf("another workspace got %+v", e)
		case e := <-otherID:
			t.Fatalf("another memory's watcher got %+v", e)
		default:
		}
	})
	t.Run("ASlowWatcherNeverLosesTheLatest", func(t *testing.T) {
		t.Parallel()
		var h live.Hub
		events, stop := h.Subscribe(t.Context(), "w", "mem_1")
		defer stop()
		const n = 1000
		for i := 1; i <= n; i++ {
			h.Publish(event("w", "mem_1", i)) // would block for ever if it could
		}
		last, count := 0, 0
		for len(events) > 0 {
			v := (<-events).Memory.Version
			if v <= last {
				t.Fatalf("version %d after %d", v, last)
			}
			last, count = v, count+1
		}
		if last != n || count >= n {
			t.Fatalf("last of %d events is version %d, want the latest, %d, of few", count, last, n)
		}
	})
	t.Run("StoppingEndsIt", func(t *testing.T) {
		t.Parallel()
		var h live.Hub
		events, stop := h.Subscribe(t.Context(), "w", "mem_1")
		stop()
		stop()
		h.Publish(event("w", "mem_1", 1))
		if len(events) != 0 || h.Watched() != 0 {
			t.Fatalf("%d events and %d watched after stop", len(events), h.Watched())
		}
	})
	t.Run("TheEndOfTheContextEndsIt", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var h live.Hub
			ctx, cancel := context.WithCancel(t.Context())
			_, stop := h.Subscribe(ctx, "w", "mem_1")
			defer stop()
			cancel()
			synctest.Wait()
			if h.Watched() != 0 {
				t.Fatal("still watched after its context ended")
			}
		})
	})
	t.Run("ManyAtOnce", func(t *testing.T) {
		t.Parallel()
		var h live.Hub
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range 200 {
					events, stop := h.Subscribe(t.Context(), "w", "mem_1")
					h.Publish(event("w", "mem_1", i))
					<-events
					stop()
				}
			})
		}
		wg.Wait()
		if h.Watched() != 0 {
			t.Fatalf("%d topics are left", h.Watched())
		}
	})
}
