package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/live"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/routing"
	"github.com/switchyard-ai/switchyard/internal/search"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/webhooks"
)

// The keys that every rig knows, and the workspaces that they are of.
const (
	adminKey    = "sk_admin"
	writeKey    = "sk_write"
	readKey     = "sk_read"
	strangerKey = "sk_stranger" // admin of another workspace
	workspace   = "wsp_ours"
	elsewhere   = "wsp_theirs"
)

// rig is the API over the embedded store, with tracks that only note what they are given.
type rig struct {
	*api.API
	store    *sqlitestore.Store
	intake   *intake.Intake
	track    *track
	hub      *live.Hub
	embedder *llmtest.Fake
	steered  *steering
	log      *logBuffer
	parts    api.Parts
}

type options struct {
	api    api.Config
	intake intake.Config
	checks []api.Check
	change func(*api.Parts)
}

func newRig(tb testing.TB, o options) *rig {
	tb.Helper()
	s, err := sqlitestore.Open(tb.Context(), filepath.Join(tb.TempDir(), "test.db"), sqlitestore.Config{Synchronous: "OFF"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	r := &rig{store: s, track: &track{}, hub: &live.Hub{}, embedder: &llmtest.Fake{}, steered: &steering{}, log: &logBuffer{}}
	log := slog.New(slog.NewJSONHandler(r.log, nil))
	guard := webhooks.NewGuard(webhooks.GuardConfig{})
	r.intake = intake.New(intake.Parts{
		Memories: s.Memories(), Runs: s.Runs(), Batches: s.Batches(), BatchRuns: s.BatchRuns(), Vectors: s.Vectors(), Graph: s.Graph(),
		Erasures: s.Erasures(), Realtime: r.track, Durable: r.track, Guard: guard, Log: log,
	}, o.intake)
	r.parts = api.Parts{
		Intake: r.intake, Search: search.New(search.Parts{Memories: s.Memories(), Vectors: s.Vectors(), Graph: s.Graph(), Embedder: r.embedder, Log: log}, search.Config{}),
		Memories: s.Memories(), Batches: s.Batches(), BatchRuns: s.BatchRuns(), Vectors: s.Vectors(), Graph: s.Graph(), Leases: s.Leases(), Keys: s.Keys(),
		Workspaces: s.Workspaces(), Requests: s.Requests(), Live: r.hub, Steering: r.steered, Breakers: breakers{}, Webhooks: hooks(tb, s, guard), Checks: o.checks, Log: log,
		Version: "test",
	}
	if o.change != nil {
		o.change(&r.parts)
	}
	r.API = api.New(r.parts, o.api)
	r.addKeys(tb)
	return r
}

func hooks(tb testing.TB, s *sqlitestore.Store, g *webhooks.Guard) *webhooks.Endpoints {
	tb.Helper()
	sealer, err := webhooks.NewSealer(webhooks.SealKey{1})
	if err != nil {
		tb.Fatal(err)
	}
	return webhooks.NewEndpoints(webhooks.NewCourier(webhooks.Stores{
		Endpoints: s.Endpoints(), Deliveries: s.Deliveries(), Workspaces: s.Workspaces(), Outbox: s.Outbox(), Batches: s.Batches(),
	}, g, sealer, webhooks.Config{}))
}

func (r *rig) addKeys(tb testing.TB) {
	tb.Helper()
	for _, ws := range []string{workspace, elsewhere} {
		if err := r.store.Workspaces().Save(tb.Context(), store.Workspace{ID: ws, Name: "of " + ws, CreatedAt: memory.Now()}); err != nil {
			tb.Fatal(err)
		}
	}
	for secret, k := range map[string]store.Key{
		adminKey:    {Workspace: workspace, Scopes: []store.Scope{store.ScopeAdmin}},
		writeKey:    {Workspace: workspace, Scopes: []store.Scope{store.ScopeWrite}},
		readKey:     {Workspace: workspace, Scopes: []store.Scope{store.ScopeRead}},
		strangerKey: {Workspace: elsewhere, Scopes: []store.Scope{store.ScopeAdmin}},
	} {
		k.ID, k.Hash, k.Hint, k.CreatedAt = "key_"+secret, sha256.Sum256([]byte(secret)), secret[:4], memory.Now()
		if err := r.store.Keys().Create(tb.Context(), k); err != nil {
			tb.Fatal(err)
		}
	}
}

// reply is an answer with its body read.
type reply struct {
	*http.Response
	body []byte
}

// call sends a request with the admin key, unless the headers, in pairs, name another.
func (r *rig) call(tb testing.TB, method, target, body string, headers ...string) reply {
	tb.Helper()
	req := httptest.NewRequestWithContext(tb.Context(), method, target, strings.NewReader(body))
	if body == "" {
		req.Body = http.NoBody
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	return r.do(tb, req, headers...)
}

func (r *rig) do(tb testing.TB, req *http.Request, headers ...string) reply {
	tb.Helper()
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Del(headers[i])
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		tb.Fatal(err)
	}
	return reply{w.Result(), b}
}

// into reads the body as JSON.
func (a reply) into(tb testing.TB, v any) {
	tb.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		tb.Fatalf("%s: %v", a.body, err)
	}
}

// want fails where the status is another, and holds problems to their form.
func (a reply) want(tb testing.TB, status int) reply {
	tb.Helper()
	if a.StatusCode != status {
		tb.Fatalf("status %d, want %d: %s", a.StatusCode, status, a.body)
	}
	if status >= 300 {
		checkProblem(tb, a)
	}
	return a
}

// checkProblem holds an answer to the form of RFC 9457 and of API.md.
func checkProblem(tb testing.TB, a reply) map[string]any {
	tb.Helper()
	var p map[string]any
	if ct := a.Header.Get("Content-Type"); ct != "application/problem+json" {
		tb.Errorf("status %d comes as %q: %s", a.StatusCode, ct, a.body)
		return p
	}
	a.into(tb, &p)
	for _, member := range []string{"type", "title", "detail", "code", "request_id"} {
		if s, _ := p[member].(string); s == "" {
			tb.Errorf("problem without %s: %s", member, a.body)
		}
	}
	if p["status"] != float64(a.StatusCode) || p["request_id"] != a.Header.Get("X-Request-Id") {
		tb.Errorf("status %d and request id %q, but %s", a.StatusCode, a.Header.Get("X-Request-Id"), a.body)
	}
	if a.StatusCode == http.StatusTooManyRequests || a.StatusCode == http.StatusServiceUnavailable {
		if a.Header.Get("Retry-After") == "" {
			tb.Errorf("status %d without Retry-After", a.StatusCode)
		}
	}
	return p
}

// track is both tracks: it notes what it is given.
type track struct {
	mu        sync.Mutex
	full      bool
	draining  bool
	submitted []memory.Ref
	started   []memory.Ref
	batches   []store.BatchRef
	onSubmit  func(memory.Ref)
}

const owner = "prc_test"

func (t *track) Load() routing.Load {
	t.mu.Lock()
	defer t.mu.Unlock()
	return routing.Load{Limit: 8, Draining: t.draining}
}

func (t *track) Lease() store.Lease {
	return store.Lease{Owner: owner, Until: time.Now().Add(time.Hour)}
}

func (t *track) Submit(ref memory.Ref, _ memory.Priority) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.full {
		return false
	}
	t.submitted = append(t.submitted, ref)
	if t.onSubmit != nil {
		t.onSubmit(ref)
	}
	return true
}

