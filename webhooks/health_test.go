package webhooks

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestGoneDisablesTheEndpointAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.endpoint("whe_gone", "gone.test")
		r.endpoint("whe_told", "told.test")
		r.endpoint("whe_uninterested", "uninterested.test", func(e *store.Endpoint) { e.Events = []string{memory.EventBatchFailed} })
		r.wire.answers("gone.test", 410)
		r.wire.answers("told.test", 200)
		r.mem.owe(event(memory.EventMemoryCompleted, ""))
		p := r.run(nil)
		written()
		e := r.stored("whe_gone")
		if !strings.Contains(e.Disabled, "410") || !strings.Contains(r.log.String(), "whe_gone") {
			t.Errorf("disabled: %q, logged %s", e.Disabled, r.log)
		}
		if len(r.wire.got()) != 3 || r.mem.count(store.DeliveryHeld) != 1 || r.mem.count(store.DeliveryDelivered) != 2 {
			t.Fatalf("%d arrivals, deliveries %+v", len(r.wire.got()), r.mem.all())
		}
		var told []arrival
		for _, a := range r.wire.got() {
			if strings.Contains(string(a.body), memory.EventEndpointDisabled) {
				told = append(told, a)
			}
		}
		if len(told) != 1 || told[0].host != "told.test" || !strings.Contains(string(told[0].body), `"id":"whe_gone"`) {
			t.Errorf("told: %+v", told)
		}
		r.mem.owe(event(memory.EventMemoryCompleted, ""))
		p.relay.Poke()
		time.Sleep(time.Hour)
		for _, a := range r.wire.got()[3:] {
			if a.host == "gone.test" {
				t.Error("it is still sent to")
			}
		}
		if r.mem.count(store.DeliveryHeld) != 2 {
			t.Error("what happened since is not kept")
		}
	})
}

func TestGoneEndsAOneOff(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("receiver.test", 410)
		r.mem.owe(event(memory.EventMemoryCompleted, oneOff))
		r.run(nil)
		time.Sleep(time.Hour)
		if d := r.only(); d.Status != store.DeliveryFailed || len(d.Attempts) != 1 {
			t.Errorf("%+v", d)
		}
	})
}

// unhurried is for tests that last for days of virtual time.
func unhurried() RelayConfig {
	return RelayConfig{Poll: time.Minute, Sweep: time.Minute, Count: 10 * time.Hour}
}

func TestFiveDaysOfFailureDisable(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.endpoint("whe_1", "down.test")
		r.wire.answers("down.test", 500)
		r.relay = unhurried()
		r.run(nil)
		start := time.Now()
		for r.stored("whe_1").Disabled == "" && time.Since(start) < 7*24*time.Hour {
			r.mem.owe(event(memory.EventMemoryCompleted, ""))
			time.Sleep(6 * time.Hour)
		}
		if took := time.Since(start); took < 5*24*time.Hour || took > 5*24*time.Hour+6*time.Hour {
			t.Errorf("it was disabled after %s", took)
		}
		if e := r.stored("whe_1"); !strings.HasPrefix(e.Disabled, "every attempt has failed since 2000-01-01") {
			t.Errorf("disabled: %q", e.Disabled)
		}
		time.Sleep(48 * time.Hour) // those on their way come to rest
		if n := r.mem.count(store.DeliveryPending); n != 0 || r.engine.unfinished() != 0 {
			t.Errorf("%d pending, %d workflows", n, r.engine.unfinished())
		}
	})
}

func TestOneSuccessClearsTheRecord(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.endpoint("whe_1", "flaky.test")
		r.wire.handle("flaky.test", func(_ *http.Request, n int) (int, http.Header, error) {
			return map[bool]int{true: 200, false: 500}[n%15 == 0], nil, nil
		})
		r.relay = unhurried()
		r.run(nil)
		failing := false
		for range 10 * 4 {
			r.mem.owe(event(memory.EventMemoryCompleted, ""))
			time.Sleep(6 * time.Hour)
			failing = failing || !r.stored("whe_1").FailingFrom.IsZero()
		}
		if e := r.stored("whe_1"); e.Disabled != "" || !failing {
			t.Errorf("disabled: %q; failing was seen: %v", e.Disabled, failing)
		}
	})
}

// A frozen process must not disable an endpoint by what it knew before its owner changed it.
func TestHealthYieldsToTheOwner(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.endpoint("whe_1", "slow.test")
		r.wire.handle("slow.test", func(*http.Request, int) (int, http.Header, error) {
			time.Sleep(5 * time.Second)
			return 500, nil, nil
		})
		r.mem.owe(event(memory.EventMemoryCompleted, ""))
		p := r.run(nil)
		time.Sleep(time.Second)
		no, note := false, "changed meanwhile"
		if _, err := p.endpoints.Patch(t.Context(), "wsp_1", "whe_1", EndpointPatch{Description: &note, Enabled: &no}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if e := r.stored("whe_1"); e.Description != note || e.Disabled != disabledByRequest || !e.FailingFrom.IsZero() {
			t.Errorf("%+v", e)
		}
		if d := r.only(); d.Status != store.DeliveryHeld {
			t.Errorf("the delivery is %s", d.Status)
		}
	})
}

func TestDeletedEndpointFailsItsDeliveries(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.endpoint("whe_1", "down.test")
		r.wire.answers("down.test", 500)
		r.mem.owe(event(memory.EventMemoryCompleted, ""))
		p := r.run(nil)
		time.Sleep(time.Second)
		if err := p.endpoints.Delete(t.Context(), "wsp_1", "whe_1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if d := r.only(); d.Status != store.DeliveryFailed || len(r.wire.got()) != 1 || !strings.Contains(d.Attempts[1].Error, "deleted") {
			t.Errorf("%+v", d)
		}
	})
}
