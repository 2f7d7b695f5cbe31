package realtime

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is an executor on a store, with a model that does as it is told.
type bench struct {
	*Executor
	t     *testing.T
	store *sqlitestore.Store
	fake  *llmtest.Fake
	fell  chan memory.Ref // handed over to the durable track
	over  chan memory.Memory
	beats chan int // leases renewed, a number a heartbeat
	stop  func()   // ends Run and waits for it
}

func newBench(t *testing.T, cfg Config, fault func(context.Context, llmtest.Call) error) *bench {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), sqlitestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		t: t, store: s, fake: &llmtest.Fake{Fault: fault},
		fell: make(chan memory.Ref, 100), over: make(chan memory.Memory, 100), beats: make(chan int, 1000),
	}
	breakers := NewBreakers(cfg.Breaker)
	parts := breakers.Guard(pipeline.Parts{
		Extractor: b.fake, Embedder: b.fake, Vectors: s.Vectors(), Graph: s.Graph(), Memories: s.Memories(),
		Workspaces: s.Workspaces(), Runs: s.Runs(), Events: b, Watcher: b,
	})
	b.Executor = New(Parts{
		Pipeline: pipeline.New(parts, pipeline.Config{Backoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond}),
		Breakers: breakers, Runs: s.Runs(), Leases: watchedLeases{s.Leases(), b.beats}, Durable: b, Log: slog.New(slog.DiscardHandler),
	}, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { b.stop(); _ = s.Close() })
	return b
}

func (b *bench) MemoryEvent(context.Context, memory.Memory) (*memory.Event, error) { return nil, nil }

func (b *bench) Progress(m memory.Memory) {
	if m.Status.Final() {
		b.over <- m
	}
}

func (b *bench) StartMemory(_ context.Context, ref memory.Ref) error { b.fell <- ref; return nil }

type watchedLeases struct {
	store.Leases
	beats chan int
}

func (w watchedLeases) Renew(ctx context.Context, owner string, until time.Time) (int, error) {
	n, err := w.Leases.Renew(ctx, owner, until)
	w.beats <- n
	return n, err
}

// put stores a memory under the executor's lease.
func (b *bench) put(id, content string) memory.Ref {
	b.t.Helper()
	m := memory.Memory{
		ID: id, Workspace: "w", Content: content, Status: memory.StatusQueued, Track: memory.TrackRealtime,
		CreatedAt: memory.Now(), UpdatedAt: memory.Now(),
	}
	puts, err := b.store.Memories().Put(b.t.Context(), []store.Intake{{Memory: m, Lease: b.Lease()}})
	if err != nil {
		b.t.Fatal(err)
	}
	return puts[0].Memory.Ref()
}

func (b *bench) get(id string) memory.Memory {
	b.t.Helper()
	found, err := b.store.Memories().Get(b.t.Context(), "w", id)
	if err != nil || len(found) != 1 {
		b.t.Fatalf("get %s: %d found, %v", id, len(found), err)
	}
	return found[0]
}

