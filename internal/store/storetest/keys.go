package storetest

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Keys checks what [store.Keys] promises. open gives an empty store.
func Keys(t *testing.T, open func(testing.TB) store.Keys) {
	t.Helper()
	checks[store.Keys]{
		{"LookupFindsWhatWasCreated", keysLookup},
		{"CreateReplacesTheSameIDAndTheSameHash", keysReplace},
		{"ListIsOldestFirst", keysList},
		{"RevokedKeysAreGoneAtOnce", keysRevoke},
		{"TouchGoesForwardOnly", keysTouch},
	}.run(t, open)
}

func newKey(workspace, name string, created time.Duration) store.Key {
	key := id.New(id.Key)
	return store.Key{
		ID: key, Workspace: workspace, Name: name, Scopes: []store.Scope{store.ScopeRead, store.ScopeWrite},
		Hash: sha256.Sum256([]byte(key)), Hint: "sk_abc", CreatedAt: after(created),
	}
}

func keysLookup(t *testing.T, s store.Keys) {
	k, other := newKey(newWorkspace(), "one", 0), newKey(newWorkspace(), "other", 0)
	other.Scopes = nil
	other.LastUsedAt = after(time.Hour).Ptr()
	must(t, s.Create(t.Context(), k))
	must(t, s.Create(t.Context(), other))
	want(t, "one", k, get[store.Key](t)(s.Lookup(t.Context(), k.Hash)))
	want(t, "other", other, get[store.Key](t)(s.Lookup(t.Context(), other.Hash)))
	_, err := s.Lookup(t.Context(), sha256.Sum256([]byte("never made")))
	wantCode(t, err, memory.CodeNotFound)
}

func keysReplace(t *testing.T, s store.Keys) {
	ws := newWorkspace()
	first := newKey(ws, "first", 0)
	must(t, s.Create(t.Context(), first))
	sameID := newKey(ws, "same id", time.Second)
	sameID.ID = first.ID
	must(t, s.Create(t.Context(), sameID))
	_, err := s.Lookup(t.Context(), first.Hash)
	wantCode(t, err, memory.CodeNotFound)
	sameHash := newKey(ws, "same hash", 2*time.Second)
	sameHash.Hash = sameID.Hash
	must(t, s.Create(t.Context(), sameHash))
	want(t, "all keys", []store.Key{sameHash}, get[[]store.Key](t)(s.List(t.Context(), ws)))
}

func keysList(t *testing.T, s store.Keys) {
	ws := newWorkspace()
	young, old := newKey(ws, "young", time.Hour), newKey(ws, "old", time.Minute)
	for _, k := range []store.Key{young, old, newKey(newWorkspace(), "of others", 0)} {
		must(t, s.Create(t.Context(), k))
	}
	want(t, "keys", []store.Key{old, young}, get[[]store.Key](t)(s.List(t.Context(), ws)))
	want(t, "keys of an unknown workspace", []store.Key{}, get[[]store.Key](t)(s.List(t.Context(), newWorkspace())))
}

func keysRevoke(t *testing.T, s store.Keys) {
	ws := newWorkspace()
	k := newKey(ws, "k", 0)
	must(t, s.Create(t.Context(), k))
	wantCode(t, s.Revoke(t.Context(), newWorkspace(), k.ID), memory.CodeNotFound)
	get[store.Key](t)(s.Lookup(t.Context(), k.Hash))
	must(t, s.Revoke(t.Context(), ws, k.ID))
	_, err := s.Lookup(t.Context(), k.Hash)
	wantCode(t, err, memory.CodeNotFound)
	wantCode(t, s.Revoke(t.Context(), ws, k.ID), memory.CodeNotFound)
}

func keysTouch(t *testing.T, s store.Keys) {
	a, b := newKey(newWorkspace(), "a", 0), newKey(newWorkspace(), "b", 0)
	must(t, s.Create(t.Context(), a))
	must(t, s.Create(t.Context(), b))
	touch := func(k store.Key, at time.Duration) {
		t.Helper()
		must(t, s.Touch(t.Context(), map[string]time.Time{k.ID: noon.Add(at), id.New(id.Key): noon}))
	}
	used := func(k store.Key) *memory.Time {
		t.Helper()
		return get[store.Key](t)(s.Lookup(t.Context(), k.Hash)).LastUsedAt
	}
	must(t, s.Touch(t.Context(), nil))
	touch(a, time.Hour)
	want(t, "a", after(time.Hour).Ptr(), used(a))
	want(t, "b", (*memory.Time)(nil), used(b))
	touch(a, time.Minute)
	want(t, "a, touched late", after(time.Hour).Ptr(), used(a))
	touch(a, 2*time.Hour)
	want(t, "a, touched again", after(2*time.Hour).Ptr(), used(a))
}
