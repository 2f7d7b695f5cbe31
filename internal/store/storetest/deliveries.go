package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Deliveries checks what [store.Deliveries] promises. open gives an empty store.
func Deliveries(t *testing.T, open func(testing.TB) store.Deliveries) {
	t.Helper()
	checks[store.Deliveries]{
		{"GetReturnsWhatWasCreated", deliveriesGet},
		{"CreateLeavesWhatExists", deliveriesCreateAgain},
		{"ListIsNewestFirstInPages", deliveriesList},
		{"ListFilters", deliveriesFilter},
		{"ClaimTakesPendingOnesOfNobody", deliveriesClaim},
		{"OneOfManyClaimsWins", deliveriesClaimRace},
		{"AttemptsAreAppended", deliveriesAttempted},
		{"AttemptsUnderAnOlderFenceAreRefused", deliveriesFence},
		{"AttemptsOfManyDeliveriesAreJudgedEach", deliveriesManyAttempted},
		{"RequeueStartsARound", deliveriesRequeue},
		{"DueGivesLongestExpiredFirst", deliveriesDue},
		{"StatsCountEverything", deliveriesStats},
		{"SweepForgetsWhatIsNotPending", deliveriesSweep},
		{"BodyStaysForThoseThatAreLeft", deliveriesShareBodies},
		{"WorkspacesAreApart", deliveriesApart},
	}.run(t, open)
}

func newDelivery(workspace string, created time.Duration) store.Delivery {
	return store.Delivery{
		ID: id.New(id.Delivery), Workspace: workspace, EndpointID: "whe_1", URL: "https://example.com/hook", EventID: "evt_1",
		EventType: memory.EventBatchCompleted, Body: []byte("{\"a\": \"\xff\"}\n"), Status: store.DeliveryPending, Round: 1,
		CreatedAt: after(created), UpdatedAt: after(created),
	}
}

func create(t testing.TB, s store.Deliveries, ds ...store.Delivery) {
	t.Helper()
	for i, created := range get[[]bool](t)(s.Create(t.Context(), ds)) {
		if !created {
			t.Fatalf("delivery %s was there before", ds[i].ID)
		}
	}
}

func read(t testing.TB, s store.Deliveries, d store.Delivery) store.Delivery {
	t.Helper()
	return get[store.Delivery](t)(s.Get(t.Context(), d.Workspace, d.ID))
}

func deliveryIDs(ds []store.Delivery) []string {
	var ids []string
	for _, d := range ds {
		ids = append(ids, d.ID)
	}
	return ids
}

func deliveriesGet(t *testing.T, s store.Deliveries) {
	ws := newWorkspace()
	plain, full := newDelivery(ws, 0), newDelivery(ws, time.Second)
	plain.EndpointID = ""
	full.Lease = store.Lease{Owner: "p1", Until: noon.Add(time.Minute), Fence: 3}
	full.Attempts = []store.Attempt{
		{Round: 1, At: after(time.Second), Error: "no route", LatencyMS: 12, NextAt: after(time.Minute).Ptr()},
		{Round: 2, At: after(time.Minute), StatusCode: 500, Answer: "oops \"<é>\""},
	}
	create(t, s, plain, full)
	want(t, "plain", plain, read(t, s, plain))
	want(t, "full", full, read(t, s, full))
	if !read(t, s, plain).Lease.Until.IsZero() {
		t.Error("a lease that never was has an end")
	}
	_, err := s.Get(t.Context(), ws, "dlv_unknown")
	wantCode(t, err, memory.CodeNotFound)
}

func deliveriesCreateAgain(t *testing.T, s store.Deliveries) {
	want(t, "none", []bool{}, get[[]bool](t)(s.Create(t.Context(), nil)))
	a, b := newDelivery(newWorkspace(), 0), newDelivery(newWorkspace(), 0)
	create(t, s, a)
	again := a
	again.URL, again.Body, again.Status = "https://example.com/other", []byte("other"), store.DeliveryFailed
	want(t, "which are new", []bool{false, true, false}, get[[]bool](t)(s.Create(t.Context(), []store.Delivery{again, b, b})))
	want(t, "the first", a, read(t, s, a))
	want(t, "the new one", b, read(t, s, b))

	many, fresh := make([]store.Delivery, 70), make([]bool, 70) // more than an adapter may want to write at once
	for i := range many {
		many[i], fresh[i] = newDelivery(a.Workspace, 0), i != 37 && i != 69
	}
	create(t, s, many[37], many[69])
	want(t, "which of many are new", fresh, get[[]bool](t)(s.Create(t.Context(), many)))
	for _, d := range many {
		want(t, "one of many", d, read(t, s, d))
	}
}

