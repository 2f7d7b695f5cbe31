package parity

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/realtime"
)

// The memories, in the order in which they go in: later ones are related to earlier ones.
var contents = []string{
	"Dorothy lived in Kansas with Uncle Henry and Aunt Em.",
	"Toto made Dorothy laugh in Kansas.",
	"The Scarecrow asked the Wizard for brains.",
}

// faults says how the parts misbehave; nil: not at all. Each world makes its own, so that both count from one.
type faults struct {
	llm     func() func(context.Context, llmtest.Call) error
	vectors func() func() error // of upserts
	graph   func() func() error // of merges
}

var (
	away    = memory.Errorf(memory.CodeUnavailable, "away")
	refused = memory.Errorf(memory.CodeRefused, "refused")
	slow    = &memory.Error{Code: memory.CodeRateLimited, Message: "slow down", RetryAfter: 2 * time.Millisecond}
)

func llmFails(method string, n int, err error) func() func(context.Context, llmtest.Call) error {
	return func() func(context.Context, llmtest.Call) error { return llmtest.FailTimes(method, "", n, err) }
}

func first(n int, err error) func() func() error {
	return func() func() error {
		var mu sync.Mutex
		calls := 0
		return func() error {
			mu.Lock()
			defer mu.Unlock()
			if calls++; calls <= n {
				return err
			}
			return nil
		}
	}
}

func TestTracksDoTheSame(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]faults{
		"NoFaults":             {},
		"UseCasesAwayOnce":     {llm: llmFails("UseCases", 1, away)},
		"UseCasesAwayTwice":    {llm: llmFails("UseCases", 2, away)},
		"UseCasesRefused":      {llm: llmFails("UseCases", 1, refused)},
		"SchemaRateLimited":    {llm: llmFails("Graph", 2, slow)},
		"SchemaRefused":        {llm: llmFails("Graph", 1, refused)},
		"SchemaBadAnswer":      {llm: llmFails("Graph", 1, memory.Errorf(memory.CodeBadAnswer, "nonsense"))},
		"EmbeddingAwayOnce":    {llm: llmFails("Embed", 1, away)},
		"EmbeddingRefused":     {llm: llmFails("Embed", 1, refused)},
		"QuotaExhausted":       {llm: llmFails("", 1, memory.Errorf(memory.CodeQuota, "no credit"))},
		"PanicInSchema":        {llm: func() func(context.Context, llmtest.Call) error { return llmtest.PanicOn("Graph", "Toto") }},
		"IndexAwayTwice":       {vectors: first(2, away)},
		"IndexRefused":         {vectors: first(1, refused)},
		"RelationshipsAway":    {graph: first(2, away)},
		"RelationshipsRefused": {graph: first(1, refused)},
		"EverythingAwayOnce":   {llm: llmFails("", 1, away), vectors: first(1, away), graph: first(1, away)},
		"UseCasesAwayForLong":  {llm: llmFails("UseCases", 5, away)},
		"IndexAwayForLong":     {vectors: first(7, away)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fast, durable := newWorld(t, f).realtime(t), newWorld(t, f).durable(t)
			if diff := cmp.Diff(durable, fast); diff != "" {
				t.Error("the tracks differ (-durable +realtime):\n" + diff)
			}
		})
	}
}

// world is a store and a pipeline with faults of its own.
type world struct {
	store *sqlitestore.Store
	parts pipeline.Parts
	more  map[string]bool // memories that one round of attempts was not enough for
}

func newWorld(t *testing.T, f faults) *world {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), sqlitestore.Config{Synchronous: "OFF"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	fake := &llmtest.Fake{}
	if f.llm != nil {
		fake.Fault = f.llm()
	}
	return &world{store: s, more: map[string]bool{}, parts: pipeline.Parts{
		Extractor: fake, Embedder: fake, Vectors: flakyVectors{s.Vectors(), fault(f.vectors)}, Graph: flakyGraph{s.Graph(), fault(f.graph)},
		Memories: s.Memories(), Workspaces: s.Workspaces(), Runs: s.Runs(), Events: noEvents{},
	}}
}

func fault(maker func() func() error) func() error {
	if maker == nil {
		return func() error { return nil }
	}
	return maker()
}

var patience = pipeline.Config{Backoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond}

// put stores memory number i under the lease.
func (w *world) put(t *testing.T, i int, track memory.Track, l store.Lease) memory.Ref {
	t.Helper()
	now := memory.Now()
	m := memory.Memory{ID: fmt.Sprintf("mem_%d", i), Workspace: "w", Content: contents[i], Status: memory.StatusQueued, Track: track, CreatedAt: now, UpdatedAt: now}
	puts, err := w.store.Memories().Put(t.Context(), []store.Intake{{Memory: m, Lease: l}})
	if err != nil {
		t.Fatal(err)
	}
	return puts[0].Memory.Ref()
}

