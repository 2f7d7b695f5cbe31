package main

import "testing"

const (
	anEndpoint = `{"id":"whe_1","url":"https://example.com/hooks","events":["batch.completed","batch.failed"],"description":"our importer","header_names":["Authorization"],
	 "signing":"v1","format":"standard","enabled":true,"failing_since":null,"created_at":"2026-01-02T03:00:00.000Z","updated_at":"2026-01-02T03:00:00.000Z"`
	failingEndpoint = `{"id":"whe_2","url":"https://example.org/","events":[],"header_names":[],"signing":"v1a","format":"standard","enabled":true,
	 "failing_since":"2026-01-01T03:00:00.000Z","created_at":"2026-01-02T03:00:00.000Z","updated_at":"2026-01-02T03:00:00.000Z"}`
	disabledEndpoint = `{"id":"whe_3","url":"https://example.net/","events":[],"header_names":[],"signing":"v1","format":"papr","enabled":false,
	 "disabled_reason":"it answered 410 Gone","failing_since":null,"created_at":"2026-01-02T03:00:00.000Z","updated_at":"2026-01-02T03:00:00.000Z"}`

	pendingDelivery = `{"id":"dlv_1","endpoint_id":"whe_1","url":"https://example.com/hooks","event_id":"evt_1","event_type":"webhook.test","status":"pending","round":1,
	 "attempts":[],"next_attempt_at":null,"payload":{"id":"evt_1","type":"webhook.test"},"created_at":"2026-01-02T03:00:00.000Z","updated_at":"2026-01-02T03:00:00.000Z"}`
	failedOnce = `{"id":"dlv_1","endpoint_id":"whe_1","url":"https://example.com/hooks","event_id":"evt_1","event_type":"webhook.test","status":"pending","round":1,
	 "attempts":[{"round":1,"at":"2026-01-02T03:00:01.000Z","status_code":500,"latency_ms":41,"answer":"oops\u001b[31m\n<html>","next_attempt_at":"2026-01-02T03:00:06.000Z"}],
	 "next_attempt_at":"2026-01-02T03:00:06.000Z","payload":{"id":"evt_1","type":"webhook.test"},"created_at":"2026-01-02T03:00:00.000Z","updated_at":"2026-01-02T03:00:01.000Z"}`
	deliveredAtLast = `{"id":"dlv_2","endpoint_id":"whe_1","url":"https://example.com/hooks","event_id":"evt_2","event_type":"batch.completed","status":"delivered","round":1,
	 "attempts":[{"round":1,"at":"2026-01-02T03:00:01.000Z","latency_ms":15000,"error":"no answer in time","next_attempt_at":"2026-01-02T03:00:06.000Z"},
	 {"round":1,"at":"2026-01-02T03:00:06.000Z","status_code":204,"latency_ms":9}],
	 "next_attempt_at":null,"created_at":"2026-01-02T03:00:00.000Z","updated_at":"2026-01-02T03:00:01.000Z"}`
)

