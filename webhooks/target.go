package webhooks

import (
	"context"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// target is where a delivery goes, or why it goes nowhere.
type target struct {
	endpoint *store.Endpoint // nil for a one-off webhook_url
	message  message
	stop     store.DeliveryStatus
	why      string
}

func (c *Courier) target(ctx context.Context, d store.Delivery) (target, error) {
	m := message{url: d.URL, id: d.EventID, kind: d.EventType, body: d.Body}
	if d.EndpointID == "" {
		to, err := c.addressee(d.Workspace, func() (addressee, []store.Secret, error) { return c.workspace(ctx, d.Workspace) })
		m.keys = to.keys
		return target{message: m}, err
	}
	to, err := c.addressee(d.EndpointID, func() (addressee, []store.Secret, error) { return c.endpoint(ctx, d.Workspace, d.EndpointID) })
	switch e := to.endpoint; {
	case memory.CodeOf(err) == memory.CodeNotFound:
		return target{stop: store.DeliveryFailed, why: "not sent: the endpoint was deleted"}, nil
	case err != nil:
		return target{}, fmt.Errorf("endpoint %s: %w", d.EndpointID, err)
	case e.Workspace != d.Workspace: // ids are unique, so this is a damaged delivery
		return target{stop: store.DeliveryFailed, why: "not sent: the endpoint is not of this workspace"}, nil
	case e.Disabled != "":
		return target{stop: store.DeliveryHeld, why: "not sent: the endpoint is disabled: " + e.Disabled}, nil
	default:
		m.url, m.to, m.papr, m.headers, m.keys = e.URL, to.to, e.Format == FormatPapr, to.headers, to.keys
		return target{endpoint: e, message: m}, nil
	}
}

// addressee returns what is known of an endpoint or workspace, or else what read finds.
func (c *Courier) addressee(id string, read func() (addressee, []store.Secret, error)) (addressee, error) {
	now := c.config.Now()
	a, since, ok := c.known.get(id, now)
	if ok {
		return a, nil
	}
	a, secrets, err := read()
	if err == nil {
		c.known.put(id, a, secrets, now, since)
	}
	return a, err
}

func (c *Courier) workspace(ctx context.Context, id string) (a addressee, secrets []store.Secret, err error) {
	if secrets, err = c.keys.workspaceSecrets(ctx, id); err != nil {
		return a, nil, err
	}
	a.keys, err = c.keys.open(id, workspacePurpose, secrets, c.config.Now())
	return a, secrets, err
}

// endpoint reads an endpoint; the keys of one that is disabled are not needed.
func (c *Courier) endpoint(ctx context.Context, workspace, id string) (a addressee, secrets []store.Secret, err error) {
	e, err := c.stores.Endpoints.Get(ctx, workspace, id)
	if a.endpoint = &e; err != nil || e.Disabled != "" {
		return a, nil, err
	}
	if a.to, err = c.sender.guard.parse(e.URL); err != nil {
		a.to = nil // each attempt says why
	}
	if a.headers, err = c.keys.openHeaders(e); err != nil {
		return a, nil, err
	}
	a.keys, err = c.keys.open(e.Workspace, endpointPurpose(e.ID), e.Secrets, c.config.Now())
	return a, e.Secrets, err
}