func deliveriesList(t *testing.T, s store.Deliveries) {
	ws := newWorkspace()
	var all []string
	for i := range 7 {
		d := newDelivery(ws, time.Duration(i/2)*time.Second) // some were made at the same time
		d.ID = fmt.Sprint("dlv_", i)
		create(t, s, d)
		all = append([]string{d.ID}, all...)
	}
	create(t, s, newDelivery(newWorkspace(), 0))
	var got []string
	for cursor, pages := "", 0; ; pages++ {
		ds, next, err := s.List(t.Context(), store.DeliveryQuery{Workspace: ws, Limit: 3, Cursor: cursor})
		must(t, err)
		got = append(got, deliveryIDs(ds)...)
		for _, d := range ds {
			if d.Body != nil {
				t.Error("the list has bodies")
			}
		}
		if cursor = next; next == "" || pages > 7 {
			break
		}
	}
	want(t, "deliveries", all, got)
	_, _, err := s.List(t.Context(), store.DeliveryQuery{Workspace: ws, Limit: 3, Cursor: "no cursor"})
	wantCode(t, err, memory.CodeInvalid)
	_, next, err := s.List(t.Context(), store.DeliveryQuery{Workspace: ws, Limit: 7})
	must(t, err)
	want(t, "cursor after the last", "", next)
}

func deliveriesFilter(t *testing.T, s store.Deliveries) {
	ws := newWorkspace()
	ds := make([]store.Delivery, 6)
	statuses := []store.DeliveryStatus{store.DeliveryPending, store.DeliveryFailed, store.DeliveryDelivered}
	for i := range ds {
		ds[i] = newDelivery(ws, time.Duration(i)*time.Second)
		ds[i].Status, ds[i].EndpointID = statuses[i%3], fmt.Sprint("whe_", i%2)
	}
	create(t, s, ds...)
	for name, c := range map[string]struct {
		q    store.DeliveryQuery
		want []int
	}{
		"all":         {store.DeliveryQuery{}, []int{5, 4, 3, 2, 1, 0}},
		"endpoint":    {store.DeliveryQuery{EndpointID: "whe_1"}, []int{5, 3, 1}},
		"status":      {store.DeliveryQuery{Statuses: statuses[1:2]}, []int{4, 1}},
		"statuses":    {store.DeliveryQuery{Statuses: statuses[1:]}, []int{5, 4, 2, 1}},
		"since":       {store.DeliveryQuery{Since: noon.Add(4 * time.Second)}, []int{5, 4}},
		"all at once": {store.DeliveryQuery{EndpointID: "whe_0", Statuses: statuses[1:], Since: noon.Add(3 * time.Second)}, []int{4}},
	} {
		c.q.Workspace, c.q.Limit = ws, 100
		got, _, err := s.List(t.Context(), c.q)
		must(t, err)
		var ids []string
		for _, i := range c.want {
			ids = append(ids, ds[i].ID)
		}
		want(t, name, ids, deliveryIDs(got))
	}
}

func deliveriesClaim(t *testing.T, s store.Deliveries) {
	ws := newWorkspace()
	d := newDelivery(ws, 0)
	d.Attempts = []store.Attempt{{Round: 1, At: after(0), StatusCode: 500}}
	create(t, s, d)
	claim := func(owner string, now time.Duration, ok bool, fence int64) {
		t.Helper()
		until := noon.Add(now + time.Minute)
		got, is, err := s.Claim(t.Context(), ws, d.ID, owner, noon.Add(now), until)
		must(t, err)
		if is != ok {
			t.Fatalf("claim of %s after %v: %v, want %v", owner, now, is, ok)
		}
		if ok {
			d.Lease = store.Lease{Owner: owner, Until: until, Fence: fence}
			want(t, "claimed", d, got)
		}
		want(t, "stored", d, read(t, s, d))
	}
	claim("p1", 0, true, 1)
	claim("p2", time.Second, false, 0)     // another's
	claim("p1", 2*time.Second, true, 2)    // its own
	claim("p2", 3*time.Minute, true, 3)    // expired
	claim("p1", 3*time.Minute+1, false, 0) // and now another's
	if !attempted(t, s, d, store.Attempt{Round: 1, At: after(time.Second), StatusCode: 200}, store.DeliveryDelivered, time.Time{}) {
		t.Fatal("the attempt was refused")
	}
	d = read(t, s, d)
	claim("p2", 10*time.Minute, false, 0) // over
	_, is, err := s.Claim(t.Context(), ws, "dlv_unknown", "p1", noon, noon)
	must(t, err)
	if is {
		t.Error("a delivery that does not exist was claimed")
	}
}

