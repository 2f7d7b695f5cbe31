package batch

import (
	"context"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
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

// Run works until ctx is done, then finishes the attempts in flight, or gives them back.
func (w *Worker) Run(ctx context.Context) error {
	return RunWorker(ctx, w.client, w.cfg.TaskQueue, w.cfg, w.log, func(r worker.Registry) { Register(r, w.workflows, w.activities) })
}

// RunWorker runs a Temporal worker on a task queue until ctx is done. While Temporal is away it waits for it.
func RunWorker(ctx context.Context, c client.Client, queue string, cfg Config, log *slog.Logger, register func(worker.Registry)) error {
	cfg = cfg.WithDefaults()
	for {
		w := worker.New(c, queue, worker.Options{
			MaxConcurrentActivityExecutionSize: cfg.Activities,
			WorkerStopTimeout:                  cfg.Stop,
			DisableRegistrationAliasing:        true,
		})
		register(w)
		err := w.Start()
		if err == nil {
			<-ctx.Done()
			w.Stop()
			return nil
		}
		log.Warn("the worker waits for Temporal", "task_queue", queue, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(cfg.Sweep):
		}
	}
}
