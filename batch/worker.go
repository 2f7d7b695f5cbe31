package batch

import (
	"context"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
)

// Worker runs the durable track's workflows and activities.
type Worker struct {
	client     client.Client
	workflows  *Workflows
	activities *Activities
	cfg        Config
	log        *slog.Logger
}

// NewWorker makes a worker; the client may be a lazy one, of a Temporal that is away.
func NewWorker(c client.Client, w *Workflows, a *Activities, cfg Config, log *slog.Logger) *Worker {
	return &Worker{client: c, workflows: w, activities: a, cfg: cfg.WithDefaults(), log: log}
}

// Register adds all workflows and activities to a worker, or to a test environment. Names of steps that are retired
// stay registered for as long as runs that know them may exist.
func Register(r worker.Registry, w *Workflows, a *Activities) {
	r.RegisterWorkflowWithOptions(w.ProcessMemory, workflow.RegisterOptions{Name: ProcessMemoryWorkflow})
	r.RegisterWorkflowWithOptions(w.Batch, workflow.RegisterOptions{Name: BatchWorkflow})
	for name, fn := range map[string]any{
		activityClaim: a.Claim, activitySettle: a.Settle,
		activityBegin: a.Begin, activityEnd: a.End, activityAnnounce: a.Announce,
	} {
		r.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
	}
	for _, s := range a.parts.Pipeline.Steps() {
		r.RegisterActivityWithOptions(a.Attempt(s), activity.RegisterOptions{Name: s.Name})
	}
}

// Run works until ctx is done, then finishes the attempts in flight, or gives them back. Which queues it looks after says
// Config.Work.
func (w *Worker) Run(ctx context.Context) error {
	var g errgroup.Group
	if w.cfg.Work.Takes(WorkStore) {
		g.Go(func() error {
			return RunWorker(ctx, w.client, w.cfg.storeQueue(), w.log, func(r worker.Registry) { Register(r, w.workflows, w.activities) })
		})
	}
	if w.cfg.Work.Takes(WorkLLM) {
		g.Go(func() error { return RunWorker(ctx, w.client, w.cfg.llmQueue(), w.log, w.activities.registerLLM) })
	}
	return g.Wait()
}

// registerLLM adds the activities that ask language models. Those of old runs wait on the other queue, so they are
// registered there as well.
func (a *Activities) registerLLM(r worker.Registry) {
	for _, s := range a.parts.Pipeline.Steps() {
		if s.LLM {
			r.RegisterActivityWithOptions(a.Attempt(s), activity.RegisterOptions{Name: s.Name})
		}
	}
}

// Queue is a task queue with how a worker looks after it.
type Queue struct {
	name    string
	options worker.Options
	again   time.Duration // between two tries to start
}

func (c Config) storeQueue() Queue { return c.queue(c.TaskQueue, c.Activities) }

// DeliveryQueue is a queue of deliveries, which a worker looks after as it does after its own.
func (c Config) DeliveryQueue(name string) Queue {
	c = c.WithDefaults()
	return c.queue(name, c.Activities)
}

func (c Config) llmQueue() Queue {
	q := c.queue(c.LLMTaskQueue, c.LLMActivities)
	q.options.DisableWorkflowWorker = true
	q.options.TaskQueueActivitiesPerSecond = c.LLMActivitiesPerSecond
	return q
}

func (c Config) queue(name string, slots int) Queue {
	return Queue{name: name, again: c.Sweep, options: worker.Options{
		MaxConcurrentActivityExecutionSize:     slots,
		MaxConcurrentWorkflowTaskExecutionSize: c.WorkflowSlots,
		MaxConcurrentWorkflowTaskPollers:       c.WorkflowPollers,
		MaxConcurrentActivityTaskPollers:       c.ActivityPollers,
		WorkerStopTimeout:                      c.Stop,
		DisableRegistrationAliasing:            true,
		DeploymentOptions:                      c.Versioning.options(),
	}}
}

func (v Versioning) options() worker.DeploymentOptions {
	if v.Deployment == "" {
		return worker.DeploymentOptions{}
	}
	behavior := workflow.VersioningBehaviorAutoUpgrade
	if v.Behavior == Pinned {
		behavior = workflow.VersioningBehaviorPinned
	}
	return worker.DeploymentOptions{
		UseVersioning:             true,
		Version:                   worker.WorkerDeploymentVersion{DeploymentName: v.Deployment, BuildID: v.BuildID},
		DefaultVersioningBehavior: behavior,
	}
}

// RunWorker runs a Temporal worker on a task queue until ctx is done. While Temporal is away, or does not know the
// namespace (yet, or for a while), it waits for it.
func RunWorker(ctx context.Context, c client.Client, q Queue, log *slog.Logger, register func(worker.Registry)) error {
	for {
		if err := runWorker(ctx, c, q, register); err != nil {
			log.Warn("the worker waits for Temporal", "task_queue", q.name, "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(q.again):
		}
	}
}

// runWorker runs one worker until ctx is done, or until it finds that it cannot go on.
func runWorker(ctx context.Context, c client.Client, q Queue, register func(worker.Registry)) (err error) {
	fatal := make(chan error, 1)
	q.options.OnFatalError = func(err error) { fatal <- err }
	w := worker.New(c, q.name, q.options)
	register(w)
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	select {
	case <-ctx.Done():
		return nil
	case err := <-fatal:
		return err
	}
}
