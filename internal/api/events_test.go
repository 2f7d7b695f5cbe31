package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// event is a server-sent event.
type event struct{ ID, Kind, Data string }

// listen serves over real connections until the test, and what it cleans up after this, is over: closing the server
// waits for every request.
func listen(tb testing.TB, h http.Handler) *httptest.Server {
	tb.Helper()
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	return srv
}

// watching reads an event stream over a real connection.
type watching struct {
	tb  testing.TB
	res *http.Response
	s   *bufio.Scanner
}

func watch(tb testing.TB, srv *httptest.Server, path, last string) *watching {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, srv.URL+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+readKey)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := srv.Client().Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { res.Body.Close() })
	return &watching{tb, res, bufio.NewScanner(res.Body)}
}

// next returns the next event; a zero one at the end.
func (w *watching) next() (e event) {
	for w.s.Scan() {
		name, value, _ := strings.Cut(w.s.Text(), ": ")
		switch {
		case w.s.Text() == "" && e != (event{}):
			return e
		case name == "id":
			e.ID = value
		case name == "event":
			e.Kind = value
		case name == "data":
			e.Data = value
		}
	}
	return event{}
}

// step records what a step did, as a track does.
func (r *rig) step(tb testing.TB, ref memory.Ref, fence int64, receipt memory.Receipt) {
	tb.Helper()
	if ok, err := r.store.Runs().Checkpoint(tb.Context(), []store.Checkpoint{{Ref: ref, Fence: fence, Receipt: receipt}}); err != nil || !ok[0] {
		tb.Fatal(ok, err)
	}
	r.hub.Progress(r.get(tb, ref.Workspace, ref.ID))
}

func (r *rig) claim(tb testing.TB, id string) (memory.Ref, int64) {
	tb.Helper()
	m := r.get(tb, workspace, id)
	drafts, err := r.store.Runs().Claim(tb.Context(), store.Claim{Refs: []memory.Ref{m.Ref()}, Owner: owner, Track: m.Track, Until: time.Now().Add(time.Hour)})
	if err != nil || len(drafts) != 1 {
		tb.Fatalf("claimed %d: %v", len(drafts), err)
	}
	r.hub.Progress(r.get(tb, workspace, id))
	return m.Ref(), drafts[0].Fence
}

func TestWatchingAMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{api: api.Config{PollInterval: time.Hour}})
	srv := listen(t, r)
	id := r.post(t, `{"content":"secret content"}`)
	w := watch(t, srv, "/v1/memories/"+id+"/events", "")
	if ct := w.res.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Fatalf("it is %s", ct)
	}
	statusOf := func(e event) memory.Status {
		var m memory.Memory
		if err := json.Unmarshal([]byte(e.Data), &m); err != nil || e.Kind != "memory" || m.ID != id || m.Content != "" {
			t.Errorf("event %+v: %v", e, err)
		}
		return m.Status
	}
	if s := statusOf(w.next()); s != memory.StatusQueued {
		t.Errorf("first it is %s", s)
	}
	ref, fence := r.claim(t, id)
	if s := statusOf(w.next()); s != memory.StatusProcessing {
		t.Errorf("then it is %s", s)
	}
	r.step(t, ref, fence, memory.Receipt{Name: memory.StepUseCases, Status: memory.StepPending, Attempts: 1, Error: &memory.Fault{Code: memory.CodeTimeout}})
	first := w.next()
	r.step(t, ref, fence, memory.Receipt{Name: memory.StepUseCases, Status: memory.StepCompleted, Attempts: 2})
	second := w.next()
	if first.Kind != "step" || second.Kind != "step" || !strings.Contains(first.Data, `"attempts":1`) || !strings.Contains(second.Data, `"attempts":2`) || first.ID == second.ID {
		t.Errorf("steps %+v, %+v", first, second)
	}
	t.Run("GoesOnWhereItWasLeft", func(t *testing.T) {
		again := watch(t, srv, "/v1/memories/"+id+"/events", first.ID)
		if e := again.next(); e != second {
			t.Errorf("got %+v, want %+v", e, second)
		}
	})
	r.finish(t, id, memory.StatusCompleted)
	final := w.next()
	if s := statusOf(final); s != memory.StatusCompleted {
		t.Errorf("in the end it is %s", s)
	}
	if e := w.next(); e != (event{}) {
		t.Errorf("after the end came %+v", e)
	}
	t.Run("IsOverOnceTheEndWasSeen", func(t *testing.T) {
		if got := watch(t, srv, "/v1/memories/"+id+"/events", final.ID).res.StatusCode; got != http.StatusNoContent {
			t.Errorf("answered %d", got)
		}
	})
	t.Run("ShowsAllToOneWhoComesLate", func(t *testing.T) {
		for _, last := range []string{"", "nonsense", ";=,;"} {
			late := watch(t, srv, "/v1/memories/"+id+"/events", last)
			kinds := []string{late.next().Kind, late.next().Kind, late.next().Kind}
			if diff := cmp.Diff([]string{"step", "memory", ""}, kinds); diff != "" {
				t.Errorf("after %q, -want +got:\n%s", last, diff)
			}
		}
	})
}

