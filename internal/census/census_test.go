package census

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/webhooks"
)

const ws = "wsp_1"

// rig is a store in which all is well, and what can be done to it.
type rig struct {
	*testing.T
	*sqlitestore.Store
	path     string
	pipeline *pipeline.Pipeline
	events   *webhooks.Events
	courier  *webhooks.Courier
	started  []string // durable runs, of memories, batches and deliveries
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, path: filepath.Join(t.TempDir(), "store.db")}
	var err error
	r.Store, err = sqlitestore.Open(t.Context(), r.path, sqlitestore.Config{})
	r.must(err)
	t.Cleanup(func() { _ = r.Close() })
	r.must(r.Workspaces().Save(t.Context(), store.Workspace{ID: ws, CreatedAt: memory.Now()}))
	fake := &llmtest.Fake{}
	r.events = webhooks.NewEvents(r.Endpoints(), webhooks.EventsConfig{})
	r.pipeline = pipeline.New(pipeline.Parts{
		Extractor: fake, Embedder: fake, Vectors: r.Vectors(), Graph: r.Graph(), Memories: r.Memories(),
		Workspaces: r.Workspaces(), Runs: r.Runs(), Events: r.events,
	}, pipeline.Config{})
	sealer, err := webhooks.NewSealer(webhooks.SealKey{})
	r.must(err)
	r.courier = webhooks.NewCourier(webhooks.Stores{
		Endpoints: r.Endpoints(), Deliveries: r.Deliveries(), Workspaces: r.Workspaces(), Outbox: r.Outbox(),
	}, webhooks.NewGuard(webhooks.GuardConfig{}), sealer, webhooks.Config{})
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) census() *Census {
	// A negative grace: what happened a moment ago counts as long ago.
	return New(r.parts(), Config{Grace: -time.Second, Recheck: time.Millisecond, Page: 3})
}

func (r *rig) parts() Parts {
	return Parts{
		Workspaces: r.Workspaces(), Memories: r.Memories(), Leases: r.Leases(), Outbox: r.Outbox(), Batches: r.Batches(),
		BatchRuns: r.BatchRuns(), Vectors: r.Vectors(), Graph: r.Graph(), Endpoints: r.Endpoints(), Deliveries: r.Deliveries(), Erasures: r.Erasures(),
	}
}

func (r *rig) tools() Tools {
	return Tools{
		Runs: r.Runs(), Vectors: r.Vectors(), Graph: r.Graph(), Restore: r.pipeline.Restore, Tell: r.courier.FanOut, Events: r.events,
		Deliver: func(_ context.Context, d store.Delivery) error { r.started = append(r.started, d.ID); return nil },
		Erase: func(ctx context.Context, workspace string, ids ...string) error {
			return errors.Join(r.Memories().Delete(ctx, workspace, ids...), r.Vectors().Delete(ctx, workspace, ids...), r.Graph().Delete(ctx, workspace, ids...),
				r.Erasures().Checked(ctx, []store.Erasure{{Workspace: workspace, MemoryID: ids[0], Checks: 1}}))
		},
		Starter: r, Owner: func(b store.BatchRef) string { return fmt.Sprintf("batch-%s-r%d", b.ID, b.Run) },
	}
}

func (r *rig) StartMemory(_ context.Context, ref memory.Ref) error {
	r.started = append(r.started, ref.ID)
	return nil
}

func (r *rig) StartBatch(_ context.Context, b store.BatchRef) error {
	r.started = append(r.started, b.ID)
	return nil
}

// take returns the kinds of the drift that there is.
func (r *rig) take() Report {
	r.Helper()
	report, err := r.census().Take(r.Context())
	r.must(err)
	return report
}

func kinds(drift []Drift) (out []Kind) {
	for _, d := range drift {
		out = append(out, d.Kind)
	}
	slices.Sort(out)
	return out
}

