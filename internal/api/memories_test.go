package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/live"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// post hands a memory in and returns its id.
func (r *rig) post(tb testing.TB, body string) string {
	tb.Helper()
	var m memory.Memory
	r.call(tb, http.MethodPost, "/v1/memories", body).want(tb, http.StatusAccepted).into(tb, &m)
	return m.ID
}

func TestPostingAMemory(t *testing.T) {
	t.Parallel()
	t.Run("IsAccepted", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		a := r.call(t, http.MethodPost, "/v1/memories", `{"content":"x","external_id":"e","metadata":{"n":1,"s":"t","b":true},"occurred_at":"2025-01-01T10:00:00+02:00"}`)
		var got map[string]any
		a.want(t, http.StatusAccepted).into(t, &got)
		id, _ := got["id"].(string)
		if a.Header.Get("Location") != "/v1/memories/"+id || a.Header.Get("Retry-After") == "" || !strings.HasPrefix(id, "mem_") {
			t.Errorf("headers %v", a.Header)
		}
		if got["status"] != "queued" || got["track"] != "realtime" || got["track_reason"] != "single memory, capacity free" || got["version"] != 1.0 || got["created_at"] == "" {
			t.Errorf("got %v", got)
		}
		m := r.get(t, workspace, id)
		if len(r.track.submitted) != 1 || m.Metadata["n"] != 1.0 || m.OccurredAt == nil || m.OccurredAt.Hour() != 8 {
			t.Errorf("submitted %v, stored %+v", r.track.submitted, m)
		}
	})
	t.Run("GoesToTheDurableTrackWhereThereIsNoRoom", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		r.track.full = true
		var m memory.Memory
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`).want(t, http.StatusAccepted).into(t, &m)
		if m.Track != memory.TrackDurable || m.Reason == "" {
			t.Errorf("track %s, %q", m.Track, m.Reason)
		}
		stored := r.get(t, workspace, m.ID)
		orphans, err := r.store.Leases().Orphans(t.Context(), time.Now(), 10)
		if err != nil || len(orphans) != 1 || stored.Track != memory.TrackDurable {
			t.Errorf("orphans %v, %v; stored as %s", orphans, err, stored.Track)
		}
	})
	t.Run("OfAnExternalIDIsAnUpsert", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		id := r.post(t, `{"content":"x","external_id":"e"}`)
		if again := r.post(t, `{"content":"x","external_id":"e"}`); again != id || len(r.track.submitted) != 1 {
			t.Errorf("again it is %s; submitted %d", again, len(r.track.submitted))
		}
		r.finish(t, id, memory.StatusCompleted)
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x","external_id":"e"}`).want(t, http.StatusOK)
		var m memory.Memory
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"y","external_id":"e"}`).want(t, http.StatusAccepted).into(t, &m)
		if m.ID != id || m.Version != 2 {
			t.Errorf("other content is %s version %d", m.ID, m.Version)
		}
	})
}

func TestPreferWait(t *testing.T) {
	t.Parallel()
	t.Run("IsAnsweredWithTheFinishedMemory", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{api: api.Config{PollInterval: time.Hour}}) // events alone must do
		r.track.onSubmit = func(ref memory.Ref) { go r.finish(t, ref.ID, memory.StatusCompleted) }
		var m memory.Memory
		a := r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, "Prefer", "respond-async, wait=100").want(t, http.StatusOK)
		a.into(t, &m)
		if m.Status != memory.StatusCompleted || m.Content != "x" || a.Header.Get("Preference-Applied") != "wait=60" {
			t.Errorf("got %+v with %v", m, a.Header)
		}
		if !strings.Contains(string(a.body), `"use_cases":[]`) || !strings.Contains(string(a.body), `"related":[]`) {
			t.Errorf("lists are null: %s", a.body)
		}
	})
	t.Run("FindsOutWithoutAnEvent", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{api: api.Config{PollInterval: time.Millisecond}, change: func(p *api.Parts) { p.Live = silent{} }})
		finished := make(chan struct{})
		r.track.onSubmit = func(ref memory.Ref) {
			go func() { defer close(finished); r.finish(t, ref.ID, memory.StatusFailed) }()
		}
		var m memory.Memory
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, "Prefer", "wait=60").want(t, http.StatusOK).into(t, &m)
		<-finished // it still reads the store after that has the answer
		if m.Status != memory.StatusFailed || m.Error == nil || m.Error.Code != memory.CodeBadAnswer {
			t.Errorf("got %+v", m)
		}
	})
	t.Run("EndsWhenTheTimeIsOver", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		a := r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, "Prefer", `wait="1"`).want(t, http.StatusAccepted)
		if a.Header.Get("Preference-Applied") != "wait=1" || a.Header.Get("Retry-After") == "" {
			t.Errorf("headers %v", a.Header)
		}
	})
	t.Run("EndsWhenTheCallerLeavesAndTheMemoryStays", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		ctx, cancel := context.WithCancel(t.Context())
		r.track.onSubmit = func(memory.Ref) { cancel() }
		req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/memories", strings.NewReader(`{"content":"x"}`))
		r.do(t, req, "X-API-Key", adminKey, "Prefer", "wait=60", "Content-Type", "application/json")
		if m := r.get(t, workspace, r.track.submitted[0].ID); m.Status != memory.StatusQueued {
			t.Errorf("it is %s", m.Status)
		}
	})
	t.Run("EndsWhenTheProcessStops", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		r.track.onSubmit = func(memory.Ref) { cancel() }
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, "Prefer", "wait=60").want(t, http.StatusAccepted)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("IsIgnoredWhereItMakesNoSense", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		for _, prefer := range []string{"wait", "wait=", "wait=-1", "wait=0", "wait=soon", "return=minimal"} {
			a := r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, "Prefer", prefer).want(t, http.StatusAccepted)
			if a.Header.Get("Preference-Applied") != "" {
				t.Errorf("%q was obeyed", prefer)
			}
		}
	})
}

// silent is a hub of another process: nothing comes.
type silent struct{}

func (silent) Subscribe(context.Context, string, string) (<-chan live.Event, func()) {
	return nil, func() {}
}

func TestListingMemories(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	a := r.post(t, `{"content":"a","external_id":"ea","metadata":{"topic":"travel","year":2020}}`)
	b := r.post(t, `{"content":"b","metadata":{"topic":"travel","x.y":"z"}}`)
	c := r.post(t, `{"content":"c"}`)
	r.finish(t, a, memory.StatusCompleted)
	for query, want := range map[string][]string{
		"":                                     {c, b, a},
		"status=completed":                     {a},
		"status=completed&status=queued":       {c, b, a},
		"external_id=ea":                       {a},
		"metadata.topic=travel":                {b, a},
		"metadata.topic=travel&metadata.x.y=z": {b},
		"metadata.year=2020":                   {a},
		"created_after=2999-01-01T00:00:00Z":   {},
		"created_before=2999-01-01T00:00:00Z":  {c, b, a},
		"batch_id=bat_x":                       {},
	} {
		var l struct{ Items []memory.Memory }
		r.call(t, http.MethodGet, "/v1/memories?"+query, "").want(t, http.StatusOK).into(t, &l)
		got := []string{}
		for _, m := range l.Items {
			got = append(got, m.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("?%s, -want +got:\n%s", query, diff)
		}
	}
	t.Run("PageByPage", func(t *testing.T) {
		var got []string
		cursor := ""
		for range 4 {
			var l struct {
				Items []memory.Memory
				Next  *string `json:"next_cursor"`
			}
			r.call(t, http.MethodGet, "/v1/memories?limit=2&cursor="+url.QueryEscape(cursor), "").want(t, http.StatusOK).into(t, &l)
			for _, m := range l.Items {
				got = append(got, m.ID)
			}
			if l.Next == nil {
				break
			}
			cursor = *l.Next
		}
		if diff := cmp.Diff([]string{c, b, a}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func TestChangingAMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	id := r.post(t, `{"content":"a","external_id":"e","metadata":{"k":"v"}}`)
	r.finish(t, id, memory.StatusCompleted)
	a := r.call(t, http.MethodPatch, "/v1/memories/"+id, `{"content":"b"}`).want(t, http.StatusAccepted)
	m := r.get(t, workspace, id)
	if m.Version != 2 || m.Content != "b" || m.Metadata["k"] != "v" || m.ExternalID != "e" || m.Status != memory.StatusQueued || a.Header.Get("Location") != "/v1/memories/"+id {
		t.Errorf("it is %+v", m)
	}
	r.call(t, http.MethodPatch, "/v1/memories/"+id, `{"metadata":{"l":"w"}}`, "Content-Type", "application/merge-patch+json").want(t, http.StatusAccepted)
	if m = r.get(t, workspace, id); m.Version != 3 || len(m.Metadata) != 1 || m.Metadata["l"] != "w" {
		t.Errorf("it is %+v", m)
	}
	r.call(t, http.MethodPatch, "/v1/memories/"+id, `{"content":" "}`).want(t, http.StatusUnprocessableEntity)
	r.call(t, http.MethodPatch, "/v1/memories/"+id, `{"content":"b"}`).want(t, http.StatusAccepted) // nothing new
	if m = r.get(t, workspace, id); m.Version != 3 {
		t.Errorf("the same content made version %d", m.Version)
	}
	other := r.post(t, `{"content":"no external id"}`)
	r.call(t, http.MethodPatch, "/v1/memories/"+other, `{"content":"c"}`).want(t, http.StatusAccepted)
	if m = r.get(t, workspace, other); m.Version != 2 {
		t.Errorf("without an external id it is version %d", m.Version)
	}
}

func TestErasingAMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{intake: intake.Config{EraseSweep: 20 * time.Millisecond}})
	id := r.post(t, `{"content":"Toto ran away"}`)
	r.index(t, id)
	var receipt struct {
		ID     string
		Erased []string
	}
	r.call(t, http.MethodDelete, "/v1/memories/"+id, "").want(t, http.StatusAccepted).into(t, &receipt)
	if receipt.ID != id || len(receipt.Erased) != 3 {
		t.Errorf("receipt %+v", receipt)
	}
	r.call(t, http.MethodGet, "/v1/memories/"+id, "").want(t, http.StatusNotFound)
	r.call(t, http.MethodDelete, "/v1/memories/"+id, "").want(t, http.StatusNotFound)
	nodes, err := r.store.Graph().Of(t.Context(), workspace, id)
	if err != nil || len(nodes) != 0 {
		t.Errorf("the graph holds %v, %v", nodes, err)
	}
	t.Run("AndCheckedAgain", func(t *testing.T) {
		r.index(t, id) // a run in flight that was not stopped in time
		if err := r.store.Erasures().Note(t.Context(), workspace, time.Now(), id); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.intake.Run(ctx) }()
		r.gone(t, "Toto")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// gone returns when the words are not found any more.
func (r *rig) gone(t *testing.T, words string) {
	t.Helper()
	for range time.Tick(20 * time.Millisecond) {
		hits, err := r.store.Vectors().Search(t.Context(), store.VectorQuery{Workspace: workspace, Mode: store.Lexical, Text: words, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(hits) == 0 {
			return
		}
	}
}

// index writes a memory's vectors and graph as the pipeline does.
func (r *rig) index(tb testing.TB, id string) {
	tb.Helper()
	content, version := "Toto ran away", 1
	if found, err := r.store.Memories().Get(tb.Context(), workspace, id); err == nil && len(found) == 1 {
		content, version = found[0].Content, found[0].Version
	}
	v, err := r.embedder.Embed(tb.Context(), []string{content})
	if err != nil {
		tb.Fatal(err)
	}
	model := store.Model{ID: v.Usage.Model, Dimensions: len(v.Vectors[0])}
	point := store.Point{Workspace: workspace, MemoryID: id, Version: version, End: len(content), Text: content, Vector: v.Vectors[0], Fields: store.Fields{CreatedAt: time.Now()}}
	if err := r.store.Vectors().Upsert(tb.Context(), model, []store.Point{point}); err != nil {
		tb.Fatal(err)
	}
	node := memory.Node{ID: store.NodeID(workspace, "animal", "Toto"), Type: "animal", Name: "Toto"}
	mention := store.Mention{Ref: memory.Ref{Workspace: workspace, ID: id, Version: version}, Graph: memory.Graph{Nodes: []memory.Node{node}}}
	if err := r.store.Graph().Merge(tb.Context(), []store.Mention{mention}); err != nil {
		tb.Fatal(err)
	}
}

func TestRetryingAMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	id := r.post(t, `{"content":"a"}`)
	r.call(t, http.MethodPost, "/v1/memories/"+id+"/retry", "").want(t, http.StatusConflict)
	r.finish(t, id, memory.StatusFailed)
	var m memory.Memory
	r.call(t, http.MethodPost, "/v1/memories/"+id+"/retry", "").want(t, http.StatusAccepted).into(t, &m)
	if m.ID != id || m.Version != 1 || m.Status != memory.StatusQueued || len(r.track.submitted) != 2 {
		t.Errorf("got %+v; submitted %v", m, r.track.submitted)
	}
	r.finish(t, id, memory.StatusCompleted)
	r.call(t, http.MethodPost, "/v1/memories/"+id+"/retry", "").want(t, http.StatusConflict)
}

func TestExplainingAMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	id := r.post(t, `{"content":"a"}`)
	r.index(t, id)
	r.finish(t, id, memory.StatusDegraded,
		memory.Receipt{Name: memory.StepIndex, Status: memory.StepCompleted, Attempts: 1},
		memory.Receipt{Name: memory.StepSchema, Status: memory.StepFailed, Attempts: 3, Tokens: 90, CostUSD: 0.5, Error: &memory.Fault{Code: memory.CodeBadAnswer}})
	var got api.Explanation
	r.call(t, http.MethodGet, "/v1/memories/"+id+"/explain", "").want(t, http.StatusOK).into(t, &got)
	if got.Took.Attempts != 4 || got.Took.Tokens != 90 || got.Took.CostUSD != 0.5 || got.Took.DurationMS == nil || len(got.Steps) != 2 {
		t.Errorf("took %+v in %d steps", got.Took, len(got.Steps))
	}
	if !got.Written.Vectors.Written || got.Written.Vectors.Model != r.embedder.Model() || got.Written.Graph.Written {
		t.Errorf("written %+v", got.Written)
	}
}

func TestSearching(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	toto, kansas := r.post(t, `{"content":"Toto ran away","metadata":{"about":"dogs"}}`), r.post(t, `{"content":"Kansas is flat and grey"}`)
	for _, id := range []string{toto, kansas} {
		r.index(t, id)
		r.finish(t, id, memory.StatusCompleted)
	}
	search := func(body string) (a struct {
		Items []struct {
			Memory  memory.Memory
			Score   float64
			Scores  map[string]float64
			Passage string
		}
		Graph    memory.Graph
		Degraded string
	}) {
		t.Helper()
		r.call(t, http.MethodPost, "/v1/memories/search", body, "Authorization", "Bearer "+readKey).want(t, http.StatusOK).into(t, &a)
		return a
	}
	got := search(`{"query":"where did Toto run?","limit":1,"expand_graph":1}`)
	if len(got.Items) != 1 || got.Items[0].Memory.ID != toto || got.Items[0].Passage != "Toto ran away" || got.Items[0].Memory.Steps != nil || len(got.Graph.Nodes) != 1 {
		t.Errorf("got %+v", got)
	}
	if s := got.Items[0]; s.Score <= 0 || s.Scores["vector"] <= 0 || s.Scores["lexical"] <= 0 {
		t.Errorf("scores %g, %v", s.Score, s.Scores)
	}
	if got := search(`{"query":"Toto","filter":{"status":"failed"}}`); len(got.Items) != 0 {
		t.Errorf("found %d failed ones", len(got.Items))
	}
	r.embedder.Fault = func(context.Context, llmtest.Call) error {
		return memory.Errorf(memory.CodeUnavailable, "away")
	}
	if got := search(`{"query":"Toto"}`); len(got.Items) != 1 || got.Degraded == "" {
		t.Errorf("without the embedder: %+v", got)
	}
	r.call(t, http.MethodPost, "/v1/memories/search", `{"query":"Toto","mode":"vector"}`).want(t, http.StatusServiceUnavailable)
}

func TestGraphAndSchema(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	id := r.post(t, `{"content":"Toto ran away"}`)
	r.index(t, id)
	var nodes struct{ Items []memory.Node }
	r.call(t, http.MethodGet, "/v1/graph/nodes?name=the+TOTO&type=animal", "").want(t, http.StatusOK).into(t, &nodes)
	if len(nodes.Items) != 1 || nodes.Items[0].MemoryIDs[0] != id {
		t.Fatalf("nodes %+v", nodes)
	}
	var g memory.Graph
	r.call(t, http.MethodGet, "/v1/graph/nodes/"+nodes.Items[0].ID+"/neighbours?depth=3", "").want(t, http.StatusOK).into(t, &g)
	if len(g.Nodes) != 1 {
		t.Errorf("neighbours %+v", g)
	}
	r.call(t, http.MethodGet, "/v1/graph/nodes/nod_nope/neighbours", "").want(t, http.StatusNotFound)

	a := r.call(t, http.MethodGet, "/v1/schema", "").want(t, http.StatusOK)
	if strings.TrimSpace(string(a.body)) != `{"mode":"open","nodes":[],"relationships":[]}` {
		t.Errorf("the default is %s", a.body)
	}
	const schema = `{"mode":"strict","nodes":[{"name":"person","description":"a human"}],"relationships":[{"name":"KNOWS"}]}`
	r.call(t, http.MethodPut, "/v1/schema", schema).want(t, http.StatusOK)
	if a := r.call(t, http.MethodGet, "/v1/schema", ""); strings.TrimSpace(string(a.body)) != schema {
		t.Errorf("stored is %s", a.body)
	}
	w, err := r.store.Workspaces().Get(t.Context(), workspace)
	if err != nil || !json.Valid(w.Schema) {
		t.Errorf("the pipeline reads %s, %v", w.Schema, err)
	}
}
