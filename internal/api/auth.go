package api

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// A caller is who sent a request: what the key that it showed stands for.
type caller struct {
	store.Key
	secret string // the key itself
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller) // every route that asks has a scope
	return c
}

// workspaceOf is the workspace that the request is about.
func workspaceOf(ctx context.Context) string { return callerOf(ctx).Workspace }

// scopeOf is the scope that an operation needs; "" where it needs no key.
func scopeOf(op *huma.Operation) store.Scope {
	for _, s := range op.Security {
		for _, scopes := range s {
			if len(scopes) > 0 {
				return store.Scope(scopes[0])
			}
		}
	}
	return ""
}

// allows reports whether the scopes of a key include the needed one: each scope includes those before it.
func allows(has []store.Scope, need store.Scope) bool {
	order := []store.Scope{store.ScopeRead, store.ScopeWrite, store.ScopeAdmin}
	return slices.ContainsFunc(has, func(s store.Scope) bool { return slices.Index(order, s) >= slices.Index(order, need) })
}

// authenticate lets requests pass whose key exists and has the scope of the operation.
func (a *API) authenticate(ctx huma.Context, next func(huma.Context)) {
	need := scopeOf(ctx.Operation())
	if need == "" {
		next(ctx)
		return
	}
	key, err := a.keys.find(ctx.Context(), presented(ctx))
	if err != nil {
		a.fail(ctx, err)
		return
	}
	n := noteOf(ctx.Context())
	n.workspace, n.key = key.Workspace, key.ID
	if !allows(key.Scopes, need) {
		a.fail(ctx, memory.Errorf(memory.CodeForbidden, "this needs a key with the scope %s", need))
		return
	}
	next(huma.WithValue(ctx, callerKey{}, caller{Key: key, secret: presented(ctx)}))
}

// presented is the key that the request shows; "" where it shows none.
func presented(ctx huma.Context) string {
	if scheme, key, ok := strings.Cut(ctx.Header("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(key)
	}
	return ctx.Header("X-API-Key")
}

// keyring knows keys for a moment, so that not every request asks the store, and gathers when they were used.
type keyring struct {
	keys store.Keys
	ttl  time.Duration
	most int

	mu    sync.Mutex
	known map[[32]byte]knownKey
	used  map[string]time.Time
	epoch int // grows with each revocation: what was looked up before one is not kept
}

type knownKey struct {
	key   store.Key
	until time.Time
}

func newKeyring(keys store.Keys, ttl time.Duration) *keyring {
	return &keyring{keys: keys, ttl: ttl, most: 10_000, known: map[[32]byte]knownKey{}, used: map[string]time.Time{}}
}

// find returns the key; CodeUnauthorized where there is none.
func (r *keyring) find(ctx context.Context, secret string) (store.Key, error) {
	if secret == "" {
		return store.Key{}, memory.Errorf(memory.CodeUnauthorized, "send an API key as Authorization: Bearer or X-API-Key")
	}
	hash := sha256.Sum256([]byte(secret))
	key, epoch, ok := r.recall(hash)
	if ok {
		return key, nil
	}
	key, err := r.keys.Lookup(ctx, hash)
	switch {
	case memory.CodeOf(err) == memory.CodeNotFound:
		return key, memory.Errorf(memory.CodeUnauthorized, "there is no such API key")
	case err != nil:
		return key, err
	}
	r.keep(hash, key, epoch)
	return key, nil
}

func (r *keyring) recall(hash [32]byte) (store.Key, int, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.known[hash]
	now := time.Now()
	if !ok || now.After(k.until) {
		return store.Key{}, r.epoch, false
	}
	r.used[k.key.ID] = now
	return k.key, r.epoch, true
}

func (r *keyring) keep(hash [32]byte, key store.Key, epoch int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.used[key.ID] = now
	if epoch != r.epoch {
		return
	}
	if len(r.known) >= r.most {
		clear(r.known)
	}
	r.known[hash] = knownKey{key, now.Add(r.ttl)}
}

// forget makes a revocation count at once in this process; in others it does within the ttl.
func (r *keyring) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.known)
	r.epoch++
}

// flush stores when keys were used since the flush before.
func (r *keyring) flush(ctx context.Context) error {
	r.mu.Lock()
	used := r.used
	r.used = map[string]time.Time{}
	r.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	return r.keys.Touch(ctx, used)
}
