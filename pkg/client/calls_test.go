package client_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestCalls holds what each method sends against the API's contract.
func TestCalls(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	off := false
	for _, row := range []struct {
		want string
		call func(context.Context, *client.Client) error
	}{
		{`POST /v1/memories Idempotency-Key Prefer:wait=2 {"content":"a","metadata":{"k":1}}`, func(ctx context.Context, c *client.Client) error {
			return second(c.AddMemory(ctx, memory.Input{Content: "a", Metadata: memory.Metadata{"k": 1}}, client.Wait(1500*time.Millisecond)))
		}},
		{`POST /v1/memories Idempotency-Key:mine Prefer:wait=60 {"content":"a"}`, func(ctx context.Context, c *client.Client) error {
			return second(c.AddMemory(ctx, memory.Input{Content: "a"}, client.Wait(time.Hour), client.IdempotencyKey("mine")))
		}},
		{`POST /v1/memories Idempotency-Key {"content":"a"}`, func(ctx context.Context, c *client.Client) error {
			return second(c.AddMemory(ctx, memory.Input{Content: "a"}, client.Wait(0)))
		}},
		{`GET /v1/memories/mem%2F1`, func(ctx context.Context, c *client.Client) error { return second(c.GetMemory(ctx, "mem/1")) }},
		{`GET /v1/memories?batch_id=bat_1&created_after=2026-01-02T03%3A04%3A05.678Z&external_id=e&limit=7&metadata.k=v&status=failed&status=degraded`, func(ctx context.Context, c *client.Client) error {
			return each(c.ListMemories(ctx, client.MemoryQuery{
				Statuses: []memory.Status{memory.StatusFailed, memory.StatusDegraded}, ExternalID: "e", BatchID: "bat_1", Metadata: map[string]string{"k": "v"}, CreatedAfter: at, PageSize: 7,
			}))
		}},
		{`PATCH /v1/memories/mem_1 {"metadata":{}}`, func(ctx context.Context, c *client.Client) error {
			return second(c.UpdateMemory(ctx, "mem_1", client.MemoryChange{Metadata: memory.Metadata{}}))
		}},
		{`DELETE /v1/memories/mem_1`, func(ctx context.Context, c *client.Client) error { return second(c.DeleteMemory(ctx, "mem_1")) }},
		{`POST /v1/memories/mem_1/retry`, func(ctx context.Context, c *client.Client) error { return second(c.RetryMemory(ctx, "mem_1")) }},
		{`POST /v1/memories/search {"query":"q","limit":3,"filter":{"metadata.k":"v"},"mode":"vector","expand_graph":1,"min_score":0.5}`, func(ctx context.Context, c *client.Client) error {
			return second(c.Search(ctx, client.SearchQuery{
				Query: "q", Limit: 3, Filter: map[string]any{"metadata.k": "v"}, Mode: client.Vector, ExpandGraph: 1, MinScore: 0.5,
			}))
		}},
		{`POST /v1/batches Idempotency-Key {"memories":[{"content":"a"}],"name":"n","webhook_url":"https://x.test","priority":"normal"}`, func(ctx context.Context, c *client.Client) error {
			return second(c.SubmitBatch(ctx, []memory.Input{{Content: "a"}}, client.BatchOptions{Name: "n", WebhookURL: "https://x.test", Priority: memory.PriorityNormal}))
		}},
		{`GET /v1/batches/bat_1`, func(ctx context.Context, c *client.Client) error { return second(c.GetBatch(ctx, "bat_1")) }},
		{`GET /v1/batches`, func(ctx context.Context, c *client.Client) error { return each(c.ListBatches(ctx)) }},
		{`GET /v1/batches/bat_1/items?limit=500&status=failed&status=rejected`, func(ctx context.Context, c *client.Client) error {
			return each(c.BatchItems(ctx, "bat_1", memory.StatusFailed, memory.StatusRejected))
		}},
		{`POST /v1/batches/bat_1/pause`, func(ctx context.Context, c *client.Client) error { return second(c.PauseBatch(ctx, "bat_1")) }},
		{`POST /v1/batches/bat_1/resume`, func(ctx context.Context, c *client.Client) error { return second(c.ResumeBatch(ctx, "bat_1")) }},
		{`POST /v1/batches/bat_1/cancel`, func(ctx context.Context, c *client.Client) error { return second(c.CancelBatch(ctx, "bat_1")) }},
		{`POST /v1/batches/bat_1/cancel?undo=true`, func(ctx context.Context, c *client.Client) error {
			_, _, err := c.UndoBatch(ctx, "bat_1")
			return err
		}},
		{`POST /v1/batches/bat_1/retry`, func(ctx context.Context, c *client.Client) error { return second(c.RetryBatch(ctx, "bat_1")) }},
		{`GET /v1/graph/nodes?name=Dorothy&type=Person`, func(ctx context.Context, c *client.Client) error { return each(c.Nodes(ctx, "Dorothy", "Person")) }},
		{`GET /v1/graph/nodes/nod_1/neighbours?depth=2`, func(ctx context.Context, c *client.Client) error { return second(c.Neighbours(ctx, "nod_1", 2)) }},
		{`GET /v1/memories/mem_1/explain`, func(ctx context.Context, c *client.Client) error { return second(c.ExplainMemory(ctx, "mem_1")) }},
		{`GET /v1/workspace`, func(ctx context.Context, c *client.Client) error { return second(c.Workspace(ctx)) }},
		{`GET /v1/router`, func(ctx context.Context, c *client.Client) error { return second(c.Router(ctx)) }},
		{`GET /v1/schema`, func(ctx context.Context, c *client.Client) error { return second(c.GetSchema(ctx)) }},
		{`PUT /v1/schema {"mode":"strict","nodes":[{"name":"Person"}]}`, func(ctx context.Context, c *client.Client) error {
			return second(c.PutSchema(ctx, client.Schema{Mode: "strict", Nodes: []client.SchemaType{{Name: "Person"}}}))
		}},
		{`GET /v1/webhooks`, func(ctx context.Context, c *client.Client) error { return each(c.ListEndpoints(ctx)) }},
		{`GET /v1/workspace/webhook-secret`, func(ctx context.Context, c *client.Client) error { return second(c.WebhookSecret(ctx)) }},
		{`POST /v1/workspace/webhook-secret/rotate {"grace_seconds":3600}`, func(ctx context.Context, c *client.Client) error {
			return second(c.RotateWebhookSecret(ctx, time.Hour))
		}},
		{`POST /v1/webhooks Idempotency-Key {"url":"https://x.test","events":["batch.completed"],"signing":"v1a"}`, func(ctx context.Context, c *client.Client) error {
			return second(c.CreateEndpoint(ctx, client.EndpointInput{URL: "https://x.test", Events: []string{"batch.completed"}, Signing: "v1a"}))
		}},
		{`GET /v1/webhooks/whe_1`, func(ctx context.Context, c *client.Client) error { return second(c.GetEndpoint(ctx, "whe_1")) }},
		{`PATCH /v1/webhooks/whe_1 {"enabled":false}`, func(ctx context.Context, c *client.Client) error {
			return second(c.UpdateEndpoint(ctx, "whe_1", client.EndpointChange{Enabled: &off}))
		}},
		{`DELETE /v1/webhooks/whe_1`, func(ctx context.Context, c *client.Client) error { return c.DeleteEndpoint(ctx, "whe_1") }},
		{`POST /v1/webhooks/whe_1/rotate {"grace_seconds":60}`, func(ctx context.Context, c *client.Client) error {
			return second(c.RotateEndpoint(ctx, "whe_1", time.Minute))
		}},
		{`POST /v1/webhooks/whe_1/test`, func(ctx context.Context, c *client.Client) error { return second(c.TestEndpoint(ctx, "whe_1")) }},
		{`GET /v1/webhooks/whe_1/deliveries`, func(ctx context.Context, c *client.Client) error {
			return each(c.ListDeliveries(ctx, "whe_1", client.DeliveryQuery{}))
		}},
		{`GET /v1/webhooks/whe_1/deliveries?limit=7&since=2025-09-16T10%3A00%3A00.000Z&status=failed&status=held`, func(ctx context.Context, c *client.Client) error {
			return each(c.ListDeliveries(ctx, "whe_1", client.DeliveryQuery{
				Statuses: []string{"failed", "held"}, Since: time.Date(2025, 9, 16, 10, 0, 0, 0, time.UTC), PageSize: 7,
			}))
		}},
		{`GET /v1/deliveries/dlv_1`, func(ctx context.Context, c *client.Client) error { return second(c.GetDelivery(ctx, "dlv_1")) }},
		{`POST /v1/deliveries/dlv_1/redeliver`, func(ctx context.Context, c *client.Client) error { return second(c.Redeliver(ctx, "dlv_1")) }},
		{`POST /v1/webhooks/whe_1/recover {"since":"2026-01-02T03:04:05.678Z"}`, func(ctx context.Context, c *client.Client) error {
			return second(c.RecoverEndpoint(ctx, "whe_1", at))
		}},
		{`POST /v1/keys Idempotency-Key {"name":"ci","scopes":["read"]}`, func(ctx context.Context, c *client.Client) error {
			return second(c.CreateKey(ctx, "ci", []client.Scope{client.ScopeRead}))
		}},
		{`GET /v1/keys`, func(ctx context.Context, c *client.Client) error { return each(c.ListKeys(ctx)) }},
		{`DELETE /v1/keys/key_1`, func(ctx context.Context, c *client.Client) error { return c.RevokeKey(ctx, "key_1") }},
	} {
		t.Run(row.want, func(t *testing.T) {
			t.Parallel()
			s := &script{answers: []answer{ok(`{}`)}}
			if err := row.call(t.Context(), dial(t, s)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, s.sent(0, strings.Contains(row.want, "Key:"))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// sent writes a request in a line, with the value of its Idempotency-Key or without.
func (s *script) sent(i int, withKey bool) string {
	r := s.requests[i]
	line := r.Method + " " + r.URL.RequestURI()
	if key := r.Header.Get("Idempotency-Key"); withKey {
		line += " Idempotency-Key:" + key
	} else if key != "" {
		line += " Idempotency-Key"
	}
	if wait := r.Header.Get("Prefer"); wait != "" {
		line += " Prefer:" + wait
	}
	if r.Header.Get("Authorization") != "Bearer sk_test" {
		line += " without its API key"
	}
	return strings.TrimSpace(line + " " + s.bodies[i])
}

func second[T any](_ T, err error) error { return err }

func each[T any](seq func(func(T, error) bool)) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestListsGoThroughAllPages(t *testing.T) {
	t.Parallel()
	pages := []answer{
		ok(`{"items":[{"id":"mem_3"},{"id":"mem_2"}],"next_cursor":"c1"}`),
		ok(`{"items":[{"id":"mem_1"}],"next_cursor":""}`),
	}
	t.Run("ToTheEnd", func(t *testing.T) {
		t.Parallel()
		s := &script{answers: pages}
		var got []string
		for m, err := range dial(t, s).ListMemories(t.Context(), client.MemoryQuery{PageSize: 2}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m.ID)
		}
		if diff := cmp.Diff([]string{"mem_3", "mem_2", "mem_1"}, got); diff != "" {
			t.Error(diff)
		}
		if got, want := s.requests[1].URL.RawQuery, "cursor=c1&limit=2"; got != want {
			t.Errorf("second page asked for with %s, want %s", got, want)
		}
	})
	t.Run("AsFarAsNeeded", func(t *testing.T) {
		t.Parallel()
		s := &script{answers: pages}
		for _, err := range dial(t, s).ListMemories(t.Context(), client.MemoryQuery{}) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		if len(s.requests) != 1 {
			t.Errorf("%d requests, want 1", len(s.requests))
		}
	})
	t.Run("AgainFromTheStart", func(t *testing.T) {
		t.Parallel()
		s := &script{answers: append(pages, pages...)}
		all := dial(t, s).ListMemories(t.Context(), client.MemoryQuery{})
		if err := each(all); err != nil {
			t.Fatal(err)
		}
		if err := each(all); err != nil {
			t.Fatal(err)
		}
		if got := s.requests[2].URL.RawQuery; got != "" {
			t.Errorf("the second round begins with %s", got)
		}
	})
	t.Run("ToAnError", func(t *testing.T) {
		t.Parallel()
		s := &script{answers: []answer{pages[0], problem(410, memory.CodeNotFound)}}
		var seen []string
		for m, err := range dial(t, s).ListMemories(t.Context(), client.MemoryQuery{}) {
			seen = append(seen, fmt.Sprint(m.ID, memory.CodeOf(err)))
		}
		if diff := cmp.Diff([]string{"mem_3", "mem_2", "not_found"}, seen); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAddressesAreChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "127.0.0.1:8080", "localhost", "ftp://x.test", "http://", "http://a b"} {
		if _, err := client.New(bad, "k", client.Config{}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	s := &script{answers: []answer{ok(`{}`)}}
	c, err := client.New("https://x.test/switchyard/", "sk_test", client.Config{HTTPClient: httpClient(s)})
	if err != nil {
		t.Fatal(err)
	}
	if err := read(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got, want := s.requests[0].URL.String(), "https://x.test/switchyard/v1/memories/mem_1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
