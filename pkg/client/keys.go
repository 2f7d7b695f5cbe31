package client

import (
	"context"
	"iter"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Scope is what a key may do.
type Scope string

// The scopes, weakest first; each allows what those before it do.
const (
	ScopeRead  Scope = "read"
	ScopeWrite Scope = "write"
	ScopeAdmin Scope = "admin"
)

// Key is an API key of the workspace.
type Key struct {
	ID         string       `json:"id,omitempty"`
	Name       string       `json:"name,omitempty"`
	Scopes     []Scope      `json:"scopes,omitempty"`
	Key        string       `json:"key,omitempty"`  // the key itself, shown when it is new only
	Hint       string       `json:"hint,omitempty"` // its first characters
	CreatedAt  memory.Time  `json:"created_at,omitzero"`
	LastUsedAt *memory.Time `json:"last_used_at,omitempty"`
}

// CreateKey makes a key. Keep the Key in the answer: it is not shown again. The caller's key needs the scope admin, for
// this as for the other calls about keys.
func (c *Client) CreateKey(ctx context.Context, name string, scopes []Scope, options ...CallOption) (Key, error) {
	return post[Key](ctx, c, Key{Name: name, Scopes: scopes}, options, "keys")
}

// ListKeys goes through the keys of the workspace, oldest first.
func (c *Client) ListKeys(ctx context.Context) iter.Seq2[Key, error] {
	return list[Key](ctx, c, nil, "keys")
}

// RevokeKey ends a key at once.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	return c.delete(ctx, "keys", id)
}
