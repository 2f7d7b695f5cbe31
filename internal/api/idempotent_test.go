package api_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const keyHeader = "Idempotency-Key"

func (r *rig) total(tb testing.TB) int {
	tb.Helper()
	counts, err := r.store.Memories().Count(tb.Context(), workspace)
	if err != nil {
		tb.Fatal(err)
	}
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	t.Run("AHundredAtOnceMakeOneMemory", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		var mu sync.Mutex
		ids, codes := map[string]bool{}, map[int]int{}
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				a := r.call(t, http.MethodPost, "/v1/memories", `{"content":"The Tin Woodman had no heart."}`, keyHeader, "k1")
				mu.Lock()
				defer mu.Unlock()
				codes[a.StatusCode]++
				if a.StatusCode == http.StatusAccepted {
					var m memory.Memory
					a.into(t, &m)
					ids[m.ID] = true
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 || codes[202]+codes[409] != 100 || r.total(t) != 1 || len(r.track.submitted) != 1 {
			t.Errorf("%d ids, statuses %v, %d memories, %d submitted", len(ids), codes, r.total(t), len(r.track.submitted))
		}
	})
	t.Run("TheFirstAnswerIsReplayed", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		first := r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusAccepted)
		again := r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusAccepted)
		if string(first.body) != string(again.body) || first.Header.Get("Location") != again.Header.Get("Location") || again.Header.Get("Content-Type") != "application/json" {
			t.Errorf("first %s %v, again %s %v", first.body, first.Header, again.body, again.Header)
		}
		if first.Header.Get("Idempotency-Replayed") != "" || again.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("replayed: %q, then %q", first.Header.Get("Idempotency-Replayed"), again.Header.Get("Idempotency-Replayed"))
		}
	})
	t.Run("AnotherRequestIsRefused", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusAccepted)
		for _, other := range [][2]string{{"/v1/memories", `{"content":"y"}`}, {"/v1/keys", `{"content":"x"}`}, {"/v1/batches", `{"content":"x"}`}} {
			a := r.call(t, http.MethodPost, other[0], other[1], keyHeader, "k").want(t, http.StatusUnprocessableEntity)
			if p := checkProblem(t, a); p["code"] != string(memory.CodeKeyReused) {
				t.Errorf("%v: code %v", other, p["code"])
			}
		}
	})
	t.Run("WorkspacesAreApart", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusAccepted)
		a := r.call(t, http.MethodPost, "/v1/memories", `{"content":"y"}`, keyHeader, "k", "Authorization", "Bearer "+strangerKey).want(t, http.StatusAccepted)
		if a.Header.Get("Idempotency-Replayed") != "" {
			t.Error("it was replayed to another workspace")
		}
	})
	t.Run("OneThatRunsIsAConflict", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		r.track.onSubmit = func(memory.Ref) {
			a := r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusConflict)
			if p := checkProblem(t, a); p["code"] != string(memory.CodeInProgress) || a.Header.Get("Retry-After") == "" {
				t.Errorf("code %v, %v", p["code"], a.Header)
			}
		}
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusAccepted)
	})
	t.Run("AfterARefusalTheKeyIsFree", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		r.call(t, http.MethodPost, "/v1/memories", `{"content":""}`, keyHeader, "k").want(t, http.StatusUnprocessableEntity)
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusAccepted)
	})
	t.Run("ASecondTryAfterAFaultGoesOnWithTheSameMemory", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		r.track.onSubmit = func(memory.Ref) { panic("the process dies between effect and answer") }
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusInternalServerError)
		r.track.onSubmit = nil
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusAccepted)
		if r.total(t) != 1 {
			t.Errorf("there are %d memories", r.total(t))
		}
	})
	t.Run("ASecondTryAfterACrashMakesTheSameMemory", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		// What a process leaves that died after the effect: the memory, and a record without an answer.
		now := time.Now().Add(-time.Hour)
		sum := sha256.Sum256([]byte("POST\n/v1/memories\n\n" + `{"content":"x"}`))
		rec := store.Request{Workspace: workspace, Key: "k", Fingerprint: sum, ResourceID: "mem_01K5A0QZ5T8VJ4M3N2P1R0S9W7", CreatedAt: now, Until: now.Add(time.Minute)}
		if _, first, err := r.store.Requests().Begin(t.Context(), rec, now); err != nil || !first {
			t.Fatal(first, err)
		}
		m := memory.Memory{ID: rec.ResourceID, Workspace: workspace, Status: memory.StatusQueued, Track: memory.TrackRealtime, Content: "x", CreatedAt: memory.At(now), UpdatedAt: memory.At(now)}
		if _, err := r.store.Memories().Put(t.Context(), []store.Intake{{Memory: m, Lease: r.track.Lease()}}); err != nil {
			t.Fatal(err)
		}
		var got memory.Memory
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusAccepted).into(t, &got)
		if got.ID != rec.ResourceID || r.total(t) != 1 {
			t.Errorf("got %s; there are %d memories", got.ID, r.total(t))
		}
	})
	t.Run("WithoutTheStoreOfRequestsThereIsNoEffect", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{change: func(p *api.Parts) { p.Requests = noRequests{} }})
		r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusInternalServerError)
		if r.total(t) != 0 {
			t.Error("there was one")
		}
	})
}

