package webhooks

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/switchyard-ai/switchyard/internal/replaytest"
)

// TestReplay holds today's workflow code to the histories that released versions left: deliveries live for days, and go
// on under whatever version comes.
func TestReplay(t *testing.T) {
	t.Parallel()
	all := replaytest.Histories(t, "testdata/histories", func(r worker.Registry) { new(Courier).Register(r) })
	for name, h := range all {
		waits := slices.ContainsFunc(h.GetEvents(), func(e *history.HistoryEvent) bool { return e.GetEventType() == enums.EVENT_TYPE_TIMER_FIRED })
		if s := h.String(); strings.Contains(s, "receiver.test") || strings.Contains(s, "whsec_") || !waits {
			t.Errorf("%s: the history says more than ids, or nothing of waiting", name)
		}
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