// put takes a memory in and claims it for the owner.
func (r *rig) put(m memory.Memory, owner string) memory.Draft {
	r.Helper()
	if m.ID == "" {
		m.ID = id.New(id.Memory)
	}
	m.Workspace, m.Status, m.Track, m.CreatedAt = ws, memory.StatusQueued, memory.TrackDurable, memory.Now()
	puts, err := r.Memories().Put(r.Context(), []store.Intake{{Memory: m, Lease: store.Lease{Owner: owner, Until: store.Forever}}})
	r.must(err)
	drafts, err := r.Runs().Claim(r.Context(), store.Claim{Refs: []memory.Ref{puts[0].Memory.Ref()}, Owner: owner, Track: memory.TrackDurable, Until: store.Forever})
	r.must(err)
	return drafts[0]
}

// complete takes a memory through the pipeline.
func (r *rig) complete(m memory.Memory) memory.Memory {
	r.Helper()
	page := pipeline.NewPage([]memory.Draft{r.put(m, "test")})
	for _, step := range r.pipeline.Steps() {
		if t := r.pipeline.Attempt(r.Context(), step, page, memory.TrackDurable); t.Left > 0 {
			r.Fatal(t.Err)
		}
	}
	if open, err := r.pipeline.Settle(r.Context(), page, false); err != nil || open > 0 {
		r.Fatal(open, err)
	}
	return page.Memories()[0]
}

func (r *rig) finish(d memory.Draft, s memory.Status, e *memory.Event) {
	r.Helper()
	oks, err := r.Runs().Finish(r.Context(), []store.Finish{{Ref: d.Memory.Ref(), Fence: d.Fence, Status: s, Event: e}})
	r.must(err)
	if !oks[0] {
		r.Fatal("the end was not taken")
	}
}

// batch makes a batch of a page with these items.
func (r *rig) batch(items ...memory.Item) memory.Batch {
	r.Helper()
	b := memory.Batch{ID: id.New(id.Batch), Workspace: ws, CreatedAt: memory.Now(), Pages: 1}
	r.must(r.Batches().Create(r.Context(), b))
	p := store.Page{Workspace: ws, BatchID: b.ID}
	for i, item := range items {
		item.Index = i
		p.Entries = append(p.Entries, store.Entry{Item: item})
	}
	r.must(r.Batches().AddPage(r.Context(), p))
	sealed, err := r.Batches().Seal(r.Context(), b)
	r.must(err)
	r.must(r.BatchRuns().Entrust(r.Context(), b.ID, store.Forever))
	return sealed
}

func (r *rig) endBatch(b memory.Batch, s memory.BatchStatus) {
	r.Helper()
	_, err := r.BatchRuns().Finish(r.Context(), b.ID, s, nil)
	r.must(err)
}

func (r *rig) exec(query string, args ...any) {
	r.Helper()
	db, err := sql.Open("sqlite", r.path)
	r.must(err)
	defer func() { r.must(db.Close()) }()
	_, err = db.ExecContext(r.Context(), query, args...)
	r.must(err)
}

const text = "Dorothy lived in Kansas with Aunt Em."

func (r *rig) point(id string, version int) {
	r.Helper()
	vector := make([]float32, 256)
	vector[0] = 1
	model, err := r.Vectors().Model(r.Context())
	r.must(err)
	if model.ID == "" {
		model = store.Model{ID: (&llmtest.Fake{}).Model(), Dimensions: 256}
	}
	r.must(r.Vectors().Upsert(r.Context(), model, []store.Point{{Workspace: ws, MemoryID: id, Version: version, Vector: vector, Text: text}}))
}

func (r *rig) mention(id string, version int) {
	r.Helper()
	r.must(r.Graph().Merge(r.Context(), []store.Mention{{
		Ref:   memory.Ref{Workspace: ws, ID: id, Version: version},
		Graph: memory.Graph{Nodes: []memory.Node{{ID: store.NodeID(ws, "x", "y"), Type: "x", Name: "y"}}},
	}}))
}

