package storetest

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
)

// Requests checks what [store.Requests] promises. open gives an empty store.
func Requests(t *testing.T, open func(testing.TB) store.Requests) {
	t.Helper()
	checks[store.Requests]{
		{"BeginGivesARequestToOneOfAHundred", requestsRace},
		{"AnExpiredRequestIsGivenToOneOfAHundred", requestsTakeOverRace},
		{"BeginGivesTheStoredRecordToTheOthers", requestsStored},
		{"ATakenOverRequestKeepsItsResourceID", requestsTakeOver},
		{"ExtendMovesTheEndOfARunningRequest", requestsExtend},
		{"TheFirstAnswerStays", requestsComplete},
		{"AbandonedRequestsAreNew", requestsAbandon},
		{"SweepForgetsOldRecords", requestsSweep},
		{"WorkspacesAreApart", requestsApart},
	}.run(t, open)
}

func newRequest(workspace, key string) store.Request {
	return store.Request{
		Workspace: workspace, Key: key, Fingerprint: sha256.Sum256([]byte(key)), ResourceID: id.New(id.Memory),
		CreatedAt: noon, Until: noon.Add(time.Minute),
	}
}

// begin begins a request and checks whether it was got.
func begin(t testing.TB, s store.Requests, r store.Request, now time.Time, got bool) store.Request {
	t.Helper()
	out, ok, err := s.Begin(t.Context(), r, now)
	must(t, err)
	if ok != got {
		t.Fatalf("Begin answers %v, want %v; the record is %+v", ok, got, out)
	}
	return out
}

func requestsRace(t *testing.T, s store.Requests) {
	race(t, s, newRequest(newWorkspace(), "k"), noon, "")
}

func requestsTakeOverRace(t *testing.T, s store.Requests) {
	r := newRequest(newWorkspace(), "k")
	begin(t, s, r, noon, true)
	again := r
	again.Until = noon.Add(time.Hour)
	race(t, s, again, noon.Add(2*time.Minute), r.ResourceID)
}

// race begins the request a hundred times at once, each with a resource id of its own; one gets it, and all see the id of
// that one, or the given one.
func race(t *testing.T, s store.Requests, r store.Request, now time.Time, resource string) {
	t.Helper()
	var mine atomic.Int32
	var seen sync.Map
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			try := r
			try.ResourceID = fmt.Sprint("mem_", i)
			got, ok, err := s.Begin(t.Context(), try, now)
			if err != nil {
				t.Error(err)
			}
			if ok {
				mine.Add(1)
			}
			seen.Store(got.ResourceID, true)
		})
	}
	wg.Wait()
	if mine.Load() != 1 {
		t.Errorf("%d callers got the request, want 1", mine.Load())
	}
	n := 0
	seen.Range(func(id, _ any) bool {
		n++
		if resource != "" && id != resource {
			t.Errorf("a caller saw the resource id %v, want %s", id, resource)
		}
		return true
	})
	if n != 1 {
		t.Errorf("callers saw %d resource ids, want the same one", n)
	}
}

func requestsStored(t *testing.T, s store.Requests) {
	r := newRequest(newWorkspace(), "k")
	want(t, "new", r, begin(t, s, r, noon, true))
	again := newRequest(r.Workspace, r.Key)
	again.CreatedAt, again.Until = noon.Add(time.Second), noon.Add(time.Hour)
	want(t, "while it runs", r, begin(t, s, again, noon.Add(time.Second), false))
	again.Fingerprint[0]++
	want(t, "another body, while it runs", r, begin(t, s, again, noon.Add(time.Second), false))
	want(t, "another body, when it has expired", r, begin(t, s, again, noon.Add(time.Hour), false))
}

