package webhooks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// largeMemory says as much as a memory can.
func largeMemory(nodes int) memory.Memory {
	at := memory.Now()
	m := memory.Memory{
		ID: id.New(id.Memory), Workspace: "wsp_1", Version: 3, Status: memory.StatusCompleted, Track: memory.TrackRealtime, Content: "SECRET CONTENT",
		Metadata: memory.Metadata{}, WebhookURL: "https://example.com/hook", CreatedAt: at, UpdatedAt: at, CompletedAt: &at,
	}
	for i := range 64 {
		m.Metadata[fmt.Sprint("key", i)] = strings.Repeat("v", 240)
		m.UseCases = append(m.UseCases, strings.Repeat("use ", 100))
		m.Related = append(m.Related, memory.Related{ID: id.New(id.Memory), Score: 0.5})
	}
	for i := range nodes {
		m.Graph.Nodes = append(m.Graph.Nodes, memory.Node{ID: fmt.Sprint("nod_", i), Type: "Person", Name: strings.Repeat("n", 100)})
		m.Graph.Relationships = append(m.Graph.Relationships, memory.Relationship{From: fmt.Sprint("nod_", i), To: fmt.Sprint("nod_", (i+1)%nodes), Type: "KNOWS"})
	}
	return m
}

func TestEventsStayUnderTwentyKilobytesWithALinkToTheRest(t *testing.T) {
	t.Parallel()
	events := NewEvents(newMem().as(nil).Endpoints, EventsConfig{BaseURL: "https://api.example.com/"})
	for _, nodes := range []int{1, 10, 100, 1_000} {
		m := largeMemory(nodes)
		e, err := events.MemoryEvent(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		body, err := render(*e)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Data struct {
				ID, URL   string
				Truncated bool
				Graph     memory.Graph
			}
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if len(body) > 20_000 || !got.Data.Truncated || got.Data.ID != m.ID || got.Data.URL != "https://api.example.com/v1/memories/"+m.ID {
			t.Errorf("%d nodes: %d bytes, truncated %v, link %s", nodes, len(body), got.Data.Truncated, got.Data.URL)
		}
		if strings.Contains(string(body), "SECRET CONTENT") {
			t.Error("the content is sent")
		}
		there := map[string]bool{}
		for _, n := range got.Data.Graph.Nodes {
			there[n.ID] = true
		}
		for _, r := range got.Data.Graph.Relationships {
			if !there[r.From] || !there[r.To] {
				t.Errorf("a relationship joins %s and %s, which were cut", r.From, r.To)
			}
		}
	}
}

func TestSmallEventsAreWhole(t *testing.T) {
	t.Parallel()
	m := largeMemory(1)
	m.Metadata, m.UseCases = nil, []string{"one"}
	e, err := NewEvents(newMem().as(nil).Endpoints, EventsConfig{}).MemoryEvent(t.Context(), m)
	if err != nil || strings.Contains(string(e.Data), "truncated") || !strings.Contains(string(e.Data), `"url":"/v1/memories/`+m.ID+`"`) {
		t.Errorf("%s, %v", e.Data, err)
	}
}

// The same end is the same event, however often it is told; another version, kind or end is another.
func TestTheSameEndIsTheSameEvent(t *testing.T) {
	t.Parallel()
	events := NewEvents(newMem().as(nil).Endpoints, EventsConfig{})
	m := largeMemory(1)
	later := memory.At(m.CompletedAt.Add(time.Second))
	tell := func(m memory.Memory) string {
		e, err := events.MemoryEvent(t.Context(), m)
		if err != nil || e == nil {
			t.Fatal(e, err)
		}
		return e.ID
	}
	first := tell(m)
	if tell(m) != first {
		t.Error("told again, it is another event")
	}
	for name, change := range map[string]func(*memory.Memory){
		"version": func(m *memory.Memory) { m.Version++ }, "status": func(m *memory.Memory) { m.Status = memory.StatusFailed },
		"end": func(m *memory.Memory) { m.CompletedAt = &later }, "workspace": func(m *memory.Memory) { m.Workspace = "wsp_2" },
	} {
		other := m
		if change(&other); tell(other) == first {
			t.Errorf("another %s is the same event", name)
		}
	}
}

func TestWhatNobodyAsksForIsNotOwed(t *testing.T) {
	t.Parallel()
	r := &rig{tb: t, mem: newMem(), sealer: sealer(t)}
	events := NewEvents(r.mem.as(nil).Endpoints, EventsConfig{})
	r.endpoint("whe_1", "x.test", func(e *store.Endpoint) { e.Events = []string{memory.EventMemoryFailed}; e.Disabled = "by request" })
	m := largeMemory(1)
	m.WebhookURL = ""
	for status, owed := range map[memory.Status]bool{
		memory.StatusCompleted: false, memory.StatusDegraded: false, memory.StatusCancelled: false, memory.StatusProcessing: false, memory.StatusFailed: true,
	} {
		m.Status = status
		if e, err := events.MemoryEvent(t.Context(), m); (e != nil) != owed || err != nil {
			t.Errorf("%s: %v, %v", status, e, err)
		}
	}
}