func deliveriesClaimRace(t *testing.T, s store.Deliveries) {
	d := newDelivery(newWorkspace(), 0)
	create(t, s, d)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			_, ok, err := s.Claim(t.Context(), d.Workspace, d.ID, fmt.Sprint("p", i), noon, noon.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d claims succeeded, want 1", won.Load())
	}
}

// attempted records one attempt under the delivery's fence, and reports whether it was taken.
func attempted(t testing.TB, s store.Deliveries, d store.Delivery, a store.Attempt, status store.DeliveryStatus, until time.Time) bool {
	t.Helper()
	kept := get[[]bool](t)(s.Attempted(t.Context(), []store.Attempted{{
		Workspace: d.Workspace, DeliveryID: d.ID, Fence: d.Lease.Fence, Attempt: a, Status: status, Until: until,
	}}))
	if len(kept) != 1 {
		t.Fatalf("%d answers to one attempt", len(kept))
	}
	return kept[0]
}

func deliveriesAttempted(t *testing.T, s store.Deliveries) {
	d := newDelivery(newWorkspace(), 0)
	create(t, s, d)
	d, _, err := s.Claim(t.Context(), d.Workspace, d.ID, "p1", noon, noon.Add(time.Minute))
	must(t, err)
	first := store.Attempt{Round: 1, At: after(time.Second), StatusCode: 503, LatencyMS: 40, Answer: `{"a": "é"}`, NextAt: after(time.Hour).Ptr()}
	second := store.Attempt{Round: 1, At: after(time.Hour), Error: "connection refused"}
	try := func(a store.Attempt, status store.DeliveryStatus, until time.Duration) {
		t.Helper()
		if !attempted(t, s, d, a, status, noon.Add(until)) {
			t.Fatal("the attempt was refused")
		}
		d.Attempts, d.Status, d.Lease.Until = append(d.Attempts, a), status, noon.Add(until)
		got := read(t, s, d)
		if got.UpdatedAt.Before(d.UpdatedAt.Time) {
			t.Errorf("updated at %v, before %v", got.UpdatedAt, d.UpdatedAt)
		}
		d.UpdatedAt = got.UpdatedAt
		want(t, "delivery", d, got)
	}
	try(first, store.DeliveryPending, time.Hour)
	try(second, store.DeliveryFailed, 0)
}

func deliveriesFence(t *testing.T, s store.Deliveries) {
	d := newDelivery(newWorkspace(), 0)
	create(t, s, d)
	old, _, err := s.Claim(t.Context(), d.Workspace, d.ID, "p1", noon, noon.Add(time.Minute))
	must(t, err)
	now, _, err := s.Claim(t.Context(), d.Workspace, d.ID, "p2", noon.Add(time.Hour), noon.Add(2*time.Hour))
	must(t, err)
	for _, stale := range []store.Delivery{d, old, {ID: "dlv_unknown", Workspace: d.Workspace}} {
		if attempted(t, s, stale, store.Attempt{StatusCode: 200, At: after(0)}, store.DeliveryDelivered, time.Time{}) {
			t.Errorf("an attempt under fence %d was taken; the current one is %d", stale.Lease.Fence, now.Lease.Fence)
		}
	}
	want(t, "delivery", now, read(t, s, d))
}