func next[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// hold blocks calls of the method on contents until released or given up.
func hold(method string) (fault func(context.Context, llmtest.Call) error, release func()) {
	open := make(chan struct{})
	return func(ctx context.Context, c llmtest.Call) error {
		if c.Method != method {
			return nil
		}
		select {
		case <-open:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, sync.OnceFunc(func() { close(open) })
}

func (b *bench) busy(method string, n int) {
	b.t.Helper()
	if err := b.fake.Wait(b.t.Context(), func(s llmtest.Stats) bool { return s.Calls[method] >= n }); err != nil {
		b.t.Fatal(err)
	}
}

func TestExecutor(t *testing.T) {
	t.Run("AMemoryIsDone", func(t *testing.T) {
		b := newBench(t, Config{}, nil)
		b.Submit(b.put("mem_1", "Dorothy lived in Kansas."), "")
		if m := next(t, "the end", b.over); m.Status != memory.StatusCompleted || len(m.Steps) != 5 {
			t.Errorf("ended %s with %d receipts", m.Status, len(m.Steps))
		}
	})

	t.Run("WhatIsFullTakesNothing", func(t *testing.T) {
		fault, release := hold("UseCases")
		b := newBench(t, Config{Limit: 1, MaxQueued: 1}, fault)
		defer release()
		if !b.Submit(b.put("mem_1", "one"), "") || !b.Submit(b.put("mem_2", "two"), "") {
			t.Fatal("room for two, and not taken")
		}
		if b.Submit(b.put("mem_3", "three"), "") {
			t.Error("a third was taken")
		}
	})

	t.Run("WhatItDoesNotKnowOfIsGivenUp", func(t *testing.T) {
		fault, release := hold("UseCases")
		b := newBench(t, Config{Heartbeat: 20 * time.Millisecond}, fault)
		defer release()
		lost := b.put("mem_lost", "the answer to the write that stored it was lost")
		known := b.put("mem_known", "in hand")
		b.Submit(known, "")
		if fell := next(t, "the hand-over", b.fell); fell != lost {
			t.Errorf("%v was given up", fell)
		}
		if m := b.get("mem_lost"); m.Track != memory.TrackDurable || m.Reason != "realtime lost hold of it" {
			t.Errorf("it is on %s: %s", m.Track, m.Reason)
		}
		for range 5 {
			next(t, "a beat", b.beats)
		}
		if len(b.fell) > 0 {
			t.Errorf("%v was given up too", <-b.fell)
		}
	})

	t.Run("UrgentGoesFirst", func(t *testing.T) {
		fault, release := hold("UseCases")
		b := newBench(t, Config{Limit: 1}, fault)
		b.Submit(b.put("mem_0", "zero"), "")
		b.busy("UseCases", 1)
		b.Submit(b.put("mem_1", "bulk"), memory.PriorityBulk)
		b.Submit(b.put("mem_2", "urgent"), memory.PriorityInteractive)
		release()
		var order []string
		for range 3 {
			order = append(order, next(t, "the end", b.over).ID)
		}
		if fmt.Sprint(order) != "[mem_0 mem_2 mem_1]" {
			t.Errorf("done in the order %v", order)
		}
	})

	t.Run("APanicFailsAlone", func(t *testing.T) {
		b := newBench(t, Config{}, llmtest.PanicOn("Embed", "poison"))
		b.Submit(b.put("mem_1", "poison"), "")
		b.Submit(b.put("mem_2", "fine"), "")
		ends := map[string]memory.Status{}
		for range 2 {
			m := next(t, "the end", b.over)
			ends[m.ID] = m.Status
		}
		if ends["mem_1"] != memory.StatusFailed || ends["mem_2"] != memory.StatusCompleted {
			t.Errorf("ended %v", ends)
		}
		if m := b.get("mem_1"); m.Error == nil || m.Error.Code != memory.CodePanic || m.Error.Step != memory.StepRelated {
			t.Errorf("the error is %+v", m.Error)
		}
	})

	t.Run("UsedUpRetriesFallOffTheTrack", func(t *testing.T) {
		b := newBench(t, Config{}, llmtest.FailTimes("Graph", "", 1000, memory.Errorf(memory.CodeUnavailable, "the model is away")))
		ref := b.put("mem_1", "Dorothy lived in Kansas.")
		b.Submit(ref, "")
		if got := next(t, "the hand-over", b.fell); got != ref {
			t.Errorf("handed over %v", got)
		}
		m := b.get("mem_1")
		if r, _ := m.Receipt(memory.StepSchema); m.Track != memory.TrackDurable || m.Status.Final() || r.Attempts != 3 || r.Status != memory.StepPending {
			t.Errorf("%s on %s (%s), schema %+v", m.Status, m.Track, m.Reason, r)
		}
		if r, _ := m.Receipt(memory.StepIndex); r.Status != memory.StepCompleted {
			t.Errorf("the index step does not need the schema, and is %s", r.Status)
		}
	})

	t.Run("ALongRetryAfterFallsOffAtOnce", func(t *testing.T) {
		b := newBench(t, Config{MaxHold: time.Second}, llmtest.FailTimes("UseCases", "", 1000,
			&memory.Error{Code: memory.CodeRateLimited, Message: "slow down", RetryAfter: time.Minute}))
		b.Submit(b.put("mem_1", "x"), "")
		next(t, "the hand-over", b.fell)
		if m := b.get("mem_1"); receipt(m, memory.StepUseCases).Attempts != 1 {
			t.Errorf("%d attempts, though the first was told to wait a minute", receipt(m, memory.StepUseCases).Attempts)
		}
	})

	t.Run("LeasesAreRenewedWhileWaiting", func(t *testing.T) {
		fault, release := hold("UseCases")
		b := newBench(t, Config{Limit: 1, Heartbeat: time.Millisecond}, fault)
		defer release()
		b.Submit(b.put("mem_1", "at work"), "")
		b.Submit(b.put("mem_2", "waiting"), "")
		for next(t, "a heartbeat for both", b.beats) != 2 {
			continue
		}
	})

	t.Run("AStopFinishesWhatIsInFlightAndHandsOverTheRest", func(t *testing.T) {
		fault, release := hold("UseCases")
		b := newBench(t, Config{Limit: 1, Grace: time.Minute}, fault)
		b.Submit(b.put("mem_1", "at work"), "")
		b.busy("UseCases", 1)
		b.Submit(b.put("mem_2", "waiting"), "")
		stopped := make(chan struct{})
		go func() { defer close(stopped); b.stop() }()
		for !b.Load().Draining {
			next(t, "a moment", time.After(time.Millisecond))
		}
		if b.Submit(b.put("mem_3", "late"), "") {
			t.Error("taken while stopping")
		}
		release()
		next(t, "the stop", stopped)
		if m := b.get("mem_1"); m.Status != memory.StatusCompleted {
			t.Errorf("in flight: %s", m.Status)
		}
		if m := b.get("mem_2"); m.Track != memory.TrackDurable || next(t, "the hand-over", b.fell).ID != "mem_2" {
			t.Errorf("waiting: %s on %s", m.Status, m.Track)
		}
	})

	t.Run("AStopHandsOverWhatOutlastsTheGrace", func(t *testing.T) {
		fault, _ := hold("UseCases")
		b := newBench(t, Config{Grace: 10 * time.Millisecond}, fault)
		b.Submit(b.put("mem_1", "at work"), "")
		b.busy("UseCases", 1)
		b.stop()
		next(t, "the hand-over", b.fell)
		m := b.get("mem_1")
		if m.Track != memory.TrackDurable || receipt(m, memory.StepUseCases).Attempts != 0 {
			t.Errorf("on %s with %d attempts; an interrupted one does not count", m.Track, receipt(m, memory.StepUseCases).Attempts)
		}
	})

	t.Run("ANewVersionFencesTheRunOfTheOld", func(t *testing.T) {
		fault, release := hold("UseCases")
		b := newBench(t, Config{Limit: 2}, fault)
		b.Submit(b.put("mem_1", "the old content"), "")
		b.busy("UseCases", 1)
		b.Submit(b.put("mem_1", "the new content"), "")
		release()
		if m := next(t, "the end", b.over); m.Version != 2 || m.Content != "the new content" {
			t.Errorf("version %d ended: %q", m.Version, m.Content)
		}
		b.stop()
		if m := b.get("mem_1"); m.Version != 2 || m.Status != memory.StatusCompleted {
			t.Errorf("version %d is %s", m.Version, m.Status)
		}
	})
}

func receipt(m memory.Memory, step string) memory.Receipt {
	r, _ := m.Receipt(step)
	return r
}

func TestBreakers(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err  error
		open bool
	}{
		"Unavailable": {memory.Errorf(memory.CodeUnavailable, "away"), true},
		"Timeout":     {context.DeadlineExceeded, true},
		"RateLimited": {memory.Errorf(memory.CodeRateLimited, "429"), false},
		"Refused":     {memory.Errorf(memory.CodeRefused, "400"), false},
		"Interrupted": {context.Canceled, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := NewBreakers(BreakerConfig{})
			fake := &llmtest.Fake{Fault: func(context.Context, llmtest.Call) error { return row.err }}
			guarded := b.Guard(pipeline.Parts{Extractor: fake, Embedder: fake}).Embedder
			for range 20 {
				_, _ = guarded.Embed(t.Context(), []string{"x"})
			}
			if got := len(b.Open()) > 0; got != row.open {
				t.Errorf("open: %v, want %v", got, row.open)
			}
			if calls := fake.Stats().Calls["Embed"]; row.open == (calls == 20) {
				t.Errorf("%d calls of 20 came through", calls)
			}
		})
	}
}
