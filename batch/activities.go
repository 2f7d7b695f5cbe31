package batch

import (
	"context"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// The names of the activities beside the steps, which are registered under their own names.
const (
	activityClaim    = "claim_page"
	activitySettle   = "settle_page"
	activityBegin    = "begin_batch"
	activityEnd      = "end_batch"
	activityAnnounce = "announce_progress"
)

// Events says what the customer's system is to be told of a batch; nil where nobody wants to know. The batch is as it
// will be once the event is owed.
type Events interface {
	BatchEvent(ctx context.Context, b memory.Batch, eventType string) (*memory.Event, error)
}

// Parts are what the activities work with.
type Parts struct {
	Pipeline  *pipeline.Pipeline
	Memories  store.Memories
	Runs      store.Runs
	Batches   store.Batches
	BatchRuns store.BatchRuns
	Events    Events
	Watcher   BatchWatcher // nil: nobody watches
}

// BatchWatcher is told when a batch has moved on. It must not block.
type BatchWatcher interface {
	Moved(workspace, batchID string)
}

// Activities do what workflows decide. Each may run any number of times.
type Activities struct {
	parts Parts
	cfg   Config
}

// NewActivities makes the activities of the parts.
func NewActivities(parts Parts, cfg Config) *Activities {
	return &Activities{parts: parts, cfg: cfg.WithDefaults()}
}

// Claimed says what there is to do for a page.
type Claimed struct {
	Open   int      `json:"open"`   // memories that are not over
	Drafts int      `json:"drafts"` // of these, in this run's hands
	Steps  []string `json:"steps"`  // that some draft has not behind it
}

func (c Claimed) needs(step string) bool { return slices.Contains(c.Steps, step) }

// Settled says what is left of a page.
type Settled struct {
	Open int `json:"open"`
}

// Claim takes the memories of the page for the run; those of a batch are admitted first.
func (a *Activities) Claim(ctx context.Context, page PageRef) (Claimed, error) {
	until, open := time.Now().Add(a.cfg.Lease), 0
	if page.BatchID != "" {
		until = store.Forever
		if err := a.admit(ctx, page); err != nil {
			return Claimed{}, coded(err)
		}
		var err error
		if open, err = a.follow(ctx, page); err != nil {
			return Claimed{}, coded(err)
		}
	}
	refs, err := a.refs(ctx, page)
	if err != nil {
		return Claimed{}, coded(err)
	}
	drafts, err := a.parts.Runs.Claim(ctx, store.Claim{Refs: refs, Owner: page.Owner, Track: memory.TrackDurable, Until: until})
	if err != nil {
		return Claimed{}, coded(err)
	}
	a.moved(page)
	return Claimed{Open: max(open, len(drafts)), Drafts: len(drafts), Steps: a.todo(drafts)}, nil
}

func (a *Activities) todo(drafts []memory.Draft) []string {
	steps := []string{}
	for _, s := range a.parts.Pipeline.Steps() {
		for i := range drafts {
			if r, _ := drafts[i].Memory.Receipt(s.Name); !r.Status.Final() {
				steps = append(steps, s.Name)
				break
			}
		}
	}
	return steps
}

// Attempt makes one attempt at a step for the page.
func (a *Activities) Attempt(step pipeline.Step) func(context.Context, PageRef) error {
	return func(ctx context.Context, page PageRef) error {
		ctx, stop := alive(ctx)
		defer stop()
		drafts, err := a.drafts(ctx, page)
		if err != nil {
			return coded(err)
		}
		t := a.parts.Pipeline.Attempt(ctx, step, pipeline.NewPage(drafts), memory.TrackDurable)
		if t.Left == 0 {
			return nil
		}
		return a.again(step.Spec, activity.GetInfo(ctx).Attempt, t.Err)
	}
}

// again tells Temporal when to try again: by the step's backoff, or when the dependency says; what must wait longer
// than a round may ends the round, with the wait in the error's details.
func (a *Activities) again(s pipeline.Spec, attempt int32, err error) error {
	asked := memory.RetryAfter(err)
	return temporal.NewApplicationErrorWithOptions(memory.FaultOf(err, s.Name).Detail, string(memory.CodeOf(err)), temporal.ApplicationErrorOptions{
		NonRetryable:   asked > a.cfg.MaxHold || !memory.Retryable(err),
		NextRetryDelay: s.Delay(int(attempt), err),
		Details:        []any{asked},
	})
}

// Settle ends what is over, and counts what is not. The last round leaves nothing open.
func (a *Activities) Settle(ctx context.Context, page PageRef, last bool) (Settled, error) {
	drafts, err := a.drafts(ctx, page)
	if err != nil {
		return Settled{}, coded(err)
	}
	open, err := a.parts.Pipeline.Settle(ctx, pipeline.NewPage(drafts), last)
	if err == nil && page.BatchID != "" {
		open, err = a.follow(ctx, page)
		a.moved(page)
	}
	return Settled{Open: open}, coded(err)
}

// drafts returns what this run holds of the page.
func (a *Activities) drafts(ctx context.Context, page PageRef) ([]memory.Draft, error) {
	refs, err := a.refs(ctx, page)
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	return a.parts.Runs.Drafts(ctx, page.Owner, refs)
}

func (a *Activities) moved(page PageRef) {
	if page.BatchID != "" && a.parts.Watcher != nil {
		a.parts.Watcher.Moved(page.Workspace, page.BatchID)
	}
}

// Begin marks the batch as being processed.
func (a *Activities) Begin(ctx context.Context, b store.BatchRef) error {
	_, err := a.parts.BatchRuns.Advance(ctx, b.ID, memory.BatchProcessing)
	return coded(err)
}

// Announce owes the event that a part of the batch, in per cent, is over.
func (a *Activities) Announce(ctx context.Context, b store.BatchRef, percent int) error {
	batch, err := a.parts.Batches.Get(ctx, b.Workspace, b.ID)
	if err != nil {
		return coded(err)
	}
	event, err := a.parts.Events.BatchEvent(ctx, batch, memory.EventBatchProgress)
	if err != nil || event == nil {
		return coded(err)
	}
	_, err = a.parts.BatchRuns.Announce(ctx, b.ID, percent, event)
	return coded(err)
}

// End ends the batch: its outcome, and the event that is owed, in one write.
func (a *Activities) End(ctx context.Context, b store.BatchRef, cancelled bool) error {
	ctx, stop := alive(ctx)
	defer stop()
	if cancelled {
		if err := a.cancelPages(ctx, b); err != nil {
			return coded(err)
		}
	}
	batch, err := a.parts.Batches.Get(ctx, b.Workspace, b.ID)
	if err != nil {
		return coded(err)
	}
	if !cancelled && batch.Counts.Open() > 0 {
		return coded(memory.Errorf(memory.CodeInternal, "%d items of the batch are open though its pages are over", batch.Counts.Open()))
	}
	end(&batch, cancelled)
	event, err := a.parts.Events.BatchEvent(ctx, batch, eventOf(batch.Status))
	if err != nil {
		return coded(err)
	}
	_, err = a.parts.BatchRuns.Finish(ctx, b.ID, batch.Status, event)
	a.moved(PageRef{Workspace: b.Workspace, BatchID: b.ID})
	return coded(err)
}

// end makes the batch what it will be when its end is stored.
func end(b *memory.Batch, cancelled bool) {
	b.Status = b.Counts.Outcome()
	if cancelled {
		b.Status = memory.BatchCancelled
		b.Counts.Cancelled += b.Counts.Open()
		b.Counts.Queued, b.Counts.Processing = 0, 0
	}
	b.CompletedAt = memory.Now().Ptr()
}

func eventOf(s memory.BatchStatus) string { return "batch." + string(s) }

// alive keeps the attempt known to be alive for as long as it runs, and ends its context when the worker stops.
func alive(ctx context.Context) (context.Context, func()) {
	every := activity.GetInfo(ctx).HeartbeatTimeout / 3
	ctx, cancel := context.WithCancel(ctx)
	if every <= 0 {
		return ctx, cancel
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-activity.GetWorkerStopChannel(ctx):
				cancel()
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return ctx, func() { cancel(); <-done }
}

// coded gives an error its code as Temporal's type, and nothing of its cause: histories are for people to see.
func coded(err error) error {
	if err == nil {
		return nil
	}
	code := memory.CodeOf(err)
	passing := code.Retryable() || code == memory.CodeInternal
	return temporal.NewApplicationErrorWithOptions(memory.FaultOf(err, "").Detail, string(code), temporal.ApplicationErrorOptions{NonRetryable: !passing})
}