func deliveriesManyAttempted(t *testing.T, s store.Deliveries) {
	want(t, "none", []bool{}, get[[]bool](t)(s.Attempted(t.Context(), nil)))
	ds := make([]store.Delivery, 300) // more than an adapter may want to write at once
	for i := range ds {
		ds[i] = newDelivery(newWorkspace(), 0)
		ds[i].Lease = store.Lease{Owner: "p1", Until: noon.Add(time.Minute), Fence: int64(i % 3)}
	}
	create(t, s, ds...)
	as, kept := make([]store.Attempted, len(ds)), make([]bool, len(ds))
	for i, d := range ds {
		a := store.Attempt{Round: 1, At: after(time.Second), StatusCode: 200 + i, Answer: fmt.Sprint("answer ", i)}
		as[i] = store.Attempted{
			Workspace: d.Workspace, DeliveryID: d.ID, Fence: 1, Attempt: a, Status: store.DeliveryDelivered, Until: noon.Add(time.Duration(i) * time.Second),
		}
		if kept[i] = d.Lease.Fence == 1; !kept[i] {
			continue
		}
		ds[i].Attempts, ds[i].Status, ds[i].UpdatedAt, ds[i].Lease.Until = []store.Attempt{a}, store.DeliveryDelivered, a.At, as[i].Until
	}
	as = append(as, store.Attempted{Workspace: ds[1].Workspace, DeliveryID: "dlv_unknown", Fence: 1, Attempt: store.Attempt{At: after(0)}})
	want(t, "which were recorded", append(kept, false), get[[]bool](t)(s.Attempted(t.Context(), as)))
	for _, d := range ds {
		want(t, "delivery", d, read(t, s, d))
	}
}

func deliveriesRequeue(t *testing.T, s store.Deliveries) {
	d := newDelivery(newWorkspace(), 0)
	_, err := s.Requeue(t.Context(), d.Workspace, d.ID)
	wantCode(t, err, memory.CodeNotFound)
	create(t, s, d)
	claimed, _, err := s.Claim(t.Context(), d.Workspace, d.ID, "p1", noon, noon.Add(time.Hour))
	must(t, err)
	a := store.Attempt{Round: 1, At: after(time.Second), StatusCode: 410}
	attempted(t, s, claimed, a, store.DeliveryFailed, noon.Add(time.Hour))

	got := get[store.Delivery](t)(s.Requeue(t.Context(), d.Workspace, d.ID))
	want(t, "stored", got, read(t, s, d))
	if got.Status != store.DeliveryPending || got.Round != 2 || got.Lease.Fence != 2 || !got.Lease.Until.Before(noon) {
		t.Errorf("requeued: %+v", got)
	}
	want(t, "attempts", []store.Attempt{a}, got.Attempts)
	want(t, "body", d.Body, got.Body)
	if attempted(t, s, claimed, a, store.DeliveryFailed, noon) {
		t.Error("an attempt of the round before was taken")
	}
	_, ok, err := s.Claim(t.Context(), d.Workspace, d.ID, "p2", noon, noon.Add(time.Minute))
	must(t, err)
	if !ok {
		t.Error("a requeued delivery cannot be claimed")
	}
}

func deliveriesDue(t *testing.T, s store.Deliveries) {
	made := func(name string, until time.Time, status store.DeliveryStatus) store.Delivery {
		d := newDelivery(newWorkspace(), 0)
		d.ID, d.Lease.Until, d.Status = name, until, status
		return d
	}
	create(t, s,
		made("short", noon.Add(-time.Second), store.DeliveryPending),
		made("never2", time.Time{}, store.DeliveryPending),
		made("never1", time.Time{}, store.DeliveryPending),
		made("running", noon.Add(time.Second), store.DeliveryPending),
		made("long", noon.Add(-time.Hour), store.DeliveryPending),
		made("failed", noon.Add(-time.Hour), store.DeliveryFailed),
		made("held", noon.Add(-time.Hour), store.DeliveryHeld),
	)
	due := func(limit int) []string {
		return deliveryIDs(get[[]store.Delivery](t)(s.Due(t.Context(), noon, limit)))
	}
	want(t, "due", []string{"never1", "never2", "long", "short"}, due(10))
	want(t, "due, three", []string{"never1", "never2", "long"}, due(3))
}