// drifts are what can go wrong, each planted by hand: what the census is to find of it, and whether that can be mended.
var drifts = map[string]struct {
	plant  func(r *rig)
	want   []Kind
	mended bool
}{
	"PointsAreMissing": {func(r *rig) { r.must(r.Vectors().Delete(r.Context(), ws, r.complete(memory.Memory{Content: text}).ID)) }, []Kind{PointsMissing}, true},
	"TheGraphIsMissing": {func(r *rig) {
		m := r.complete(memory.Memory{Content: text})
		if len(m.Graph.Nodes) == 0 {
			r.Fatal("the memory says nothing")
		}
		r.must(r.Graph().Delete(r.Context(), ws, m.ID))
	}, []Kind{GraphMissing}, true},
	"PointsOfNoMemory":                  {func(r *rig) { r.point("mem_gone", 1) }, []Kind{PointsOrphaned}, true},
	"AGraphOfNoMemory":                  {func(r *rig) { r.mention("mem_gone", 1) }, []Kind{GraphOrphaned}, true},
	"PointsOfAVersionThatNeverWas":      {func(r *rig) { r.point(r.complete(memory.Memory{Content: text}).ID, 2) }, []Kind{PointsMissing, PointsOrphaned}, true},
	"AGraphOfAVersionThatNeverWas":      {func(r *rig) { r.mention(r.complete(memory.Memory{Content: text}).ID, 2) }, []Kind{GraphMissing, GraphOrphaned}, true},
	"PointsOfAVersionThatWasOvertaken":  {func(r *rig) { r.overtake(func(id string) { r.point(id, 1) }, r.Vectors()) }, []Kind{PointsMissing, PointsOrphaned}, true},
	"AGraphOfAVersionThatWasOvertaken":  {func(r *rig) { r.overtake(func(id string) { r.mention(id, 1) }, r.Graph()) }, []Kind{GraphMissing, GraphOrphaned}, true},
	"CompletedThoughNoStepWasEverTried": {func(r *rig) { r.finish(r.put(memory.Memory{Content: text}, "x"), memory.StatusCompleted, nil) }, []Kind{PointsMissing, StepsUntrue}, false},
	"AMemoryNobodyAnswersFor": {func(r *rig) {
		_, err := r.Memories().Put(r.Context(), []store.Intake{{Memory: memory.Memory{ID: id.New(id.Memory), Workspace: ws, Content: text, CreatedAt: memory.Now()}}})
		r.must(err)
	}, []Kind{MemoryStuck}, false}, // until a run has claimed it
	"AMemoryWhoseBatchIsOver": {func(r *rig) {
		b := r.batch(memory.Item{Status: memory.StatusCompleted})
		r.put(memory.Memory{Content: text, BatchID: b.ID}, "batch-"+b.ID+"-r1")
		r.endBatch(b, memory.BatchCompleted)
	}, []Kind{MemoryStuck}, false},
	"AMemoryWhoseBatchIsGone": {func(r *rig) { r.put(memory.Memory{Content: text, BatchID: "bat_gone"}, "batch-bat_gone-r1") }, []Kind{MemoryStuck}, false},
	"ABatchNobodyAnswersFor": {func(r *rig) {
		b := r.batch(memory.Item{Status: memory.StatusQueued})
		r.must(r.BatchRuns().Entrust(r.Context(), b.ID, time.Now().Add(-time.Hour)))
	}, []Kind{BatchStuck}, true},
	"CountsThatDoNotAddUp": {func(r *rig) {
		r.batch(memory.Item{Status: memory.StatusQueued})
		r.exec("UPDATE batches SET queued = 0, failed = 2")
	}, []Kind{CountsUntrue}, true},
	"CountsOfTheWorkspace": {func(r *rig) { r.complete(memory.Memory{Content: text}); r.exec("UPDATE counts SET n = n + 1") }, []Kind{CountsUntrue}, true},
	"AnOpenItemOfABatchThatIsOver": {func(r *rig) {
		m := r.complete(memory.Memory{Content: text})
		r.endBatch(r.batch(memory.Item{Status: memory.StatusProcessing, MemoryID: m.ID, Version: 1}), memory.BatchCompleted)
	}, []Kind{ItemUntrue}, true},
	"AnItemThatSaysMoreThanItsMemory": {func(r *rig) {
		d := r.put(memory.Memory{Content: text}, "x")
		b := r.batch(memory.Item{Status: memory.StatusCompleted, MemoryID: d.Memory.ID, Version: 1})
		r.exec("UPDATE memories SET batch_id = ?", b.ID)
	}, []Kind{ItemUntrue}, false},
	"AnEventNobodyTakes": {func(r *rig) {
		r.complete(memory.Memory{Content: text, WebhookURL: "https://example.com/hook"})
	}, []Kind{EventStuck}, true},
	"AnEndThatNobodyWasToldOf": {func(r *rig) {
		m := r.complete(memory.Memory{Content: text})
		r.exec("UPDATE memories SET webhook_url = 'https://example.com/hook' WHERE id = ?", m.ID)
	}, []Kind{EventMissing}, true},
	"AnEndThatAnEndpointWasNotToldOf": {func(r *rig) {
		m := r.complete(memory.Memory{Content: text})
		r.must(r.Endpoints().Save(r.Context(), store.Endpoint{ID: "whe_1", Workspace: ws, URL: "https://example.com", CreatedAt: memory.At(m.CreatedAt.Add(-time.Hour)), UpdatedAt: memory.At(m.CreatedAt.Add(-time.Hour))}))
	}, slices.Repeat([]Kind{EventMissing}, 6), true},
	"TheEndOfABatchThatNobodyWasToldOf": {func(r *rig) {
		r.endBatch(r.batch(memory.Item{Status: memory.StatusRejected}), memory.BatchFailed)
		r.exec("UPDATE batches SET webhook_url = 'https://example.com/hook'")
	}, []Kind{EventMissing}, true},
	"ADeliveryNobodyLooksAfter": {func(r *rig) { r.deliver(store.DeliveryPending, "dlv_1") }, []Kind{DeliveryStuck}, false},
	"AnErasureThatNobodyCarriesOut": {func(r *rig) {
		m := r.complete(memory.Memory{Content: text})
		r.must(r.Erasures().Note(r.Context(), ws, time.Now().Add(-time.Hour), m.ID))
		r.must(r.Memories().Delete(r.Context(), ws, m.ID))
	}, []Kind{ErasureStuck, GraphOrphaned, PointsOrphaned}, true},
	"AnEventThatGoesOutTwice": {func(r *rig) { r.deliver(store.DeliveryDelivered, "dlv_1", "dlv_2") }, []Kind{DeliveryTwice}, false},
}

