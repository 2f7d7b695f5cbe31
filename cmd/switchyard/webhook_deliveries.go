package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/pkg/client"
)

const (
	exampleDeliveryID = "dlv_01K4XJ3W8Q2VZ7N5B6C9D0E1F2"

	statusPending   = "pending"
	statusDelivered = "delivered"
)

func newWebhookDeliveries(r *remote) *cobra.Command {
	var q client.DeliveryQuery
	var since string
	limit := 0
	cmd := &cobra.Command{
		Use:   "deliveries ENDPOINT",
		Short: "List the deliveries to an endpoint, newest first",
		Example: `  switchyard webhook deliveries ` + exampleEndpointID + ` --status failed,held --since 24h
  switchyard webhook deliveries ` + exampleEndpointID + ` --status failed --limit 0 --json | jq -r .id | xargs -r -n1 switchyard webhook redeliver`,
		Args: takes("ENDPOINT"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Since, err = r.since(since); err != nil {
				return misuse(cmd, err)
			}
			q.PageSize = pageSize(limit)
			return r.calls(func(ctx context.Context, c *client.Client, args []string) error {
				ds, err := collect(c.ListDeliveries(ctx, args[0], q), limit, r.each())
				if err == nil && !r.json {
					r.printDeliveries(ds)
				}
				return err
			})(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&q.Statuses, "status", nil, "only those of these statuses: pending, delivered, failed, held")
	f.StringVar(&since, "since", "", sinceHelp)
	f.IntVar(&limit, "limit", 50, "how many at most; 0: all")
	return cmd
}

const sinceHelp = "only those made since a `time`: 2026-01-02T03:04:05Z, 2026-01-02, or so long ago: 90m, 24h"

// since reads a time, or how long ago it was; "" is the zero time.
func (t *console) since(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return t.now().Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, t.zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q: write 2026-01-02T03:04:05Z, 2026-01-02, or so long ago: 90m, 24h", text)
}

func newWebhookDelivery(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "delivery DELIVERY",
		Short:   "Show a delivery: every attempt with its answer, and what is sent",
		Example: "  switchyard webhook delivery " + exampleDeliveryID,
		Args:    takes("DELIVERY"),
		RunE: r.calls(func(ctx context.Context, c *client.Client, args []string) error {
			d, err := c.GetDelivery(ctx, args[0])
			if err != nil {
				return err
			}
			return r.printDelivery(d)
		}),
	}
}

const attemptExitCodes = `It waits for the attempt (--no-wait: it does not). Exit code: 0 delivered, 4 not.`

func newWebhookTest(r *remote) *cobra.Command {
	cmd := newSending(r, "test", "ENDPOINT", exampleEndpointID, (*client.Client).TestEndpoint)
	cmd.Short = "Send a webhook.test event to an endpoint, and say whether it got there"
	cmd.Long = "Send a webhook.test event to an endpoint, and say whether it got there.\n\n" + attemptExitCodes
	return cmd
}

func newWebhookRedeliver(r *remote) *cobra.Command {
	cmd := newSending(r, "redeliver", "DELIVERY", exampleDeliveryID, (*client.Client).Redeliver)
	cmd.Short = "Send a delivery that is over once more, under the same webhook-id"
	cmd.Long = cmd.Short + ".\n\n" + attemptExitCodes
	return cmd
}

// newSending is a command that makes the server send something, and waits for what comes of it.
func newSending(r *remote, name, arg, example string, send func(*client.Client, context.Context, string) (client.Delivery, error)) *cobra.Command {
	noWait := false
	cmd := &cobra.Command{
		Use:     name + " " + arg,
		Example: "  switchyard webhook " + name + " " + example,
		Args:    takes(arg),
		RunE: r.calls(func(ctx context.Context, c *client.Client, args []string) error {
			d, err := send(c, ctx, args[0])
			if err != nil || noWait {
				return errors.Join(err, r.printIf(err == nil, d))
			}
			if d, err = r.attempted(ctx, c, d); err != nil {
				return err
			}
			return errors.Join(r.printDelivery(d), deliveryOutcome(d))
		}),
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the attempt")
	return cmd
}

func (r *remote) printIf(ok bool, d client.Delivery) error {
	if !ok {
		return nil
	}
	return r.printDelivery(d)
}

// How long an attempt is waited for: as long as it may take, and a little.
const (
	attemptPatience = 30 * time.Second
	attemptPause    = 200 * time.Millisecond
)

// attempted waits until another attempt at a delivery has been made. Where none is made in time it is returned as it is.
func (r *remote) attempted(ctx context.Context, c *client.Client, d client.Delivery) (client.Delivery, error) {
	before, end := len(d.Attempts), time.Now().Add(attemptPatience)
	for d.Status == statusPending && len(d.Attempts) <= before && time.Now().Before(end) {
		select {
		case <-ctx.Done():
			return d, ctx.Err()
		case <-time.After(attemptPause):
		}
		var err error
		if d, err = c.GetDelivery(ctx, d.ID); err != nil {
			return d, err
		}
	}
	return d, nil
}

func deliveryOutcome(d client.Delivery) error {
	switch {
	case d.Status == statusDelivered:
		return nil
	case d.Status == statusPending && d.NextAttemptAt != nil:
		return exitWith(exitFailed, "not delivered yet; it is tried again at %s\nfollow it with: switchyard webhook delivery %s", d.NextAttemptAt.Format(time.RFC3339), d.ID)
	}
	return exitWith(exitFailed, "not delivered: it is %s", d.Status)
}

func newWebhookRecover(r *remote) *cobra.Command {
	since := ""
	cmd := &cobra.Command{
		Use:   "recover ENDPOINT --since TIME",
		Short: "Send again all that failed to reach an endpoint, or was held while it was disabled",
		Long: `Send again, under the same webhook-ids, all that was made for an endpoint since a time and failed, or was held while the
endpoint was disabled. The endpoint must be enabled. Deliveries are kept for 30 days.`,
		Example: `  switchyard webhook enable ` + exampleEndpointID + ` && switchyard webhook recover ` + exampleEndpointID + ` --since 72h`,
		Args:    takes("ENDPOINT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := r.since(since)
			if err == nil && from.IsZero() {
				err = errors.New("--since is missing: from when on?")
			}
			if err != nil {
				return misuse(cmd, err)
			}
			return r.calls(func(ctx context.Context, c *client.Client, args []string) error {
				n, err := c.RecoverEndpoint(ctx, args[0], from)
				if err != nil {
					return err
				}
				if r.json {
					return r.printJSON(map[string]int{"recovered": n})
				}
				fmt.Fprintf(r.out, "%s to be sent again\n", plural(n, "delivery"))
				return nil
			})(cmd, args)
		},
	}
	cmd.Flags().StringVar(&since, "since", "", sinceHelp)
	return cmd
}
