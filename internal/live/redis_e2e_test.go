//go:build e2e

package live_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/live"
	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// process is what one process has: a hub on Redis.
func process(t *testing.T, url string) *live.Redis {
	t.Helper()
	client, err := live.Connect(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := live.NewRedis(client, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, client.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// watch watches a memory and returns when Redis knows, which the watcher is told of.
func watch(t *testing.T, r *live.Redis, workspace, memoryID string) <-chan live.Event {
	t.Helper()
	events, stop := r.Subscribe(t.Context(), workspace, memoryID)
	t.Cleanup(stop)
	next(t, events)
	return events
}

func next(t *testing.T, events <-chan live.Event) live.Event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(30 * time.Second):
		t.Fatal("nothing is told")
		return live.Event{}
	}
}

func TestAWatcherIsToldWhatAnotherProcessDoes(t *testing.T) {
	t.Parallel()
	url := testservers.Redis(t)
	ours, theirs := process(t, url), process(t, url)
	ws := id.New(id.Workspace)
	events, other := watch(t, ours, ws, "mem_1"), watch(t, ours, ws, "mem_2")
	theirs.Progress(memory.Memory{Workspace: ws, ID: "mem_1", Content: "nobody's business"})
	theirs.Publish(live.OfBatch(memory.Batch{Workspace: ws, ID: "mem_2"}))
	if e := next(t, events); e.ID != "mem_1" || e.Workspace != ws || e.Memory != nil {
		t.Errorf("told %+v", e)
	}
	if e := next(t, other); e.ID != "mem_2" {
		t.Errorf("told %+v", e)
	}
}

func TestAWatcherIsToldOnceWhatItsOwnProcessDoes(t *testing.T) {
	t.Parallel()
	url := testservers.Redis(t)
	ours, theirs := process(t, url), process(t, url)
	ws := id.New(id.Workspace)
	events, end, theirEvents := watch(t, ours, ws, "mem_1"), watch(t, ours, ws, "end"), watch(t, theirs, ws, "mem_1")
	for v := range 3 {
		ours.Progress(memory.Memory{Workspace: ws, ID: "mem_1", Version: v})
		next(t, theirEvents) // so Redis has it
	}
	theirs.Progress(memory.Memory{Workspace: ws, ID: "end"}) // comes after all that Redis had before
	next(t, end)
	if len(events) != 3 {
		t.Errorf("told %d times of 3 events", len(events))
	}
}

func TestWhoStopsWatchingIsNotToldAnyMore(t *testing.T) {
	t.Parallel()
	url := testservers.Redis(t)
	ours, theirs := process(t, url), process(t, url)
	ws := id.New(id.Workspace)
	gone, stop := ours.Subscribe(t.Context(), ws, "mem_1")
	next(t, gone)
	stop()
	again := watch(t, ours, ws, "mem_1") // the same one anew
	theirs.Progress(memory.Memory{Workspace: ws, ID: "mem_1"})
	next(t, again)
	if len(gone) > 0 {
		t.Errorf("who stopped is told %+v", <-gone)
	}
}

func TestRedisComesAndGoes(t *testing.T) {
	t.Parallel()
	server := startRedis(t, 0)
	url := testservers.RedisURL(server)
	ours, theirs := process(t, url), process(t, url)
	ws := id.New(id.Workspace)
	events := watch(t, ours, ws, "mem_1")
	port, err := strconv.Atoi(server.Ready)
	if err := errors.Join(err, ours.Ping(t.Context()), server.Kill()); err != nil {
		t.Fatal(err)
	}

	if err := ours.Ping(t.Context()); memory.CodeOf(err) != memory.CodeUnavailable {
		t.Errorf("with Redis away a ping gives %v", err)
	}
	ours.Progress(memory.Memory{Workspace: ws, ID: "mem_1", Version: 3})
	if e := next(t, events); e.Memory == nil || e.Memory.Version != 3 {
		t.Errorf("with Redis away its own process tells %+v", e)
	}
	late, stop := ours.Subscribe(t.Context(), ws, "mem_3") // it will be asked for later
	defer stop()

	startRedis(t, port)
	next(t, events) // Redis tells again
	next(t, late)
	for _, e := range []struct {
		id     string
		events <-chan live.Event
	}{{"mem_1", events}, {"mem_3", late}} {
		theirs.Progress(memory.Memory{Workspace: ws, ID: e.id})
		if got := next(t, e.events); got.ID != e.id {
			t.Errorf("with Redis back %s is told %+v", e.id, got)
		}
	}
	if err := ours.Ping(t.Context()); err != nil {
		t.Errorf("with Redis back a ping gives %v", err)
	}
}

func startRedis(t *testing.T, port int) *testservers.Process {
	t.Helper()
	p, err := testservers.StartRedis(port)
	if err != nil {
		testservers.Missing(t, "Redis", err)
	}
	t.Cleanup(func() { _ = p.Kill() }) // it may be dead
	return p
}
