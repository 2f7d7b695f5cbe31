package webhooks

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// slowDeliveries takes a second for each write, and refuses any that has an attempt with the status 666.
type slowDeliveries struct {
	store.Deliveries
	mu    sync.Mutex
	pages []int
	err   error // what every write fails with
}

func (s *slowDeliveries) Attempted(ctx context.Context, as []store.Attempted) ([]bool, error) {
	s.mu.Lock()
	s.pages = append(s.pages, len(as))
	s.mu.Unlock()
	time.Sleep(time.Second)
	kept := make([]bool, len(as))
	for i, a := range as {
		if a.Attempt.StatusCode == 666 {
			return nil, memory.Errorf(memory.CodeInvalid, "this one is damaged")
		}
		kept[i] = a.Fence == 1
	}
	if s.err != nil || ctx.Err() != nil {
		return nil, memory.Wrap(memory.CodeUnavailable, s.err, "away")
	}
	return kept, nil
}

// recordAll records attempts at the same moment, and returns what each was told.
func recordAll(ctx context.Context, r *recorder, as []store.Attempted) (kept []bool, errs []error) {
	kept, errs = make([]bool, len(as)), make([]error, len(as))
	var wg sync.WaitGroup
	for i, a := range as {
		wg.Add(1)
		r.record(ctx, a, func(k bool, err error) {
			kept[i], errs[i] = k, err
			wg.Done()
		})
	}
	wg.Wait()
	return kept, errs
}

func someAttempts(n int) []store.Attempted {
	as := make([]store.Attempted, n)
	for i := range as {
		as[i] = store.Attempted{DeliveryID: fmt.Sprint(i), Fence: 1}
	}
	return as
}

func TestAttemptsThatWaitAreWrittenTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowDeliveries{}
		as := someAttempts(2_000)
		for i := range as {
			as[i].Fence = int64(i % 2)
		}
		start := time.Now()
		kept, errs := recordAll(t.Context(), &recorder{deliveries: s}, as)
		for i := range as {
			if errs[i] != nil || kept[i] != (i%2 == 1) {
				t.Fatalf("attempt %d: %v, %v", i, kept[i], errs[i])
			}
		}
		if took := time.Since(start); took > 4*time.Second || len(s.pages) > 4 {
			t.Errorf("it took %s in pages of %v", took, s.pages)
		}
		for _, n := range s.pages {
			if n > recordPage {
				t.Errorf("%d in one write", n)
			}
		}
	})
}

func TestDamagedAttemptDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		as := someAttempts(5)
		as[3].Attempt.StatusCode = 666
		kept, errs := recordAll(t.Context(), &recorder{deliveries: &slowDeliveries{}}, as)
		for i := range as {
			if damaged := i == 3; (errs[i] != nil) != damaged || kept[i] == damaged {
				t.Errorf("attempt %d: %v, %v", i, kept[i], errs[i])
			}
		}
	})
}

func TestStoreThatIsAwayFailsAllOfAPageAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, errs := recordAll(t.Context(), &recorder{deliveries: &slowDeliveries{err: context.DeadlineExceeded}}, someAttempts(100))
		for i, err := range errs {
			if memory.CodeOf(err) != memory.CodeUnavailable {
				t.Fatalf("attempt %d: %v", i, err)
			}
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func TestAttemptIsRecordedEvenWhereItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if kept, errs := recordAll(ctx, &recorder{deliveries: &slowDeliveries{}}, someAttempts(3)); !kept[0] || errs[0] != nil {
			t.Errorf("%v, %v", kept, errs)
		}
	})
}

// A process knows at once what it has changed itself, and after a second what another one has.
func TestWhatIsKnownOfAnEndpointIsFresh(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.endpoint("whe_1", "receiver.test")
		courier := NewCourier(r.mem.as(nil), r.guard, r.sealer, r.config)
		here, there := NewEndpoints(courier), NewEndpoints(NewCourier(r.mem.as(nil), r.guard, r.sealer, r.config))
		set := func(s *Endpoints, enabled bool) {
			if _, err := s.Patch(t.Context(), "wsp_1", "whe_1", EndpointPatch{Enabled: &enabled}); err != nil {
				t.Fatal(err)
			}
		}
		want := func(when string, stop store.DeliveryStatus) {
			t.Helper()
			got, err := courier.target(t.Context(), store.Delivery{Workspace: "wsp_1", EndpointID: "whe_1"})
			if err != nil || got.stop != stop {
				t.Errorf("%s: %q, %v", when, got.stop, err)
			}
		}
		want("at first", "")
		set(here, false)
		want("after it was disabled here", store.DeliveryHeld)
		set(here, true)
		want("after it was enabled here", "")
		set(there, false)
		time.Sleep(freshFor)
		want("a second after it was disabled elsewhere", store.DeliveryHeld)
		if err := here.Delete(t.Context(), "wsp_1", "whe_1"); err != nil {
			t.Fatal(err)
		}
		want("after it was deleted here", store.DeliveryFailed)
	})
}

func TestSecretIsNotKnownForLongerThanItLives(t *testing.T) {
	t.Parallel()
	now := time.Now()
	k := newKnown()
	secrets := []store.Secret{{}, {Expires: now.Add(-time.Hour)}, {Expires: now.Add(300 * time.Millisecond)}}
	k.put("whe_1", addressee{}, secrets, now, 0)
	if _, _, ok := k.get("whe_1", now.Add(299*time.Millisecond)); !ok {
		t.Error("it is not known while all its secrets live")
	}
	if _, _, ok := k.get("whe_1", now.Add(300*time.Millisecond)); ok {
		t.Error("it is known when one of its secrets is over")
	}
	if _, since, _ := k.get("whe_1", now); since != 0 {
		t.Error("nothing was forgotten")
	}
	_, since, _ := k.get("whe_2", now)
	k.forget("whe_2") // by who changed it, while it was read
	k.put("whe_2", addressee{}, nil, now, since)
	if _, _, ok := k.get("whe_2", now); ok {
		t.Error("what was read before a change is taken for what it is now")
	}
}

func TestKnownIsBounded(t *testing.T) {
	t.Parallel()
	k, now := newKnown(), time.Now()
	for i := range maxKnown + 100 {
		k.put(fmt.Sprint(i), addressee{}, nil, now, 0)
	}
	if len(k.all) > maxKnown || len(k.until) != len(k.all) {
		t.Errorf("%d are known", len(k.all))
	}
	k.put("later", addressee{}, nil, now.Add(freshFor), 0)
	if len(k.all) != 1 {
		t.Errorf("%d are known, most of them no longer fresh", len(k.all))
	}
}
