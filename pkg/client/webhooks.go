package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// secret is how the server shows a secret.
type secret struct {
	Secret string `json:"secret"`
}

// WebhookSecret returns the secret that signs what goes to the one-off webhook_url of a memory or batch. The key needs
// the scope admin.
func (c *Client) WebhookSecret(ctx context.Context) (string, error) {
	s, err := read[secret](ctx, c, get(nil, "workspace", "webhook-secret"))
	return s.Secret, err
}

// RotateWebhookSecret makes a new secret and returns it. The old one signs too for the grace period; 0: not at all.
func (c *Client) RotateWebhookSecret(ctx context.Context, grace time.Duration) (string, error) {
	s, err := rotate[secret](ctx, c, grace, "workspace", "webhook-secret", "rotate")
	return s.Secret, err
}

func rotate[T any](ctx context.Context, c *Client, grace time.Duration, path ...string) (T, error) {
	in := struct {
		Seconds int `json:"grace_seconds"`
	}{int(grace.Seconds())}
	return sendFor[T](ctx, c, http.MethodPost, in, nil, path...)
}

// EndpointInput is an endpoint to be registered. Only URL is required.
type EndpointInput struct {
	URL         string            `json:"url"`
	Events      []string          `json:"events,omitempty"` // the types it gets; default all
	Description string            `json:"description,omitempty"`
	Signing     string            `json:"signing,omitempty"` // "v1" (HMAC) or "v1a" (ed25519); default v1
	Secret      string            `json:"secret,omitempty"`  // whsec_… or whsk_…; default: one is made
	Headers     map[string]string `json:"headers,omitempty"` // sent with each delivery
	Format      string            `json:"format,omitempty"`  // "standard" or "papr"; default standard
}

// Endpoint is where events of the workspace go.
type Endpoint struct {
	ID             string       `json:"id"`
	URL            string       `json:"url"`
	Events         []string     `json:"events"` // none: all
	Description    string       `json:"description,omitempty"`
	HeaderNames    []string     `json:"header_names"` // their values are not shown again
	Signing        string       `json:"signing"`
	Format         string       `json:"format"`
	Enabled        bool         `json:"enabled"`
	DisabledReason string       `json:"disabled_reason,omitempty"`
	FailingSince   *memory.Time `json:"failing_since"`        // since when every attempt failed
	Secret         string       `json:"secret,omitempty"`     // whsec_…, shown when it is new only
	PublicKey      string       `json:"public_key,omitempty"` // whpk_…, likewise, for v1a
	CreatedAt      memory.Time  `json:"created_at"`
	UpdatedAt      memory.Time  `json:"updated_at"`
}

// CreateEndpoint registers an endpoint. Keep the secret, or public key, in the answer: it is not shown again.
func (c *Client) CreateEndpoint(ctx context.Context, e EndpointInput, options ...CallOption) (Endpoint, error) {
	return post[Endpoint](ctx, c, e, options, "webhooks")
}

// ListEndpoints goes through the endpoints of the workspace, oldest first.
func (c *Client) ListEndpoints(ctx context.Context) iter.Seq2[Endpoint, error] {
	return list[Endpoint](ctx, c, nil, "webhooks")
}

// GetEndpoint returns an endpoint without its secret.
func (c *Client) GetEndpoint(ctx context.Context, id string) (Endpoint, error) {
	return read[Endpoint](ctx, c, get(nil, "webhooks", id))
}

// EndpointChange is what to change of an endpoint; what is nil stays.
type EndpointChange struct {
	URL         *string           `json:"url,omitempty"`
	Events      []string          `json:"events,omitzero"`
	Description *string           `json:"description,omitempty"`
	Headers     map[string]string `json:"headers,omitzero"` // all of them
	Enabled     *bool             `json:"enabled,omitempty"`
}

// UpdateEndpoint changes an endpoint and returns it as it then is.
func (c *Client) UpdateEndpoint(ctx context.Context, id string, change EndpointChange) (Endpoint, error) {
	return sendFor[Endpoint](ctx, c, http.MethodPatch, change, nil, "webhooks", id)
}

