package api

import (
	"context"
	"net/http"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/webhooks"
)

// Webhooks is what a workspace can do with its endpoints and deliveries.
type Webhooks interface {
	Create(ctx context.Context, workspace string, in webhooks.EndpointInput) (webhooks.Endpoint, error)
	List(ctx context.Context, workspace string) ([]webhooks.Endpoint, error)
	Get(ctx context.Context, workspace, id string) (webhooks.Endpoint, error)
	Patch(ctx context.Context, workspace, id string, p webhooks.EndpointPatch) (webhooks.Endpoint, error)
	Delete(ctx context.Context, workspace, id string) error
	Rotate(ctx context.Context, workspace, id string, in webhooks.RotateInput) (webhooks.Endpoint, error)
	Test(ctx context.Context, workspace, id string) (webhooks.Delivery, error)
	Deliveries(ctx context.Context, q store.DeliveryQuery) ([]webhooks.Delivery, string, error)
	Delivery(ctx context.Context, workspace, id string) (webhooks.Delivery, error)
	Redeliver(ctx context.Context, workspace, id string) (webhooks.Delivery, error)
	Recover(ctx context.Context, workspace, id string, since time.Time) (int, error)
	WorkspaceSecret(ctx context.Context, workspace string) (string, error)
	RotateWorkspaceSecret(ctx context.Context, workspace string, in webhooks.RotateInput) (string, error)
}

func (a *API) webhookRoutes() {
	serve(a, route{
		id: "create-endpoint", method: http.MethodPost, path: "/v1/webhooks", tag: "Webhooks", scope: store.ScopeAdmin,
		status: http.StatusCreated, creates: id.Endpoint, secret: true,
		summary: "Register an endpoint",
		about: "It gets the events of the workspace, or those of the types named, signed by Standard Webhooks 1.0.0: with a shared `secret` (`v1`), or a key pair (`v1a`) " +
			"whose `public_key` is shown. Both are shown this once.",
		request: `{"url":"https://example.com/hook","events":["batch.completed"],"description":"our importer"}`, answer: exampleEndpoint,
	}, a.createEndpoint)
	serve(a, route{
		id: "list-endpoints", method: http.MethodGet, path: "/v1/webhooks", tag: "Webhooks", scope: store.ScopeRead,
		summary: "List the endpoints, oldest first", answer: `{"items":[` + exampleEndpoint + `],"next_cursor":null}`,
	}, a.listEndpoints)
	serve(a, route{
		id: "get-endpoint", method: http.MethodGet, path: "/v1/webhooks/{id}", tag: "Webhooks", scope: store.ScopeRead,
		summary: "Read an endpoint", answer: exampleEndpoint,
	}, a.getEndpoint)
	serve(a, route{
		id: "update-endpoint", method: http.MethodPatch, path: "/v1/webhooks/{id}", tag: "Webhooks", scope: store.ScopeAdmin,
		summary: "Change an endpoint", about: "`enabled` disables and enables it. What was held while it was disabled can be recovered.",
		errors: []int{http.StatusConflict}, request: `{"enabled":false}`, answer: exampleEndpoint,
	}, a.updateEndpoint)
	serve(a, route{
		id: "delete-endpoint", method: http.MethodDelete, path: "/v1/webhooks/{id}", tag: "Webhooks", scope: store.ScopeAdmin, status: http.StatusNoContent,
		summary: "Forget an endpoint",
	}, a.deleteEndpoint)
	serve(a, route{
		id: "rotate-endpoint", method: http.MethodPost, path: "/v1/webhooks/{id}/rotate", tag: "Webhooks", scope: store.ScopeAdmin,
		summary: "Give an endpoint a new secret", about: "The old one signs too for `grace_seconds`.",
		errors: []int{http.StatusConflict}, request: `{"grace_seconds":3600}`, answer: exampleEndpoint,
	}, a.rotateEndpoint)
	serve(a, route{
		id: "test-endpoint", method: http.MethodPost, path: "/v1/webhooks/{id}/test", tag: "Webhooks", scope: store.ScopeWrite, status: http.StatusAccepted,
		summary: "Send a webhook.test event", about: "The answer is its delivery.", errors: []int{http.StatusConflict}, answer: exampleDelivery,
	}, a.testEndpoint)
	serve(a, route{
		id: "recover-endpoint", method: http.MethodPost, path: "/v1/webhooks/{id}/recover", tag: "Webhooks", scope: store.ScopeWrite, status: http.StatusAccepted,
		summary: "Send again what failed", about: "All deliveries to the endpoint since the given time that failed, or were held while it was disabled.",
		errors: []int{http.StatusConflict}, request: `{"since":"2025-09-16T10:00:00.000Z"}`, answer: `{"recovered":3}`,
	}, a.recoverEndpoint)
	a.deliveryRoutes()
	a.secretRoutes()
}

