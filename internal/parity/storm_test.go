package parity

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.temporal.io/sdk/testsuite"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/internal/llm/budget"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/llm/pace"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/realtime"
)

// storm is a model that says the same to everything for a while, and answers after that.
type storm struct {
	now   func() time.Time
	err   error
	until time.Time

	mu    sync.Mutex
	calls int // of chat
}

func (s *storm) fault(_ context.Context, c llmtest.Call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Method == "Embed" {
		return nil
	}
	s.calls++
	if s.now().Before(s.until) {
		return s.err
	}
	return nil
}

func (s *storm) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// slots notes for how long memories hold a place on the realtime track.
type slots struct {
	store.Runs
	mu      sync.Mutex
	since   map[string]time.Time
	longest time.Duration
}

func (s *slots) Claim(ctx context.Context, c store.Claim) ([]memory.Draft, error) {
	drafts, err := s.Runs.Claim(ctx, c)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range drafts {
		s.since[drafts[i].Memory.ID] = time.Now()
	}
	return drafts, err
}

func (s *slots) ended(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.longest = max(s.longest, time.Since(s.since[id]))
}

func (s *slots) Finish(ctx context.Context, fs []store.Finish) ([]bool, error) {
	for _, f := range fs {
		s.ended(f.Ref.ID)
	}
	return s.Runs.Finish(ctx, fs)
}

func (s *slots) Release(ctx context.Context, rs []store.Release) ([]bool, error) {
	for _, r := range rs {
		s.ended(r.Ref.ID)
	}
	return s.Runs.Release(ctx, rs)
}

// track is a realtime track in a bubble of virtual time.
type track struct {
	*realtime.Executor
	t        *testing.T
	store    *sqlitestore.Store
	slots    *slots
	breakers *realtime.Breakers
	fell     []memory.Ref
	posted   int
}

func newTrack(t *testing.T, s *storm, paced bool) *track {
	t.Helper()
	var gate *pace.Gate
	if paced {
		gate = new(pace.Gate)
	}
	return newTrackOn(t, &llmtest.Fake{Fault: s.fault}, gate, nil)
}

// newTrackOn is a track that asks the model through a gate and within a budget; nil: neither.
func newTrackOn(t *testing.T, fake *llmtest.Fake, gate *pace.Gate, rates *budget.Budget) *track {
	t.Helper()
	db, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), sqlitestore.Config{Synchronous: "OFF"})
	if err != nil {
		t.Fatal(err)
	}
	k := &track{t: t, store: db, slots: &slots{Runs: db.Runs(), since: map[string]time.Time{}}, breakers: realtime.NewBreakers(realtime.BreakerConfig{})}
	parts := k.breakers.Guard(pipeline.Parts{
		Extractor: fake, Embedder: fake, Vectors: db.Vectors(), Graph: db.Graph(), Memories: db.Memories(),
		Workspaces: db.Workspaces(), Runs: k.slots, Events: noEvents{},
	})
	if rates != nil {
		parts.Extractor = rates.Extractor(parts.Extractor)
	}
	if gate != nil {
		parts.Extractor = gate.Extractor(parts.Extractor)
	}
	k.Executor = realtime.New(realtime.Parts{
		Pipeline: pipeline.New(parts, pipeline.Config{}), Breakers: k.breakers,
		Runs: k.slots, Leases: db.Leases(), Durable: k, Log: slog.New(slog.DiscardHandler),
	}, realtime.Config{})
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- k.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// StartMemory keeps what fell off the track.
func (k *track) StartMemory(_ context.Context, ref memory.Ref) error {
	k.slots.mu.Lock()
	defer k.slots.mu.Unlock()
	k.fell = append(k.fell, ref)
	return nil
}

// lost is how many fell off the track, and held is the longest that a memory kept its place.
func (k *track) lost() (fell int, held time.Duration) {
	k.slots.mu.Lock()
	defer k.slots.mu.Unlock()
	return len(k.fell), k.slots.longest
}

// post puts one more memory in; its track may be realtime once more.
func (k *track) post() string {
	k.t.Helper()
	k.posted++
	now := memory.Now()
	m := memory.Memory{ID: fmt.Sprintf("mem_%05d", k.posted), Workspace: "w", Content: fmt.Sprintf("Dorothy met Lion %d.", k.posted), Track: memory.TrackRealtime, CreatedAt: now, UpdatedAt: now}
	puts, err := k.store.Memories().Put(k.t.Context(), []store.Intake{{Memory: m, Lease: k.Lease()}})
	if err != nil || !k.Submit(puts[0].Memory.Ref(), "") {
		k.t.Fatal("not taken", err)
	}
	return m.ID
}