func requestsTakeOver(t *testing.T, s store.Requests) {
	r := newRequest(newWorkspace(), "k")
	begin(t, s, r, noon, true)
	again := newRequest(r.Workspace, r.Key)
	again.Until = noon.Add(time.Hour)
	got := begin(t, s, again, noon.Add(2*time.Minute), true)
	if got.ResourceID != r.ResourceID {
		t.Errorf("the resource id is %s, want that of the first try, %s", got.ResourceID, r.ResourceID)
	}
	got = begin(t, s, again, noon.Add(2*time.Minute), false)
	want(t, "end of the second try", again.Until, got.Until)
}

func requestsExtend(t *testing.T, s store.Requests) {
	r := newRequest(newWorkspace(), "k")
	must(t, s.Extend(t.Context(), r.Workspace, r.Key, noon)) // there is none
	begin(t, s, r, noon, true)
	must(t, s.Extend(t.Context(), r.Workspace, r.Key, noon.Add(time.Hour)))
	begin(t, s, r, noon.Add(2*time.Minute), false)
	must(t, s.Extend(t.Context(), r.Workspace, r.Key, noon.Add(time.Second)))
	begin(t, s, r, noon.Add(time.Minute), true)

	must(t, s.Complete(t.Context(), r.Workspace, r.Key, store.Answer{Status: 202}))
	must(t, s.Extend(t.Context(), r.Workspace, r.Key, noon.Add(-time.Hour)))
	if got := begin(t, s, r, noon.Add(time.Hour), false); got.Answer == nil || got.Answer.Status != 202 {
		t.Errorf("the answer is %+v, want the one stored", got.Answer)
	}
}

func requestsComplete(t *testing.T, s store.Requests) {
	r := newRequest(newWorkspace(), "k")
	begin(t, s, r, noon, true)
	answer := store.Answer{Status: 202, Header: map[string]string{"Location": "/v1/memories/x"}, Body: []byte("{\"id\": \"\xff\"}\n")}
	must(t, s.Complete(t.Context(), r.Workspace, r.Key, answer))
	must(t, s.Complete(t.Context(), r.Workspace, r.Key, store.Answer{Status: 500}))
	must(t, s.Abandon(t.Context(), r.Workspace, r.Key)) // it is not running
	want(t, "answer", &answer, begin(t, s, r, noon.Add(24*time.Hour), false).Answer)
}

func requestsAbandon(t *testing.T, s store.Requests) {
	r := newRequest(newWorkspace(), "k")
	must(t, s.Abandon(t.Context(), r.Workspace, r.Key)) // there is none
	begin(t, s, r, noon, true)
	must(t, s.Abandon(t.Context(), r.Workspace, r.Key))
	again := newRequest(r.Workspace, r.Key)
	again.Fingerprint[0]++
	want(t, "record", again, begin(t, s, again, noon, true))
}

func requestsSweep(t *testing.T, s store.Requests) {
	const old = 1200 // more than an adapter may want to delete at once
	ws := newWorkspace()
	for i := range old {
		begin(t, s, newRequest(ws, fmt.Sprint("old ", i)), noon, true)
	}
	young := newRequest(ws, "young")
	young.CreatedAt = noon.Add(time.Hour)
	begin(t, s, young, noon, true)
	n := get[int](t)(s.Sweep(t.Context(), noon.Add(time.Hour)))
	if n != old {
		t.Errorf("%d records were swept, want %d", n, old)
	}
	begin(t, s, young, noon, false)
	begin(t, s, newRequest(ws, "old 7"), noon, true)
}

func requestsApart(t *testing.T, s store.Requests) {
	r := newRequest(newWorkspace(), "k")
	begin(t, s, r, noon, true)
	other := newRequest(newWorkspace(), "k")
	want(t, "another workspace's", other, begin(t, s, other, noon, true))
	must(t, s.Complete(t.Context(), other.Workspace, "k", store.Answer{Status: 200}))
	must(t, s.Abandon(t.Context(), other.Workspace, "k"))
	want(t, "ours", r, begin(t, s, r, noon, false))
}
