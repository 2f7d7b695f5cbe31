package webhooks

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// virtual runs a test in a bubble of its own time.
func virtual(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t)) })
}

// written waits until the attempts that can be made now are made and written down: those that end together wait a moment
// for each other.
func written() {
	synctest.Wait()
	time.Sleep(2 * recordPause)
	synctest.Wait()
}

const oneOff = "http://receiver.test/hook"

func TestFirstAttemptIsMadeAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("receiver.test", 200)
		p := r.run(nil)
		time.Sleep(100 * time.Millisecond) // it has found nothing, and waits for a second or a poke
		e := event(memory.EventMemoryCompleted, oneOff)
		owed := time.Now()
		r.mem.owe(e)
		p.relay.Poke()
		synctest.Wait()
		got := r.wire.got()
		if len(got) != 1 || !got[0].at.Equal(owed) {
			t.Fatalf("%d arrivals", len(got))
		}
		if got[0].id != e.ID {
			t.Errorf("webhook-id %s, not the event's", got[0].id)
		}
		r.verifies(got[0])
		d := r.only()
		if d.Status != store.DeliveryDelivered || len(d.Attempts) != 1 || d.Attempts[0].StatusCode != http.StatusOK || d.Attempts[0].Answer != "answer" || string(d.Body) != string(got[0].body) {
			t.Errorf("%+v", d)
		}
		if r.mem.owing() != 0 || r.engine.started() != 0 {
			t.Error("the event is still owed, or a workflow was started")
		}
	})
}

func TestOwedEventsAreFoundWithoutAPoke(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("receiver.test", 200)
		r.run(nil)
		time.Sleep(100 * time.Millisecond)
		for range 600 { // more than a page
			r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(r.wire.got()); n != 600 {
			t.Errorf("%d arrivals", n)
		}
	})
}

func TestOneDeliveryAnEndpointThatAsks(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		asks := func(types ...string) func(*store.Endpoint) { return func(e *store.Endpoint) { e.Events = types } }
		r.endpoint("whe_all", "all.test")
		r.endpoint("whe_same", "same.test", asks(memory.EventBatchFailed, memory.EventMemoryFailed))
		r.endpoint("whe_other", "other.test", asks(memory.EventBatchFailed))
		r.endpoint("whe_foreign", "foreign.test", func(e *store.Endpoint) { e.Workspace = "wsp_2" })
		r.endpoint("whe_off", "off.test", func(e *store.Endpoint) { e.Disabled = "by request" })
		for _, host := range []string{"all.test", "same.test", "other.test", "foreign.test", "off.test", "receiver.test"} {
			r.wire.answers(host, 204)
		}
		r.mem.owe(event(memory.EventMemoryFailed, oneOff))
		r.run(nil)
		synctest.Wait()
		var hosts []string
		for _, a := range r.wire.got() {
			hosts = append(hosts, a.host)
		}
		slices.Sort(hosts)
		if want := []string{"all.test", "receiver.test", "same.test"}; !slices.Equal(hosts, want) {
			t.Errorf("it went to %v, not %v", hosts, want)
		}
		if n := r.mem.count(store.DeliveryHeld); n != 1 {
			t.Errorf("%d are held for the endpoint that is disabled", n)
		}
	})
}

// The process is killed at every step of a delivery in turn: before what the step does, and after it but before the
// process learns of that. Another one starts on what it left.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, codes := range [][]int{{200}, {500, 503, 200}} {
		for _, after := range []bool{false, true} {
			for dieAt, over := 1, false; !over; dieAt++ {
				t.Run(fmt.Sprintf("%v/after=%v/%d", codes, after, dieAt), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { over = killed(t, newRig(t), codes, after, dieAt) })
				})
				if dieAt > 200 {
					t.Fatal("a delivery takes more steps than it can")
				}
			}
		}
	}
}

// killed tells one such story, and reports whether the first process lived through it.
func killed(t *testing.T, r *rig, codes []int, after bool, dieAt int) (lived bool) {
	t.Helper()
	r.wire.answers("receiver.test", codes...)
	p := &process{dieAt: dieAt, after: after}
	e := event(memory.EventBatchCompleted, oneOff)
	r.mem.owe(e)
	first := r.run(p)
	time.Sleep(20 * time.Minute)
	first.stop()
	if !p.dead {
		lived = true
	}
	r.run(nil)
	time.Sleep(20 * time.Minute)
	synctest.Wait()
	d := r.only()
	if d.Status != store.DeliveryDelivered || r.mem.owing() != 0 {
		t.Errorf("killed at %q: %s, %d events owed\n%s", p.did(), d.Status, r.mem.owing(), r.log)
	}
	got := r.wire.got()
	if len(got) < len(codes) || len(got) > len(codes)+1 {
		t.Errorf("killed at %q: %d arrivals", p.did(), len(got))
	}
	for _, a := range got {
		if a.id != e.ID || string(a.body) != string(d.Body) {
			t.Errorf("arrived as %s: %s", a.id, a.body)
		}
		r.verifies(a)
	}
	return lived
}

