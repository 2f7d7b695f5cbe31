package store

import (
	"context"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Scope is what a key may do. A key with a scope may do all that the scopes before it allow.
type Scope string

// The scopes, weakest first.
const (
	ScopeRead  Scope = "read"
	ScopeWrite Scope = "write"
	ScopeAdmin Scope = "admin"
)

// Key is an API key of a workspace. The key itself is never stored, only its SHA-256.
type Key struct {
	ID         string       `json:"id"`
	Workspace  string       `json:"-"`
	Name       string       `json:"name,omitempty"`
	Scopes     []Scope      `json:"scopes"`
	Hash       [32]byte     `json:"-"`
	Hint       string       `json:"hint"` // the first characters of the key, to tell keys apart
	CreatedAt  memory.Time  `json:"created_at"`
	LastUsedAt *memory.Time `json:"last_used_at"`
}

// Keys keeps API keys.
type Keys interface {
	// Create stores a key; an id or hash that exists is replaced.
	Create(ctx context.Context, k Key) error
	// Lookup returns the key with the hash; CodeNotFound where there is none.
	Lookup(ctx context.Context, hash [32]byte) (Key, error)
	// List returns the keys of the workspace, oldest first.
	List(ctx context.Context, workspace string) ([]Key, error)
	// Revoke forgets a key at once; CodeNotFound where the workspace has no such key.
	Revoke(ctx context.Context, workspace, id string) error
	// Touch sets when keys were last used, by id; never back in time. Unknown ones are no error.
	Touch(ctx context.Context, used map[string]time.Time) error
}

// Workspace is a tenant: everything stored belongs to one.
type Workspace struct {
	ID        string
	Name      string
	CreatedAt memory.Time
	Secrets   []Secret // the webhook secrets of the workspace, newest first; what they sign is one-off webhook_urls
	Schema    []byte   // JSON of the node and relationship types; nil: the default
	Revision  int64    // grows with every Save
}

// Secret is a signing secret, sealed (see webhooks). It signs until Expires; zero: no end.
type Secret struct {
	Sealed  []byte
	Expires time.Time
}

// Workspaces keeps workspaces.
type Workspaces interface {
	// Get returns the workspace; CodeNotFound where there is none.
	Get(ctx context.Context, id string) (Workspace, error)
	// Save stores w if the stored revision is w.Revision (0: none stored yet), as the next revision; CodeConflict
	// otherwise.
	Save(ctx context.Context, w Workspace) error
	// List returns all workspaces, oldest first.
	List(ctx context.Context) ([]Workspace, error)
}

// Request is the record of an idempotent request.
type Request struct {
	Workspace   string
	Key         string   // the Idempotency-Key
	Fingerprint [32]byte // of method, path and body
	ResourceID  string   // the id that the request makes, chosen before: a second try makes the same one
	CreatedAt   time.Time
	Until       time.Time // while it is running: when its process is taken for dead
	Answer      *Answer   // nil while it is running
}

// Answer is what the first request was answered.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
}

// Requests keeps the records of idempotent requests.
type Requests interface {
	// Begin records r if its workspace and key are new, or the stored one is running, expired by now and has the same
	// fingerprint (then the resource id of the stored one is kept). Only one of any number of callers gets true; the
	// others get the stored record.
	Begin(ctx context.Context, r Request, now time.Time) (Request, bool, error)
	// Extend sets when the process of a running record is taken for dead: later for a long request, now for one that
	// failed halfway. A record that has its answer, or is gone, stays as it is.
	Extend(ctx context.Context, workspace, key string, until time.Time) error
	// Complete stores the answer. One that is there already stays: every repetition of a request gets the same.
	Complete(ctx context.Context, workspace, key string, a Answer) error
	// Abandon forgets a running record: the request failed without an effect and may be sent again.
	Abandon(ctx context.Context, workspace, key string) error
	// Sweep forgets records created before the given time; it returns how many.
	Sweep(ctx context.Context, before time.Time) (int, error)
}
