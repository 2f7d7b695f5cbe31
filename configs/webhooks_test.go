package configs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/webhooks"
)

func load(t *testing.T, text string, environ map[string]string) (configs.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "switchyard.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return configs.Load(file, func(name string) (string, bool) { v, ok := environ[name]; return v, ok })
}

func TestWebhooksAreSetInTheFile(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
webhooks:
  schedule: {delays: [0s, 10s, 1h30m], jitter: 0.5}
  timeout: 5s
  failing_for: 48h
  per_endpoint: 2
  total: 20
  queue: 100
  queue_per_endpoint: 10
  queue_bytes: 1048576
  base_url: https://api.example.com/
  task_queue: hooks
  relay: {poll: 500ms, page: 10, sweep: 5s, sweep_page: 7, first_lease: 20s, keep: 240h, count: 1m}
  guard: {ports: "443,8000-8999", https_only: true, proxy: "http://proxy:3128"}
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := webhooks.Settings{
		Delivery: webhooks.Config{
			Schedule: webhooks.Schedule{Delays: []time.Duration{0, 10 * time.Second, 90 * time.Minute}, Jitter: 0.5},
			Timeout:  5 * time.Second, FailingFor: 48 * time.Hour, PerEndpoint: 2, Total: 20, Queue: 100, QueuePerEndpoint: 10, QueueBytes: 1 << 20,
		},
		Events: webhooks.EventsConfig{BaseURL: "https://api.example.com/"}, TaskQueue: "hooks",
		Relay: webhooks.RelayConfig{
			Poll: 500 * time.Millisecond, Page: 10, Sweep: 5 * time.Second, SweepPage: 7, FirstLease: 20 * time.Second, Keep: 240 * time.Hour, Count: time.Minute,
		},
		Guard: webhooks.GuardSettings{Ports: "443,8000-8999", HTTPSOnly: true, Proxy: "http://proxy:3128"},
	}
	if diff := cmp.Diff(want, c.Webhooks); diff != "" {
		t.Error(diff)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestEnvironmentOfWebhooks(t *testing.T) {
	t.Parallel()
	c, err := load(t, "webhooks: {guard: {ports: '80'}}", map[string]string{
		"SWITCHYARD_WEBHOOK_PORTS": "443", "SWITCHYARD_WEBHOOK_PROXY": "http://proxy:1", "SWITCHYARD_PUBLIC_URL": "https://api.example.com",
		"SWITCHYARD_WEBHOOK_ALLOW": "10.0.0.0/8", "SWITCHYARD_WEBHOOK_KEY": "k",
	})
	if err != nil {
		t.Fatal(err)
	}
	if g := c.Webhooks.Guard; g.Ports != "443" || g.Proxy != "http://proxy:1" || c.Webhooks.Events.BaseURL != "https://api.example.com" {
		t.Errorf("%+v", c.Webhooks)
	}
	if c.WebhookAllow != "10.0.0.0/8" || c.WebhookKey != "k" {
		t.Errorf("%q, %q", c.WebhookAllow, c.WebhookKey)
	}
}

func TestMistakesInWebhooksAreRefused(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"webhooks: {schedul: {}}":                      "schedul",
		"webhooks: {guard: {transport: x}}":            "transport",
		"webhooks: {schedule: {delays: [soon]}}":       "soon",
		"webhooks: {guard: {ports: all}}":              "webhooks.guard.ports",
		"webhooks: {schedule: {delays: [0s, 1000h]}}":  "webhooks.schedule.delays",
		"webhooks: {guard: {proxy: 'proxy.internal'}}": "webhooks.guard.proxy",
	} {
		c, err := load(t, text, nil)
		if err == nil {
			err = c.Validate()
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
