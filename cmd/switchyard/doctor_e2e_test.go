//go:build e2e

package main

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/testservers"
)

// outside are the settings of a process on servers, each with names of this test's own.
func outside(t *testing.T) configs.Config {
	t.Helper()
	llm, err := llmtest.NewServer(llmtest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = llm.Close() })
	name := strings.ToLower(id.New("doctor_"))
	c := configs.Default()
	c.Mongo.URI, c.Mongo.Database = testservers.Mongo(t), name
	c.Qdrant.Addr, c.Qdrant.Prefix = testservers.Qdrant(t), name
	c.Neo4j.URI, c.Redis.URL, c.Temporal.Address = testservers.Neo4j(t), testservers.Redis(t), testservers.Temporal(t)
	c.Batch.TaskQueue, c.Batch.LLMTaskQueue, c.Webhooks.TaskQueue = name, name+"-llm", name+"-hooks"
	c.Batch.SearchAttributes = true
	c.WebhookKey = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	fake := new(llmtest.Fake)
	c.Chat.BaseURL, c.Chat.Model = llm.URL(), fake.Model()
	c.Embedding.BaseURL, c.Embedding.Model = llm.URL(), fake.Model()
	return c
}

// examined is what doctor finds, by part and check.
func examined(t *testing.T, c configs.Config, now func() time.Time) map[string]finding {
	t.Helper()
	d := &diagnosis{now: now}
	if err := d.everything(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	out := map[string]finding{}
	for _, f := range d.findings {
		if f.Mend == "" && (!f.OK || f.Notice) {
			t.Errorf("%s, %s says nothing of what to do: %s", f.Part, f.Check, f.Detail)
		}
		out[f.Part+", "+f.Check] = f
	}
	return out
}

func migrated(t *testing.T, c configs.Config) {
	t.Helper()
	sh := newShell("", nil)
	if err := runMigrate(t.Context(), sh.console, c, false); err != nil {
		t.Fatalf("migrate: %v\n%s", err, sh.out)
	}
}

func TestDoctorOnServers(t *testing.T) {
	c := outside(t)
	migrated(t, c)

	t.Run("SaysOfEachThatItIsWell", func(t *testing.T) {
		found := examined(t, c, time.Now)
		for what, f := range found {
			if !f.OK {
				t.Errorf("%s: %s", what, f.Detail)
			}
		}
		for what, says := range map[string]string{
			"mongo, clock": "of this machine's", "neo4j, clock": "of this machine's", "redis, clock": "of this machine's", "temporal, clock": "of this machine's",
			"qdrant, clock":               "tells none over gRPC",
			"qdrant, version":             "1.19 or later is needed, tested with 1.19",
			"neo4j, version":              "5.23 or later is needed, tested with 5.26",
			"redis, version":              "5.0 or later is needed",
			"temporal, version":           "tested with 1.32",
			"chat model, name":            "the server lists",
			"temporal, worker versions":   "not used",
			"access, the development key": "refused",
		} {
			if f, ok := found[what]; !ok || !strings.Contains(f.Detail, says) {
				t.Errorf("%s: %+v, want %q", what, f, says)
			}
		}
	})

	t.Run("SeesClocksThatAreApart", func(t *testing.T) {
		for _, by := range []time.Duration{time.Hour, -time.Hour} {
			found := examined(t, c, func() time.Time { return time.Now().Add(by) })
			for _, part := range []string{"mongo", "neo4j", "redis", "temporal"} {
				if f := found[part+", clock"]; f.OK || !strings.Contains(f.Mend, "NTP") {
					t.Errorf("%s, by %v: %+v", part, by, f)
				}
			}
		}
	})

	t.Run("SeesWhoWorks", func(t *testing.T) {
		queues := []string{c.Batch.TaskQueue, c.Batch.LLMTaskQueue, c.Webhooks.TaskQueue}
		without := examined(t, c, time.Now)
		for _, q := range queues {
			f := without["temporal, task queue "+q]
			if !f.Notice || !strings.Contains(f.Detail, "no worker is running") || !strings.Contains(f.Mend, "switchyard worker") {
				t.Errorf("without workers: %+v", f)
			}
			working(t, c, q, worker.Options{})
		}
		s := aside(t, c)
		for _, q := range s.queues() {
			await(t, "the workers of "+q.name, func() bool {
				says, err := s.seeWorkers(t.Context(), q, time.Now())
				return err == nil && strings.HasPrefix(says, "1 worker, seen ")
			})
		}
	})
}

// working runs a worker of the queue that does nothing.
func working(t *testing.T, c configs.Config, queue string, o worker.Options) {
	t.Helper()
	tc, err := dialTemporal(c.Temporal, identity(""), quietLog())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tc.Close)
	w := worker.New(tc, queue, o)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
}

