//go:build !lean

package embedded

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	schema "go.temporal.io/server/schema/sqlite"
	"go.uber.org/goleak"
)

func TestServer(t *testing.T) {
	t.Parallel()
	t.Run("RunsWorkflows", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, Config{Dir: t.TempDir()})
		c, stop := startWorker(t, s, worker.Options{})
		defer stop()
		if got := result[string](t, run(t, c, client.StartWorkflowOptions{}, "echo", "hello")); got != "hello" {
			t.Errorf("the workflow returned %q, want hello", got)
		}
	})
	t.Run("FindsWorkflowsByOurSearchAttributes", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, Config{Dir: t.TempDir()})
		c, stop := startWorker(t, s, worker.Options{})
		defer stop()
		for _, name := range []string{"one", "two"} {
			run(t, c, client.StartWorkflowOptions{ID: name, TypedSearchAttributes: attributesOf(name)}, "wait")
		}
		query := fmt.Sprintf("%s='ws_two' AND %s='mem_two' AND %s='bat_two'", AttributeWorkspace, AttributeMemory, AttributeBatch)
		eventually(t, "two is found, alone", func() bool { return cmp.Equal(list(t, c, query), []string{"two"}) })
	})
	t.Run("GivesOldNamespacesOurSearchAttributes", func(t *testing.T) {
		t.Parallel()
		cfg, files := prepared(t)
		old, err := schema.NewNamespaceConfig(clusterName, "old", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.CreateNamespaces(files.executions, old); err != nil {
			t.Fatal(err)
		}
		c, stop := startWorker(t, startServer(t, Config{Dir: cfg.Dir, Namespace: "old"}), worker.Options{})
		defer stop()
		run(t, c, client.StartWorkflowOptions{TypedSearchAttributes: attributesOf("one")}, "wait")
	})
	t.Run("GoesOnAfterClose", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := startServer(t, Config{Dir: dir})
		c, stop := startWorker(t, s, worker.Options{})
		id := run(t, c, client.StartWorkflowOptions{}, "wait").GetID()
		stop()
		closeServer(t, s)

		c, stop = startWorker(t, startServer(t, Config{Dir: dir}), worker.Options{})
		defer stop()
		if err := c.SignalWorkflow(t.Context(), id, "", goSignal, "at last"); err != nil {
			t.Fatal(err)
		}
		if got := result[string](t, c.GetWorkflow(t.Context(), id, "")); got != "at last" {
			t.Errorf("the workflow returned %q, want what it was sent", got)
		}
	})
	t.Run("TakesAnyFolderName", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "not there", "a?b#c%20d&e=f")
		closeServer(t, startServer(t, Config{Dir: dir}))
		if size := sizeOf(t, dir, executionsFile); size == 0 {
			t.Error("the server wrote to some other folder")
		}
		if size := sizeOf(t, dir, executionsFile+"-wal"); size != 0 {
			t.Errorf("%d bytes are left in the write-ahead log", size)
		}
	})
	t.Run("RefusesAFolderInUse", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := startServer(t, Config{Dir: dir})
		_, err := Start(t.Context(), Config{Dir: dir})
		if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("process %d has %s", os.Getpid(), dir)) {
			t.Errorf("second start: %v", err)
		}
		closeServer(t, s)
		startServer(t, Config{Dir: dir})
	})
	t.Run("ClosesTwiceAndAnswersNoMore", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, Config{Dir: t.TempDir(), UIListen: "127.0.0.1:0"})
		closeServer(t, s)
		closeServer(t, s)
		for _, address := range []string{s.Address(), s.UIAddress()} {
			if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
				t.Errorf("%s still answers", conn.RemoteAddr())
			}
		}
	})
	t.Run("TakesBoundsOfTheStart", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if _, err := Start(canceled(t), Config{Dir: dir}); err == nil {
			t.Error("a start that was called off succeeded")
		}
		startServer(t, Config{Dir: dir}) // which left nothing in the way of this one
	})
	t.Run("ChangesRetention", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		for _, want := range []time.Duration{0, time.Hour, 2 * time.Hour} {
			s := startServer(t, Config{Dir: dir, Namespace: "ours", Retention: want})
			if want == 0 {
				want = 72 * time.Hour
			}
			if got := retention(t, s); got != want {
				t.Errorf("retention is %v, want %v", got, want)
			}
			closeServer(t, s)
		}
	})
}

