package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/webhooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func (r *rig) newIntake(b store.Batches) *intake.Intake {
	return intake.New(intake.Parts{
		Memories: r.store.Memories(), Runs: r.store.Runs(), Batches: b, BatchRuns: r.store.BatchRuns(),
		Realtime: r.track, Durable: r.track, Guard: webhooks.NewGuard(webhooks.GuardConfig{}),
	}, intake.Config{})
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	ok := func(context.Context) error { return nil }
	away := func(context.Context) error { return errors.New("dial tcp 10.1.2.3: refused") }
	hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, tc := range map[string]struct {
		checks []api.Check
		status int
		word   string
		by     map[string]string
	}{
		"AllThere":         {[]api.Check{{Name: "store", Probe: ok}}, 200, "ready", map[string]string{"store": "ok"}},
		"AnOptionalAway":   {[]api.Check{{Name: "store", Probe: ok}, {Name: "redis", Probe: away, Optional: true}}, 200, "degraded", map[string]string{"store": "ok", "redis": "internal"}},
		"ANeededAway":      {[]api.Check{{Name: "store", Probe: away}}, 503, "", map[string]string{"store": "internal"}},
		"ANeededThatHangs": {[]api.Check{{Name: "store", Probe: hangs}}, 503, "", map[string]string{"store": "timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, options{checks: tc.checks, api: api.Config{CheckTimeout: 10 * time.Millisecond}})
			var got struct {
				Status any
				Checks map[string]string
			}
			a := r.call(t, http.MethodGet, "/readyz", "", "Authorization", "").want(t, tc.status)
			a.into(t, &got)
			if tc.word != "" && got.Status != tc.word || strings.Contains(string(a.body), "10.1.2.3") {
				t.Errorf("got %s", a.body)
			}
			if diff := cmp.Diff(tc.by, got.Checks); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			r.call(t, http.MethodGet, "/healthz", "", "Authorization", "").want(t, http.StatusOK)
		})
	}
	t.Run("NotWhileTheProcessStops", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		r.track.draining = true
		r.call(t, http.MethodGet, "/readyz", "").want(t, http.StatusServiceUnavailable)
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.call(t, http.MethodGet, "/v1/memories/mem_x", "")
	r.call(t, "STRANGE", "/nowhere/1", "")
	page := string(r.call(t, http.MethodGet, "/metrics", "", "Authorization", "").want(t, http.StatusOK).body)
	for _, want := range []string{
		`switchyard_http_requests_total{method="GET",route="/v1/memories/:id",status="404"} 1`,
		`switchyard_http_requests_total{method="any",route="none",status="404"} 1`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	t.Run("CanBeServedApart", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{api: api.Config{ServiceApart: true}})
		r.call(t, http.MethodGet, "/metrics", "").want(t, http.StatusNotFound)
		for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/v1/memories": 404} {
			w := httptest.NewRecorder()
			r.Service().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			if w.Code != want {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	})
}

func TestRouter(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.post(t, `{"content":"x"}`)
	r.post(t, `{"content":"x","track":"durable"}`)
	var got api.Router
	r.call(t, http.MethodGet, "/v1/router", "").want(t, http.StatusOK).into(t, &got)
	want := api.Router{
		Policy:   api.Policy{MaxQueued: 2_000, MaxWaitSeconds: 10, MaxRealtimeBytes: 100_000},
		Realtime: api.RealtimeLoad{Limit: 8, Open: []string{}, Unfinished: 1},
		Durable:  api.DurableLoad{Unfinished: 1}, Breakers: map[string]string{"chat": "closed"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWorkspace(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	id := r.post(t, `{"content":"x"}`)
	r.finish(t, id, memory.StatusCompleted, memory.Receipt{Name: memory.StepSchema, Status: memory.StepCompleted, Tokens: 7, CostUSD: 0.5})
	r.post(t, `{"content":"y"}`)
	r.upload(t, "/v1/batches", threeLines)
	var got api.Workspace
	r.call(t, http.MethodGet, "/v1/workspace", "").want(t, http.StatusOK).into(t, &got)
	want := api.Workspace{
		ID: workspace, Name: "of " + workspace, CreatedAt: got.CreatedAt,
		Memories: api.Census{Total: 2, ByStatus: map[string]int{"completed": 1, "queued": 1}},
		Batches:  api.Census{Total: 1, ByStatus: map[string]int{"queued": 1}}, Usage: api.Usage{Tokens: 7, CostUSD: 0.5},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	var e struct {
		ID, Secret string
		Enabled    bool
	}
	r.call(t, http.MethodPost, "/v1/webhooks", `{"url":"https://93.184.216.34/hook","events":["batch.completed"]}`).want(t, http.StatusCreated).into(t, &e)
	if !strings.HasPrefix(e.Secret, "whsec_") || !strings.HasPrefix(e.ID, "whe_") || !e.Enabled {
		t.Fatalf("made %+v", e)
	}
	path := "/v1/webhooks/" + e.ID
	if a := r.call(t, http.MethodGet, path, "").want(t, http.StatusOK); strings.Contains(string(a.body), "whsec_") {
		t.Errorf("it shows its secret again: %s", a.body)
	}
	var d struct{ ID, EventType string }
	r.call(t, http.MethodPost, path+"/test", "").want(t, http.StatusAccepted).into(t, &d)
	var l struct{ Items []struct{ ID string } }
	r.call(t, http.MethodGet, path+"/deliveries?status=pending", "").want(t, http.StatusOK).into(t, &l)
	if len(l.Items) != 1 || l.Items[0].ID != d.ID {
		t.Errorf("deliveries %+v, want %s", l, d.ID)
	}
	r.call(t, http.MethodGet, "/v1/deliveries/"+d.ID, "").want(t, http.StatusOK)
	r.call(t, http.MethodPost, "/v1/deliveries/"+d.ID+"/redeliver", "").want(t, http.StatusConflict) // it is on its way
	var fresh struct{ Secret string }
	r.call(t, http.MethodPost, path+"/rotate", "").want(t, http.StatusOK).into(t, &fresh)
	if !strings.HasPrefix(fresh.Secret, "whsec_") || fresh.Secret == e.Secret {
		t.Errorf("rotated to %q", fresh.Secret)
	}
	r.call(t, http.MethodPatch, path, `{"enabled":false}`).want(t, http.StatusOK).into(t, &e)
	if e.Enabled {
		t.Error("it is enabled still")
	}
	r.call(t, http.MethodPost, path+"/test", "").want(t, http.StatusConflict)
	r.call(t, http.MethodPost, path+"/recover", `{"since":"2025-01-01T00:00:00Z"}`).want(t, http.StatusConflict)
	r.call(t, http.MethodDelete, path, "").want(t, http.StatusNoContent)
	r.call(t, http.MethodGet, path, "").want(t, http.StatusNotFound)
}

func TestWorkspaceSecret(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	var first, again, fresh struct{ Secret string }
	r.call(t, http.MethodGet, "/v1/workspace/webhook-secret", "").want(t, http.StatusOK).into(t, &first)
	r.call(t, http.MethodGet, "/v1/workspace/webhook-secret", "").want(t, http.StatusOK).into(t, &again)
	r.call(t, http.MethodPost, "/v1/workspace/webhook-secret/rotate", "").want(t, http.StatusOK).into(t, &fresh)
	if !strings.HasPrefix(first.Secret, "whsec_") || first != again || fresh == first || !strings.HasPrefix(fresh.Secret, "whsec_") {
		t.Errorf("first %q, again %q, rotated to %q", first.Secret, again.Secret, fresh.Secret)
	}
}
