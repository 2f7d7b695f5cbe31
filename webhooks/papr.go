package webhooks

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// FormatPapr is the format of endpoints whose receivers were written for Papr's memory service: body and X-Webhook-*
// headers are those that its webhook guide describes. The headers of Standard Webhooks are sent beside them, over the
// same bytes.
const FormatPapr = "papr"

// paprHeaders sets what Papr's guide lists. The HMAC key is the text of the newest secret, as it was shown, over the raw
// bytes. The guide has the secret itself sent along; so it is, to the receivers that ask for this format and no others.
func paprHeaders(h http.Header, m message, now time.Time) {
	kind := "batch.completed" // what Papr says of every batch, however it ended
	if strings.HasPrefix(m.kind, "memory.") || m.kind == memory.EventTest {
		kind = m.kind
	}
	h.Set("X-Webhook-Event", kind)
	h.Set("X-Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	if len(m.keys) == 0 {
		return
	}
	secret := m.keys[0].Text()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(m.body)
	h.Set("X-Webhook-Secret", secret)
	h.Set("X-Webhook-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

// Bounds of the lists in a batch's body, which keep it under MaxBodyBytes.
const (
	paprMemoryIDs  = 300
	paprErrors     = 30
	paprErrorBytes = 120
)

// renderPapr writes the body that Papr's guide shows for a batch, and the one that its reference shows for a memory.
//
// It is written as Python's json.dumps(payload, sort_keys=True) writes it: Papr's own sender signs that text whatever it
// sends, so receivers in the field verify either what they got or what they get by writing it again. Both are these
// bytes.
func (c *Courier) renderPapr(ctx context.Context, e memory.Event) ([]byte, error) {
	payload := map[string]any{"event": e.Type, "completed_at": paprTime(e.Time)}
	switch {
	case strings.HasPrefix(e.Type, "batch."):
		var d batchData
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return nil, fmt.Errorf("data of event %s: %w", e.ID, err)
		}
		d.Workspace = e.Workspace
		var err error
		if payload, err = c.paprBatch(ctx, e, d.Batch); err != nil {
			return nil, err
		}
	case strings.HasPrefix(e.Type, "memory."):
		var d memoryData
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return nil, fmt.Errorf("data of event %s: %w", e.ID, err)
		}
		payload["memory_id"], payload["status"] = d.ID, string(d.Status)
	}
	body := appendPython(nil, payload)
	for len(body) > MaxBodyBytes && shortenPapr(payload) {
		body = appendPython(nil, payload)
	}
	return body, nil
}

// shortenPapr halves a list, the longest texts first, and reports whether there was one: a detail in ASCII may be six
// times as long.
func shortenPapr(payload map[string]any) bool {
	for _, name := range []string{"errors", "memory_ids"} {
		if list, ok := payload[name].([]any); ok && len(list) > 0 {
			payload[name] = list[:len(list)/2]
			return true
		}
	}
	return false
}

func (c *Courier) paprBatch(ctx context.Context, e memory.Event, b memory.Batch) (map[string]any, error) {
	ids, errs, err := c.paprItems(ctx, b)
	if err != nil {
		return nil, err
	}
	took := 0
	if b.StartedAt != nil && b.CompletedAt != nil {
		took = int(b.CompletedAt.Sub(b.StartedAt.Time).Milliseconds())
	}
	return map[string]any{
		"batch_id": b.ID, "user_id": e.Workspace, "status": paprStatus(b), "completed_at": paprTime(e.Time), "processing_time_ms": took,
		"total_memories": b.Counts.Total, "successful_memories": b.Counts.Completed + b.Counts.Degraded,
		"failed_memories": b.Counts.Failed + b.Counts.Rejected + b.Counts.Cancelled,
		"memory_ids":      ids, "errors": errs, "webhook_version": "1.0",
	}, nil
}

// paprItems lists the memories of a batch, and what was wrong with others, as far as there is room.
func (c *Courier) paprItems(ctx context.Context, b memory.Batch) (ids, errs []any, err error) {
	if c.stores.Batches == nil || !b.Status.Final() {
		return nil, nil, nil
	}
	list := func(limit int, statuses ...memory.Status) ([]memory.Item, error) {
		items, _, err := c.stores.Batches.Items(ctx, store.ItemQuery{Workspace: b.Workspace, BatchID: b.ID, Statuses: statuses, Limit: limit})
		return items, err
	}
	good, errGood := list(paprMemoryIDs, memory.StatusCompleted, memory.StatusDegraded)
	bad, errBad := list(paprErrors, memory.StatusFailed, memory.StatusRejected)
	if err := errors.Join(errGood, errBad); err != nil {
		return nil, nil, fmt.Errorf("items of batch %s: %w", b.ID, err)
	}
	for _, item := range good {
		ids = append(ids, item.MemoryID)
	}
	for _, item := range bad {
		detail := ""
		if item.Error != nil {
			detail = item.Error.Detail[:min(len(item.Error.Detail), paprErrorBytes)]
		}
		errs = append(errs, map[string]any{"index": item.Index, "error": strings.ToValidUTF8(detail, "")})
	}
	return ids, errs, nil
}

// paprStatus is one of the three that Papr knows, or processing.
func paprStatus(b memory.Batch) string {
	switch {
	case !b.Status.Final():
		return "processing"
	case b.Status == memory.BatchCompleted:
		return "completed"
	case b.Counts.Completed+b.Counts.Degraded > 0:
		return "partial"
	}
	return "failed"
}

func paprTime(t memory.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// appendPython writes strings, ints, lists and objects as Python's json.dumps does with sort_keys: in ASCII, keys
// sorted, a space after each comma and colon.
func appendPython(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendASCII(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case []any:
		b = append(b, '[')
		for i, item := range v {
			b = appendPython(separate(b, i), item)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, key := range slices.Sorted(maps.Keys(v)) {
			b = append(appendASCII(separate(b, i), key), ": "...)
			b = appendPython(b, v[key])
		}
		return append(b, '}')
	}
	panic(fmt.Sprintf("a %T has no place in a body", v))
}

func separate(b []byte, i int) []byte {
	if i == 0 {
		return b
	}
	return append(b, ", "...)
}

func appendASCII(b []byte, s string) []byte {
	const short = "\b\f\n\r\t\"\\"
	b = append(b, '"')
	for _, r := range s {
		switch i := strings.IndexRune(short, r); {
		case i >= 0:
			b = append(b, '\\', "bfnrt\"\\"[i])
		case r >= ' ' && r <= '~':
			b = append(b, byte(r))
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				b = fmt.Appendf(b, "\\u%04x", unit)
			}
		}
	}
	return append(b, '"')
}