// TestCloseLeavesNothingRunning is not parallel: it must see no other test's goroutines. What Temporal leaves behind is
// named: its SQLite plugin keeps a connection to each file for the life of the process, and the clients inside its worker
// service and its UI are out of reach.
func TestCloseLeavesNothingRunning(t *testing.T) { //nolint:paralleltest
	s := startServer(t, Config{Dir: t.TempDir(), UIListen: "127.0.0.1:0"})
	c, stop := startWorker(t, s, worker.Options{})
	result[string](t, run(t, c, client.StartWorkflowOptions{}, "echo", "hello"))
	if status, _ := get(t, s.UIAddress(), "/api/v1/namespaces", ""); status != http.StatusOK {
		t.Errorf("the UI answered %d", status)
	}
	stop()
	closeServer(t, s)
	goleak.VerifyNone(t,
		goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).run"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc.(*addrConn).connect"),
	)
}

// TestSystemWorkers holds what the dynamic configuration and the stubs must not break.
func TestSystemWorkers(t *testing.T) {
	t.Parallel()
	s := startServer(t, Config{Dir: t.TempDir()})
	t.Run("ParentEndsManyChildren", func(t *testing.T) {
		t.Parallel()
		c, stop := startWorker(t, s, worker.Options{})
		defer stop()
		const children = 12 // from 10 on, Temporal leaves this to a system worker that we switch off
		for _, id := range result[[]string](t, run(t, c, client.StartWorkflowOptions{}, "family", children)) {
			eventually(t, "child ended", func() bool {
				child, err := c.DescribeWorkflowExecution(t.Context(), id, "")
				return err == nil && child.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
			})
		}
	})
	t.Run("VersionsOfWorkersAreKept", func(t *testing.T) {
		t.Parallel()
		s := startServer(t, Config{Dir: t.TempDir()})
		version := worker.WorkerDeploymentVersion{DeploymentName: "switchyard", BuildID: "1"}
		c, stop := startWorker(t, s, worker.Options{DeploymentOptions: worker.DeploymentOptions{
			UseVersioning: true, Version: version, DefaultVersioningBehavior: workflow.VersioningBehaviorPinned,
		}})
		defer stop()
		deployment := c.WorkerDeploymentClient().GetHandle(version.DeploymentName)
		eventually(t, "the version can be made the current one", func() bool {
			_, err := deployment.SetCurrentVersion(t.Context(), client.WorkerDeploymentSetCurrentVersionOptions{BuildID: version.BuildID})
			return err == nil
		})
		execution := run(t, c, client.StartWorkflowOptions{}, "echo", "hello")
		if got := result[string](t, execution); got != "hello" {
			t.Errorf("the workflow returned %q", got)
		}
		described, err := deployment.DescribeVersion(t.Context(), client.WorkerDeploymentDescribeVersionOptions{BuildID: version.BuildID})
		if err != nil || described.Info.Version != version {
			t.Errorf("the version is described as %+v, %v", described.Info, err)
		}
	})
}

func attributesOf(name string) temporal.SearchAttributes {
	return temporal.NewSearchAttributes(
		temporal.NewSearchAttributeKeyKeyword(AttributeWorkspace).ValueSet("ws_"+name),
		temporal.NewSearchAttributeKeyKeyword(AttributeMemory).ValueSet("mem_"+name),
		temporal.NewSearchAttributeKeyKeyword(AttributeBatch).ValueSet("bat_"+name),
	)
}

func sizeOf(t *testing.T, dir, name string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func list(t *testing.T, c client.Client, query string) (ids []string) {
	t.Helper()
	found, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query})
	if err != nil {
		t.Fatal(err)
	}
	for _, execution := range found.GetExecutions() {
		ids = append(ids, execution.GetExecution().GetWorkflowId())
	}
	return ids
}

func retention(t *testing.T, s *Server) time.Duration {
	t.Helper()
	namespaces, err := client.NewNamespaceClient(client.Options{HostPort: s.Address()})
	if err != nil {
		t.Fatal(err)
	}
	defer namespaces.Close()
	namespace, err := namespaces.Describe(t.Context(), s.Namespace())
	if err != nil {
		t.Fatal(err)
	}
	return namespace.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
}