func TestWatchingAMemoryThatIsErased(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{api: api.Config{PollInterval: 5 * time.Millisecond}})
	srv := listen(t, r)
	id := r.post(t, `{"content":"x"}`)
	w := watch(t, srv, "/v1/memories/"+id+"/events", "")
	w.next()
	r.call(t, http.MethodDelete, "/v1/memories/"+id, "").want(t, http.StatusAccepted)
	if e := w.next(); e.Kind != "deleted" {
		t.Errorf("got %+v", e)
	}
}

func TestWatchersGoWhenTheProcessStops(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	srv := listen(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	w := watch(t, srv, "/v1/memories/"+r.post(t, `{"content":"x"}`)+"/events", "")
	w.next()
	cancel()
	if e := w.next(); e != (event{}) {
		t.Errorf("got %+v", e)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{api: api.Config{PollInterval: time.Millisecond, Heartbeat: 20 * time.Millisecond}})
	srv := listen(t, r)
	w := watch(t, srv, "/v1/memories/"+r.post(t, `{"content":"x"}`)+"/events", "")
	w.next()
	for w.s.Scan() {
		if w.s.Text() == ": alive" {
			return
		}
	}
	t.Error("the stream ended without one")
}

func TestWatchingABatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{api: api.Config{PollInterval: time.Millisecond, ProgressInterval: time.Millisecond}})
	srv := listen(t, r)
	b := r.upload(t, "/v1/batches", threeLines)
	w := watch(t, srv, "/v1/batches/"+b.ID+"/events", "")
	countsOf := func(e event) memory.Counts {
		var b memory.Batch
		if err := json.Unmarshal([]byte(e.Data), &b); err != nil || e.Kind != "batch" {
			t.Errorf("event %+v: %v", e, err)
		}
		return b.Counts
	}
	if c := countsOf(w.next()); c.Queued != 2 {
		t.Errorf("first %+v", c)
	}
	if err := r.store.BatchRuns().SetItems(t.Context(), b.ID, 0, []memory.Item{{Index: 0, Status: memory.StatusCompleted}, {Index: 2, Status: memory.StatusCompleted}}); err != nil {
		t.Fatal(err)
	}
	second := w.next()
	if c := countsOf(second); c.Completed != 2 {
		t.Errorf("then %+v", c)
	}
	r.end(t, b.ID, memory.BatchCompletedWithErrors)
	final := w.next()
	if !strings.Contains(final.Data, `"completed_with_errors"`) || w.next() != (event{}) {
		t.Errorf("in the end %+v", final)
	}
	if e := watch(t, srv, "/v1/batches/"+b.ID+"/events", second.ID).next(); e != final {
		t.Errorf("resumed: %+v", e)
	}
	if got := watch(t, srv, "/v1/batches/"+b.ID+"/events", final.ID).res.StatusCode; got != http.StatusNoContent {
		t.Errorf("once the end was seen: %d", got)
	}
}