func deliveriesStats(t *testing.T, s store.Deliveries) {
	check := func(counts map[store.DeliveryStatus]int, oldest time.Time) {
		t.Helper()
		got, at, err := s.Stats(t.Context())
		must(t, err)
		want(t, "counts", counts, got)
		want(t, "oldest pending", oldest, at)
	}
	check(nil, time.Time{})
	ws := newWorkspace()
	a, b, c := newDelivery(ws, time.Minute), newDelivery(newWorkspace(), time.Hour), newDelivery(ws, 0)
	c.Status = store.DeliveryDelivered
	create(t, s, a, b, c)
	check(map[store.DeliveryStatus]int{store.DeliveryPending: 2, store.DeliveryDelivered: 1}, noon.Add(time.Minute))
	a, _, err := s.Claim(t.Context(), ws, a.ID, "p1", noon, noon.Add(time.Minute))
	must(t, err)
	attempted(t, s, a, store.Attempt{At: after(0)}, store.DeliveryFailed, noon)
	now := map[store.DeliveryStatus]int{store.DeliveryPending: 1, store.DeliveryDelivered: 1, store.DeliveryFailed: 1}
	check(now, noon.Add(time.Hour))
	get[[]bool](t)(s.Create(t.Context(), []store.Delivery{a, b, c}))
	check(now, noon.Add(time.Hour)) // those were there
	c.Lease.Fence = 7
	attempted(t, s, c, store.Attempt{At: after(0)}, store.DeliveryFailed, noon)
	check(now, noon.Add(time.Hour)) // that was refused
	get[store.Delivery](t)(s.Requeue(t.Context(), ws, c.ID))
	check(map[store.DeliveryStatus]int{store.DeliveryPending: 2, store.DeliveryFailed: 1}, noon)
	attempted(t, s, a, store.Attempt{At: after(0)}, store.DeliveryHeld, noon) // its fence is still the current one
	check(map[store.DeliveryStatus]int{store.DeliveryPending: 2, store.DeliveryHeld: 1}, noon)
	get[int](t)(s.Sweep(t.Context(), noon.Add(24*time.Hour)))
	check(map[store.DeliveryStatus]int{store.DeliveryPending: 2}, noon)
}

func deliveriesSweep(t *testing.T, s store.Deliveries) {
	ws := newWorkspace()
	made := func(created time.Duration, status store.DeliveryStatus) store.Delivery {
		d := newDelivery(ws, created)
		d.Status = status
		return d
	}
	var old []store.Delivery
	for range 400 { // together more than an adapter may want to delete at once
		old = append(old, made(0, store.DeliveryDelivered), made(0, store.DeliveryFailed), made(0, store.DeliveryHeld))
	}
	keep := []store.Delivery{made(0, store.DeliveryPending), made(time.Hour, store.DeliveryDelivered)}
	create(t, s, old...)
	create(t, s, keep...)
	if n := get[int](t)(s.Sweep(t.Context(), noon.Add(time.Hour))); n != len(old) {
		t.Errorf("%d deliveries were swept, want %d", n, len(old))
	}
	_, err := s.Get(t.Context(), ws, old[0].ID)
	wantCode(t, err, memory.CodeNotFound)
	for _, d := range keep {
		want(t, "kept", d, read(t, s, d))
	}
}

// Deliveries of one event have the same body, which an adapter may keep once.
func deliveriesShareBodies(t *testing.T, s store.Deliveries) {
	ws := newWorkspace()
	made := func(body string, status store.DeliveryStatus) store.Delivery {
		d := newDelivery(ws, 0)
		d.Body, d.Status = []byte(body), status
		return d
	}
	gone, a, b := made("one", store.DeliveryDelivered), made("one", store.DeliveryPending), made("one", store.DeliveryPending)
	c, alone, d, last := made("two", store.DeliveryPending), made("three", store.DeliveryHeld), made("one", store.DeliveryPending), made("one", store.DeliveryFailed)
	create(t, s, gone, a, b, c, alone, d, last)
	if n := get[int](t)(s.Sweep(t.Context(), noon.Add(time.Hour))); n != 3 {
		t.Errorf("%d deliveries were swept, want 3", n)
	}
	later := made("one", store.DeliveryPending)
	want(t, "which are new", []bool{false, true, false}, get[[]bool](t)(s.Create(t.Context(), []store.Delivery{a, later, b})))
	for _, left := range []store.Delivery{a, b, c, d, later} {
		want(t, "left", left, read(t, s, left))
	}
}

func deliveriesApart(t *testing.T, s store.Deliveries) {
	d := newDelivery(newWorkspace(), 0)
	create(t, s, d)
	other := newWorkspace()
	_, err := s.Get(t.Context(), other, d.ID)
	wantCode(t, err, memory.CodeNotFound)
	_, err = s.Requeue(t.Context(), other, d.ID)
	wantCode(t, err, memory.CodeNotFound)
	_, ok, err := s.Claim(t.Context(), other, d.ID, "p1", noon, noon.Add(time.Minute))
	must(t, err)
	stolen := d
	stolen.Workspace = other
	taken := attempted(t, s, stolen, store.Attempt{At: after(0)}, store.DeliveryDelivered, noon)
	if ok || taken {
		t.Error("another workspace changed the delivery")
	}
	want(t, "the delivery", d, read(t, s, d))
}
