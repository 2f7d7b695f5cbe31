package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// MaxBodyBytes bounds what is sent: Standard Webhooks recommends to stay under 20 kB.
const MaxBodyBytes = 20_000

// maxDataBytes leaves room for the envelope.
const maxDataBytes = MaxBodyBytes - 512

// Events says what is to be told of memories and batches: whoever ends one asks for the event and stores it in the same
// write.
type Events struct {
	endpoints store.Endpoints
	config    EventsConfig
}

// EventsConfig may be empty.
type EventsConfig struct {
	// BaseURL is put before the path of the link to the memory or batch. Default: "", so that the link is a path.
	BaseURL string `yaml:"base_url"`
}

func (c EventsConfig) validate() error {
	u, err := url.Parse(c.BaseURL)
	if c.BaseURL != "" && (err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "") {
		return fmt.Errorf("webhooks.base_url: %q is not a URL such as https://api.example.com", c.BaseURL)
	}
	return nil
}

// NewEvents makes Events.
func NewEvents(endpoints store.Endpoints, c EventsConfig) *Events {
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	return &Events{endpoints: endpoints, config: c}
}

// memoryEvent names the event of a memory that ended so. Of a cancelled one nothing is told.
func memoryEvent(s memory.Status) string {
	switch s {
	case memory.StatusCompleted:
		return memory.EventMemoryCompleted
	case memory.StatusDegraded:
		return memory.EventMemoryDegraded
	case memory.StatusFailed:
		return memory.EventMemoryFailed
	}
	return ""
}

// memoryData is a memory as events show it.
type memoryData struct {
	memory.Memory
	URL       string `json:"url"`
	Truncated bool   `json:"truncated,omitempty"` // lists were shortened to keep the size; the link leads to the whole
}

// batchData is a batch as events show it.
type batchData struct {
	memory.Batch
	URL       string `json:"url"`
	Truncated bool   `json:"truncated,omitempty"`
}

// MemoryEvent returns what is to be told of a memory that is over: the memory as GET shows it, without its content, cut
// to [MaxBodyBytes]. It is nil where nobody wants to know: the memory has no webhook_url and no endpoint of the workspace
// asks for the type. The same end of the same memory gives the same event.
func (e *Events) MemoryEvent(ctx context.Context, m memory.Memory) (*memory.Event, error) {
	kind := memoryEvent(m.Status)
	if kind == "" {
		return nil, nil
	}
	if wanted, err := e.wanted(ctx, m.Workspace, kind, m.WebhookURL); !wanted || err != nil {
		return nil, err
	}
	at := whenOver(m.CompletedAt)
	m.Content, m.CompletedAt = "", &at
	data, err := fitMemory(memoryData{Memory: m, URL: e.config.BaseURL + "/v1/memories/" + m.ID})
	if err != nil {
		return nil, fmt.Errorf("data of memory %s: %w", m.ID, err)
	}
	return &memory.Event{
		ID:   id.From(id.Event, at.Time, m.Workspace, m.ID, strconv.Itoa(m.Version), kind, at.Format(time.RFC3339Nano)),
		Type: kind, Workspace: m.Workspace, Time: at, Data: data, URL: m.WebhookURL,
	}, nil
}

// BatchEvent is MemoryEvent for a batch and a type of event: how it ended, or its progress. The batch's status and
// completed_at become what the type says. The same end, or the same quarter of progress, gives the same event.
func (e *Events) BatchEvent(ctx context.Context, b memory.Batch, kind string) (*memory.Event, error) {
	if wanted, err := e.wanted(ctx, b.Workspace, kind, b.WebhookURL); !wanted || err != nil {
		return nil, err
	}
	at, sorted, mark := memory.Now(), b.CreatedAt, quarter(b.Counts)
	if status := batchStatus(kind); status != "" {
		at = whenOver(b.CompletedAt)
		b.Status, b.CompletedAt, b.ETASeconds = status, &at, nil
		sorted, mark = at, at.Format(time.RFC3339Nano)
	}
	data, err := fitBatch(batchData{Batch: b, URL: e.config.BaseURL + "/v1/batches/" + b.ID})
	if err != nil {
		return nil, fmt.Errorf("data of batch %s: %w", b.ID, err)
	}
	return &memory.Event{
		ID:   id.From(id.Event, sorted.Time, b.Workspace, b.ID, kind, mark),
		Type: kind, Workspace: b.Workspace, Time: at, Data: data, URL: b.WebhookURL,
	}, nil
}

