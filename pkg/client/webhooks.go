package client

import (
	"context"
	"iter"
	"net/http"
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

// RotateWebhookSecret makes a new secret and returns it. The old one signs too for a day.
func (c *Client) RotateWebhookSecret(ctx context.Context) (string, error) {
	s, err := act[secret](ctx, c, "workspace", "webhook-secret", "rotate")
	return s.Secret, err
}

// Endpoint is where events of the workspace go.
type Endpoint struct {
	ID          string      `json:"id,omitempty"`
	URL         string      `json:"url,omitempty"`
	Events      []string    `json:"events,omitempty"` // none: all
	Description string      `json:"description,omitempty"`
	Signing     string      `json:"signing,omitempty"`    // "v1" (HMAC) or "v1a" (ed25519); default v1
	Secret      string      `json:"secret,omitempty"`     // whsec_…, shown when it is new only
	PublicKey   string      `json:"public_key,omitempty"` // whpk_…, likewise, for v1a
	Disabled    bool        `json:"disabled,omitempty"`
	CreatedAt   memory.Time `json:"created_at,omitzero"`
}

// CreateEndpoint registers an endpoint. Keep the secret in the answer: it is not shown again.
func (c *Client) CreateEndpoint(ctx context.Context, e Endpoint, options ...CallOption) (Endpoint, error) {
	return post[Endpoint](ctx, c, e, options, "webhooks")
}

// GetEndpoint returns an endpoint without its secret.
func (c *Client) GetEndpoint(ctx context.Context, id string) (Endpoint, error) {
	return read[Endpoint](ctx, c, get(nil, "webhooks", id))
}

// EndpointChange is what to change of an endpoint; what is nil stays.
type EndpointChange struct {
	URL         *string  `json:"url,omitempty"`
	Events      []string `json:"events,omitzero"`
	Description *string  `json:"description,omitempty"`
	Disabled    *bool    `json:"disabled,omitempty"`
}

// UpdateEndpoint changes an endpoint and returns it as it then is.
func (c *Client) UpdateEndpoint(ctx context.Context, id string, change EndpointChange) (Endpoint, error) {
	r, err := send(http.MethodPatch, change, "webhooks", id)
	if err != nil {
		return Endpoint{}, err
	}
	return read[Endpoint](ctx, c, r)
}

// DeleteEndpoint forgets an endpoint.
func (c *Client) DeleteEndpoint(ctx context.Context, id string) error {
	return c.delete(ctx, "webhooks", id)
}

// RotateEndpoint gives an endpoint a new secret, which the answer shows. The old one signs too for the grace period; 0
// stands for a day.
func (c *Client) RotateEndpoint(ctx context.Context, id string, grace time.Duration) (Endpoint, error) {
	in := struct {
		Seconds int `json:"grace_seconds,omitempty"`
	}{int(grace.Seconds())}
	r, err := send(http.MethodPost, in, "webhooks", id, "rotate")
	if err != nil {
		return Endpoint{}, err
	}
	return read[Endpoint](ctx, c, r)
}

// TestEndpoint sends a webhook.test event to an endpoint.
func (c *Client) TestEndpoint(ctx context.Context, id string) error {
	_, err := act[struct{}](ctx, c, "webhooks", id, "test")
	return err
}

// Delivery is one event on its way to one address.
type Delivery struct {
	ID         string      `json:"id"`
	EndpointID string      `json:"endpoint_id,omitempty"` // empty for a one-off webhook_url
	URL        string      `json:"url"`
	EventID    string      `json:"event_id"`
	EventType  string      `json:"event_type"`
	Status     string      `json:"status"` // pending, delivered, failed or held
	Attempts   []Attempt   `json:"attempts"`
	CreatedAt  memory.Time `json:"created_at"`
}

// Attempt is one try to deliver.
type Attempt struct {
	At         memory.Time `json:"at"`
	StatusCode int         `json:"status_code,omitempty"` // 0: no answer
	LatencyMS  int64       `json:"latency_ms"`
	Error      string      `json:"error,omitempty"`
	Answer     string      `json:"answer,omitempty"` // its first 1,024 bytes
}

// ListDeliveries goes through the deliveries to an endpoint, newest first.
func (c *Client) ListDeliveries(ctx context.Context, endpointID string) iter.Seq2[Delivery, error] {
	return list[Delivery](ctx, c, nil, "webhooks", endpointID, "deliveries")
}

// GetDelivery returns a delivery with all its attempts.
func (c *Client) GetDelivery(ctx context.Context, id string) (Delivery, error) {
	return read[Delivery](ctx, c, get(nil, "deliveries", id))
}

// Redeliver sends an event once more.
func (c *Client) Redeliver(ctx context.Context, deliveryID string) error {
	_, err := act[struct{}](ctx, c, "deliveries", deliveryID, "redeliver")
	return err
}

// RecoverEndpoint sends every event again that failed to reach an endpoint since then.
func (c *Client) RecoverEndpoint(ctx context.Context, id string, since time.Time) error {
	in := struct {
		Since memory.Time `json:"since"`
	}{memory.At(since)}
	r, err := send(http.MethodPost, in, "webhooks", id, "recover")
	if err != nil {
		return err
	}
	return c.do(ctx, r, nil)
}