type noRequests struct{ store.Requests }

func (noRequests) Begin(context.Context, store.Request, time.Time) (store.Request, bool, error) {
	return store.Request{}, false, errors.New("away")
}

// TestALongRequestStaysAlive shows that a request which takes longer than its lease is not taken for dead.
func TestALongRequestStaysAlive(t *testing.T) {
	t.Parallel()
	const lease = 30 * time.Millisecond
	watched := &extensions{seen: make(chan time.Time)}
	r := newRig(t, options{api: api.Config{RequestLease: lease}, change: func(p *api.Parts) {
		watched.Requests = p.Requests
		p.Requests = watched
	}})
	r.track.onSubmit = func(memory.Ref) {
		first := <-watched.seen
		if second := <-watched.seen; !second.After(first) {
			t.Errorf("extended to %s, then to %s", first, second)
		}
	}
	r.call(t, http.MethodPost, "/v1/memories", `{"content":"x"}`, keyHeader, "k").want(t, http.StatusAccepted)
}

type extensions struct {
	store.Requests
	seen chan time.Time
}

func (e *extensions) Extend(ctx context.Context, workspace, key string, until time.Time) error {
	select {
	case e.seen <- until:
	case <-ctx.Done():
	}
	return e.Requests.Extend(ctx, workspace, key, until)
}

func TestIdempotentUploads(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	lines := strings.Repeat(`{"content":"x"}`+"\n", 1000)
	upload := func(target, body, key string) reply {
		return r.call(t, http.MethodPost, target, body, "Content-Type", "application/x-ndjson", keyHeader, key)
	}
	var first, again memory.Batch
	upload("/v1/batches?name=a", lines, "k").want(t, http.StatusAccepted).into(t, &first)
	a := upload("/v1/batches?name=a", lines, "k").want(t, http.StatusAccepted)
	a.into(t, &again)
	if first.ID != again.ID || a.Header.Get("Idempotency-Replayed") != "true" || a.Header.Get("X-Body-Sha256") != "" {
		t.Errorf("first %s, again %s, %v", first.ID, again.ID, a.Header)
	}
	upload("/v1/batches?name=b", lines, "k").want(t, http.StatusUnprocessableEntity)
	upload("/v1/batches?name=a", lines+lines, "k").want(t, http.StatusUnprocessableEntity)
	counts, err := r.store.Batches().Count(t.Context(), workspace)
	if err != nil || counts[memory.BatchQueued] != 1 {
		t.Errorf("batches %v, %v", counts, err)
	}
	t.Run("OneThatBrokeOffCanBeSentAgain", func(t *testing.T) {
		upload("/v1/batches", `{"content":`, "cut").want(t, http.StatusAccepted) // a bad line is no broken upload
		gz := r.call(t, http.MethodPost, "/v1/batches", "\x1f\x8b\x08", "Content-Type", "application/x-ndjson", "Content-Encoding", "gzip", keyHeader, "cut2")
		gz.want(t, http.StatusBadRequest)
		upload("/v1/batches", lines, "cut2").want(t, http.StatusAccepted)
	})
}

