package store

import (
	"context"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Endpoint is where a workspace's events go.
type Endpoint struct {
	ID          string
	Workspace   string
	URL         string
	Events      []string // the types it gets; none: all
	Description string
	Headers     map[string]string // sent with each delivery
	Signing     string            // "v1" or "v1a"
	Format      string            // "" (Standard Webhooks) or "papr"
	Secrets     []Secret          // newest first
	Disabled    string            // why it is disabled; "": it is not
	FailingFrom time.Time         // since when every attempt failed; zero: the latest succeeded
	CreatedAt   memory.Time
	UpdatedAt   memory.Time
	Revision    int64 // grows with every Save
}

// Endpoints keeps endpoints.
type Endpoints interface {
	// Save stores e if the stored revision is e.Revision (0: none stored yet), as the next revision; CodeConflict
	// otherwise.
	Save(ctx context.Context, e Endpoint) error
	// Get returns an endpoint; CodeNotFound where the workspace has none of that id.
	Get(ctx context.Context, workspace, id string) (Endpoint, error)
	// List returns the endpoints of the workspace, oldest first.
	List(ctx context.Context, workspace string) ([]Endpoint, error)
	// Delete forgets an endpoint; CodeNotFound where the workspace has none of that id.
	Delete(ctx context.Context, workspace, id string) error
}

// DeliveryStatus says where a delivery is.
type DeliveryStatus string

// The statuses of a delivery. Held: its endpoint is disabled; it is kept to be recovered.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryFailed    DeliveryStatus = "failed"
	DeliveryHeld      DeliveryStatus = "held"
)

// Delivery is one event on its way to one address.
type Delivery struct {
	ID         string // made from the event and the endpoint: an event becomes a delivery once
	Workspace  string
	EndpointID string // "" for a one-off webhook_url
	URL        string
	EventID    string
	EventType  string
	Body       []byte // the exact bytes that are signed and sent
	Status     DeliveryStatus
	Round      int // 1, and one more for each redelivery by hand
	Attempts   []Attempt
	Lease      Lease // who makes the next attempt
	CreatedAt  memory.Time
	UpdatedAt  memory.Time
}

// Attempt is one try to deliver.
type Attempt struct {
	Round      int          `json:"round"` // of the delivery when it was made
	At         memory.Time  `json:"at"`
	StatusCode int          `json:"status_code,omitempty"` // 0: no answer
	LatencyMS  int64        `json:"latency_ms"`
	Error      string       `json:"error,omitempty"`           // why there was no answer, or why it does not count
	Answer     string       `json:"answer,omitempty"`          // its first 1,024 bytes, as valid UTF-8
	NextAt     *memory.Time `json:"next_attempt_at,omitempty"` // when the next one is due; nil: none follows by itself
}

// Attempted is an attempt at a delivery, made under a claim, and what it led to. See [Deliveries.Attempted].
type Attempted struct {
	Workspace  string
	DeliveryID string
	Fence      int64 // of the claim
	Attempt    Attempt
	Status     DeliveryStatus
	Until      time.Time // the end of the lease
}

// Deliveries keeps deliveries and their attempts.
type Deliveries interface {
	// Create stores deliveries as they are, leases included; those whose id exists stay as they were. It answers which
	// are new.
	Create(ctx context.Context, ds []Delivery) ([]bool, error)
	// Get returns a delivery; CodeNotFound where the workspace has none of that id.
	Get(ctx context.Context, workspace, id string) (Delivery, error)
	// List returns deliveries, newest first, without bodies, and the cursor of the next page.
	List(ctx context.Context, q DeliveryQuery) ([]Delivery, string, error)
	// Claim takes a pending delivery whose lease has expired by now, or whose owner already is this one: fence + 1. It
	// answers false where it is another's, or over.
	Claim(ctx context.Context, workspace, id, owner string, now, until time.Time) (Delivery, bool, error)
	// Attempted records attempts, at most one of each delivery: it appends the attempt and sets the status and the
	// lease's end, if the fence is the current one; otherwise, or where there is no such delivery, the answer has false
	// at that place, which is not an error. After an error it is not known which were recorded.
	Attempted(ctx context.Context, as []Attempted) ([]bool, error)
	// Requeue makes a delivery pending again (round + 1, fence + 1, lease expired), keeping its attempts; CodeNotFound
	// where the workspace has none of that id.
	Requeue(ctx context.Context, workspace, id string) (Delivery, error)
	// Due returns up to limit pending deliveries whose lease expired before now, longest expired first.
	Due(ctx context.Context, now time.Time, limit int) ([]Delivery, error)
	// Stats returns how many deliveries there are by status, and when the oldest pending one was made (zero: none).
	Stats(ctx context.Context) (map[DeliveryStatus]int, time.Time, error)
	// Sweep forgets deliveries that are not pending and were made before the given time; it returns how many.
	Sweep(ctx context.Context, before time.Time) (int, error)
}

// DeliveryQuery selects deliveries of a workspace.
type DeliveryQuery struct {
	Workspace  string
	EndpointID string // "": any
	Statuses   []DeliveryStatus
	Since      time.Time // made then or later; zero: no bound
	Limit      int
	Cursor     string
}
