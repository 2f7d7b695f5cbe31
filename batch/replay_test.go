package batch_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
)

// TestReplay holds today's workflow code to the histories that released versions left: a run that is under way when a
// deploy comes goes on under the new code.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/histories/*.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d histories, %v", len(files), err)
	}
	r := newReplayer(batch.NewWorkflows(pipeline.New(pipeline.Parts{}, pipeline.Config{}), batch.Config{}))
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			if err := r.ReplayWorkflowHistoryFromJSONFile(discard(), file); err != nil {
				t.Error(err)
			}
		})
	}
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

func newReplayer(w *batch.Workflows) worker.WorkflowReplayer {
	r := worker.NewWorkflowReplayer()
	r.RegisterWorkflowWithOptions(w.ProcessMemory, workflow.RegisterOptions{Name: batch.ProcessMemoryWorkflow})
	r.RegisterWorkflowWithOptions(w.Batch, workflow.RegisterOptions{Name: batch.BatchWorkflow})
	return r
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
