package webhooks

import (
	"context"
	"fmt"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// fanOut makes the deliveries of events: one an endpoint that asks for the type, and one for the one-off address. Their
// ids come from the event and the address, so doing it again makes no more. Those that are new are queued for their
// first attempt; where there is no room, the lease ends by itself and the sweep finds them.
func (c *Courier) fanOut(ctx context.Context, events []memory.Event, lease store.Lease) error {
	endpoints := map[string][]store.Endpoint{}
	var all []store.Delivery
	for i, e := range events {
		if _, known := endpoints[e.Workspace]; !known {
			list, err := c.stores.Endpoints.List(ctx, e.Workspace)
			if err != nil {
				return fmt.Errorf("endpoints of workspace %s: %w", e.Workspace, err)
			}
			endpoints[e.Workspace] = list
		}
		ds, err := c.deliveries(ctx, e, endpoints[e.Workspace], lease)
		if memory.Retryable(err) {
			return err
		}
		if err != nil { // the event itself is damaged: no other attempt would end otherwise
			c.config.Log.ErrorContext(ctx, "webhooks: an event cannot be sent", "event", e.ID, "error", err)
			continue
		}
		all = append(slices.Grow(all, len(ds)*(len(events)-i)), ds...)
	}
	return c.create(ctx, all)
}

// createPage is how many deliveries are stored in one write: few enough for what else is to be written not to wait long.
const createPage = 1_024

func (c *Courier) create(ctx context.Context, ds []store.Delivery) error {
	for page := range slices.Chunk(ds, createPage) {
		fresh, err := c.stores.Deliveries.Create(ctx, page)
		if err != nil {
			return fmt.Errorf("store deliveries: %w", err)
		}
		for i, d := range page {
			if fresh[i] && d.Status == store.DeliveryPending {
				c.first.put(d)
			}
		}
	}
	return nil
}

func (c *Courier) deliveries(ctx context.Context, e memory.Event, endpoints []store.Endpoint, lease store.Lease) ([]store.Delivery, error) {
	body, err := render(e)
	if err != nil {
		return nil, err
	}
	ds := make([]store.Delivery, 0, len(endpoints)+1)
	if e.URL != "" {
		ds = append(ds, delivery(e, "", e.URL, body, lease, c.config.Now()))
	}
	for _, ep := range endpoints {
		if !subscribes(ep, e.Type) {
			continue
		}
		d, err := c.deliveryTo(ctx, ep, e, body, lease)
		if err != nil {
			return nil, err
		}
		ds = append(ds, d)
	}
	return ds, nil
}

// deliveryTo is a delivery to an endpoint: in its format, and held where it is disabled.
func (c *Courier) deliveryTo(ctx context.Context, ep store.Endpoint, e memory.Event, body []byte, lease store.Lease) (store.Delivery, error) {
	if ep.Format == FormatPapr {
		var err error
		if body, err = c.renderPapr(ctx, e); err != nil {
			return store.Delivery{}, err
		}
	}
	d := delivery(e, ep.ID, ep.URL, body, lease, c.config.Now())
	if ep.Disabled != "" {
		d.Status, d.Lease = store.DeliveryHeld, store.Lease{}
	}
	return d, nil
}