func TestKillsReachEveryKindOfStep(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("receiver.test", 500, 200)
		p := &process{}
		r.mem.owe(event(memory.EventBatchCompleted, oneOff))
		r.run(p)
		time.Sleep(time.Minute)
		for _, step := range []string{
			"list endpoints", "create deliveries", "settle", "get workspace", "save workspace", "send", "record attempt", "claim", "start workflow", "get delivery",
		} {
			if !slices.Contains(p.did(), step) {
				t.Errorf("no process was killed at %q: the steps are %q", step, p.did())
			}
		}
	})
}

func TestTheWholeSchedule(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("receiver.test", 500)
		start := time.Now()
		r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		r.relay = unhurried()
		r.run(nil)
		time.Sleep(80 * time.Hour)
		synctest.Wait()
		d, sum := r.only(), time.Duration(0)
		if d.Status != store.DeliveryFailed || len(d.Attempts) != 10 || len(r.wire.got()) != 10 {
			t.Fatalf("%s after %d attempts, %d arrivals", d.Status, len(d.Attempts), len(r.wire.got()))
		}
		for i, a := range r.wire.got() {
			sum += Schedule{}.orDefault().Delays[i]
			if late := a.at.Sub(start) - sum; late < -early || late > time.Second {
				t.Errorf("attempt %d is made %s late", i+1, late)
			}
			if last := i == 9; last != (d.Attempts[i].NextAt == nil) {
				t.Errorf("attempt %d says that the next one is at %v", i+1, d.Attempts[i].NextAt)
			}
			r.verifies(a)
		}
		if r.engine.started() != 1 || r.engine.unfinished() != 0 {
			t.Errorf("%d workflows were started, %d still run", r.engine.started(), r.engine.unfinished())
		}
	})
}

func TestDurableEngineAway(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("receiver.test", 500, 200)
		r.engine.setAway(true)
		r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		r.run(nil)
		time.Sleep(3 * time.Hour)
		if d := r.only(); d.Status != store.DeliveryPending || len(d.Attempts) != 1 || !strings.Contains(r.log.String(), "durable engine cannot be reached") {
			t.Fatalf("%s after %d attempts\n%s", d.Status, len(d.Attempts), r.log)
		}
		r.engine.setAway(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if d := r.only(); d.Status != store.DeliveryDelivered || len(d.Attempts) != 2 {
			t.Errorf("%s after %d attempts", d.Status, len(d.Attempts))
		}
	})
}

func TestWorkflowThatWasLostIsStartedAgain(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("receiver.test", 500, 500, 200)
		r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		p := r.run(nil)
		time.Sleep(time.Minute)
		r.engine = newEngine(t.Context()) // all that the old one knew is lost, and its loops find no work
		p.stop()
		lost := r.only()
		if len(lost.Attempts) != 2 {
			t.Fatalf("%d attempts", len(lost.Attempts))
		}
		r.run(nil)
		time.Sleep(10 * time.Minute)
		if d := r.only(); d.Status != store.DeliveryDelivered || len(r.wire.got()) != 3 {
			t.Errorf("%s, %d arrivals", d.Status, len(r.wire.got()))
		}
	})
}