// DeleteEndpoint forgets an endpoint.
func (c *Client) DeleteEndpoint(ctx context.Context, id string) error {
	return c.delete(ctx, "webhooks", id)
}

// RotateEndpoint gives an endpoint a new secret, which the answer shows. The old one signs too for the grace period; 0:
// not at all.
func (c *Client) RotateEndpoint(ctx context.Context, id string, grace time.Duration) (Endpoint, error) {
	return rotate[Endpoint](ctx, c, grace, "webhooks", id, "rotate")
}

// TestEndpoint sends a webhook.test event to an endpoint and returns its delivery.
func (c *Client) TestEndpoint(ctx context.Context, id string) (Delivery, error) {
	return act[Delivery](ctx, c, "webhooks", id, "test")
}

// RecoverEndpoint sends every event again that since then failed to reach an endpoint, or was held while it was
// disabled, and returns how many there are.
func (c *Client) RecoverEndpoint(ctx context.Context, id string, since time.Time) (int, error) {
	in := struct {
		Since memory.Time `json:"since"`
	}{memory.At(since)}
	out, err := sendFor[struct {
		Recovered int `json:"recovered"`
	}](ctx, c, http.MethodPost, in, nil, "webhooks", id, "recover")
	return out.Recovered, err
}

// Delivery is one event on its way to one address.
type Delivery struct {
	ID            string          `json:"id"`
	EndpointID    string          `json:"endpoint_id,omitempty"` // empty for a one-off webhook_url
	URL           string          `json:"url"`
	EventID       string          `json:"event_id"`
	EventType     string          `json:"event_type"`
	Status        string          `json:"status"` // pending, delivered, failed or held
	Round         int             `json:"round"`  // 1, and one more for each redelivery by hand
	Attempts      []Attempt       `json:"attempts"`
	NextAttemptAt *memory.Time    `json:"next_attempt_at"`
	Payload       json.RawMessage `json:"payload,omitempty"` // what is sent; not in lists
	CreatedAt     memory.Time     `json:"created_at"`
	UpdatedAt     memory.Time     `json:"updated_at"`
}

// Attempt is one try to deliver.
type Attempt struct {
	Round      int          `json:"round"` // of the delivery when it was made
	At         memory.Time  `json:"at"`
	StatusCode int          `json:"status_code,omitempty"` // 0: no answer
	LatencyMS  int64        `json:"latency_ms"`
	Error      string       `json:"error,omitempty"`           // why there was no answer, or why it does not count
	Answer     string       `json:"answer,omitempty"`          // its first 1,024 bytes
	NextAt     *memory.Time `json:"next_attempt_at,omitempty"` // when the next one is due
}

// DeliveryQuery selects deliveries to an endpoint; its zero value selects all.
type DeliveryQuery struct {
	Statuses []string  // pending, delivered, failed, held
	Since    time.Time // made then or later
	PageSize int       // how many are fetched at a time, at most 500. Default 50
}

func (q DeliveryQuery) values() url.Values {
	v := queryOf("since", timestamp(q.Since), "limit", number(q.PageSize))
	for _, s := range q.Statuses {
		v.Add("status", s)
	}
	return v
}

// ListDeliveries goes through the deliveries to an endpoint, newest first.
func (c *Client) ListDeliveries(ctx context.Context, endpointID string, q DeliveryQuery) iter.Seq2[Delivery, error] {
	return list[Delivery](ctx, c, q.values(), "webhooks", endpointID, "deliveries")
}

// GetDelivery returns a delivery with all its attempts.
func (c *Client) GetDelivery(ctx context.Context, id string) (Delivery, error) {
	return read[Delivery](ctx, c, get(nil, "deliveries", id))
}

// Redeliver sends an event once more, under the same webhook-id, and returns its delivery.
func (c *Client) Redeliver(ctx context.Context, deliveryID string) (Delivery, error) {
	return act[Delivery](ctx, c, "deliveries", deliveryID, "redeliver")
}