func TestSecretsAreReplayedButNotStored(t *testing.T) {
	t.Parallel()
	kept := &answers{}
	r := newRig(t, options{change: func(p *api.Parts) { kept.Requests = p.Requests; p.Requests = kept }})
	body := `{"name":"n","scopes":["read"]}`
	first := r.call(t, http.MethodPost, "/v1/keys", body, keyHeader, "k").want(t, http.StatusCreated)
	again := r.call(t, http.MethodPost, "/v1/keys", body, keyHeader, "k").want(t, http.StatusCreated)
	var k struct{ Key string }
	first.into(t, &k)
	if string(first.body) != string(again.body) || k.Key == "" {
		t.Errorf("first %s, again %s", first.body, again.body)
	}
	if len(kept.all) != 1 || strings.Contains(string(kept.all[0].Body), k.Key) {
		t.Errorf("%d records, the first holds %q", len(kept.all), kept.all[0].Body)
	}
	var other struct{ Key string }
	r.call(t, http.MethodPost, "/v1/keys", `{"scopes":["admin"]}`).into(t, &other)
	r.call(t, http.MethodPost, "/v1/keys", body, keyHeader, "k", "Authorization", "Bearer "+other.Key).want(t, http.StatusConflict)
}

// answers keeps what is stored as answers.
type answers struct {
	store.Requests
	all []store.Answer
}

func (a *answers) Complete(ctx context.Context, workspace, key string, answer store.Answer) error {
	a.all = append(a.all, answer)
	return a.Requests.Complete(ctx, workspace, key, answer)
}

func TestAnEndpointWhoseFirstTryDiedIsShownWithASecret(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{change: func(p *api.Parts) { p.Requests = &forgetful{Requests: p.Requests} }})
	body := `{"url":"https://93.184.216.34/"}`
	var first, again struct{ ID, Secret string }
	r.call(t, http.MethodPost, "/v1/webhooks", body, keyHeader, "k").want(t, http.StatusCreated).into(t, &first)
	r.call(t, http.MethodPost, "/v1/webhooks", body, keyHeader, "k").want(t, http.StatusCreated).into(t, &again)
	if first.ID != again.ID || again.Secret == "" || first.Secret == again.Secret {
		t.Errorf("first %+v, again %+v", first, again)
	}
}

// forgetful dies before answers are stored.
type forgetful struct{ store.Requests }

func (f *forgetful) Complete(ctx context.Context, workspace, key string, _ store.Answer) error {
	return f.Extend(ctx, workspace, key, time.Unix(0, 0))
}

// lossy stores what it is told and loses the answers of the store: of the first so many beginnings and endings.
type lossy struct {
	store.Requests

	mu           sync.Mutex
	begins, ends int
}

func (l *lossy) lost(left *int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if *left == 0 {
		return nil
	}
	*left--
	return memory.Errorf(memory.CodeUnavailable, "the answer was lost")
}

func (l *lossy) Begin(ctx context.Context, r store.Request, now time.Time) (store.Request, bool, error) {
	got, first, err := l.Requests.Begin(ctx, r, now)
	if err == nil && first {
		err = l.lost(&l.begins)
	}
	return got, first, err
}

func (l *lossy) Complete(ctx context.Context, workspace, key string, a store.Answer) error {
	if err := l.lost(&l.ends); err != nil {
		return err // and it is not stored
	}
	return l.Requests.Complete(ctx, workspace, key, a)
}

