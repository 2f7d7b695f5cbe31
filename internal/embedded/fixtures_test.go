//go:build !lean

package embedded

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const (
	queue      = "tests"
	goSignal   = "go"
	childEnv   = "SWITCHYARD_TEST_CHILD_DIR"
	patience   = 30 * time.Second
	pollPeriod = 10 * time.Millisecond
)

// TestMain also is the program that the test of a killed process kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		runChild(dir)
		return
	}
	os.Exit(m.Run())
}

// startServer starts a server that ends with the test, if not before.
func startServer(tb testing.TB, cfg Config) *Server {
	tb.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(tb.Output(), nil))
	}
	s, err := Start(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { closeServer(tb, s) })
	return s
}

func closeServer(tb testing.TB, s *Server) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Error(err)
	}
}

// startWorker returns a client of s, and what stops both it and a worker with the workflows below.
func startWorker(tb testing.TB, s *Server, options worker.Options) (client.Client, func()) {
	tb.Helper()
	c, err := client.Dial(client.Options{
		HostPort: s.Address(), Namespace: s.Namespace(),
		Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	w := worker.New(c, queue, options)
	register(w)
	if err := w.Start(); err != nil {
		tb.Fatal(err)
	}
	return c, func() { w.Stop(); c.Close() }
}

func register(w worker.Registry) {
	w.RegisterWorkflowWithOptions(echo, workflow.RegisterOptions{Name: "echo"})
	w.RegisterWorkflowWithOptions(wait, workflow.RegisterOptions{Name: "wait"})
	w.RegisterWorkflowWithOptions(family, workflow.RegisterOptions{Name: "family"})
	w.RegisterActivityWithOptions(repeat, activity.RegisterOptions{Name: "repeat"})
}

// echo returns what an activity was given.
func echo(ctx workflow.Context, words string) (heard string, err error) {
	// What a killed worker had in hand is given out again after this.
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Second})
	err = workflow.ExecuteActivity(ctx, "repeat", words).Get(ctx, &heard)
	return heard, err
}

func repeat(_ context.Context, words string) (string, error) { return words, nil }

// wait returns the words of a signal, after a timer that was set before it came.
func wait(ctx workflow.Context) (words string, err error) {
	timer := workflow.NewTimer(ctx, 100*time.Millisecond)
	workflow.GetSignalChannel(ctx, goSignal).Receive(ctx, &words)
	return words, timer.Get(ctx, nil)
}

// family starts children that wait, and ends before them.
func family(ctx workflow.Context, children int) (ids []string, err error) {
	for range children {
		var child workflow.Execution
		if err := workflow.ExecuteChildWorkflow(ctx, "wait").GetChildWorkflowExecution().Get(ctx, &child); err != nil {
			return nil, err
		}
		ids = append(ids, child.ID)
	}
	return ids, nil
}

func run(tb testing.TB, c client.Client, options client.StartWorkflowOptions, name string, args ...any) client.WorkflowRun {
	tb.Helper()
	options.TaskQueue = queue
	options.WorkflowTaskTimeout = time.Second // what a worker has in hand when it stops is given out again after this
	execution, err := c.ExecuteWorkflow(tb.Context(), options, name, args...)
	if err != nil {
		tb.Fatal(err)
	}
	return execution
}

func result[T any](tb testing.TB, execution client.WorkflowRun) (value T) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	if err := execution.Get(ctx, &value); err != nil {
		tb.Fatal(err)
	}
	return value
}

// eventually returns when holds does, for what Temporal gives no sign of.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	tick := time.NewTicker(pollPeriod)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			tb.Fatalf("not so within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}
