package webhooks

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// TestReplay holds today's workflow code to the histories that released versions left: deliveries live for days, and go
// on under whatever version comes.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/histories/*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d histories, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			r := worker.NewWorkflowReplayer()
			r.RegisterWorkflowWithOptions(DeliverWorkflow, workflow.RegisterOptions{Name: workflowName})
			if err := r.ReplayWorkflowHistoryFromJSONFile(slog.New(slog.DiscardHandler), file); err != nil {
				t.Error(err)
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if s := string(raw); strings.Contains(s, "receiver.test") || strings.Contains(s, "whsec_") || !strings.Contains(s, "TIMER_FIRED") {
				t.Error("the history says more than ids, or nothing of waiting")
			}
		})
	}
}

// TestReplaySeesAChange plants a change that old runs cannot follow: they waited before they asked.
func TestReplaySeesAChange(t *testing.T) {
	t.Parallel()
	r := worker.NewWorkflowReplayer()
	changed := func(ctx workflow.Context, ref Ref) error {
		if err := workflow.Sleep(ctx, time.Minute); err != nil {
			return err
		}
		return DeliverWorkflow(ctx, ref)
	}
	r.RegisterWorkflowWithOptions(changed, workflow.RegisterOptions{Name: workflowName})
	if err := r.ReplayWorkflowHistoryFromJSONFile(slog.New(slog.DiscardHandler), "testdata/histories/v1-retried.json"); err == nil {
		t.Error("a workflow that begins otherwise replays")
	}
}