// TestARequestThatThisProcessDroppedIsNotRunning: where the answer of the store to its beginning or its end was lost, the
// process that began it takes it up again at once, one time, and makes the same memory.
func TestARequestThatThisProcessDroppedIsNotRunning(t *testing.T) {
	t.Parallel()
	post := func(t *testing.T, r *rig) reply {
		t.Helper()
		return r.call(t, http.MethodPost, "/v1/memories", `{"content":"The Tin Woodman had no heart."}`, keyHeader, "k")
	}
	t.Run("ItsBeginning", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{change: func(p *api.Parts) { p.Requests = &lossy{Requests: p.Requests, begins: 1} }})
		post(t, r).want(t, http.StatusServiceUnavailable)
		var mu sync.Mutex
		var wg sync.WaitGroup
		codes := map[int]int{}
		for range 50 {
			wg.Go(func() {
				a := post(t, r)
				mu.Lock()
				defer mu.Unlock()
				codes[a.StatusCode]++
			})
		}
		wg.Wait()
		if codes[202] == 0 || codes[202]+codes[409] != 50 || r.total(t) != 1 || len(r.track.submitted) != 1 {
			t.Errorf("statuses %v, %d memories, %d submitted", codes, r.total(t), len(r.track.submitted))
		}
	})
	t.Run("ItsEnd", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{change: func(p *api.Parts) { p.Requests = &lossy{Requests: p.Requests, ends: 1} }})
		var first, again memory.Memory
		post(t, r).want(t, http.StatusAccepted).into(t, &first)
		post(t, r).want(t, http.StatusAccepted).into(t, &again)
		if first.ID != again.ID || r.total(t) != 1 {
			t.Errorf("first %s, again %s; %d memories", first.ID, again.ID, r.total(t))
		}
	})
	t.Run("AnotherProcessWaitsForItsLease", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, options{})
		held := store.Request{Workspace: workspace, Key: "k", ResourceID: "mem_of_another", CreatedAt: time.Now(), Until: time.Now().Add(time.Minute)}
		held.Fingerprint = fingerprintOf("POST", "/v1/memories", `{"content":"The Tin Woodman had no heart."}`)
		if _, _, err := r.store.Requests().Begin(t.Context(), held, time.Now()); err != nil {
			t.Fatal(err)
		}
		post(t, r).want(t, http.StatusConflict)
	})
}

func fingerprintOf(method, path, body string) [32]byte {
	return sha256.Sum256([]byte(method + "\n" + path + "\n\n" + body))
}

// TestASchemaIsChangedThoughTheWorkspaceChanges: somebody else changes another thing of the workspace each time between
// the reading and the writing, for a while.
func TestASchemaIsChangedThoughTheWorkspaceChanges(t *testing.T) {
	t.Parallel()
	busy := &busyWorkspaces{times: 3}
	r := newRig(t, options{change: func(p *api.Parts) { busy.Workspaces = p.Workspaces; p.Workspaces = busy }})
	put := `{"nodes":[{"name":"Ship"}]}`
	r.call(t, http.MethodPut, "/v1/schema", put).want(t, http.StatusOK)
	if got := string(r.call(t, http.MethodGet, "/v1/schema", "").want(t, http.StatusOK).body); !strings.Contains(got, `"Ship"`) {
		t.Errorf("the schema is %s", got)
	}
	w, err := r.store.Workspaces().Get(t.Context(), workspace)
	if err != nil || w.Name != "changed 0 times more" {
		t.Errorf("the other change is lost: %q, %v", w.Name, err)
	}
	busy.times = 1000
	r.call(t, http.MethodPut, "/v1/schema", put).want(t, http.StatusConflict)
}

// busyWorkspaces are changed by somebody else right before each write.
type busyWorkspaces struct {
	store.Workspaces
	times int
}

func (b *busyWorkspaces) Save(ctx context.Context, w store.Workspace) error {
	if b.times > 0 {
		b.times--
		other, err := b.Get(ctx, w.ID)
		if err != nil {
			return err
		}
		other.Name = fmt.Sprintf("changed %d times more", b.times)
		if err := b.Workspaces.Save(ctx, other); err != nil {
			return err
		}
	}
	return b.Workspaces.Save(ctx, w)
}
