package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// resources are ids of things that a workspace has, by the beginning of the paths that take them.
type resources map[string]string

// put replaces the {id} of a path.
func (rs resources) put(path string) string {
	best := ""
	for prefix := range rs {
		if strings.HasPrefix(path, prefix) && len(prefix) > len(best) {
			best = prefix
		}
	}
	return strings.ReplaceAll(path, "{id}", rs[best])
}

// fill gives a workspace one of everything that has an id.
func (r *rig) fill(tb testing.TB, ws string) resources {
	tb.Helper()
	ctx, now := context.Background(), memory.Now()
	check := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	m := memory.Memory{ID: id.New(id.Memory), Workspace: ws, Status: memory.StatusQueued, Track: memory.TrackRealtime, Content: "theirs", CreatedAt: now, UpdatedAt: now}
	_, err := r.store.Memories().Put(ctx, []store.Intake{{Memory: m, Lease: r.track.Lease()}})
	check(err)
	b := memory.Batch{ID: id.New(id.Batch), Workspace: ws, Status: memory.BatchUploading, Track: memory.TrackDurable, CreatedAt: now, Pages: 1}
	check(r.store.Batches().Create(ctx, b))
	check(r.store.Batches().AddPage(ctx, store.Page{Workspace: ws, BatchID: b.ID, Entries: []store.Entry{{Item: memory.Item{Status: memory.StatusQueued}, Input: &memory.Input{Content: "x"}}}}))
	_, err = r.store.Batches().Seal(ctx, b)
	check(err)
	e := store.Endpoint{ID: id.New(id.Endpoint), Workspace: ws, URL: "https://example.com/", Signing: "v1", CreatedAt: now, UpdatedAt: now}
	check(r.store.Endpoints().Save(ctx, e))
	d := store.Delivery{ID: id.New(id.Delivery), Workspace: ws, EndpointID: e.ID, URL: e.URL, EventID: "evt_1", EventType: memory.EventTest, Body: []byte("{}"), Status: store.DeliveryFailed, Round: 1, CreatedAt: now, UpdatedAt: now}
	_, err = r.store.Deliveries().Create(ctx, []store.Delivery{d})
	check(err)
	node := memory.Node{ID: store.NodeID(ws, "person", "Dorothy"), Type: "person", Name: "Dorothy"}
	check(r.store.Graph().Merge(ctx, []store.Mention{{Ref: memory.Ref{Workspace: ws, ID: m.ID, Version: 1}, Graph: memory.Graph{Nodes: []memory.Node{node}}}}))
	k := store.Key{ID: id.New(id.Key), Workspace: ws, Scopes: []store.Scope{store.ScopeRead}, Hash: [32]byte{byte(time.Now().UnixNano()), byte(len(ws))}, CreatedAt: now}
	check(r.store.Keys().Create(ctx, k))
	return resources{"/v1/memories/": m.ID, "/v1/batches/": b.ID, "/v1/webhooks/": e.ID, "/v1/deliveries/": d.ID, "/v1/graph/nodes/": node.ID, "/v1/keys/": k.ID}
}

// bodyFor is a body that the operation would take.
func bodyFor(op operation) string {
	if op.RequestBody == nil {
		return ""
	}
	return string(op.RequestBody.Content["application/json"].Example)
}

// TestEveryRouteIsGuarded tries every operation of the document without a key, with a wrong one, with each scope that is
// too weak, and with the ids of another workspace. A new route cannot be forgotten.
func TestEveryRouteIsGuarded(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	theirs := r.fill(t, elsewhere)
	open := map[string]bool{"/healthz": true, "/readyz": true}
	scopes := 0
	readDocument(t, r).each(func(method, path string, op operation) {
		target, body, at := theirs.put(path), bodyFor(op), method+" "+path
		if open[path] {
			if len(op.Security) != 0 {
				t.Errorf("%s asks for a key", at)
			}
			return
		}
		if len(op.Security) != 2 {
			t.Fatalf("%s asks for no key", at)
		}
		need := op.Security[0]["bearer"][0]
		for name, headers := range map[string][]string{
			"no key": {"Authorization", ""}, "a wrong key": {"Authorization", "Bearer nope"}, "no scheme": {"Authorization", adminKey}, "another scheme": {"Authorization", "Basic " + adminKey},
		} {
			if a := r.call(t, method, target, body, headers...); a.StatusCode != http.StatusUnauthorized || a.Header.Get("Www-Authenticate") == "" {
				t.Errorf("%s with %s: %d", at, name, a.StatusCode)
			} else {
				checkProblem(t, a)
			}
		}
		for key, weak := range map[string]bool{readKey: need != "read", writeKey: need == "admin"} {
			a := r.call(t, method, target, body, "Authorization", "", "X-API-Key", key)
			if weak {
				scopes++
			}
			if (a.StatusCode == http.StatusForbidden) != weak {
				t.Errorf("%s with %s: %d", at, key, a.StatusCode)
			}
		}
		if strings.Contains(path, "{id}") {
			if a := r.call(t, method, target, body); a.StatusCode != http.StatusNotFound {
				t.Errorf("%s with the id of another workspace: %d %s", at, a.StatusCode, a.body)
			} else {
				checkProblem(t, a)
			}
		}
	})
	if scopes < 20 {
		t.Errorf("only %d scopes were too weak", scopes)
	}
	r.checkUntouched(t, theirs)
}

// checkUntouched fails where one of the things is gone.
func (r *rig) checkUntouched(t *testing.T, theirs resources) {
	t.Helper()
	for _, path := range []string{"/v1/memories/{id}", "/v1/batches/{id}", "/v1/webhooks/{id}", "/v1/deliveries/{id}", "/v1/graph/nodes/{id}/neighbours"} {
		r.call(t, http.MethodGet, theirs.put(path), "", "Authorization", "Bearer "+strangerKey).want(t, http.StatusOK)
	}
	var keys struct{ Items []struct{ ID string } }
	r.call(t, http.MethodGet, "/v1/keys", "", "Authorization", "Bearer "+strangerKey).into(t, &keys)
	if len(keys.Items) != 2 || len(r.steered.orders) != 0 {
		t.Errorf("%d keys are left, and the orders %v were given", len(keys.Items), r.steered.orders)
	}
}

// TestListsAreApart reads every list with the key of a workspace that has nothing.
func TestListsAreApart(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.fill(t, elsewhere)
	for _, path := range []string{"/v1/memories", "/v1/batches", "/v1/webhooks", "/v1/graph/nodes"} {
		var l struct {
			Items []any
			Next  *string `json:"next_cursor"`
		}
		r.call(t, http.MethodGet, path, "").want(t, http.StatusOK).into(t, &l)
		if l.Items == nil || len(l.Items) != 0 || l.Next != nil {
			t.Errorf("%s shows %v", path, l.Items)
		}
	}
	var found struct{ Items []any }
	r.call(t, http.MethodPost, "/v1/memories/search", `{"query":"theirs","mode":"lexical"}`).want(t, http.StatusOK).into(t, &found)
	if len(found.Items) != 0 {
		t.Errorf("a search finds %v", found.Items)
	}
}
