//go:build record

package webhooks

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/switchyard-ai/switchyard/internal/embedded"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestRecord runs deliveries on a real Temporal server and keeps their histories, which TestReplay holds all later code
// to. Run it for each release: go test -tags record -run TestRecord ./webhooks -args v2.
func TestRecord(t *testing.T) {
	version := "v1"
	if args := os.Args[len(os.Args)-1]; len(args) < 5 && args[0] == 'v' {
		version = args
	}
	server, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	c, err := client.Dial(client.Options{HostPort: server.Address(), Namespace: server.Namespace(), Identity: "recorder", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	m, w := newMem(), newWire()
	w.answers("retried.test", 500, 500, 200)
	w.answers("given-up.test", 500)
	w.answers("busy.test", 200)
	delays := []time.Duration{0, 800 * time.Millisecond, 900 * time.Millisecond}
	courier := NewCourier(m.as(nil), NewGuard(GuardConfig{}), sealer(t), Config{Transport: w, Schedule: Schedule{Delays: delays}})
	wk := worker.New(c, DefaultTaskQueue, worker.Options{})
	courier.Register(wk)
	if err := wk.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wk.Stop)
	for _, name := range []string{"retried", "given-up", "busy"} {
		e := event(memory.EventBatchCompleted, "http://"+name+".test/")
		d := delivery(e, "", e.URL, []byte("{}"), store.Lease{}, time.Now())
		if _, err := m.as(nil).Deliveries.Create(t.Context(), []store.Delivery{d}); err != nil {
			t.Fatal(err)
		}
		if name == "busy" {
			for range courier.config.PerEndpoint {
				courier.retries.enter(lane(d))
			}
			time.AfterFunc(8*time.Second, func() { courier.retries.leave(lane(d)) })
		}
		if err := NewTemporal(c, "").StartDelivery(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		keep(t, c, workflowID(d), filepath.Join("testdata", "histories", version+"-"+name+".json"))
	}
}

func keep(t *testing.T, c client.Client, id, file string) {
	t.Helper()
	run := c.GetWorkflow(t.Context(), id, "")
	if err := run.Get(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var h history.History
	for it := c.GetWorkflowHistory(t.Context(), id, run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		event, err := it.Next()
		if err != nil {
			t.Fatal(err)
		}
		h.Events = append(h.Events, event)
	}
	raw, err := protojson.MarshalOptions{Multiline: true, Indent: " "}.Marshal(&h)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}
