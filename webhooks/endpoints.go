package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// Endpoints is what a workspace can do with its endpoints and deliveries: the service behind the API. Everything is
// scoped to the workspace given; what belongs to another is CodeNotFound.
type Endpoints struct {
	courier *Courier
}

// NewEndpoints makes the service.
func NewEndpoints(c *Courier) *Endpoints { return &Endpoints{courier: c} }

// maxEndpoints of one workspace: every event is judged against each of them.
const maxEndpoints = 250

// DefaultGrace is how long an old secret goes on signing after a rotation.
const DefaultGrace = 24 * time.Hour

// maxGrace bounds it, and maxSecrets how many sign at the same time.
const (
	maxGrace   = 30 * 24 * time.Hour
	maxSecrets = 5
)

// Create stores an endpoint. The answer shows its secret (v1) or public key (v1a), this once.
func (s *Endpoints) Create(ctx context.Context, workspace string, in EndpointInput) (Endpoint, error) {
	key, err := in.key()
	if err := errors.Join(err, in.validate(), s.courier.sender.guard.CheckURL(ctx, "/url", in.URL)); err != nil {
		return Endpoint{}, err
	}
	all, err := s.courier.stores.Endpoints.List(ctx, workspace)
	if err != nil {
		return Endpoint{}, fmt.Errorf("endpoints of workspace %s: %w", workspace, err)
	}
	if len(all) >= maxEndpoints {
		return Endpoint{}, memory.Errorf(memory.CodeConflict, "the workspace has %d endpoints; delete one first", len(all))
	}
	now, keys := memory.At(s.courier.config.Now()), s.courier.keys
	e := store.Endpoint{
		ID: orElse(in.ID, id.New(id.Endpoint)), Workspace: workspace, URL: in.URL, Events: in.Events, Description: in.Description,
		Signing: string(key.Scheme()), Format: in.format(), CreatedAt: now, UpdatedAt: now,
	}
	e.Headers = keys.sealHeaders(workspace, e.ID, in.Headers)
	e.Secrets = []store.Secret{keys.seal(workspace, endpointPurpose(e.ID), key)}
	if err := s.courier.stores.Endpoints.Save(ctx, e); err != nil {
		return Endpoint{}, fmt.Errorf("save endpoint %s: %w", e.ID, err)
	}
	return viewEndpoint(e).showing(key), nil
}

// List returns the endpoints, oldest first, without secrets.
func (s *Endpoints) List(ctx context.Context, workspace string) ([]Endpoint, error) {
	all, err := s.courier.stores.Endpoints.List(ctx, workspace)
	out := make([]Endpoint, len(all))
	for i, e := range all {
		out[i] = viewEndpoint(e)
	}
	return out, err
}

// Get returns an endpoint, without its secret.
func (s *Endpoints) Get(ctx context.Context, workspace, id string) (Endpoint, error) {
	e, err := s.courier.stores.Endpoints.Get(ctx, workspace, id)
	return viewEndpoint(e), err
}

// Patch changes what the patch names. An endpoint that is enabled begins with a clean record; what was held meanwhile is
// there for Recover.
func (s *Endpoints) Patch(ctx context.Context, workspace, id string, p EndpointPatch) (Endpoint, error) {
	if err := p.validate(); err != nil {
		return Endpoint{}, err
	}
	if p.URL != nil {
		if err := s.courier.sender.guard.CheckURL(ctx, "/url", *p.URL); err != nil {
			return Endpoint{}, err
		}
	}
	return s.change(ctx, workspace, id, func(e *store.Endpoint) {
		p.apply(e)
		if p.Headers != nil {
			e.Headers = s.courier.keys.sealHeaders(workspace, id, *p.Headers)
		}
	})
}

// Delete forgets an endpoint. Deliveries on their way to it fail.
func (s *Endpoints) Delete(ctx context.Context, workspace, id string) error {
	defer s.courier.known.forget(id)
	return s.courier.stores.Endpoints.Delete(ctx, workspace, id)
}

// Rotate gives an endpoint a new secret, which the answer shows this once. The old one signs too for the time of grace.
func (s *Endpoints) Rotate(ctx context.Context, workspace, id string, in RotateInput) (Endpoint, error) {
	e, err := s.courier.stores.Endpoints.Get(ctx, workspace, id)
	if err != nil {
		return Endpoint{}, err
	}
	grace, errGrace := in.grace()
	key, errKey := EndpointInput{Signing: e.Signing, Secret: in.Secret}.key()
	if err := errors.Join(errGrace, errKey); err != nil {
		return Endpoint{}, err
	}
	view, err := s.change(ctx, workspace, id, func(e *store.Endpoint) {
		e.Secrets = rotated(e.Secrets, s.courier.keys.seal(workspace, endpointPurpose(id), key), grace, s.courier.config.Now())
	})
	return view.showing(key), err
}

// change saves what edit makes of an endpoint. Where someone else saved in between it begins anew, so edit may run
// several times.
func (s *Endpoints) change(ctx context.Context, workspace, id string, edit func(*store.Endpoint)) (Endpoint, error) {
	defer s.courier.known.forget(id)
	var err error
	for range saveAttempts {
		var e store.Endpoint
		if e, err = s.courier.stores.Endpoints.Get(ctx, workspace, id); err != nil {
			return Endpoint{}, err
		}
		edit(&e)
		e.UpdatedAt = memory.At(s.courier.config.Now())
		if err = s.courier.stores.Endpoints.Save(ctx, e); memory.CodeOf(err) != memory.CodeConflict {
			return viewEndpoint(e), err
		}
	}
	return Endpoint{}, fmt.Errorf("save endpoint %s: %w", id, err)
}

