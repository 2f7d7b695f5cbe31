package memory

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// BatchStatus says where a batch is.
type BatchStatus string

// The statuses of a batch. BatchUploading is never shown: until its upload is complete, a batch does not exist for
// anyone but its uploader.
const (
	BatchUploading           BatchStatus = "uploading"
	BatchQueued              BatchStatus = "queued"
	BatchProcessing          BatchStatus = "processing"
	BatchPaused              BatchStatus = "paused"
	BatchCompleted           BatchStatus = "completed"
	BatchCompletedWithErrors BatchStatus = "completed_with_errors"
	BatchFailed              BatchStatus = "failed" // nothing succeeded
	BatchCancelled           BatchStatus = "cancelled"
)

// Final reports whether nothing more happens to a batch of this status by itself.
func (s BatchStatus) Final() bool {
	switch s {
	case BatchCompleted, BatchCompletedWithErrors, BatchFailed, BatchCancelled:
		return true
	}
	return false
}

// A Batch is many memories that came in together and are reported on together. They run on the durable track.
type Batch struct {
	ID          string      `json:"id"`
	Workspace   string      `json:"-"`
	Name        string      `json:"name,omitempty"`
	Status      BatchStatus `json:"status"`
	Track       Track       `json:"track"`
	Reason      string      `json:"track_reason,omitempty"`
	Priority    Priority    `json:"priority,omitempty"`
	WebhookURL  string      `json:"webhook_url,omitempty"`
	Counts      Counts      `json:"counts"`
	Pages       int         `json:"-"`
	Tokens      int         `json:"tokens"`
	CostUSD     float64     `json:"cost_usd"`
	ETASeconds  *int        `json:"eta_seconds"`
	CreatedAt   Time        `json:"created_at"`
	StartedAt   *Time       `json:"started_at"`
	CompletedAt *Time       `json:"completed_at"`
}

// Counts says how many items of a batch are where. At every moment the others add up to Total.
type Counts struct {
	Total      int `json:"total"`
	Queued     int `json:"queued"`
	Processing int `json:"processing"`
	Completed  int `json:"completed"`
	Degraded   int `json:"degraded"`
	Failed     int `json:"failed"`
	Cancelled  int `json:"cancelled"`
	Rejected   int `json:"rejected"`
}

// Add counts n more items of the status.
func (c *Counts) Add(s Status, n int) {
	c.Total += n
	switch s {
	case StatusQueued:
		c.Queued += n
	case StatusProcessing:
		c.Processing += n
	case StatusCompleted:
		c.Completed += n
	case StatusDegraded:
		c.Degraded += n
	case StatusFailed:
		c.Failed += n
	case StatusCancelled:
		c.Cancelled += n
	case StatusRejected:
		c.Rejected += n
	}
}

// Open is how many items are not over yet.
func (c Counts) Open() int { return c.Queued + c.Processing }

// Outcome is the status of a batch whose items are all over: failed where nothing succeeded, completed where nothing
// went wrong. Items that a newer version replaced (cancelled) are nobody's error.
func (c Counts) Outcome() BatchStatus {
	switch wrong := c.Failed + c.Rejected + c.Degraded; {
	case c.Completed+c.Degraded+c.Cancelled == 0 && c.Total > 0:
		return BatchFailed
	case wrong > 0:
		return BatchCompletedWithErrors
	}
	return BatchCompleted
}

// An Item is one line of a batch.
type Item struct {
	Index    int     `json:"index"`          // its place among the batch's items, from 0
	Line     int     `json:"line,omitempty"` // its line in the uploaded file, from 1; 0 where it came in a JSON array
	MemoryID string  `json:"memory_id,omitempty"`
	Version  int     `json:"version,omitempty"`
	Status   Status  `json:"status"`
	Error    *Fault  `json:"error,omitempty"`
	Pointer  string  `json:"pointer,omitempty"` // of a rejected line: JSON pointer to the field at fault
	Sent     *Sent   `json:"sent,omitempty"`    // of a rejected line: what it was
	Tokens   int     `json:"tokens,omitempty"`
	CostUSD  float64 `json:"cost_usd,omitempty"`
}

// Sent is a line of an upload as it came, so that it can be mended and sent again: the bytes of an NDJSON line or a CSV
// row (without its header), or one element of a JSON array.
type Sent struct {
	Text  string `json:"text,omitempty"`  // where it is UTF-8
	Bytes []byte `json:"bytes,omitempty"` // where it is not; base64 in JSON
	Cut   bool   `json:"cut,omitempty"`   // it was too long to be kept: this is only its beginning
}

// SentOf is a line as it came.
func SentOf(raw []byte) *Sent {
	if utf8.Valid(raw) {
		return &Sent{Text: string(raw)}
	}
	return &Sent{Bytes: bytes.Clone(raw)}
}

// Raw is the line as it came, byte for byte.
func (s *Sent) Raw() []byte {
	if s.Bytes != nil {
		return s.Bytes
	}
	return []byte(s.Text)
}

// An Event is something that the customer's system is to be told. It is owed in the same write that made it true.
type Event struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Workspace string          `json:"workspace"`
	Time      Time            `json:"timestamp"`
	Data      json.RawMessage `json:"data"`          // the memory or batch as GET shows it, without content
	URL       string          `json:"url,omitempty"` // the one-off webhook_url of the memory or batch; empty where it has none
}

// The types of events.
const (
	EventMemoryCompleted  = "memory.completed"
	EventMemoryDegraded   = "memory.degraded"
	EventMemoryFailed     = "memory.failed"
	EventBatchProgress    = "batch.progress"
	EventBatchCompleted   = "batch.completed"
	EventBatchWithErrors  = "batch.completed_with_errors"
	EventBatchFailed      = "batch.failed"
	EventBatchCancelled   = "batch.cancelled"
	EventEndpointDisabled = "webhook.disabled"
	EventTest             = "webhook.test"
)
