package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

var steps = []string{memory.StepUseCases, memory.StepRelated, memory.StepSchema, memory.StepIndex, memory.StepRelationships}

// stage is Temporal's test environment with activities that follow a script.
type stage struct {
	*testsuite.TestWorkflowEnvironment
	mu      sync.Mutex  // activities run side by side
	open    map[int]int // rounds that a page still needs
	rounds  map[int][]time.Time
	most    int // pages in flight at once
	now     int
	marks   []int
	ended   []bool
	perStep map[string]int
	fault   func(step string, page PageRef) error
}

func newStage(t *testing.T, cfg Config) *stage {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(slog.New(slog.DiscardHandler))
	s := &stage{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), open: map[int]int{}, rounds: map[int][]time.Time{}, perStep: map[string]int{}}
	a := NewActivities(Parts{Pipeline: pipeline.New(pipeline.Parts{}, pipeline.Config{})}, cfg)
	Register(s, NewWorkflows(a.parts.Pipeline, cfg), a)
	s.OnActivity(activityBegin, mock.Anything, mock.Anything).Return(nil)
	s.OnActivity(activityClaim, mock.Anything, mock.Anything).Return(s.claim)
	s.OnActivity(activitySettle, mock.Anything, mock.Anything, mock.Anything).Return(s.settle)
	s.OnActivity(activityEnd, mock.Anything, mock.Anything, mock.Anything).Return(func(_ context.Context, _ store.BatchRef, cancelled bool) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, cancelled)
		return nil
	})
	s.OnActivity(activityAnnounce, mock.Anything, mock.Anything, mock.Anything).Return(func(_ context.Context, _ store.BatchRef, percent int) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.marks = append(s.marks, percent)
		return nil
	})
	for _, name := range steps {
		s.OnActivity(name, mock.Anything, mock.Anything).Return(func(_ context.Context, page PageRef) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.perStep[name]++
			if s.fault == nil {
				return nil
			}
			return s.fault(name, page)
		})
	}
	return s
}

func (s *stage) claim(_ context.Context, page PageRef) (Claimed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now++
	s.most = max(s.most, s.now)
	s.rounds[page.Page] = append(s.rounds[page.Page], s.Now())
	return Claimed{Open: 64, Drafts: 64, Steps: steps}, nil
}

func (s *stage) settle(_ context.Context, page PageRef, last bool) (Settled, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
	if s.open[page.Page]--; s.open[page.Page] > 0 && !last {
		return Settled{Open: 1}, nil
	}
	return Settled{}, nil
}

func (s *stage) batch(pages int) error {
	s.ExecuteWorkflow(BatchWorkflow, BatchRun{Batch: store.BatchRef{Workspace: "w", ID: "bat_1", Run: 1, Pages: pages}})
	return s.GetWorkflowError()
}

func TestBatchWorkflow(t *testing.T) {
	t.Parallel()

	t.Run("AllPagesRunWithinTheWindow", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, Config{Policy: Policy{Window: 3}})
		if err := s.batch(20); err != nil {
			t.Fatal(err)
		}
		if len(s.rounds) != 20 || s.most != 3 || !cmp.Equal(s.ended, []bool{false}) {
			t.Errorf("%d pages, %d at once, ended %v; want 20, 3, once and not cancelled", len(s.rounds), s.most, s.ended)
		}
		if want := []int{25, 50, 75}; !cmp.Equal(s.marks, want) {
			t.Errorf("announced %v, want %v", s.marks, want)
		}
	})

	t.Run("AHeldUpPageLeavesTheWindowAndComesBack", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, Config{Policy: Policy{Window: 1, RoundBackoff: time.Minute, MaxRoundBackoff: 4 * time.Minute}})
		s.open[0] = 4
		if err := s.batch(3); err != nil {
			t.Fatal(err)
		}
		var waits []time.Duration
		for i, at := range s.rounds[0][1:] {
			waits = append(waits, at.Sub(s.rounds[0][i]).Round(time.Second))
		}
		if want := []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute}; !cmp.Equal(waits, want) {
			t.Errorf("waits between rounds %v, want %v", waits, want)
		}
		if s.rounds[2][0].After(s.rounds[0][1]) {
			t.Error("the pages behind it waited for the page that was held up")
		}
	})

	t.Run("LaterRoundsTryOnce", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, Config{})
		s.open[0] = 3
		s.fault = func(step string, _ PageRef) error {
			if step == memory.StepUseCases {
				return temporal.NewApplicationError("away", string(memory.CodeUnavailable))
			}
			return nil
		}
		if err := s.batch(1); err != nil {
			t.Fatal(err)
		}
		if got := s.perStep[memory.StepUseCases]; got != 3+1+1 {
			t.Errorf("%d attempts, want 3 in the first round and 1 in each of two later ones", got)
		}
	})

	t.Run("ALongRetryAfterMovesTheRoundNotTheSlot", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, Config{Policy: Policy{RoundBackoff: time.Second}})
		s.open[0] = 2
		s.fault = func(step string, page PageRef) error {
			if step == memory.StepSchema && len(s.rounds[page.Page]) == 1 {
				return temporal.NewApplicationErrorWithOptions("slow down", "rate_limited",
					temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{3 * time.Minute}})
			}
			return nil
		}
		if err := s.batch(1); err != nil {
			t.Fatal(err)
		}
		if got := s.rounds[0][1].Sub(s.rounds[0][0]).Round(time.Second); got != 3*time.Minute {
			t.Errorf("the next round came after %v, want 3m", got)
		}
		if got := s.perStep[memory.StepSchema]; got != 2 {
			t.Errorf("%d attempts, want one a round", got)
		}
	})

	t.Run("PatienceEnds", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, Config{Policy: Policy{Patience: time.Hour}})
		s.open[0] = 1 << 30
		if err := s.batch(1); err != nil {
			t.Fatal(err)
		}
		first, last := s.rounds[0][0], s.rounds[0][len(s.rounds[0])-1]
		if took := last.Sub(first); took < time.Hour || took > time.Hour+2*time.Minute {
			t.Errorf("gave up after %v, want an hour", took)
		}
	})

	t.Run("ContinuesAsNewWhereItWas", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, Config{Policy: Policy{Window: 2}})
		s.SetCurrentHistoryLength(5_000)
		err := s.batch(10)
		if _, ok := errors.AsType[*workflow.ContinueAsNewError](err); !ok {
			t.Fatalf("got %v, want to continue as new", err)
		}
	})

	t.Run("CancelStopsWhatIsToCome", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, Config{Policy: Policy{Window: 1}})
		for i := range 100 {
			s.open[i] = 2
		}
		s.RegisterDelayedCallback(func() { s.SignalWorkflow(SignalControl, OrderCancel) }, time.Second)
		if err := s.batch(100); err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(s.ended, []bool{true}) {
			t.Errorf("ended %v, want once, cancelled", s.ended)
		}
	})

	t.Run("PauseHoldsAndResumeGoesOn", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, Config{Policy: Policy{Window: 1, RoundBackoff: time.Second}})
		s.open[0] = 2
		var paused Progress
		s.RegisterDelayedCallback(func() { s.SignalWorkflow(SignalControl, OrderPause) }, 500*time.Millisecond)
		s.RegisterDelayedCallback(func() {
			v, err := s.QueryWorkflow(QueryProgress)
			if err == nil {
				err = v.Get(&paused)
			}
			if err != nil {
				t.Error(err)
			}
			s.SignalWorkflow(SignalControl, OrderResume)
		}, time.Hour)
		if err := s.batch(5); err != nil {
			t.Fatal(err)
		}
		if !paused.Paused || paused.Over == 5 {
			t.Errorf("while paused: %+v", paused)
		}
		if second := s.rounds[0][1]; second.Sub(s.rounds[0][0]) < time.Hour {
			t.Errorf("the second round ran while the batch was paused")
		}
	})
}