func (t *track) StartMemory(_ context.Context, ref memory.Ref) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.started = append(t.started, ref)
	return nil
}

func (t *track) StartBatch(_ context.Context, ref store.BatchRef) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.batches = append(t.batches, ref)
	return nil
}

// finish ends a memory as a track does.
func (r *rig) finish(tb testing.TB, id string, s memory.Status, receipts ...memory.Receipt) {
	tb.Helper()
	ctx := context.Background()
	m := r.get(tb, workspace, id)
	runs := r.store.Runs()
	drafts, err := runs.Claim(ctx, store.Claim{Refs: []memory.Ref{m.Ref()}, Owner: owner, Track: m.Track, Until: time.Now().Add(time.Hour)})
	if err != nil || len(drafts) != 1 {
		tb.Errorf("claimed %d of %s: %v", len(drafts), id, err)
		return
	}
	var fault *memory.Fault
	if s == memory.StatusFailed {
		fault = &memory.Fault{Code: memory.CodeBadAnswer, Detail: "the model made no sense", Step: memory.StepSchema}
	}
	if ok, err := runs.Finish(ctx, []store.Finish{{Ref: m.Ref(), Fence: drafts[0].Fence, Status: s, Error: fault, Receipts: receipts}}); err != nil || !ok[0] {
		tb.Errorf("finished %v: %v", ok, err)
	}
	r.hub.Progress(r.get(tb, workspace, id))
}

func (r *rig) get(tb testing.TB, ws, id string) memory.Memory {
	tb.Helper()
	found, err := r.store.Memories().Get(context.Background(), ws, id)
	if err != nil || len(found) != 1 {
		tb.Fatalf("got %d memories of id %s: %v", len(found), id, err)
	}
	return found[0]
}

// steering notes the orders.
type steering struct {
	mu     sync.Mutex
	err    error
	orders []string
	on     func(store.BatchRef, string)
}

func (s *steering) Control(_ context.Context, b store.BatchRef, order string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = append(s.orders, order)
	if s.on != nil {
		s.on(b, order)
	}
	return s.err
}

type breakers struct{}

func (breakers) States() map[string]string { return map[string]string{"chat": "closed"} }

// logBuffer keeps the lines of a log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