// realtime runs the memories on the realtime track, and what falls off it on the durable one.
func (w *world) realtime(t *testing.T) []outcome {
	t.Helper()
	fell := make(chan memory.Ref, 1)
	breakers := realtime.NewBreakers(realtime.BreakerConfig{Failures: 1000, Calls: 1000}) // faults are to reach the steps
	e := realtime.New(realtime.Parts{
		Pipeline: pipeline.New(breakers.Guard(w.parts), patience), Breakers: breakers,
		Runs: w.store.Runs(), Leases: w.store.Leases(), Durable: fallen(fell), Log: slog.New(slog.DiscardHandler),
	}, realtime.Config{Limit: 1})
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- e.Run(ctx) }()
	defer func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}()
	for i := range contents {
		ref := w.put(t, i, memory.TrackRealtime, e.Lease())
		if !e.Submit(ref, "") {
			t.Fatal("not taken")
		}
		w.await(t, ref, fell)
	}
	return w.outcomes(t)
}

// await returns when the memory is over; one that fell off the track is run durably.
func (w *world) await(t *testing.T, ref memory.Ref, fell <-chan memory.Ref) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case ref := <-fell:
			w.more[ref.ID] = true
			w.run(t, ref)
		case <-tick.C:
			found, err := w.store.Memories().Get(t.Context(), ref.Workspace, ref.ID)
			if err != nil {
				t.Fatal(err)
			}
			if found[0].Status.Final() {
				return
			}
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// durable runs the memories on the durable track.
func (w *world) durable(t *testing.T) []outcome {
	t.Helper()
	for i := range contents {
		w.run(t, w.put(t, i, memory.TrackDurable, store.Lease{}))
	}
	return w.outcomes(t)
}

// run executes the workflow of one memory.
func (w *world) run(t *testing.T, ref memory.Ref) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(slog.New(slog.DiscardHandler))
	env := suite.NewTestWorkflowEnvironment()
	p := pipeline.New(w.parts, patience)
	batch.Register(env, batch.NewWorkflows(p, batch.Config{}), batch.NewActivities(batch.Parts{
		Pipeline: p, Memories: w.store.Memories(), Runs: w.store.Runs(),
	}, batch.Config{}))
	rounds := 0
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.ActivityType.Name == "claim_page" {
			rounds++
		}
	})
	env.ExecuteWorkflow(batch.ProcessMemoryWorkflow, ref)
	w.more[ref.ID] = w.more[ref.ID] || rounds > 1
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
}

// outcome is what people see of a memory, without what depends on the clock or names the track.
type outcome struct {
	Status   memory.Status
	Error    *memory.Fault
	UseCases []string
	Related  []memory.Related
	Graph    memory.Graph
	Steps    map[string]receipt
	More     bool // one round of attempts was not enough: it fell off the realtime track, or waited on the durable one
}

type receipt struct {
	Status   memory.StepStatus
	Attempts int
	Model    string
	Tokens   int
	Error    *memory.Fault
}

func (w *world) outcomes(t *testing.T) []outcome {
	t.Helper()
	ids := make([]string, len(contents))
	for i := range contents {
		ids[i] = fmt.Sprintf("mem_%d", i)
	}
	found, err := w.store.Memories().Get(t.Context(), "w", ids...)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]outcome, len(found))
	for i, m := range found {
		out[i] = outcome{m.Status, m.Error, m.UseCases, m.Related, m.Graph, map[string]receipt{}, w.more[m.ID]}
		for _, r := range m.Steps {
			out[i].Steps[r.Name] = receipt{r.Status, r.Attempts, r.Model, r.Tokens, r.Error}
		}
	}
	return out
}

type noEvents struct{}

func (noEvents) MemoryEvent(context.Context, memory.Memory) (*memory.Event, error) { return nil, nil }

type fallen chan memory.Ref

func (f fallen) StartMemory(_ context.Context, ref memory.Ref) error { f <- ref; return nil }

type flakyVectors struct {
	store.Vectors
	fault func() error
}

func (f flakyVectors) Upsert(ctx context.Context, m store.Model, ps []store.Point) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.Vectors.Upsert(ctx, m, ps)
}

type flakyGraph struct {
	store.Graph
	fault func() error
}

func (f flakyGraph) Merge(ctx context.Context, ms []store.Mention) error {
	if err := f.fault(); err != nil {
		return err
	}
	return f.Graph.Merge(ctx, ms)
}
