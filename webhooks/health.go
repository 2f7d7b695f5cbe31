package webhooks

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// keepHealth writes down since when an endpoint fails, and disables it where it asked for that or has failed for long.
func (c *Courier) keepHealth(ctx context.Context, endpoint *store.Endpoint, a answer, d store.Delivery) error {
	if endpoint == nil {
		return nil
	}
	now, e := c.config.Now(), *endpoint
	for range saveAttempts {
		if !c.assess(&e, a, now) {
			return nil
		}
		if e.Disabled != "" {
			if err := c.announceDisabled(ctx, e, d); err != nil {
				return err
			}
		}
		err := c.stores.Endpoints.Save(ctx, e)
		c.known.forget(e.ID)
		if err == nil {
			c.logHealth(ctx, e)
			return nil
		}
		if memory.CodeOf(err) != memory.CodeConflict {
			return fmt.Errorf("health of endpoint %s: %w", e.ID, err)
		}
		if e, err = c.stores.Endpoints.Get(ctx, e.Workspace, e.ID); err != nil {
			return ignore(err, memory.CodeNotFound)
		}
	}
	return nil // someone else keeps changing it; the next attempt tells the same
}

// assess changes the endpoint by what came of an attempt, and reports whether it did.
func (c *Courier) assess(e *store.Endpoint, a answer, now time.Time) bool {
	switch {
	case e.Disabled != "":
		return false
	case a.ok() && e.FailingFrom.IsZero():
		return false
	case a.ok():
		e.FailingFrom = time.Time{}
	case a.status == http.StatusGone:
		e.Disabled = "it answered 410 Gone"
	case e.FailingFrom.IsZero():
		e.FailingFrom = now
	case now.Sub(e.FailingFrom) >= c.config.FailingFor:
		e.Disabled = "every attempt has failed since " + memory.At(e.FailingFrom).Format(time.RFC3339)
	default:
		return false
	}
	e.UpdatedAt = memory.At(now)
	return true
}

func (c *Courier) logHealth(ctx context.Context, e store.Endpoint) {
	if e.Disabled == "" {
		return
	}
	c.config.Log.WarnContext(ctx, "webhook endpoint disabled", "endpoint", e.ID, "workspace", e.Workspace, "reason", e.Disabled)
}

// announceDisabled tells the workspace's other endpoints, before the endpoint is disabled: if the process dies in
// between, it is disabled later and told under the same event id.
func (c *Courier) announceDisabled(ctx context.Context, e store.Endpoint, d store.Delivery) error {
	data, err := json.Marshal(map[string]string{"id": e.ID, "url": e.URL, "disabled_reason": e.Disabled, "delivery_id": d.ID})
	if err != nil {
		return fmt.Errorf("event of endpoint %s: %w", e.ID, err)
	}
	all, err := c.stores.Endpoints.List(ctx, e.Workspace)
	if err != nil {
		return fmt.Errorf("endpoints of workspace %s: %w", e.Workspace, err)
	}
	others := slices.DeleteFunc(all, func(o store.Endpoint) bool { return o.ID == e.ID })
	event := memory.Event{
		ID:   id.From(id.Event, e.CreatedAt.Time, e.Workspace, e.ID, memory.EventEndpointDisabled, strconv.FormatInt(e.Revision, 10)),
		Type: memory.EventEndpointDisabled, Workspace: e.Workspace, Time: memory.At(c.config.Now()), Data: data,
	}
	ds, err := c.deliveries(ctx, event, others, store.Lease{})
	if err != nil {
		return fmt.Errorf("event of endpoint %s: %w", e.ID, err)
	}
	return c.create(ctx, ds)
}

func ignore(err error, code memory.Code) error {
	if memory.CodeOf(err) == code {
		return nil
	}
	return err
}