func (k *track) status(id string) memory.Status {
	k.t.Helper()
	found, err := k.store.Memories().Get(k.t.Context(), "w", id)
	if err != nil || len(found) != 1 {
		k.t.Fatal(len(found), err)
	}
	return found[0].Status
}

// tooMany answers 429 and asks to wait so long; 0: it does not say.
func tooMany(wait time.Duration) error {
	return &memory.Error{Code: memory.CodeRateLimited, Message: "429", RetryAfter: wait}
}

// withoutRaceDetector skips a test that takes ten times as long under it; `make check` runs these without.
func withoutRaceDetector(t *testing.T) {
	t.Helper()
	if raced {
		t.Skip("ten virtual minutes take too long under the race detector: make test-heavy runs them without it")
	}
}

// closed says that no breaker has opened.
func (k *track) closed(t *testing.T) {
	t.Helper()
	if open := k.breakers.Open(); len(open) > 0 {
		t.Fatalf("a 429 has opened the breaker of %v", open)
	}
}

// drains says that the storm has left nothing behind: a memory posted now is done within a minute, and none held its place
// for longer than that.
func (k *track) drains(t *testing.T) {
	t.Helper()
	last := k.post()
	time.Sleep(time.Minute)
	if got := k.status(last); got != memory.StatusCompleted {
		t.Errorf("a memory posted after the storm is %s a minute later", got)
	}
	if k.slots.longest > time.Minute {
		t.Errorf("a memory that waited held its place for %v", k.slots.longest)
	}
}

// TestTenMinutesOf429InRealtime posts a memory every second while the model says 429 to everything, for ten minutes, and
// then some more.
func TestTenMinutesOf429InRealtime(t *testing.T) {
	t.Parallel()
	withoutRaceDetector(t)
	for name, row := range map[string]struct {
		wait  time.Duration
		paced bool
	}{
		"NoTimeIsNamed": {0, true}, "AWaitForWhichAPlaceIsKept": {10 * time.Second, true},
		"AWaitForWhichNoPlaceIsKept": {20 * time.Second, true}, "AWaitOfAnHourIsCapped": {time.Hour, true},
		"WithoutTheGateThisTestIsRed": {2 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &storm{now: time.Now, err: tooMany(row.wait), until: time.Now().Add(10 * time.Minute)}
				k := newTrack(t, s, row.paced)
				for range 10 * 60 {
					k.post()
					time.Sleep(time.Second)
					k.closed(t)
				}
				time.Sleep(max(min(row.wait, memory.MaxRetryAfter), 30*time.Second)) // the longest that the gate is shut
				k.drains(t)
				// What fell off the track asks for its two answers once more: on the other track, after the storm.
				offered := 2 * k.posted
				if sum := s.asked() + 2*len(k.fell); (float64(sum) <= 1.1*float64(offered)) != row.paced {
					t.Errorf("%d calls are made in all, %d were offered; the gate is there: %v", sum, offered, row.paced)
				}
			})
		})
	}
}

// TestTenMinutesOf429OnTwoProcessesWithABudget has two processes post to one model, each behind a gate of its own and both
// within one budget, which is used up as well: neither lets through what the other one keeps back, and all drains.
func TestTenMinutesOf429OnTwoProcessesWithABudget(t *testing.T) {
	t.Parallel()
	withoutRaceDetector(t)
	for name, row := range map[string]struct {
		wait  time.Duration
		paced bool
	}{
		"NoTimeIsNamed": {0, true}, "AWait": {10 * time.Second, true}, "AnHour": {time.Hour, true},
		"WithoutTheGatesThisTestIsRed": {2 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { twoProcesses(t, row.wait, row.paced) })
		})
	}
}

func twoProcesses(t *testing.T, wait time.Duration, paced bool) {
	t.Helper()
	s := &storm{now: time.Now, err: tooMany(wait), until: time.Now().Add(10 * time.Minute)}
	fake := &llmtest.Fake{Fault: s.fault}
	shared := new(budget.Local) // in place of Redis, which counts the same way
	limits := budget.Config{Models: map[string]budget.Limits{fake.Model(): {Requests: 260}}}
	var ks []*track
	for range 2 {
		var gate *pace.Gate
		if paced {
			gate = new(pace.Gate)
		}
		ks = append(ks, newTrackOn(t, fake, gate, budget.New(limits, shared)))
	}
	for range 10 * 60 {
		for _, k := range ks {
			k.post()
			k.closed(t)
		}
		time.Sleep(time.Second)
	}
	time.Sleep(max(min(wait, memory.MaxRetryAfter), 30*time.Second))
	sum, offered := 0, 0
	for _, k := range ks {
		k.drains(t)
		sum, offered = sum+2*len(k.fell), offered+2*k.posted
	}
	if sum += s.asked(); (float64(sum) <= 1.1*float64(offered)) != paced {
		t.Errorf("%d calls are made in all, %d were offered; the gates are there: %v", sum, offered, paced)
	}
}

