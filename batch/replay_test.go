package batch_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/replaytest"
)

// TestReplay holds today's workflow code to the histories that released versions left: v1 is from before there was a task
// queue for language models, v2 has it.
func TestReplay(t *testing.T) {
	t.Parallel()
	p := pipeline.New(pipeline.Parts{}, pipeline.Config{})
	cfg := batch.Config{}
	all := replaytest.Histories(t, "testdata/histories", func(r worker.Registry) {
		batch.Register(r, batch.NewWorkflows(p, cfg), batch.NewActivities(batch.Parts{Pipeline: p}, cfg))
	})
	kinds := map[string]bool{}
	for name, h := range all {
		version, kind, _ := strings.Cut(name, "-")
		kinds[version+" "+strings.TrimRight(kind, "-0123456789")] = true
		if asks := onQueue(h, cfg.WithDefaults().LLMTaskQueue); asks != (version != "v1") {
			t.Errorf("%s: it has the task queue for language models: %v", name, asks)
		}
	}
	for _, kind := range []string{"memory", "memory-rounds", "batch", "batch-rounds", "batch-orders"} {
		for _, version := range []string{"v1", "v2"} {
			if !kinds[version+" "+kind] {
				t.Errorf("there is no %s of %s", kind, version)
			}
		}
	}
}

// onQueue reports whether the history, or what it passes on, speaks of the task queue.
func onQueue(h *history.History, queue string) bool {
	return strings.Contains(h.String(), queue)
}

// TestReplaySeesAChange plants a change that old runs cannot follow: a first activity that they do not know.
func TestReplaySeesAChange(t *testing.T) {
	t.Parallel()
	w := batch.NewWorkflows(pipeline.New(pipeline.Parts{}, pipeline.Config{}), batch.Config{})
	r := worker.NewWorkflowReplayer()
	changed := func(ctx workflow.Context, run batch.BatchRun) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
		if err := workflow.ExecuteActivity(ctx, "count_pages", run.Batch).Get(ctx, nil); err != nil {
			return err
		}
		return w.Batch(ctx, run)
	}
	r.RegisterWorkflowWithOptions(changed, workflow.RegisterOptions{Name: batch.BatchWorkflow})
	if err := r.ReplayWorkflowHistoryFromJSONFile(discard(), "testdata/histories/v1-batch-0.json"); err == nil {
		t.Error("a batch with another first activity replays")
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