// TestWebhookCommands is TestCommands for those that administer webhooks.
func TestWebhookCommands(t *testing.T) {
	t.Parallel()
	for _, row := range []commandCase{
		{name: "webhook-create", args: list("webhook", "create", "https://example.com/hooks", "--event", "batch.completed,batch.failed", "--description", "our importer",
			"--header", "Authorization: Bearer x:y"), api: map[string][]string{"POST /v1/webhooks": {`201 ` + anEndpoint + `,"secret":"` + testSecret + `"}`}}},
		{name: "webhook-create-v1a", live: true, args: list("webhook", "create", "https://example.com/hooks", "--signing", "v1a", "--format", "standard"), api: map[string][]string{
			"POST /v1/webhooks": {`201 ` + anEndpoint + `,"public_key":"whpk_AAAA"}`},
		}},
		{name: "webhook-create-forbidden", args: list("webhook", "create", "http://10.0.0.1/"), api: map[string][]string{"POST /v1/webhooks": {
			`422 {"title":"Invalid request","code":"forbidden_address","detail":"10.0.0.1 is a private address: webhooks are not sent there",` +
				`"errors":[{"pointer":"/url","detail":"10.0.0.1 is a private address: webhooks are not sent there"}],"request_id":"req_7"}`,
		}}},
		{name: "webhook-create-bad-header", args: list("webhook", "create", "https://example.com/hooks", "--header", "Bearer sekret")},
		{name: "webhook-list", args: list("webhook", "list"), api: map[string][]string{"GET /v1/webhooks": {`{"items":[` + anEndpoint + `},` + failingEndpoint + `,` + disabledEndpoint + `]}`}}},
		{name: "webhook-list-json", args: list("webhook", "list", "--json"), api: map[string][]string{"GET /v1/webhooks": {`{"items":[` + failingEndpoint + `]}`}}},
		{name: "webhook-get", args: list("webhook", "get", "whe_2"), api: map[string][]string{"GET /v1/webhooks/whe_2": {failingEndpoint}}},
		{name: "webhook-get-disabled", args: list("webhook", "get", "whe_3"), api: map[string][]string{"GET /v1/webhooks/whe_3": {disabledEndpoint}}},
		{name: "webhook-disable", args: list("webhook", "disable", "whe_3"), api: map[string][]string{"PATCH /v1/webhooks/whe_3": {disabledEndpoint}}},
		{name: "webhook-enable", args: list("webhook", "enable", "whe_2"), api: map[string][]string{"PATCH /v1/webhooks/whe_2": {failingEndpoint}}},
		{name: "webhook-delete", args: list("webhook", "delete", "whe_2"), api: map[string][]string{"DELETE /v1/webhooks/whe_2": {"204 "}}},
		{name: "webhook-rotate", args: list("webhook", "rotate", "whe_1", "--grace", "0"), api: map[string][]string{"POST /v1/webhooks/whe_1/rotate": {anEndpoint + `,"secret":"` + testSecret + `"}`}}},
		{name: "webhook-rotate-workspace", args: list("webhook", "rotate", "workspace", "--grace", "72h"), api: map[string][]string{
			"POST /v1/workspace/webhook-secret/rotate": {`{"secret":"` + testSecret + `"}`},
		}},
		{name: "webhook-test", args: list("webhook", "test", "whe_1"), api: map[string][]string{
			"POST /v1/webhooks/whe_1/test": {"202 " + pendingDelivery}, "GET /v1/deliveries/dlv_1": {pendingDelivery, deliveredAtLast},
		}},
		{name: "webhook-test-failed", args: list("webhook", "test", "whe_1"), api: map[string][]string{
			"POST /v1/webhooks/whe_1/test": {"202 " + pendingDelivery}, "GET /v1/deliveries/dlv_1": {failedOnce},
		}},
		{name: "webhook-test-no-wait", args: list("webhook", "test", "whe_1", "--no-wait", "--json"), api: map[string][]string{"POST /v1/webhooks/whe_1/test": {"202 " + pendingDelivery}}},
		{name: "webhook-test-disabled", args: list("webhook", "test", "whe_3"), api: map[string][]string{"POST /v1/webhooks/whe_3/test": {
			`409 {"title":"Conflict","code":"conflict","detail":"the endpoint is disabled (it answered 410 Gone); enable it first","request_id":"req_8"}`,
		}}},
		{
			name: "webhook-deliveries", args: list("webhook", "deliveries", "whe_1", "--status", "pending,delivered", "--since", "2026-01-01", "--limit", "2"),
			api: map[string][]string{"GET /v1/webhooks/whe_1/deliveries?limit=2&since=2026-01-01T00%3A00%3A00.000Z&status=pending&status=delivered": {`{"items":[` + failedOnce + `,` + deliveredAtLast + `]}`}},
		},
		{name: "webhook-deliveries-since-nonsense", args: list("webhook", "deliveries", "whe_1", "--since", "yesterday")},
		{name: "webhook-delivery", args: list("webhook", "delivery", "dlv_1"), api: map[string][]string{"GET /v1/deliveries/dlv_1": {failedOnce}}},
		{name: "webhook-redeliver", args: list("webhook", "redeliver", "dlv_2"), api: map[string][]string{
			"POST /v1/deliveries/dlv_2/redeliver": {"202 " + pendingDelivery}, "GET /v1/deliveries/dlv_1": {deliveredAtLast},
		}},
		{name: "webhook-recover", args: list("webhook", "recover", "whe_1", "--since", "24h"), api: map[string][]string{"POST /v1/webhooks/whe_1/recover": {`202 {"recovered":3}`}}},
		{name: "webhook-recover-since-when", args: list("webhook", "recover", "whe_1")},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.run(t)
		})
	}
}