// Test sends a webhook.test event to an endpoint, whatever it asks for.
func (s *Endpoints) Test(ctx context.Context, workspace, endpoint string) (Delivery, error) {
	e, err := s.enabled(ctx, workspace, endpoint)
	if err != nil {
		return Delivery{}, err
	}
	data, err := json.Marshal(map[string]string{"endpoint_id": e.ID, "message": "If you can read and verify this, your endpoint works."})
	if err != nil {
		return Delivery{}, fmt.Errorf("test event: %w", err)
	}
	event := memory.Event{
		ID: id.New(id.Event), Type: memory.EventTest, Workspace: workspace, Time: memory.At(s.courier.config.Now()), Data: data,
	}
	body, err := render(event)
	if err != nil {
		return Delivery{}, fmt.Errorf("test event: %w", err)
	}
	d, err := s.courier.deliveryTo(ctx, e, event, body, store.Lease{})
	if err != nil {
		return Delivery{}, err
	}
	return viewDelivery(d), s.courier.create(ctx, []store.Delivery{d})
}

func (s *Endpoints) enabled(ctx context.Context, workspace, id string) (store.Endpoint, error) {
	e, err := s.courier.stores.Endpoints.Get(ctx, workspace, id)
	if err == nil && e.Disabled != "" {
		err = memory.Errorf(memory.CodeConflict, "the endpoint is disabled (%s); enable it first", e.Disabled)
	}
	return e, err
}

// Deliveries returns deliveries, newest first, and the cursor of the next page.
func (s *Endpoints) Deliveries(ctx context.Context, q store.DeliveryQuery) ([]Delivery, string, error) {
	if q.EndpointID != "" {
		if _, err := s.courier.stores.Endpoints.Get(ctx, q.Workspace, q.EndpointID); err != nil {
			return nil, "", err
		}
	}
	ds, next, err := s.courier.stores.Deliveries.List(ctx, q)
	out := make([]Delivery, len(ds))
	for i, d := range ds {
		out[i] = viewDelivery(d)
	}
	return out, next, err
}

// Delivery returns a delivery with what it sends.
func (s *Endpoints) Delivery(ctx context.Context, workspace, id string) (Delivery, error) {
	d, err := s.courier.stores.Deliveries.Get(ctx, workspace, id)
	return viewDelivery(d), err
}

// Redeliver makes a delivery that is over, or held, once more, from the start of the schedule and under the same
// webhook-id.
func (s *Endpoints) Redeliver(ctx context.Context, workspace, id string) (Delivery, error) {
	d, err := s.courier.stores.Deliveries.Get(ctx, workspace, id)
	if err != nil {
		return Delivery{}, err
	}
	if d.Status == store.DeliveryPending {
		return Delivery{}, memory.Errorf(memory.CodeConflict, "the delivery is still being made")
	}
	if d.EndpointID != "" {
		if _, err := s.enabled(ctx, workspace, d.EndpointID); err != nil {
			return Delivery{}, err
		}
	}
	return s.requeue(ctx, d)
}

func (s *Endpoints) requeue(ctx context.Context, d store.Delivery) (Delivery, error) {
	d, err := s.courier.stores.Deliveries.Requeue(ctx, d.Workspace, d.ID)
	if err != nil {
		return Delivery{}, err
	}
	s.courier.first.put(d) // else the sweep finds it
	return viewDelivery(d), nil
}

// Recover makes every delivery to an endpoint once more that was created since the given time and failed, or was held
// while the endpoint was disabled. It returns how many there are.
func (s *Endpoints) Recover(ctx context.Context, workspace, id string, since time.Time) (int, error) {
	if since.IsZero() {
		return 0, &memory.Error{Code: memory.CodeInvalid, Pointer: "/since", Message: "must be a time"}
	}
	if _, err := s.enabled(ctx, workspace, id); err != nil {
		return 0, err
	}
	q := store.DeliveryQuery{
		Workspace: workspace, EndpointID: id, Since: since, Limit: 100,
		Statuses: []store.DeliveryStatus{store.DeliveryFailed, store.DeliveryHeld},
	}
	for n := 0; ; {
		ds, next, err := s.courier.stores.Deliveries.List(ctx, q)
		if err != nil {
			return n, err
		}
		for _, d := range ds {
			if _, err := s.requeue(ctx, d); ignore(err, memory.CodeNotFound) != nil {
				return n, err
			}
			n++
		}
		if q.Cursor = next; next == "" {
			return n, nil
		}
	}
}

// WorkspaceSecret returns the secret that signs what goes to one-off addresses of the workspace.
func (s *Endpoints) WorkspaceSecret(ctx context.Context, workspace string) (string, error) {
	keys, err := s.courier.keys.ofWorkspace(ctx, workspace, s.courier.config.Now())
	if err != nil || len(keys) == 0 {
		return "", err
	}
	return keys[0].Text(), nil
}

// RotateWorkspaceSecret makes a new one and returns it. The old one signs too for the time of grace.
func (s *Endpoints) RotateWorkspaceSecret(ctx context.Context, workspace string, in RotateInput) (string, error) {
	grace, errGrace := in.grace()
	fresh, errKey := EndpointInput{Signing: string(webhook.V1), Secret: in.Secret}.key()
	if err := errors.Join(errGrace, errKey); err != nil {
		return "", err
	}
	defer s.courier.known.forget(workspace)
	return fresh.Text(), s.courier.keys.rotateWorkspace(ctx, workspace, fresh, grace, s.courier.config.Now())
}