// overtake leaves version 1 of a memory where version 2 should be.
func (r *rig) overtake(plant func(id string), in Eraser) {
	r.Helper()
	m := r.complete(memory.Memory{Content: "old"})
	m = r.complete(memory.Memory{ID: m.ID, Content: text})
	if m.Version != 2 {
		r.Fatalf("version %d", m.Version)
	}
	r.must(in.Delete(r.Context(), ws, m.ID))
	plant(m.ID)
}

func (r *rig) deliver(s store.DeliveryStatus, ids ...string) {
	r.Helper()
	for _, id := range ids {
		_, err := r.Deliveries().Create(r.Context(), []store.Delivery{{
			ID: id, Workspace: ws, URL: "https://example.com", EventID: "evt_1", EventType: memory.EventTest, Body: []byte("{}"),
			Status: s, Round: 1, CreatedAt: memory.Now(), UpdatedAt: memory.Now(),
		}})
		r.must(err)
	}
}

// TestEveryDriftIsSeenAndMended plants each drift in a store in which all else is well.
func TestEveryDriftIsSeenAndMended(t *testing.T) {
	t.Parallel()
	for name, d := range drifts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			for i := range 5 {
				r.complete(memory.Memory{Content: fmt.Sprintf("The lion met the woodman %d times.", i)})
			}
			if got := r.take(); len(got.Drift) > 0 || got.Memories[memory.StatusCompleted] != 5 || got.Points < 5 || got.Graph < 5 {
				t.Fatalf("before: %+v", got)
			}
			d.plant(r)
			found := r.take().Drift
			if got := kinds(found); !slices.Equal(got, d.want) {
				t.Fatalf("found %v, want %v:\n%v", got, d.want, found)
			}
			if again := r.take().Drift; !slices.Equal(again, found) { // a dry run: looking and naming remedies changes nothing
				t.Errorf("found %v, and then %v", found, again)
			}
			results := r.census().Mend(t.Context(), r.tools(), found)
			after := r.take().Drift
			after = slices.DeleteFunc(after, func(x Drift) bool { return d.mended && x.Kind == DeliveryStuck }) // made, and no relay runs here
			if d.mended && len(after) > 0 {
				t.Errorf("still there: %v\nmending said %+v", after, results)
			}
		})
	}
}