// Ninety-nine endpoints get theirs while the hundredth never answers. No time passes: if one of them waited for a
// place that the black hole holds, it would wait for the timeout of an attempt.
func TestBlackHoleAmongAHundred(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		const events = 20
		for i := range 99 {
			host := fmt.Sprintf("good-%d.test", i)
			r.endpoint(fmt.Sprintf("whe_%02d", i), host)
			r.wire.answers(host, 200)
		}
		r.endpoint("whe_hole", "hole.test")
		r.wire.swallows("hole.test")
		for range events {
			r.mem.owe(event(memory.EventMemoryCompleted, ""))
		}
		start := time.Now()
		p := r.run(nil)
		synctest.Wait()
		good, hole := 0, 0
		for _, a := range r.wire.got() {
			if a.host == "hole.test" {
				hole++
			} else {
				good++
			}
		}
		if good != 99*events || !time.Now().Equal(start) {
			t.Errorf("%d of %d arrived in %s", good, 99*events, time.Since(start))
		}
		if hole != 8 {
			t.Errorf("%d attempts at the black hole are under way", hole)
		}
		active, queued := p.courier.first.load()
		if active != 8 || queued != events-8 {
			t.Errorf("%d under way, %d wait", active, queued)
		}
		time.Sleep(10 * time.Second) // and goes on like that
		r.mem.owe(event(memory.EventMemoryCompleted, ""))
		again := time.Now()
		p.relay.Poke()
		synctest.Wait()
		if n := len(r.wire.got()) - good - hole; n != 99 || !time.Now().Equal(again) {
			t.Errorf("%d of 99 arrived later", n)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.config.QueueBytes = 256 << 10
		for i := range 20 {
			r.wire.swallows(fmt.Sprintf("hole-%d.test", i))
		}
		for i := range 20_000 {
			r.mem.owe(event(memory.EventMemoryCompleted, fmt.Sprintf("http://hole-%d.test/", i%(1+i/5_000)))) // the first gets most
		}
		p := r.run(nil)
		synctest.Wait()
		l := p.courier.first
		active, queued := l.load()
		weight, heaviest, longest := 0, 0, 0
		for _, waiting := range l.waiting {
			lane := 0
			for _, d := range waiting {
				lane += weigh(d)
			}
			weight, heaviest, longest = weight+lane, max(heaviest, lane), max(longest, len(waiting))
		}
		if active != 4*8 || longest != 4_096 || queued > 16_384 {
			t.Errorf("%d under way, %d wait in memory, %d in one lane", active, queued, longest)
		}
		if weight != l.weight || weight > 256<<10 || heaviest > 32<<10 || heaviest < 31<<10 {
			t.Errorf("what waits weighs %d bytes (counted as %d), %d in one lane", weight, l.weight, heaviest)
		}
		if n := r.mem.count(store.DeliveryPending); n != 20_000 || r.mem.owing() != 0 {
			t.Errorf("%d deliveries in the store, %d events owed", n, r.mem.owing())
		}
	})
}

// The hole comes back: all that waited gets there in the end, in process and through workflows, at no more than the
// lane's width at a time.
func TestBacklogOfOneEndpointDrains(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		var now, most int
		gate := make(chan struct{}, 1)
		count := func(n int) {
			gate <- struct{}{}
			now += n
			most = max(most, now)
			<-gate
		}
		r.wire.handle("receiver.test", func(*http.Request, int) (int, http.Header, error) {
			count(1)
			time.Sleep(2 * time.Second)
			count(-1)
			return 200, nil, nil
		})
		const events = 1_000
		for range events {
			r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		}
		r.run(nil)
		time.Sleep(time.Hour)
		if n := r.mem.count(store.DeliveryDelivered); n != events || len(r.wire.got()) != events {
			t.Errorf("%d of %d delivered, %d arrivals", n, events, len(r.wire.got()))
		}
		if most > 16 {
			t.Errorf("%d at the same time", most)
		}
	})
}

func TestRestartIsNoStampede(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		tried := store.Attempt{Round: 1, At: memory.Now(), StatusCode: 500, NextAt: memory.Now().Ptr()}
		var ds []store.Delivery
		for i := range 2_000 {
			e := event(memory.EventMemoryCompleted, fmt.Sprintf("http://host-%d.test/", i%200))
			d := delivery(e, "", e.URL, []byte("{}"), store.Lease{}, time.Now())
			if d.Attempts = []store.Attempt{tried}; i%2 == 0 {
				d.Attempts = nil
			}
			ds = append(ds, d)
			r.wire.answers(fmt.Sprintf("host-%d.test", i%200), 200)
		}
		if _, err := r.mem.as(nil).Deliveries.Create(t.Context(), ds); err != nil {
			t.Fatal(err)
		}
		r.run(nil)
		for range 200 {
			time.Sleep(500 * time.Millisecond)
			if r.mem.count(store.DeliveryPending) == 0 {
				break
			}
		}
		perSecond := map[int64]int{}
		for _, a := range r.wire.got() {
			perSecond[a.at.Unix()]++
		}
		for second, n := range perSecond {
			if n > 100 {
				t.Errorf("%d attempts in second %d", n, second)
			}
		}
		if n := r.mem.count(store.DeliveryDelivered); n != 2_000 || len(r.wire.got()) != 2_000 {
			t.Errorf("%d delivered, %d arrivals", n, len(r.wire.got()))
		}
		if r.engine.started() != 1_000 {
			t.Errorf("%d workflows: those that were tried before are theirs", r.engine.started())
		}
	})
}