// await looks until it is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// aside opens Temporal as doctor does.
func aside(t *testing.T, c configs.Config) *server {
	t.Helper()
	s := &server{cfg: c, log: quietLog(), stores: &stores{}}
	tc, err := dialTemporal(c.Temporal, identity(""), quietLog())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tc.Close)
	s.temporal = tc
	return s
}

func TestDoctorSeesWhichVersionRunsGoTo(t *testing.T) {
	c := configs.Default()
	c.Temporal.Address = testservers.Temporal(t)
	c.Batch.TaskQueue = id.New("queue_")
	plain := aside(t, c)
	c.Batch.Versioning = batch.Versioning{Deployment: id.New("deployment_"), BuildID: "one"}
	versioned := aside(t, c)
	says := func(s *server, want string, isMild bool) {
		t.Helper()
		await(t, want, func() bool {
			detail, err := s.seeVersions(t.Context())
			a, isAilment := err.(ailment) //nolint:errorlint // it is not wrapped
			if err != nil {
				detail = err.Error()
			}
			return strings.Contains(detail, want) && (!isAilment || a.mild == isMild && a.mend != "")
		})
	}
	says(versioned, "knows no deployment", true)
	says(plain, "not used", false)
	working(t, c, c.Batch.TaskQueue, worker.Options{DeploymentOptions: worker.DeploymentOptions{
		UseVersioning: true, Version: worker.WorkerDeploymentVersion{DeploymentName: c.Batch.Versioning.Deployment, BuildID: "one"},
	}})
	says(versioned, "has no current version", false)
	await(t, "the promotion", func() bool { return runPromote(t.Context(), newShell("", nil).console, c) == nil })
	says(versioned, "is the current one", false)
	says(plain, "they get none", false)
	versioned.cfg.Batch.Versioning.BuildID = "two"
	says(versioned, "runs begin on build one", true)
}

func TestDoctorMissesSearchAttributes(t *testing.T) {
	c := configs.Default()
	c.Temporal.Address, c.Temporal.Namespace = testservers.Temporal(t), strings.ToLower(id.New("bare-"))
	s := aside(t, c)
	_, err := s.temporal.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: c.Temporal.Namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the namespace", func() bool {
		_, err := s.temporal.CheckHealth(t.Context(), &client.CheckHealthRequest{})
		return err == nil && s.known()
	})
	_, err = s.seeAttributes(t.Context())
	if a, ok := err.(ailment); !ok || !a.mild || !strings.Contains(err.Error(), "not registered") { //nolint:errorlint // it is not wrapped
		t.Errorf("where runs carry none: %v", err)
	}
	s.cfg.Batch.SearchAttributes = true
	_, err = s.seeAttributes(t.Context())
	if _, mild := err.(ailment); err == nil || mild || !strings.Contains(err.Error(), "none can begin") { //nolint:errorlint // it is not wrapped
		t.Errorf("where runs carry them: %v", err)
	}
	if err := migrateTemporal(t.Context(), s.temporal, c.Temporal.Namespace); err != nil {
		t.Fatal(err)
	}
	await(t, "the attributes", func() bool { says, err := s.seeAttributes(t.Context()); return err == nil && says == "registered" })
}

// known reports whether all of Temporal has heard of the namespace.
func (s *server) known() bool {
	_, err := s.temporal.CountWorkflow(context.Background(), &workflowservice.CountWorkflowExecutionsRequest{Namespace: s.cfg.Temporal.Namespace})
	return err == nil
}
