package client

import (
	"context"
	"net/http"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Workspace is the tenant that the key belongs to.
type Workspace struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	CreatedAt memory.Time `json:"created_at"`
	Memories  Census      `json:"memories"`
	Batches   Census      `json:"batches"`
	Usage     Usage       `json:"usage"`
}

// Census counts by status.
type Census struct {
	Total    int            `json:"total"`
	ByStatus map[string]int `json:"by_status"`
}

// Usage is what LLM calls took.
type Usage struct {
	Tokens  int     `json:"tokens"`
	CostUSD float64 `json:"cost_usd"`
}

// Workspace returns the workspace of the key, with what it holds and what that took.
func (c *Client) Workspace(ctx context.Context) (Workspace, error) {
	return read[Workspace](ctx, c, get(nil, "workspace"))
}

// Router is the routing policy in force and how busy the tracks are.
type Router struct {
	Policy struct {
		MaxQueued        int     `json:"max_queued"`
		MaxWaitSeconds   float64 `json:"max_wait_seconds"`
		MaxRealtimeBytes int     `json:"max_realtime_bytes"`
	} `json:"policy"`
	Realtime struct { // of the process that answers, but for Unfinished
		InFlight            int      `json:"in_flight"`
		Limit               int      `json:"limit"`
		Queued              int      `json:"queued"`
		ExpectedWaitSeconds float64  `json:"expected_wait_seconds"`
		Draining            bool     `json:"draining"`
		Open                []string `json:"open"` // dependencies whose circuit breaker is open
		Unfinished          int      `json:"unfinished"`
	} `json:"realtime"`
	Durable struct {
		Unfinished int `json:"unfinished"`
	} `json:"durable"`
	Breakers map[string]string `json:"breakers"` // by dependency: closed, half-open or open
}

// Router returns the routing policy and the load of the tracks.
func (c *Client) Router(ctx context.Context) (Router, error) {
	return read[Router](ctx, c, get(nil, "router"))
}

// Schema is the workspace's own node and relationship types: what the graph may use (strict) or prefers (open).
type Schema struct {
	Mode          string       `json:"mode,omitempty"` // "strict" or "open"; default open
	Nodes         []SchemaType `json:"nodes,omitempty"`
	Relationships []SchemaType `json:"relationships,omitempty"`
}

// SchemaType is a node or relationship type with what it is meant for.
type SchemaType struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// GetSchema returns the workspace's types.
func (c *Client) GetSchema(ctx context.Context) (Schema, error) {
	return read[Schema](ctx, c, get(nil, "schema"))
}

// PutSchema sets the workspace's types, for memories that are processed from now on.
func (c *Client) PutSchema(ctx context.Context, s Schema) (Schema, error) {
	return sendFor[Schema](ctx, c, http.MethodPut, s, nil, "schema")
}
