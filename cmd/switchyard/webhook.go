package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

func newWebhookCommand(t *console) *cobra.Command {
	cmd := group("webhook", "Receive webhooks while developing; register, watch and mend endpoints", `  switchyard webhook listen
  switchyard webhook create https://example.com/hooks --event batch.completed
  switchyard webhook deliveries `+exampleEndpointID+` --status failed`)
	r := newRemote(t, cmd)
	cmd.AddCommand(
		newWebhookListen(r),
		newWebhookCreate(r),
		newWebhookList(r),
		newWebhookAction(r, "get", "Show an endpoint", (*client.Client).GetEndpoint),
		newWebhookAction(r, "enable", "Enable an endpoint; what was held meanwhile can be recovered", setEnabled(true)),
		newWebhookAction(r, "disable", "Disable an endpoint; its events are held for 30 days", setEnabled(false)),
		newWebhookDelete(r),
		newWebhookRotate(r),
		newWebhookTest(r),
		newWebhookDeliveries(r),
		newWebhookDelivery(r),
		newWebhookRedeliver(r),
		newWebhookRecover(r),
	)
	return cmd
}

func newWebhookListen(r *remote) *cobra.Command {
	var (
		listen  string
		secrets []string
		l       = listener{remote: r}
	)
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Receive webhooks, verify them and print them",
		Long: `Receive webhooks, verify them and print them: a receiver for development. Give its address as webhook_url of a memory or
batch. Without --secret it asks the server for the workspace's own, which signs what goes to a one-off webhook_url.

Answers 204 to what verifies and 400 to what does not.`,
		Example: `  switchyard webhook listen
  switchyard webhook listen --fail 2                 # see how a delivery is tried again
  switchyard webhook listen --secret whsec_… --json | jq .event.type

  switchyard batch submit memories.ndjson --webhook-url http://127.0.0.1:8081`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := r.webhookKeys(cmd.Context(), secrets)
			if err != nil {
				return err
			}
			l.verifier, l.asked = webhook.Verifier{Keys: keys, Now: r.now}, len(secrets) == 0
			return l.run(cmd.Context(), listen)
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8081", "`address` to listen on")
	f.StringArrayVar(&secrets, "secret", nil, "secret (whsec_…) or public key (whpk_…) to verify with; several: any of them (default: the workspace's, from the server)")
	f.IntVar(&l.failures, "fail", 0, "answer 500 to the first so many, to see them tried again")
	f.BoolVarP(&l.verbose, "verbose", "v", false, "print the headers too")
	return cmd
}

// webhookKeys are what to verify with: the secrets given, or the one that the server names.
func (r *remote) webhookKeys(ctx context.Context, secrets []string) ([]webhook.Key, error) {
	if len(secrets) == 0 {
		c, err := r.client()
		if err != nil {
			return nil, err
		}
		secret, err := c.WebhookSecret(ctx)
		if err != nil {
			return nil, fmt.Errorf("%w\nor give the secret yourself, with --secret", r.advise(err))
		}
		secrets = []string{secret}
	}
	keys := make([]webhook.Key, len(secrets))
	for i, s := range secrets {
		k, err := webhook.ParseKey(s)
		if err != nil {
			return nil, fmt.Errorf("the secret: %w", err)
		}
		keys[i] = k
	}
	return keys, nil
}

// listener prints the webhooks that come in, one at a time.
type listener struct {
	*remote
	verifier webhook.Verifier
	verbose  bool

	mu       sync.Mutex
	asked    bool           // the key is the workspace's own, and nobody was told yet that endpoints have others
	failures int            // how many to answer 500 yet
	attempts map[string]int // by webhook id
}

const shutdownPatience = 3 * time.Second

// run receives until ctx ends.
func (l *listener) run(ctx context.Context, address string) error {
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%w\nname another address with --listen", err)
	}
	l.attempts = map[string]int{}
	fmt.Fprintf(l.err, "listening on http://%s, end with Ctrl-C\n", socket.Addr())
	server := &http.Server{Handler: l, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(socket) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("listen on %s: %w", address, err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
	defer cancel()
	err = server.Shutdown(ctx)
	if served := <-stopped; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// reception is a webhook as it came in and what was answered.
type reception struct {
	ReceivedAt time.Time       `json:"received_at"`
	ID         string          `json:"id"`
	Attempt    int             `json:"attempt"` // as this receiver counts
	Verified   bool            `json:"verified"`
	Problem    string          `json:"problem,omitempty"`
	Answered   int             `json:"answered"`
	Header     http.Header     `json:"header,omitempty"`
	Event      json.RawMessage `json:"event,omitempty"`

	body []byte
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.judge(r)
	if err := l.print(got); err != nil {
		fmt.Fprintln(l.err, "cannot print:", err)
	}
	w.WriteHeader(got.Answered)
}

func (l *listener) judge(r *http.Request) reception {
	body, err := io.ReadAll(io.LimitReader(r.Body, webhook.DefaultMaxBytes))
	if err == nil {
		_, err = l.verifier.Verify(r.Header, body)
	}
	got := reception{
		ReceivedAt: l.now().UTC(), ID: r.Header.Get(webhook.HeaderID), Verified: err == nil, Answered: http.StatusNoContent, body: body,
	}
	l.attempts[got.ID]++
	got.Attempt = l.attempts[got.ID]
	if json.Valid(body) {
		got.Event = body
	}
	if l.verbose {
		got.Header = r.Header
	}
	switch {
	case err != nil:
		l.hint(err)
		got.Problem, got.Answered = strings.TrimPrefix(err.Error(), "webhook: "), http.StatusBadRequest
	case l.failures > 0:
		l.failures--
		got.Answered = http.StatusInternalServerError
	}
	return got
}

// hint says, once, what is mostly the matter.
func (l *listener) hint(err error) {
	if l.asked && errors.Is(err, webhook.ErrSignature) {
		l.asked = false
		fmt.Fprintln(l.err, "is it for an endpoint? An endpoint signs with a secret of its own: give it with --secret")
	}
}

func (l *listener) print(got reception) error {
	if l.json {
		return l.printJSON(got)
	}
	verdict := l.paint(green, "verified")
	if !got.Verified {
		verdict = l.paint(red, "NOT verified: "+harmless(got.Problem))
	}
	fmt.Fprintf(l.out, "%s  %s  %s  %s", got.ReceivedAt.In(l.zone).Format(time.TimeOnly), l.paint(bold, cmp.Or(harmless(got.ID), "(no id)")), eventType(got.Event), verdict)
	if got.Attempt > 1 {
		fmt.Fprintf(l.out, "  attempt %d", got.Attempt)
	}
	if got.Answered != http.StatusNoContent {
		fmt.Fprint(l.out, l.paint(yellow, fmt.Sprintf("  answered %d", got.Answered)))
	}
	fmt.Fprintln(l.out)
	l.printHeader(got.Header)
	return l.printBody(got)
}

func (l *listener) printHeader(h http.Header) {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(l.out, "  %s\n", l.paint(dim, harmless(name+": "+strings.Join(h[name], ", "))))
	}
}

func (l *listener) printBody(got reception) error {
	if got.Event == nil {
		if len(got.body) > 0 {
			fmt.Fprintf(l.out, "  %q\n", got.body)
		}
		return nil
	}
	var b bytes.Buffer
	if err := json.Indent(&b, got.Event, "  ", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintf(l.out, "  %s\n", harmless(b.String()))
	return err
}

func eventType(event json.RawMessage) string {
	var e struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(event, &e) != nil {
		return "(no event)"
	}
	return harmless(cmp.Or(e.Type, "(no type)"))
}
