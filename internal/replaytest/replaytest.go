// Package replaytest holds workflow code to the histories that released versions left: a run that is under way when a
// deploy comes goes on under the new code. It is for tests alone.
package replaytest

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/encoding/protojson"
)

// Histories replays every history in the folder against what register gives a worker, and fails where one does not
// replay, and where a workflow is registered of which there is no history. It returns the histories by the names of
// their files, without their ending.
func Histories(t *testing.T, dir string, register func(worker.Registry)) map[string]*history.History {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	replayer := worker.NewWorkflowReplayer()
	types := &registry{replayer: replayer}
	register(types)
	all, seen := map[string]*history.History{}, map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		h := read(t, file)
		all[name] = h
		seen[h.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowType().GetName()] = true
		t.Run(name, func(t *testing.T) {
			if err := replayer.ReplayWorkflowHistory(slog.New(slog.DiscardHandler), h); err != nil {
				t.Error(err)
			}
		})
	}
	for _, name := range types.names {
		if !seen[name] {
			t.Errorf("no history of the workflow %q is recorded: go test -tags record -run TestRecord", name)
		}
	}
	for name := range seen {
		if !slices.Contains(types.names, name) {
			t.Errorf("there are histories of the workflow %q, and it is not registered any more", name)
		}
	}
	return all
}

func read(t *testing.T, file string) *history.History {
	t.Helper()
	raw, err := os.ReadFile(file) //nolint:gosec // testdata
	if err != nil {
		t.Fatal(err)
	}
	h := &history.History{}
	if err := protojson.Unmarshal(raw, h); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(h.GetEvents()) == 0 {
		t.Fatalf("%s: it is empty", file)
	}
	return h
}

// registry passes workflows on to a replayer, which has no use for activities, and notes their names. What it does not
// have is a nil call: whoever registers otherwise shows at once.
type registry struct {
	worker.Registry

	replayer worker.WorkflowReplayer
	names    []string
}

// RegisterWorkflowWithOptions implements [worker.Registry].
func (r *registry) RegisterWorkflowWithOptions(w any, o workflow.RegisterOptions) {
	r.names = append(r.names, o.Name)
	r.replayer.RegisterWorkflowWithOptions(w, o)
}

// RegisterActivityWithOptions implements [worker.Registry].
func (*registry) RegisterActivityWithOptions(any, activity.RegisterOptions) {}