func TestTwoRelaysDeliverOnce(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.handle("receiver.test", func(*http.Request, int) (int, http.Header, error) {
			time.Sleep(3 * time.Second)
			return 200, nil, nil
		})
		for range 100 {
			r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		}
		r.run(nil)
		r.run(nil)
		time.Sleep(5 * time.Minute)
		if n := len(r.wire.got()); n != 100 {
			t.Errorf("%d arrivals for 100 events", n)
		}
	})
}

func TestStopFinishesWhatWasBegun(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.handle("receiver.test", func(*http.Request, int) (int, http.Header, error) {
			time.Sleep(10 * time.Second)
			return 200, nil, nil
		})
		for range 20 {
			r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		}
		p := r.run(nil)
		time.Sleep(time.Second)
		start := time.Now()
		p.stop()
		if took := time.Since(start); took < 9*time.Second || took > 9*time.Second+recordPause {
			t.Errorf("it stopped after %s", took)
		}
		if got, pending := r.mem.count(store.DeliveryDelivered), r.mem.count(store.DeliveryPending); got != 8 || pending != 12 {
			t.Errorf("%d delivered, %d pending", got, pending)
		}
		r.run(nil)
		time.Sleep(5 * time.Minute)
		if got := r.mem.count(store.DeliveryDelivered); got != 20 || len(r.wire.got()) != 20 {
			t.Errorf("after the restart %d are delivered, in %d attempts", got, len(r.wire.got()))
		}
	})
}

func TestClaimThatEndedRecordsNothing(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		release := make(chan struct{})
		r.wire.handle("receiver.test", func(_ *http.Request, n int) (int, http.Header, error) {
			if n == 1 {
				<-release
				return 500, nil, nil
			}
			return 200, nil, nil
		})
		r.config.Timeout = 24 * time.Hour // the process is frozen in its attempt
		r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		r.run(nil)
		time.Sleep(10 * time.Second)
		d := r.only()
		thawed, ok, err := r.mem.as(nil).Deliveries.Claim(t.Context(), d.Workspace, d.ID, "other", time.Now().Add(48*time.Hour), time.Now().Add(72*time.Hour))
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		close(release)
		synctest.Wait()
		if d := r.only(); len(d.Attempts) != 0 || d.Lease != thawed.Lease {
			t.Errorf("the one that was frozen wrote over its successor: %+v", d)
		}
		if !strings.Contains(r.log.String(), "the claim on delivery "+d.ID+" has ended") {
			t.Errorf("the one that was frozen goes on as if its attempt had been recorded\n%s", r.log)
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.handle("receiver.test", func(_ *http.Request, n int) (int, http.Header, error) {
			switch n {
			case 1:
				return 429, http.Header{"Retry-After": {"120"}}, nil
			case 2:
				return 503, http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, nil
			case 3:
				return 503, http.Header{"Retry-After": {"99999999"}}, nil
			}
			return 200, nil, nil
		})
		r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		r.relay = unhurried()
		r.run(nil)
		time.Sleep(40 * time.Hour)
		got := r.wire.got()
		if len(got) != 4 {
			t.Fatalf("%d arrivals", len(got))
		}
		for i, want := range []time.Duration{2 * time.Minute, time.Hour, 24 * time.Hour} {
			if wait := got[i+1].at.Sub(got[i].at); wait < want-time.Second || wait > want+time.Second {
				t.Errorf("after answer %d it waited %s, not %s", i+1, wait, want)
			}
		}
	})
}

func TestStoreAwayForAWhile(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("receiver.test", 200)
		p := &process{dead: true} // nothing that it asks of the store works
		first := r.run(p)
		r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		time.Sleep(time.Minute)
		p.mu.Lock()
		p.dead = false
		p.mu.Unlock()
		time.Sleep(3 * time.Second)
		if d := r.only(); d.Status != store.DeliveryDelivered {
			t.Error(d.Status)
		}
		first.stop()
	})
}

func TestPokeNeverBlocks(t *testing.T) {
	t.Parallel()
	r := NewRelay(NewCourier(newMem().as(nil), NewGuard(GuardConfig{}), sealer(t), Config{}), newEngine(context.Background()), RelayConfig{})
	for range 100 {
		r.Poke()
	}
}
