package api_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// run runs a part until the test is over.
func run(tb testing.TB, fn func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- fn(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	var made api.Key
	a := r.call(t, http.MethodPost, "/v1/keys", `{"name":"importer","scopes":["write","write"]}`)
	a.want(t, http.StatusUnprocessableEntity)
	r.call(t, http.MethodPost, "/v1/keys", `{"name":"importer","scopes":["write"]}`).want(t, http.StatusCreated).into(t, &made)
	if !strings.HasPrefix(made.Key, "sk_") || len(made.Key) < 20 || !strings.HasPrefix(made.Key, made.Hint) || len(made.Hint) > 8 {
		t.Fatalf("made %+v", made)
	}
	stored, err := r.store.Keys().Lookup(t.Context(), sha256.Sum256([]byte(made.Key)))
	if err != nil || stored.ID != made.ID || stored.Workspace != workspace {
		t.Errorf("stored %+v, %v", stored, err)
	}
	r.call(t, http.MethodGet, "/v1/memories", "", "Authorization", "Bearer "+made.Key).want(t, http.StatusOK)
	var l struct{ Items []api.Key }
	list := r.call(t, http.MethodGet, "/v1/keys", "").want(t, http.StatusOK)
	list.into(t, &l)
	if len(l.Items) != 4 || strings.Contains(string(list.body), made.Key) {
		t.Errorf("listed %s", list.body)
	}
	r.call(t, http.MethodDelete, "/v1/keys/"+made.ID, "").want(t, http.StatusNoContent)
	r.call(t, http.MethodGet, "/v1/memories", "", "Authorization", "Bearer "+made.Key).want(t, http.StatusUnauthorized)
	r.call(t, http.MethodDelete, "/v1/keys/"+made.ID, "").want(t, http.StatusNotFound)
	r.call(t, http.MethodDelete, "/v1/keys/key_"+adminKey, "").want(t, http.StatusConflict) // its own
	r.call(t, http.MethodGet, "/v1/keys", "").want(t, http.StatusOK)
}

// slowKeys answers lookups when it is told to, and counts them.
type slowKeys struct {
	store.Keys
	mu      sync.Mutex
	lookups int
	gate    chan struct{}
	touched chan map[string]time.Time
}

func (k *slowKeys) Lookup(ctx context.Context, hash [32]byte) (store.Key, error) {
	key, err := k.Keys.Lookup(ctx, hash)
	k.mu.Lock()
	k.lookups++
	gate := k.gate
	k.mu.Unlock()
	if gate != nil {
		gate <- struct{}{} // the key was read
		<-gate             // and something else happens
	}
	return key, err
}

func (k *slowKeys) Touch(ctx context.Context, used map[string]time.Time) error {
	k.touched <- used
	return k.Keys.Touch(ctx, used)
}

func TestKeysAreRemembered(t *testing.T) {
	t.Parallel()
	k := &slowKeys{}
	r := newRig(t, options{api: api.Config{KeyTTL: time.Hour}, change: func(p *api.Parts) { k.Keys = p.Keys; p.Keys = k }})
	for range 3 {
		r.call(t, http.MethodGet, "/v1/router", "").want(t, http.StatusOK)
	}
	if k.lookups != 1 {
		t.Errorf("%d lookups", k.lookups)
	}
	t.Run("ButNotBeyondTheirRevocation", func(t *testing.T) {
		r.call(t, http.MethodGet, "/v1/router", "", "Authorization", "Bearer "+readKey).want(t, http.StatusOK)
		k.gate = make(chan struct{})
		done := make(chan int)
		go func() {
			done <- r.call(t, http.MethodGet, "/v1/router", "", "Authorization", "Bearer "+writeKey).StatusCode
		}()
		gate := k.gate
		<-gate // its lookup has read the key
		k.mu.Lock()
		k.gate = nil
		k.mu.Unlock()
		r.call(t, http.MethodDelete, "/v1/keys/key_"+writeKey, "").want(t, http.StatusNoContent)
		gate <- struct{}{}
		<-done // in flight: either answer is right
		r.call(t, http.MethodGet, "/v1/router", "", "Authorization", "Bearer "+writeKey).want(t, http.StatusUnauthorized)
	})
}

func TestWhenKeysWereUsedIsStored(t *testing.T) {
	t.Parallel()
	k := &slowKeys{touched: make(chan map[string]time.Time)}
	r := newRig(t, options{api: api.Config{TouchInterval: time.Millisecond}, change: func(p *api.Parts) { k.Keys = p.Keys; p.Keys = k }})
	run(t, r.Run)
	r.call(t, http.MethodGet, "/v1/router", "", "Authorization", "Bearer "+readKey).want(t, http.StatusOK)
	used := <-k.touched
	if at, ok := used["key_"+readKey]; len(used) != 1 || !ok || time.Since(at) > time.Minute {
		t.Errorf("used %v", used)
	}
}

func TestTheStoreOfKeysIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{change: func(p *api.Parts) { p.Keys = noKeys{} }})
	r.call(t, http.MethodGet, "/v1/router", "").want(t, http.StatusServiceUnavailable)
}

type noKeys struct{ store.Keys }

func (noKeys) Lookup(context.Context, [32]byte) (store.Key, error) {
	return store.Key{}, memory.Wrap(memory.CodeUnavailable, errors.New("refused"), "the store is away")
}

func (noKeys) Create(context.Context, store.Key) error { return nil }

func TestRateLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{api: api.Config{RatePerSecond: 0.01, RateBurst: 2}})
	for range 2 {
		r.call(t, http.MethodGet, "/v1/router", "").want(t, http.StatusOK)
	}
	a := r.call(t, http.MethodGet, "/v1/router", "").want(t, http.StatusTooManyRequests)
	if p := checkProblem(t, a); p["code"] != string(memory.CodeRateLimited) {
		t.Errorf("code %v", p["code"])
	}
	if a.Header.Get("RateLimit-Policy") != `"key";q=2;w=200` || !strings.HasPrefix(a.Header.Get("RateLimit"), `"key";r=0;t=`) {
		t.Errorf("headers %v", a.Header)
	}
	r.call(t, http.MethodGet, "/v1/router", "", "Authorization", "Bearer "+readKey).want(t, http.StatusOK) // its own bucket
	r.call(t, http.MethodGet, "/healthz", "").want(t, http.StatusOK)
}
