package webhooks

import (
	"context"
	"strconv"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	enums "go.temporal.io/api/enums/v1"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// DefaultTaskQueue is where the workflows of deliveries run unless the configuration says otherwise.
const DefaultTaskQueue = "switchyard-webhooks"

// The names under which the workflow and its activity are registered. They are in histories: never change them.
const (
	workflowName = "DeliverWorkflow"
	activityName = "deliver"
)

// Ref names a delivery: all that Temporal is told of it.
type Ref struct {
	Workspace  string `json:"workspace"`
	DeliveryID string `json:"delivery_id"`
}

// Verdict is what the activity tells the workflow.
type Verdict struct {
	Over bool          `json:"over,omitempty"` // nothing is left to do
	Busy bool          `json:"busy,omitempty"` // no attempt was made: others are at it
	Wait time.Duration `json:"wait,omitempty"` // until it is worth asking again
}

func workflowID(d store.Delivery) string {
	return "delivery-" + d.ID + "-r" + strconv.Itoa(max(d.Round, 1))
}

// longestBusyWait bounds how long a delivery waits for its turn at a busy endpoint before it asks again.
const longestBusyWait = 5 * time.Minute

// DeliverWorkflow makes the attempts at a delivery from where it is until it is over. It holds the timers only: when
// the next attempt is due is decided, jitter included, where the attempt is made, and recorded both in the store and
// (as the activity's result) in the history.
func DeliverWorkflow(ctx workflow.Context, ref Ref) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 2 * time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute},
	})
	for busy := 0; ; {
		var v Verdict
		if err := workflow.ExecuteActivity(ctx, activityName, ref).Get(ctx, &v); err != nil {
			return err
		}
		if v.Over {
			return nil
		}
		if v.Busy {
			v.Wait = min(v.Wait<<min(busy, 10), longestBusyWait)
			busy++
		} else {
			busy = 0
		}
		if err := workflow.Sleep(ctx, v.Wait); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, workflowName, ref)
		}
	}
}

// Register lets a worker run the workflow and its activity. The worker listens on the task queue that [NewTemporal] is
// given.
func (c *Courier) Register(r worker.Registry) {
	r.RegisterWorkflowWithOptions(DeliverWorkflow, workflow.RegisterOptions{Name: workflowName})
	r.RegisterActivityWithOptions(c.deliver, activity.RegisterOptions{Name: activityName})
}

// deliver makes the next attempt at a delivery if it is due. It may be run any number of times.
func (c *Courier) deliver(ctx context.Context, ref Ref) (Verdict, error) {
	v, err := c.next(ctx, ref, activity.GetInfo(ctx).WorkflowExecution.ID)
	if err == nil {
		return v, nil
	}
	if ctx.Err() == nil {
		c.config.Log.ErrorContext(ctx, "webhooks", "delivery", ref.DeliveryID, "error", err)
	}
	return v, temporal.NewApplicationError(memory.FaultOf(err, "").Detail, string(memory.CodeOf(err)))
}

// early is how much before its time an attempt may be made: clocks and timers differ by a little.
const early = 250 * time.Millisecond

func (c *Courier) next(ctx context.Context, ref Ref, owner string) (Verdict, error) {
	d, err := c.stores.Deliveries.Get(ctx, ref.Workspace, ref.DeliveryID)
	if memory.CodeOf(err) == memory.CodeNotFound || err == nil && (d.Status != store.DeliveryPending || workflowID(d) != owner) {
		return Verdict{Over: true}, nil
	}
	if err != nil {
		return Verdict{}, err
	}
	now := c.config.Now()
	if wait := due(d).Sub(now); wait > early {
		return c.later(ctx, d, owner, Verdict{Wait: wait})
	}
	if !c.retries.enter(lane(d)) {
		return c.later(ctx, d, owner, Verdict{Wait: spread(5*time.Second, 1), Busy: true})
	}
	defer c.retries.leave(lane(d))
	d, ok, err := c.stores.Deliveries.Claim(ctx, d.Workspace, d.ID, owner, now, now.Add(c.attemptLease()))
	if err != nil || !ok {
		return Verdict{Wait: spread(5*time.Second, 1), Busy: true}, err
	}
	o, err := c.try(ctx, d)
	if err == nil {
		err = c.recorded(ctx, d, o, keepUntilDue)
	}
	if err != nil || o.over() {
		return Verdict{Over: err == nil}, err
	}
	return Verdict{Wait: max(o.attempt.NextAt.Sub(c.config.Now()), 0)}, nil
}

// later claims the delivery for as long as the workflow will wait, so that nobody else looks after it.
func (c *Courier) later(ctx context.Context, d store.Delivery, owner string, v Verdict) (Verdict, error) {
	now := c.config.Now()
	until := now.Add(v.Wait + slack)
	if v.Busy {
		until = now.Add(longestBusyWait + slack)
	}
	_, ok, err := c.stores.Deliveries.Claim(ctx, d.Workspace, d.ID, owner, now, until)
	v.Busy = v.Busy || !ok
	return v, err
}

// Temporal starts the workflows of deliveries.
type Temporal struct {
	client executor
	queue  string
}

var _ Starter = (*Temporal)(nil)

// executor is the part of a Temporal client that is used here.
type executor interface {
	ExecuteWorkflow(ctx context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
}

// NewTemporal makes a Starter over a Temporal client; the task queue "" is [DefaultTaskQueue].
func NewTemporal(c client.Client, taskQueue string) *Temporal {
	return &Temporal{client: c, queue: orElse(taskQueue, DefaultTaskQueue)}
}

// startPatience is how long starting a workflow may take.
const startPatience = 5 * time.Second

// StartDelivery implements [Starter].
func (t *Temporal) StartDelivery(ctx context.Context, d store.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	_, err := t.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflowID(d), TaskQueue: t.queue,
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, workflowName, Ref{d.Workspace, d.ID})
	return memory.Wrap(memory.CodeUnavailable, err, "the durable engine did not take a delivery")
}