func whenOver(at *memory.Time) memory.Time {
	if at == nil {
		return memory.Now()
	}
	return *at
}

func batchStatus(kind string) memory.BatchStatus {
	switch kind {
	case memory.EventBatchCompleted:
		return memory.BatchCompleted
	case memory.EventBatchWithErrors:
		return memory.BatchCompletedWithErrors
	case memory.EventBatchFailed:
		return memory.BatchFailed
	case memory.EventBatchCancelled:
		return memory.BatchCancelled
	}
	return ""
}

// quarter is the last of the marks 0, 25, 50, 75 and 100 per cent that the counts have passed.
func quarter(c memory.Counts) string {
	if c.Total == 0 {
		return "0"
	}
	return strconv.Itoa((c.Total - c.Open()) * 4 / c.Total * 25)
}

// wanted reports whether anyone is to be told. Disabled endpoints count: what happens meanwhile is kept for them.
func (e *Events) wanted(ctx context.Context, workspace, kind, url string) (bool, error) {
	if url != "" {
		return true, nil
	}
	endpoints, err := e.endpoints.List(ctx, workspace)
	if err != nil {
		return false, fmt.Errorf("endpoints of workspace %s: %w", workspace, err)
	}
	return slices.ContainsFunc(endpoints, func(ep store.Endpoint) bool { return subscribes(ep, kind) }), nil
}

func subscribes(e store.Endpoint, kind string) bool {
	return len(e.Events) == 0 || slices.Contains(e.Events, kind)
}

// fitMemory writes the data and, as long as it is too large, halves its lists; then it gives up what the caller knows
// anyhow.
func fitMemory(d memoryData) (json.RawMessage, error) {
	d.UseCases, d.Related = notNil(d.UseCases), notNil(d.Related)
	keep := max(len(d.UseCases), len(d.Related), len(d.Graph.Nodes), len(d.Graph.Relationships))
	for {
		raw, err := json.Marshal(d)
		if err != nil || len(raw) <= maxDataBytes {
			return raw, err
		}
		d.Truncated = true
		switch {
		case keep > 0:
			keep /= 2
			d.shorten(keep)
		case d.Metadata != nil:
			d.Metadata = nil
		case d.Steps != nil:
			d.Steps, d.WebhookURL, d.Reason = nil, "", ""
		default:
			return json.Marshal(memoryData{URL: d.URL, Truncated: true, Memory: memory.Memory{
				ID: d.ID, Version: d.Version, Status: d.Status, Track: d.Track, UseCases: []string{}, Related: []memory.Related{},
				CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt, CompletedAt: d.CompletedAt,
			}})
		}
	}
}

// shorten cuts each list to n; relationships go with the nodes that they join.
func (d *memoryData) shorten(n int) {
	d.UseCases = d.UseCases[:min(n, len(d.UseCases))]
	d.Related = d.Related[:min(n, len(d.Related))]
	d.Graph.Nodes = d.Graph.Nodes[:min(n, len(d.Graph.Nodes))]
	kept := map[string]bool{}
	for _, node := range d.Graph.Nodes {
		kept[node.ID] = true
	}
	var joined []memory.Relationship
	for _, r := range d.Graph.Relationships {
		if len(joined) < n && kept[r.From] && kept[r.To] {
			joined = append(joined, r)
		}
	}
	d.Graph.Relationships = joined
}

func fitBatch(d batchData) (json.RawMessage, error) {
	raw, err := json.Marshal(d)
	if err == nil && len(raw) > maxDataBytes {
		d.Name, d.WebhookURL, d.Reason, d.Truncated = "", "", "", true
		return json.Marshal(d)
	}
	return raw, err
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// envelope is the body of a webhook.
type envelope struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Timestamp memory.Time     `json:"timestamp"`
	Workspace string          `json:"workspace"`
	Data      json.RawMessage `json:"data"`
}

// render writes the body of an event: once, since what is signed are these bytes.
func render(e memory.Event) ([]byte, error) {
	return json.Marshal(envelope{e.ID, e.Type, e.Time, e.Workspace, e.Data})
}
