package batch

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// The names under which the workflows are registered; started runs carry them for ever.
const (
	ProcessMemoryWorkflow = "ProcessMemoryWorkflow"
	BatchWorkflow         = "BatchWorkflow"
)

// Workflows are the definitions. They know the pipeline's steps as data; what a step does, activities do.
type Workflows struct {
	steps []pipeline.Spec
	cfg   Config
}

// NewWorkflows makes the definitions for the steps of p.
func NewWorkflows(p *pipeline.Pipeline, cfg Config) *Workflows {
	w := &Workflows{cfg: cfg.WithDefaults()}
	for _, s := range p.Steps() {
		w.steps = append(w.steps, s.Spec)
	}
	return w
}

// ProcessMemory takes one memory through the pipeline: rounds, with a growing wait between them, until no step is left.
func (w *Workflows) ProcessMemory(ctx workflow.Context, ref memory.Ref) error {
	page := PageRef{Workspace: ref.Workspace, Owner: workflow.GetInfo(ctx).WorkflowExecution.ID, MemoryID: ref.ID, Version: ref.Version}
	policy, err := w.policy(ctx)
	if err != nil {
		return err
	}
	since := workflow.Now(ctx)
	for n := 0; ; n++ {
		r, err := w.round(ctx, page, turn{n, policy}, workflow.Now(ctx).Sub(since) > policy.Patience)
		if err != nil || r.Open == 0 {
			return err
		}
		if err := workflow.Sleep(ctx, policy.wait(n, r.Wait)); err != nil {
			return err
		}
	}
}

// policy notes the policy in force in the run's history, where every replay finds it again.
func (w *Workflows) policy(ctx workflow.Context) (p Policy, err error) {
	err = workflow.SideEffect(ctx, func(workflow.Context) any { return w.cfg.Policy }).Get(&p)
	return p, err
}

// wait is the time between round n and the next one: what a dependency asked for, but no less than the backoff.
func (p Policy) wait(n int, asked time.Duration) time.Duration {
	d := p.RoundBackoff
	for range min(n, 30) {
		d = min(2*d, p.MaxRoundBackoff)
	}
	return max(d, asked)
}

// turn is a round's number, from 0, and the policy of its run.
type turn struct {
	n      int
	policy Policy
}

// rounded is what a round left.
type rounded struct {
	Open int           // memories that are not over
	Wait time.Duration // what a dependency asked for
}

// round claims the page, runs the pipeline's graph over it once, and settles what is over. The last round gives up.
func (w *Workflows) round(ctx workflow.Context, page PageRef, t turn, last bool) (rounded, error) {
	var c Claimed
	if err := workflow.ExecuteActivity(w.storing(ctx), activityClaim, page).Get(ctx, &c); err != nil {
		return rounded{}, err
	}
	if c.Open == 0 {
		return rounded{}, nil
	}
	wait := w.graph(ctx, page, c, t)
	var s Settled
	err := workflow.ExecuteActivity(w.storing(ctx), activitySettle, page, last).Get(ctx, &s)
	return rounded{Open: s.Open, Wait: wait}, err
}

// graph runs the steps that something of the page needs, each when those that it builds on are through. What a step
// could not do is on record in the store; what comes back is only how long to wait.
func (w *Workflows) graph(ctx workflow.Context, page PageRef, c Claimed, t turn) (wait time.Duration) {
	through := map[string]workflow.Future{}
	group := workflow.NewWaitGroup(ctx)
	for _, spec := range w.steps {
		done, set := workflow.NewFuture(ctx)
		var before []workflow.Future
		for _, name := range spec.After {
			before = append(before, through[name])
		}
		through[spec.Name] = done
		group.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer group.Done()
			for _, b := range before {
				_ = b.Get(ctx, nil)
			}
			if c.needs(spec.Name) {
				err := workflow.ExecuteActivity(w.attempting(ctx, spec, c.Drafts, t), spec.Name, page).Get(ctx, nil)
				wait = max(wait, askedFor(err))
			}
			set.Set(nil, nil)
		})
	}
	group.Wait(ctx)
	return wait
}

// askedFor is the wait that a step's last failed attempt passed on.
func askedFor(err error) time.Duration {
	var (
		app  *temporal.ApplicationError
		wait time.Duration
	)
	if errors.As(err, &app) && app.HasDetails() {
		_ = app.Details(&wait)
	}
	return wait
}

// attempting translates a step's patience: several attempts in the first round, one in each later one. A run whose
// policy knows no queue for language models is an old one: all its activities wait on its own queue.
func (w *Workflows) attempting(ctx workflow.Context, s pipeline.Spec, drafts int, t turn) workflow.Context {
	attempts, queue := s.Attempts, ""
	if t.n > 0 {
		attempts = 1
	}
	if s.LLM {
		queue = t.policy.LLMTaskQueue
	}
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: s.PageTimeout(drafts) + checkpointTime,
		HeartbeatTimeout:    w.cfg.Heartbeat,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: s.Backoff, BackoffCoefficient: 2, MaximumInterval: s.MaxBackoff,
			MaximumAttempts: int32(attempts),
		},
	})
}

// checkpointTime is what an attempt may take on top of its step's timeout, to load the page and to store checkpoints.
const checkpointTime = 30 * time.Second

// storing is for activities that only read and write the store: they go on until the store is back.
func (w *Workflows) storing(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		HeartbeatTimeout:    w.cfg.Heartbeat,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
	})
}

// BatchRun is where a run of a batch begins, and where it goes on after continuing as new.
type BatchRun struct {
	Batch   store.BatchRef `json:"batch"`
	Next    int            `json:"next"`    // the first page that was not begun
	Over    int            `json:"over"`    // pages that are over
	Waiting []WaitingPage  `json:"waiting"` // pages that were begun and are not over
	Marks   int            `json:"marks"`   // quarters of the way that were announced
	Paused  bool           `json:"paused"`

	Cancelled bool `json:"cancelled"`
}

// WaitingPage is a page with something left to do, and when to do it.
type WaitingPage struct {
	Page      int       `json:"page"`
	Round     int       `json:"round"`
	Since     time.Time `json:"since"`
	NotBefore time.Time `json:"not_before"`
}

// Progress answers the query "progress".
type Progress struct {
	Pages    int  `json:"pages"`
	Over     int  `json:"over"`
	InFlight int  `json:"in_flight"`
	Waiting  int  `json:"waiting"`
	Paused   bool `json:"paused"`
}

// Query and signals of a batch.
const (
	QueryProgress = "progress"
	SignalControl = "control" // carries one of the orders

	OrderPause  = "pause"
	OrderResume = "resume"
	OrderCancel = "cancel"
)
