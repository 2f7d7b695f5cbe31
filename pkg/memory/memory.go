// Package memory is Switchyard's vocabulary: what a memory, a step, a batch and an error are, and which errors may be
// tried again. Every other package speaks in these words; this one imports the standard library only.
package memory

import (
	"encoding/json"
	"time"
)

// Status says where a memory, or an item of a batch, is. It moves from queued to processing to one of the final four;
// only a retry, or new content (the next version), leads back.
type Status string

// The statuses of a memory.
const (
	StatusQueued     Status = "queued"     // accepted and stored, no step begun
	StatusProcessing Status = "processing" // an owner is at work on it
	StatusCompleted  Status = "completed"  // all five steps done
	StatusDegraded   Status = "degraded"   // it can be found, but a step that is not needed for that gave up
	StatusFailed     Status = "failed"     // it cannot be found: a step that is needed for that gave up
	StatusCancelled  Status = "cancelled"  // stopped by request, or replaced by a newer version

	// StatusRejected is for items of a batch only: the line was not a valid memory.
	StatusRejected Status = "rejected"
)

// Final reports whether nothing more happens to a memory of this status by itself.
func (s Status) Final() bool { return s != "" && s != StatusQueued && s != StatusProcessing }

// Track says who runs the pipeline for a memory. It is on exactly one track at any moment.
type Track string

// The tracks. TrackAuto is a caller's wish only: the router turns it into one of the others.
const (
	TrackAuto     Track = "auto"
	TrackRealtime Track = "realtime"
	TrackDurable  Track = "durable"
)

// Priority orders work of the same track. The zero value means interactive for a single memory and bulk for a batch.
type Priority string

// The priorities, most urgent first.
const (
	PriorityInteractive Priority = "interactive"
	PriorityNormal      Priority = "normal"
	PriorityBulk        Priority = "bulk"
)

// Metadata are the caller's own labels: flat string, number and bool values (see [Input.Validate] for the limits).
type Metadata map[string]any

// A Memory is a text and what the pipeline made of it.
type Memory struct {
	ID         string   `json:"id"`
	Workspace  string   `json:"-"`
	ExternalID string   `json:"external_id,omitempty"`
	Version    int      `json:"version"` // 1, and one more for each new content
	Status     Status   `json:"status"`
	Track      Track    `json:"track"`
	Reason     string   `json:"track_reason"`
	Priority   Priority `json:"priority,omitempty"`
	BatchID    string   `json:"batch_id,omitempty"`
	WebhookURL string   `json:"webhook_url,omitempty"`

	Content    string   `json:"content,omitempty"`
	Metadata   Metadata `json:"metadata,omitempty"`
	OccurredAt *Time    `json:"occurred_at,omitempty"`

	UseCases []string  `json:"use_cases"`
	Related  []Related `json:"related"`
	Graph    Graph     `json:"graph"`
	Steps    []Receipt `json:"steps,omitempty"`
	Error    *Fault    `json:"error"`

	CreatedAt   Time  `json:"created_at"`
	UpdatedAt   Time  `json:"updated_at"`
	StartedAt   *Time `json:"started_at,omitempty"`
	CompletedAt *Time `json:"completed_at,omitempty"`
}

// Ref names one version of a memory.
type Ref struct {
	Workspace string `json:"workspace"`
	ID        string `json:"id"`
	Version   int    `json:"version"`
}

// Ref names this version of the memory.
func (m *Memory) Ref() Ref { return Ref{m.Workspace, m.ID, m.Version} }

// Receipt returns the receipt of the named step, and false where the step has not been tried.
func (m *Memory) Receipt(step string) (Receipt, bool) {
	for _, r := range m.Steps {
		if r.Name == step {
			return r, true
		}
	}
	return Receipt{}, false
}

// Record stores r in place of the receipt of the same step.
func (m *Memory) Record(r Receipt) {
	for i := range m.Steps {
		if m.Steps[i].Name == r.Name {
			m.Steps[i] = r
			return
		}
	}
	m.Steps = append(m.Steps, r)
}

// Related is another memory of the workspace that is near in meaning; Score is the cosine similarity.
type Related struct {
	ID    string  `json:"id"`
	Score float64 `json:"score"`
}

// Graph is what a memory says, as nodes and the relationships between them.
type Graph struct {
	Nodes         []Node         `json:"nodes"`
	Relationships []Relationship `json:"relationships"`
}

// Node is a thing that memories speak of. Its ID is the same in every memory of the workspace that speaks of it.
type Node struct {
	ID         string            `json:"id"`
	Type       string            `json:"type"`
	Name       string            `json:"name"`
	Properties map[string]string `json:"properties,omitempty"`
	MemoryIDs  []string          `json:"memory_ids,omitempty"` // where it comes from; filled by graph reads only
}

// Relationship joins two nodes, which From and To name by ID.
type Relationship struct {
	From       string            `json:"from"`
	Type       string            `json:"type"`
	To         string            `json:"to"`
	Properties map[string]string `json:"properties,omitempty"`
	MemoryIDs  []string          `json:"memory_ids,omitempty"`
}

// MarshalJSON writes empty lists as [], never null.
func (g Graph) MarshalJSON() ([]byte, error) {
	type plain Graph
	if g.Nodes == nil {
		g.Nodes = []Node{}
	}
	if g.Relationships == nil {
		g.Relationships = []Relationship{}
	}
	return json.Marshal(plain(g))
}

// Time is an instant in UTC with millisecond precision, written as RFC 3339 with exactly three decimals.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// Now is the current instant.
func Now() Time { return At(time.Now()) }

// At is t as a Time.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// Ptr returns a pointer to a copy of t.
func (t Time) Ptr() *Time { return &t }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.UTC().Format(timeLayout)), nil }

// MarshalJSON implements json.Marshaler.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"` + timeLayout + `"`)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; any RFC 3339 time is accepted.
func (t *Time) UnmarshalText(b []byte) error {
	v, err := time.Parse(time.RFC3339Nano, string(b))
	*t = At(v)
	return err
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(b []byte) error {
	var v time.Time
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*t = At(v)
	return nil
}
