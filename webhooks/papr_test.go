package webhooks

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// someBatches gives the items of any batch.
type someBatches struct {
	store.Batches
	items []memory.Item
}

func (s someBatches) Items(_ context.Context, q store.ItemQuery) ([]memory.Item, string, error) {
	var out []memory.Item
	for _, i := range s.items {
		for _, status := range q.Statuses {
			if i.Status == status && len(out) < q.Limit {
				out = append(out, i)
			}
		}
	}
	return out, "", nil
}

func itemsOf(good, bad int, detail string) []memory.Item {
	var out []memory.Item
	for i := range good {
		out = append(out, memory.Item{Index: i, MemoryID: id.New(id.Memory), Status: memory.StatusCompleted})
	}
	for i := range bad {
		out = append(out, memory.Item{Index: good + i, Status: memory.StatusFailed, Error: &memory.Fault{Code: memory.CodeInvalid, Detail: detail}})
	}
	return out
}

func batchEvent(t *testing.T, b memory.Batch) memory.Event {
	t.Helper()
	b.WebhookURL = "http://x.test/"
	e, err := NewEvents(newMem().as(nil).Endpoints, EventsConfig{}).BatchEvent(t.Context(), b, memory.EventBatchWithErrors)
	if err != nil {
		t.Fatal(err)
	}
	e.URL = ""
	return *e
}

func aBatch(good, bad int) memory.Batch {
	start := memory.At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	end := memory.At(start.Add(2500 * time.Millisecond))
	return memory.Batch{
		ID: "bat_1", Workspace: "wsp_1", Status: memory.BatchProcessing, CreatedAt: start, StartedAt: &start, CompletedAt: &end,
		Counts: memory.Counts{Total: good + bad, Completed: good, Failed: bad},
	}
}

// An endpoint of the format papr gets the body and the headers that Papr's guide describes, and those of Standard
// Webhooks over the same bytes.
func TestPaprReceiversGetWhatTheyKnow(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("93.184.215.14", 200)
		stores := r.mem.as(nil)
		items := itemsOf(2, 1, "Grüße “Toto” \x01 🌀")
		stores.Batches = someBatches{items: items}
		r.config.Transport = r.wire
		courier := NewCourier(stores, r.guard, r.sealer, r.config)
		made, err := NewEndpoints(courier).Create(t.Context(), "wsp_1", EndpointInput{URL: "http://93.184.215.14/hook", Format: FormatPapr})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- NewRelay(courier, r.engine, unhurried()).Run(ctx) }()
		r.mem.owe(batchEvent(t, aBatch(2, 1)))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		got := r.wire.got()
		if len(got) != 1 {
			t.Fatalf("%d arrivals", len(got))
		}
		checkPapr(t, got[0], made.Secret, items)
	})
}

func checkPapr(t *testing.T, a arrival, secret string, items []memory.Item) {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(a.body)
	for name, want := range map[string]string{
		"X-Webhook-Event": "batch.completed", "X-Webhook-Secret": secret, "X-Webhook-Signature": "sha256=" + hex.EncodeToString(mac.Sum(nil)), "Content-Type": "application/json",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a.header.Get("X-Webhook-Timestamp") != a.header.Get("webhook-timestamp") || !strings.HasPrefix(a.header.Get("webhook-signature"), "v1,") {
		t.Errorf("headers %v", a.header)
	}
	want := `{"batch_id": "bat_1", "completed_at": "2026-01-02T03:04:07.500Z", "errors": [{"error": "Gr\u00fc\u00dfe \u201cToto\u201d \u0001 \ud83c\udf00", "index": 2}], ` +
		`"failed_memories": 1, "memory_ids": ["` + items[0].MemoryID + `", "` + items[1].MemoryID + `"], "processing_time_ms": 2500, "status": "partial", ` +
		`"successful_memories": 2, "total_memories": 3, "user_id": "wsp_1", "webhook_version": "1.0"}`
	if diff := cmp.Diff(want, string(a.body)); diff != "" {
		t.Error(diff)
	}
}

func TestPaprBodiesStayUnderTwentyKilobytes(t *testing.T) {
	t.Parallel()
	for _, detail := range []string{"x", strings.Repeat("x", 1_000), strings.Repeat("\x01", 1_000), strings.Repeat("é", 1_000), strings.Repeat("界", 1_000)} {
		stores := newMem().as(nil)
		stores.Batches = someBatches{items: itemsOf(1_000, 1_000, detail)}
		c := NewCourier(stores, NewGuard(GuardConfig{}), sealer(t), Config{})
		body, err := c.renderPapr(t.Context(), batchEvent(t, aBatch(1_000, 1_000)))
		if err != nil || len(body) > MaxBodyBytes {
			t.Errorf("%.3q: %d bytes, %v", detail, len(body), err)
		}
		var got struct {
			IDs    []string         `json:"memory_ids"`
			Errors []map[string]any `json:"errors"`
			Total  int              `json:"total_memories"`
		}
		if err := json.Unmarshal(body, &got); err != nil || len(got.IDs) == 0 || len(got.Errors) == 0 || got.Total != 2_000 {
			t.Errorf("%.3q: %d ids, %d errors, %v", detail, len(got.IDs), len(got.Errors), err)
		}
	}
}
