//go:build !lean

package embedded

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
)

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := killChild(t, dir, 30)

	c, stop := startWorker(t, startServer(t, Config{Dir: dir}), worker.Options{})
	defer stop()
	for _, id := range acknowledged {
		if got := result[string](t, c.GetWorkflow(t.Context(), id, "")); got != id {
			t.Errorf("workflow %s returned %q", id, got)
		}
	}
}

// killChild lets another process start workflows, kills it in the middle, and returns the ids of those it had started.
func killChild(t *testing.T, dir string, after int) (acknowledged []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), childEnv+"="+dir)
	child.Stderr = t.Output()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if acknowledged = append(acknowledged, lines.Text()); len(acknowledged) == after {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(acknowledged) < after {
		t.Fatalf("the child ended by itself, after %d workflows: %v", len(acknowledged), err)
	}
	return acknowledged
}

// runChild starts workflows without an end and prints the id of each one that Temporal has acknowledged.
func runChild(dir string) {
	ctx := context.Background()
	s, err := Start(ctx, Config{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.Dial(client.Options{HostPort: s.Address(), Namespace: s.Namespace(), Logger: slog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	w := worker.New(c, queue, worker.Options{})
	register(w)
	if err := w.Start(); err != nil {
		log.Fatal(err)
	}
	options := client.StartWorkflowOptions{TaskQueue: queue, WorkflowTaskTimeout: time.Second}
	for i := 0; ; i++ {
		id := fmt.Sprintf("acknowledged-%d", i)
		options.ID = id
		if _, err := c.ExecuteWorkflow(ctx, options, "echo", id); err != nil {
			log.Fatal(err)
		}
		fmt.Println(id)
	}
}
