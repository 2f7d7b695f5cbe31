package webhooks

import (
	"context"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// FanOut makes the deliveries of events, which the sweep of any relay then takes up. Doing it again makes no more.
func (c *Courier) FanOut(ctx context.Context, events []memory.Event) error {
	return c.fanOut(ctx, events, store.Lease{})
}