// TestABreakerRecoversInTime lets the model answer 5xx for a minute.
func TestABreakerRecoversInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &storm{now: time.Now, err: memory.Errorf(memory.CodeUnavailable, "503"), until: time.Now().Add(time.Minute)}
		k := newTrack(t, s, true)
		opened := false
		for time.Now().Before(s.until) {
			k.post()
			time.Sleep(time.Second)
			opened = opened || len(k.breakers.Open()) > 0
		}
		if !opened {
			t.Error("the breaker did not open in a minute of 5xx")
		}
		const delay = 5 * time.Second // the default
		var last string
		for end := time.Now().Add(delay + time.Second); time.Now().Before(end); {
			last = k.post()
			time.Sleep(250 * time.Millisecond)
		}
		if state := k.breakers.States()["chat"]; state != "closed" {
			t.Errorf("the breaker is %s %v after the last 5xx", state, delay+time.Second)
		}
		time.Sleep(time.Second)
		if got := k.status(last); got != memory.StatusCompleted {
			t.Errorf("a memory posted after that is %s", got)
		}
	})
}

// TestTenMinutesOf429OnTheDurableTrack runs a batch into a model that says 429 to everything for ten minutes, in the
// virtual time of Temporal's test environment.
func TestTenMinutesOf429OnTheDurableTrack(t *testing.T) {
	t.Parallel()
	withoutRaceDetector(t)
	for name, row := range map[string]struct {
		wait  time.Duration
		pages int
		paced bool
	}{
		"AShortWait": {2 * time.Second, 12, true}, "AWaitForTheNextRound": {40 * time.Second, 12, true},
		"WithoutTheGateThisTestIsRed": {2 * time.Second, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testStormOfBatch(t, row.wait, row.pages, row.paced)
		})
	}
}

func testStormOfBatch(t *testing.T, wait time.Duration, pages int, paced bool) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(slog.New(slog.DiscardHandler))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(5 * time.Minute)
	s := &storm{now: env.Now, err: tooMany(wait), until: env.Now().Add(10 * time.Minute)}
	w := newWorld(t, faults{llm: func() func(context.Context, llmtest.Call) error { return s.fault }})
	if gate := (&pace.Gate{Now: env.Now}); paced {
		w.parts.Extractor = gate.Extractor(w.parts.Extractor)
	}
	b := w.batch(t, pages)
	p := pipeline.New(w.parts, pipeline.Config{})
	batch.Register(env, batch.NewWorkflows(p, batch.Config{}), batch.NewActivities(batch.Parts{
		Pipeline: p, Memories: w.store.Memories(), Runs: w.store.Runs(), Batches: w.store.Batches(), BatchRuns: w.store.BatchRuns(), Events: noEvents{},
	}, batch.Config{}))
	start := env.Now()
	env.ExecuteWorkflow(batch.BatchWorkflow, batch.BatchRun{Batch: store.BatchRef{Workspace: b.Workspace, ID: b.ID, Run: 1, Pages: b.Pages}})
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	b, err := w.store.Batches().Get(t.Context(), b.Workspace, b.ID)
	if err != nil || b.Counts.Completed != pages*store.PageSize {
		t.Errorf("%+v, %v", b.Counts, err)
	}
	if took := env.Now().Sub(start); took < 10*time.Minute || took > 15*time.Minute {
		t.Errorf("it took %v; the storm ten minutes", took)
	}
	offered := 2 * b.Counts.Total
	if sum := s.asked(); (float64(sum) <= 1.1*float64(offered)) != paced {
		t.Errorf("%d calls were made, %d offered; the gate is there: %v", sum, offered, paced)
	}
}

// batch stores a batch of so many full pages.
func (w *world) batch(t *testing.T, pages int) memory.Batch {
	t.Helper()
	b := memory.Batch{ID: "bat_1", Workspace: "w", Track: memory.TrackDurable, CreatedAt: memory.Now(), Pages: pages}
	if err := w.store.Batches().Create(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for n := range pages {
		page := store.Page{Workspace: "w", BatchID: b.ID, Number: n}
		for i := range store.PageSize {
			index := n*store.PageSize + i
			page.Entries = append(page.Entries, store.Entry{
				Item:  memory.Item{Index: index, Status: memory.StatusQueued},
				Input: &memory.Input{Content: fmt.Sprintf("Dorothy met Lion %d.", index)},
			})
		}
		if err := w.store.Batches().AddPage(t.Context(), page); err != nil {
			t.Fatal(err)
		}
	}
	b, err := w.store.Batches().Seal(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (noEvents) BatchEvent(context.Context, memory.Batch, string) (*memory.Event, error) {
	return nil, nil
}
