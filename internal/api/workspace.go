package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"net/http"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func (a *API) workspaceRoutes() {
	serve(a, route{
		id: "get-workspace", method: http.MethodGet, path: "/v1/workspace", tag: "Workspace", scope: store.ScopeRead,
		summary: "Read the workspace", about: "How many memories and batches it has, and what their LLM calls took.",
		answer: `{"id":"default","name":"Default","created_at":"2025-09-16T10:00:00.000Z","memories":{"total":2,"by_status":{"completed":2}},"batches":{"total":0,"by_status":{}},"usage":{"tokens":1200,"cost_usd":0.001}}`,
	}, a.getWorkspace)
}

// Workspace is the tenant that a key belongs to.
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

func censusOf[S ~string](counts map[S]int) Census {
	c := Census{ByStatus: map[string]int{}}
	for s, n := range counts {
		if n > 0 {
			c.ByStatus[string(s)] = n
			c.Total += n
		}
	}
	return c
}

func (a *API) getWorkspace(ctx context.Context, _ *struct{}) (*body[Workspace], error) {
	w, err := a.workspace(ctx)
	if err != nil {
		return nil, err
	}
	memories, err := a.parts.Memories.Count(ctx, w.ID)
	if err != nil {
		return nil, err
	}
	batches, err := a.parts.Batches.Count(ctx, w.ID)
	if err != nil {
		return nil, err
	}
	usage, err := a.parts.Memories.Usage(ctx, w.ID)
	if err != nil {
		return nil, err
	}
	return &body[Workspace]{Workspace{
		ID: w.ID, Name: w.Name, CreatedAt: w.CreatedAt, Memories: censusOf(memories), Batches: censusOf(batches), Usage: Usage(usage),
	}}, nil
}

func (a *API) keyRoutes() {
	serve(a, route{
		id: "create-key", method: http.MethodPost, path: "/v1/keys", tag: "Keys", scope: store.ScopeAdmin,
		status: http.StatusCreated, creates: id.Key, secret: true,
		summary: "Make an API key", about: "The key is shown this once; only its hash is stored. Each scope includes those before it: `read`, `write`, `admin`.",
		request: `{"name":"importer","scopes":["write"]}`, answer: exampleKey,
	}, a.createKey)
	serve(a, route{
		id: "list-keys", method: http.MethodGet, path: "/v1/keys", tag: "Keys", scope: store.ScopeAdmin,
		summary: "List the API keys, oldest first", answer: `{"items":[` + exampleKey + `],"next_cursor":null}`,
	}, a.listKeys)
	serve(a, route{
		id: "revoke-key", method: http.MethodDelete, path: "/v1/keys/{id}", tag: "Keys", scope: store.ScopeAdmin, status: http.StatusNoContent,
		summary: "Revoke an API key", about: "At once. Not the one that the request is made with: nobody is to lock themselves out.",
		errors: []int{http.StatusConflict},
	}, a.revokeKey)
}

// Key is an API key.
type Key struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	Scopes     []store.Scope `json:"scopes"`
	Key        string        `json:"key,omitempty" doc:"The key itself, when it is new."`
	Hint       string        `json:"hint" doc:"Its first characters."`
	CreatedAt  memory.Time   `json:"created_at"`
	LastUsedAt *memory.Time  `json:"last_used_at"`
}

func keyOf(k store.Key) Key {
	return Key{ID: k.ID, Name: k.Name, Scopes: k.Scopes, Hint: k.Hint, CreatedAt: k.CreatedAt, LastUsedAt: k.LastUsedAt}
}

// KeyInput is a key to be made.
type KeyInput struct {
	Name   string        `json:"name,omitempty" maxLength:"255"`
	Scopes []store.Scope `json:"scopes" enum:"read,write,admin" minItems:"1" maxItems:"3"`
}

type createKeyInput struct {
	Body KeyInput
}

// hintLength is how much of a key is kept to tell keys apart: too little to be of use to anyone else.
const hintLength = 7

func (a *API) createKey(ctx context.Context, in *createKeyInput) (*body[Key], error) {
	if len(setOf(in.Body.Scopes)) < len(in.Body.Scopes) { // huma's own check cannot compare what is no string
		return nil, &memory.Error{Code: memory.CodeInvalid, Pointer: "/scopes", Message: "must not name a scope twice"}
	}
	k, secret := NewKey(workspaceOf(ctx), in.Body.Name, in.Body.Scopes)
	if made := resourceID(ctx); made != "" {
		k.ID = made
	}
	if err := a.parts.Keys.Create(ctx, k); err != nil {
		return nil, err
	}
	shown := keyOf(k)
	shown.Key = secret
	return &body[Key]{shown}, nil
}

// NewKey makes a key of a workspace, to be stored, and the secret that stands for it, which is to be shown once.
func NewKey(workspace, name string, scopes []store.Scope) (k store.Key, secret string) {
	secret = "sk_" + rand.Text()
	return store.Key{
		ID: id.New(id.Key), Workspace: workspace, Name: name, Scopes: slices.Sorted(maps.Keys(setOf(scopes))),
		Hash: sha256.Sum256([]byte(secret)), Hint: secret[:hintLength], CreatedAt: memory.Now(),
	}, secret
}

func setOf[T comparable](list []T) map[T]struct{} {
	set := make(map[T]struct{}, len(list))
	for _, v := range list {
		set[v] = struct{}{}
	}
	return set
}

func (a *API) listKeys(ctx context.Context, _ *struct{}) (*body[List[Key]], error) {
	keys, err := a.parts.Keys.List(ctx, workspaceOf(ctx))
	out := make([]Key, len(keys))
	for i, k := range keys {
		out[i] = keyOf(k)
	}
	return listOf(out, ""), err
}

type keyInput struct {
	ID string `path:"id" doc:"The key's id." example:"key_01K5A0S8W2B4N6M8K0J2H4G6F8"`
}

func (a *API) revokeKey(ctx context.Context, in *keyInput) (*struct{}, error) {
	if in.ID == callerOf(ctx).ID {
		return nil, memory.Errorf(memory.CodeConflict, "a key cannot revoke itself: use another one with the scope admin")
	}
	err := a.parts.Keys.Revoke(ctx, workspaceOf(ctx), in.ID)
	a.keys.forget()
	return nil, err
}