func (a *API) deliveryRoutes() {
	serve(a, route{
		id: "list-deliveries", method: http.MethodGet, path: "/v1/webhooks/{id}/deliveries", tag: "Webhooks", scope: store.ScopeRead,
		summary: "List the deliveries to an endpoint, newest first", errors: []int{http.StatusUnprocessableEntity},
		answer: `{"items":[` + exampleDelivery + `],"next_cursor":null}`,
	}, a.listDeliveries)
	serve(a, route{
		id: "get-delivery", method: http.MethodGet, path: "/v1/deliveries/{id}", tag: "Webhooks", scope: store.ScopeRead,
		summary: "Read a delivery", about: "With every attempt, and what is sent.", answer: exampleDelivery,
	}, a.getDelivery)
	serve(a, route{
		id: "redeliver", method: http.MethodPost, path: "/v1/deliveries/{id}/redeliver", tag: "Webhooks", scope: store.ScopeWrite, status: http.StatusAccepted,
		summary: "Send a delivery again", about: "Under the same `webhook-id`.", errors: []int{http.StatusConflict}, answer: exampleDelivery,
	}, a.redeliver)
}

func (a *API) secretRoutes() {
	serve(a, route{
		id: "get-webhook-secret", method: http.MethodGet, path: "/v1/workspace/webhook-secret", tag: "Workspace", scope: store.ScopeAdmin,
		summary: "Read the secret that signs what goes to one-off webhook_urls", answer: `{"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`,
	}, a.getSecret)
	serve(a, route{
		id: "rotate-webhook-secret", method: http.MethodPost, path: "/v1/workspace/webhook-secret/rotate", tag: "Workspace", scope: store.ScopeAdmin,
		summary: "Make a new one", about: "The old one signs too for `grace_seconds`.", errors: []int{http.StatusConflict},
		request: `{"grace_seconds":3600}`, answer: `{"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`,
	}, a.rotateSecret)
}

type createEndpointInput struct {
	Body webhooks.EndpointInput
}

func (a *API) createEndpoint(ctx context.Context, in *createEndpointInput) (*body[webhooks.Endpoint], error) {
	in.Body.ID = resourceID(ctx)
	e, err := a.parts.Webhooks.Create(ctx, workspaceOf(ctx), in.Body)
	if in.Body.ID != "" && memory.CodeOf(err) == memory.CodeConflict {
		return a.recreated(ctx, in.Body, err)
	}
	return &body[webhooks.Endpoint]{e}, err
}

// recreated is the answer to a request whose first try made the endpoint and died: its secret, which nobody saw, gives
// way to one that is shown now.
func (a *API) recreated(ctx context.Context, in webhooks.EndpointInput, otherwise error) (*body[webhooks.Endpoint], error) {
	if _, err := a.parts.Webhooks.Get(ctx, workspaceOf(ctx), in.ID); err != nil {
		return nil, otherwise
	}
	none := 0
	e, err := a.parts.Webhooks.Rotate(ctx, workspaceOf(ctx), in.ID, webhooks.RotateInput{GraceSeconds: &none, Secret: in.Secret})
	return &body[webhooks.Endpoint]{e}, err
}

func (a *API) listEndpoints(ctx context.Context, _ *struct{}) (*body[List[webhooks.Endpoint]], error) {
	all, err := a.parts.Webhooks.List(ctx, workspaceOf(ctx))
	return listOf(all, ""), err
}

// OfEndpoint names the endpoint that a request is about.
type OfEndpoint struct {
	ID string `path:"id" doc:"The endpoint's id." example:"whe_01K5A0T4Y6B8N0M2K4J6H8G0F2"`
}

func (a *API) getEndpoint(ctx context.Context, in *OfEndpoint) (*body[webhooks.Endpoint], error) {
	e, err := a.parts.Webhooks.Get(ctx, workspaceOf(ctx), in.ID)
	return &body[webhooks.Endpoint]{e}, err
}