// TestEveryKindHasARemedyOrAReason: what cannot be mended says why, and each kind is planted above.
func TestEveryKindHasARemedyOrAReason(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		if (k.Remedy() == "") == (k.Reason() == "") {
			t.Errorf("%s: the remedy is %q, the reason that there is none %q", k, k.Remedy(), k.Reason())
		}
		planted := false
		for _, d := range drifts {
			planted = planted || slices.Contains(d.want, k)
		}
		if !planted {
			t.Errorf("%s is planted by no test", k)
		}
	}
}

// TestWhatNeedsARunGetsOne checks the remedies that only begin here.
func TestWhatNeedsARunGetsOne(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"AMemoryNobodyAnswersFor", "AMemoryWhoseBatchIsOver", "ABatchNobodyAnswersFor", "ADeliveryNobodyLooksAfter"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			drifts[name].plant(r)
			found := r.take().Drift
			for _, m := range r.census().Mend(t.Context(), r.tools(), found) {
				if !m.Done || !slices.Equal(r.started, []string{m.ID}) {
					t.Errorf("%+v; started: %v", m, r.started)
				}
			}
			if name != "AMemoryWhoseBatchIsOver" {
				return
			}
			if orphans, err := r.Leases().Orphans(t.Context(), time.Now(), 10); err != nil || len(orphans) != 1 {
				t.Errorf("%d memories are free to be taken up, %v; want 1", len(orphans), err)
			}
		})
	}
}

// blind is a store that does not show what it holds the first time.
type blind struct {
	store.Holder
	asked *int
}

func (b blind) Held(ctx context.Context, q store.HeldQuery) ([]store.Holding, string, error) {
	if *b.asked++; *b.asked == 1 {
		return nil, "", nil
	}
	return b.Holder.Held(ctx, q)
}

func TestWhatPassesIsNoDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.complete(memory.Memory{Content: text})
	parts := r.parts()
	parts.Vectors = blind{parts.Vectors, new(int)}
	report, err := New(parts, Config{Recheck: time.Millisecond}).Take(t.Context())
	if err != nil || len(report.Drift) > 0 || report.Rechecked != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestWorkUnderWayIsNoDrift takes a census with the grace that operators have while everything is half done.
func TestWorkUnderWayIsNoDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"AMemoryNobodyAnswersFor", "AnEventNobodyTakes", "AMemoryWhoseBatchIsOver", "AnEndThatNobodyWasToldOf"} {
		drifts[name].plant(r)
	}
	r.put(memory.Memory{Content: text}, "somebody")
	m := r.complete(memory.Memory{Content: text + " Again."})
	r.put(memory.Memory{ID: m.ID, Content: text + " Changed."}, "somebody") // the old version stays findable
	report, err := New(r.parts(), Config{Recheck: time.Millisecond}).Take(t.Context())
	if err != nil || len(report.Drift) > 0 {
		t.Errorf("%+v, %v", report.Drift, err)
	}
}
