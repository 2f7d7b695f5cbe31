package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/pkg/client"
)

const exampleEndpointID = "whe_01K4XJ3W8Q2VZ7N5B6C9D0E1F2"

func newWebhookList(r *remote) *cobra.Command {
	limit := 0
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the endpoints, oldest first",
		Example: `  switchyard webhook list`,
		Args:    takes(),
		RunE: r.calls(func(ctx context.Context, c *client.Client, _ []string) error {
			es, err := collect(c.ListEndpoints(ctx), limit, r.each())
			if err == nil && !r.json {
				r.printEndpoints(es)
			}
			return err
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most; 0: all")
	return cmd
}

// calls is a RunE that talks to the server.
func (r *remote) calls(f func(context.Context, *client.Client, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		return r.advise(f(cmd.Context(), c, args))
	}
}

func newWebhookCreate(r *remote) *cobra.Command {
	var e client.EndpointInput
	var headers []string
	cmd := &cobra.Command{
		Use:   "create URL",
		Short: "Register an endpoint",
		Long: `Register an endpoint. Its secret (or, with --signing v1a, its public key) is printed this once: give it to the receiver,
which verifies with it by Standard Webhooks.`,
		Example: `  switchyard webhook create https://example.com/hooks
  switchyard webhook create https://example.com/hooks --event batch.completed --event batch.failed --header "Authorization: Bearer …"
  switchyard webhook create https://example.com/hooks --signing v1a`,
		Args: takes("URL"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if e.Headers, err = parseHeaders(headers); err != nil {
				return misuse(cmd, err)
			}
			e.URL = args[0]
			return r.calls(func(ctx context.Context, c *client.Client, _ []string) error {
				got, err := c.CreateEndpoint(ctx, e)
				if err != nil {
					return err
				}
				return r.printEndpoint(got)
			})(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&e.Events, "event", nil, "only events of this `type`, such as batch.completed; may be repeated (default all)")
	f.StringVar(&e.Description, "description", "", "what it is for")
	f.StringVar(&e.Signing, "signing", "", "v1 (a shared secret) or v1a (a key pair) (default v1)")
	f.StringVar(&e.Secret, "secret", "", "secret (whsec_…) or private key (whsk_…) to sign with (default: one is made)")
	f.StringArrayVar(&headers, "header", nil, "`\"Name: value\"` to be sent with each delivery; may be repeated")
	f.StringVar(&e.Format, "format", "", "standard or papr (default standard)")
	return cmd
}

func parseHeaders(lines []string) (map[string]string, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	headers := map[string]string{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, errors.New(`a header is written "Name: value"`) // it may hold a credential: it is not repeated
		}
		headers[name] = strings.TrimSpace(value)
	}
	return headers, nil
}

// newWebhookAction is a command that does one thing to an endpoint and shows it.
func newWebhookAction(r *remote, name, short string, act func(*client.Client, context.Context, string) (client.Endpoint, error)) *cobra.Command {
	return &cobra.Command{
		Use:     name + " ENDPOINT",
		Short:   short,
		Example: "  switchyard webhook " + name + " " + exampleEndpointID,
		Args:    takes("ENDPOINT"),
		RunE: r.calls(func(ctx context.Context, c *client.Client, args []string) error {
			e, err := act(c, ctx, args[0])
			if err != nil {
				return err
			}
			return r.printEndpoint(e)
		}),
	}
}

func setEnabled(enabled bool) func(*client.Client, context.Context, string) (client.Endpoint, error) {
	return func(c *client.Client, ctx context.Context, id string) (client.Endpoint, error) {
		return c.UpdateEndpoint(ctx, id, client.EndpointChange{Enabled: &enabled})
	}
}

func newWebhookDelete(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "delete ENDPOINT",
		Short:   "Forget an endpoint; deliveries on their way to it fail",
		Example: "  switchyard webhook delete " + exampleEndpointID,
		Args:    takes("ENDPOINT"),
		RunE: r.calls(func(ctx context.Context, c *client.Client, args []string) error {
			return c.DeleteEndpoint(ctx, args[0])
		}),
	}
}

const defaultGrace = 24 * time.Hour

func newWebhookRotate(r *remote) *cobra.Command {
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "rotate ENDPOINT",
		Short: "Give an endpoint a new secret",
		Long: `Give an endpoint a new secret, or key pair, and print it (of a pair the public key), this once. The old one signs too for the
grace period, so that the receiver can change over without missing anything. "workspace" in place of an endpoint's id
rotates the workspace's own secret, which signs what goes to one-off webhook_urls.`,
		Example: `  switchyard webhook rotate ` + exampleEndpointID + `
  switchyard webhook rotate ` + exampleEndpointID + ` --grace 0      # the old one leaked
  switchyard webhook rotate workspace --grace 72h`,
		Args: takes("ENDPOINT"),
		RunE: r.calls(func(ctx context.Context, c *client.Client, args []string) error {
			if args[0] == "workspace" {
				return r.rotateWorkspace(ctx, c, grace)
			}
			e, err := c.RotateEndpoint(ctx, args[0], grace)
			if err != nil {
				return err
			}
			return r.printEndpoint(e)
		}),
	}
	cmd.Flags().DurationVar(&grace, "grace", defaultGrace, "how long the old one signs too; at most 720h")
	return cmd
}

func (r *remote) rotateWorkspace(ctx context.Context, c *client.Client, grace time.Duration) error {
	secret, err := c.RotateWebhookSecret(ctx, grace)
	if err != nil {
		return err
	}
	if r.json {
		return r.printJSON(map[string]string{"secret": secret})
	}
	fmt.Fprintln(r.out, secret)
	return nil
}