type updateEndpointInput struct {
	OfEndpoint
	Body webhooks.EndpointPatch
}

func (a *API) updateEndpoint(ctx context.Context, in *updateEndpointInput) (*body[webhooks.Endpoint], error) {
	e, err := a.parts.Webhooks.Patch(ctx, workspaceOf(ctx), in.ID, in.Body)
	return &body[webhooks.Endpoint]{e}, err
}

func (a *API) deleteEndpoint(ctx context.Context, in *OfEndpoint) (*struct{}, error) {
	return nil, a.parts.Webhooks.Delete(ctx, workspaceOf(ctx), in.ID)
}

type rotateEndpointInput struct {
	OfEndpoint
	Body *webhooks.RotateInput
}

func (a *API) rotateEndpoint(ctx context.Context, in *rotateEndpointInput) (*body[webhooks.Endpoint], error) {
	e, err := a.parts.Webhooks.Rotate(ctx, workspaceOf(ctx), in.ID, valueOf(in.Body))
	return &body[webhooks.Endpoint]{e}, err
}

func valueOf[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func (a *API) testEndpoint(ctx context.Context, in *OfEndpoint) (*body[webhooks.Delivery], error) {
	d, err := a.parts.Webhooks.Test(ctx, workspaceOf(ctx), in.ID)
	return &body[webhooks.Delivery]{d}, err
}

// Recovered says how many deliveries are made again.
type Recovered struct {
	Recovered int `json:"recovered"`
}

type recoverInput struct {
	OfEndpoint
	Body struct {
		Since memory.Time `json:"since" doc:"From when on."`
	} `nameHint:"RecoverInput"`
}

func (a *API) recoverEndpoint(ctx context.Context, in *recoverInput) (*body[Recovered], error) {
	n, err := a.parts.Webhooks.Recover(ctx, workspaceOf(ctx), in.ID, in.Body.Since.Time)
	return &body[Recovered]{Recovered{n}}, err
}

type listDeliveriesInput struct {
	OfEndpoint
	Paging
	Status []store.DeliveryStatus `query:"status,explode" enum:"pending,delivered,failed,held" doc:"Only those of the status; may be repeated."`
	Since  time.Time              `query:"since" doc:"Only those made since that time."`
}

func (a *API) listDeliveries(ctx context.Context, in *listDeliveriesInput) (*body[List[webhooks.Delivery]], error) {
	found, cursor, err := a.parts.Webhooks.Deliveries(ctx, store.DeliveryQuery{
		Workspace: workspaceOf(ctx), EndpointID: in.ID, Statuses: in.Status, Since: in.Since, Limit: in.Limit, Cursor: in.Cursor,
	})
	return listOf(found, cursor), err
}

type deliveryInput struct {
	ID string `path:"id" doc:"The delivery's id." example:"dlv_01K5A0V7Z9C1P3Q5R7S9T1V3W5"`
}

func (a *API) getDelivery(ctx context.Context, in *deliveryInput) (*body[webhooks.Delivery], error) {
	d, err := a.parts.Webhooks.Delivery(ctx, workspaceOf(ctx), in.ID)
	return &body[webhooks.Delivery]{d}, err
}

func (a *API) redeliver(ctx context.Context, in *deliveryInput) (*body[webhooks.Delivery], error) {
	d, err := a.parts.Webhooks.Redeliver(ctx, workspaceOf(ctx), in.ID)
	return &body[webhooks.Delivery]{d}, err
}

// Secret is a webhook secret.
type Secret struct {
	Secret string `json:"secret"`
}

func (a *API) getSecret(ctx context.Context, _ *struct{}) (*body[Secret], error) {
	s, err := a.parts.Webhooks.WorkspaceSecret(ctx, workspaceOf(ctx))
	return &body[Secret]{Secret{s}}, err
}

type rotateSecretInput struct {
	Body *webhooks.RotateInput
}

func (a *API) rotateSecret(ctx context.Context, in *rotateSecretInput) (*body[Secret], error) {
	s, err := a.parts.Webhooks.RotateWorkspaceSecret(ctx, workspaceOf(ctx), valueOf(in.Body))
	return &body[Secret]{Secret{s}}, err
}