func TestProcessMemoryWorkflow(t *testing.T) {
	t.Parallel()
	s := newStage(t, Config{})
	s.ExecuteWorkflow(ProcessMemoryWorkflow, memory.Ref{Workspace: "w", ID: "mem_1", Version: 2})
	if err := s.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, name := range steps {
		want[name] = 1
	}
	if diff := cmp.Diff(want, s.perStep); diff != "" {
		t.Error("attempts a step (-want +got):\n" + diff)
	}
}

// TestQueues holds what asks language models to its own queue, so that workers can be given to it apart; and what an old
// run has to do to the queue that it began with.
func TestQueues(t *testing.T) {
	t.Parallel()
	asks := map[string]bool{memory.StepUseCases: true, memory.StepRelated: true, memory.StepSchema: true}
	for name, tc := range map[string]struct{ recorded, llm string }{
		"ANewRunHasTwo":  {recorded: "llm-1", llm: "llm-1"},
		"AnOldRunHasOne": {recorded: "", llm: "default-test-taskqueue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, Config{})
			w := NewWorkflows(pipeline.New(pipeline.Parts{}, pipeline.Config{}), Config{})
			w.cfg.LLMTaskQueue = tc.recorded // what the policy of a run says that began before there was such a queue
			s.RegisterWorkflowWithOptions(w.Batch, workflow.RegisterOptions{Name: "recorded"})
			var mu sync.Mutex
			got := map[string]string{}
			s.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
				mu.Lock()
				defer mu.Unlock()
				got[info.ActivityType.Name] = info.TaskQueue
			})
			s.ExecuteWorkflow("recorded", BatchRun{Batch: store.BatchRef{Workspace: "w", ID: "bat_1", Run: 1, Pages: 4}})
			if err := s.GetWorkflowError(); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			for _, a := range append([]string{activityBegin, activityClaim, activitySettle, activityAnnounce, activityEnd}, steps...) {
				if want[a] = "default-test-taskqueue"; asks[a] {
					want[a] = tc.llm
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error("queues of the activities (-want +got):\n" + diff)
			}
		})
	}
}

// TestStepsRunInOrder holds the workflow to the graph: no step begins before those that it builds on are through.
func TestStepsRunInOrder(t *testing.T) {
	t.Parallel()
	s := newStage(t, Config{})
	var order []string
	s.fault = func(step string, _ PageRef) error { order = append(order, step); return nil }
	if err := s.batch(1); err != nil {
		t.Fatal(err)
	}
	place := map[string]int{}
	for i, name := range order {
		place[name] = i
	}
	for _, step := range pipeline.New(pipeline.Parts{}, pipeline.Config{}).Steps() {
		for _, before := range step.After {
			if place[before] > place[step.Name] {
				t.Errorf("%s ran before %s: %s", step.Name, before, fmt.Sprint(order))
			}
		}
	}
}
