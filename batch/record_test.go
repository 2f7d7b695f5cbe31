//go:build record

package batch_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/internal/embedded"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestRecord runs workflows on a real Temporal server and keeps their histories, which TestReplay holds all later code
// to. Run it for each release: go test -tags record -run TestRecord ./batch -args v2.
func TestRecord(t *testing.T) {
	version := "v1"
	if args := os.Args[len(os.Args)-1]; len(args) < 5 && args[0] == 'v' {
		version = args
	}
	r := newRecorder(t, version)
	away := memory.Errorf(memory.CodeUnavailable, "away")

	r.fault = llmtest.FailTimes("Graph", "held up", 5, away)
	r.memory("memory", "Dorothy lived in Kansas.")
	r.memory("memory-rounds", "The Lion was held up in Oz.")
	r.batch("batch", 1000, "The Tin Woodman number %d.")
	r.fault = llmtest.FailTimes("UseCases", "number 3 held up", 4, away)
	r.batch("batch-rounds", 100, "The Winkie number %d held up.")
	r.batch("batch-orders", 1000, "The Munchkin number %d.", batch.OrderPause, batch.OrderResume, batch.OrderCancel)
}

type recorder struct {
	t       *testing.T
	version string
	client  client.Client
	store   *sqlitestore.Store
	starter *batch.Starter
	fault   func(context.Context, llmtest.Call) error
}

func newRecorder(t *testing.T, version string) *recorder {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir()})
	check(t, err)
	t.Cleanup(func() { _ = server.Close() })
	c, err := client.Dial(client.Options{HostPort: server.Address(), Namespace: server.Namespace(), Logger: slog.New(slog.DiscardHandler)})
	check(t, err)
	t.Cleanup(c.Close)
	s, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"), sqlitestore.Config{})
	check(t, err)
	t.Cleanup(func() { _ = s.Close() })
	cfg := batch.Config{Policy: batch.Policy{RoundBackoff: 100 * time.Millisecond, MaxEvents: 150}, SearchAttributes: true}
	r := &recorder{t: t, version: version, client: c, store: s, starter: batch.NewStarter(c, cfg)}
	fake := &llmtest.Fake{Fault: func(ctx context.Context, c llmtest.Call) error {
		if r.fault == nil {
			return nil
		}
		return r.fault(ctx, c)
	}}
	p := pipeline.New(pipeline.Parts{
		Extractor: fake, Embedder: fake, Vectors: s.Vectors(), Graph: s.Graph(), Memories: s.Memories(), Workspaces: s.Workspaces(), Runs: s.Runs(), Events: someEvents{},
	}, pipeline.Config{Backoff: 10 * time.Millisecond})
	w := batch.NewWorker(c, batch.NewWorkflows(p, cfg), batch.NewActivities(batch.Parts{
		Pipeline: p, Memories: s.Memories(), Runs: s.Runs(), Batches: s.Batches(), BatchRuns: s.BatchRuns(), Events: someEvents{},
	}, cfg), cfg, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return r
}

type someEvents struct{}

func (someEvents) MemoryEvent(context.Context, memory.Memory) (*memory.Event, error) { return nil, nil }

func (someEvents) BatchEvent(context.Context, memory.Batch, string) (*memory.Event, error) {
	return nil, nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *recorder) memory(name, content string) {
	r.t.Helper()
	m := memory.Memory{ID: "mem_" + name, Workspace: "w", Content: content, Status: memory.StatusQueued, Track: memory.TrackDurable, CreatedAt: memory.Now(), UpdatedAt: memory.Now()}
	puts, err := r.store.Memories().Put(r.t.Context(), []store.Intake{{Memory: m}})
	check(r.t, err)
	check(r.t, r.starter.StartMemory(r.t.Context(), puts[0].Memory.Ref()))
	r.keep(name, fmt.Sprintf("memory-%s-v1", m.ID))
}

func (r *recorder) batch(name string, n int, text string, orders ...string) {
	r.t.Helper()
	b := memory.Batch{ID: "bat_" + name, Workspace: "w", CreatedAt: memory.Now(), Pages: (n + store.PageSize - 1) / store.PageSize}
	check(r.t, r.store.Batches().Create(r.t.Context(), b))
	for page := range b.Pages {
		p := store.Page{Workspace: "w", BatchID: b.ID, Number: page}
		for i := page * store.PageSize; i < min(n, (page+1)*store.PageSize); i++ {
			p.Entries = append(p.Entries, store.Entry{Item: memory.Item{Index: i, Status: memory.StatusQueued}, Input: &memory.Input{Content: fmt.Sprintf(text, i)}})
		}
		check(r.t, r.store.Batches().AddPage(r.t.Context(), p))
	}
	_, err := r.store.Batches().Seal(r.t.Context(), b)
	check(r.t, err)
	ref := store.BatchRef{Workspace: "w", ID: b.ID, Run: 1, Pages: b.Pages}
	check(r.t, r.starter.StartBatch(r.t.Context(), ref))
	for _, order := range orders {
		check(r.t, r.starter.Control(r.t.Context(), ref, order))
	}
	r.keep(name, fmt.Sprintf("batch-%s-r1", b.ID))
}

// keep waits for the end of the workflow and writes the histories of all its runs.
func (r *recorder) keep(name, id string) {
	r.t.Helper()
	check(r.t, r.client.GetWorkflow(r.t.Context(), id, "").Get(r.t.Context(), nil))
	runID := ""
	for i := 0; ; i++ {
		var h history.History
		it := r.client.GetWorkflowHistory(r.t.Context(), id, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for it.HasNext() {
			e, err := it.Next()
			check(r.t, err)
			h.Events = append(h.Events, e)
		}
		raw, err := protojson.MarshalOptions{Multiline: true, Indent: " "}.Marshal(&h)
		check(r.t, err)
		file := filepath.Join("testdata", "histories", fmt.Sprintf("%s-%s-%d.json", r.version, name, i))
		check(r.t, os.WriteFile(file, raw, 0o600))
		runID = h.Events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
		if runID == "" {
			return
		}
	}
}
