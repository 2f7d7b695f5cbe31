package webhooks

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// What happens while an endpoint is disabled is held, can be recovered for thirty days, and is then forgotten.
func TestHeldEventsAreKeptForThirtyDays(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("receiver.test", 204)
		r.relay = unhurried()
		r.endpoint("whe_1", "receiver.test", func(e *store.Endpoint) { e.Disabled = "by request" })
		first := event(memory.EventBatchCompleted, "")
		r.mem.owe(first)
		p := r.run(nil)
		time.Sleep(29 * 24 * time.Hour)
		second := event(memory.EventBatchFailed, "")
		r.mem.owe(second)
		p.relay.Poke()
		synctest.Wait()
		if n := r.mem.count(store.DeliveryHeld); n != 2 || len(r.wire.got()) != 0 {
			t.Fatalf("%d are held after 29 days, %d were sent", n, len(r.wire.got()))
		}
		enabled := true
		if _, err := p.endpoints.Patch(t.Context(), "wsp_1", "whe_1", EndpointPatch{Enabled: &enabled}); err != nil {
			t.Fatal(err)
		}
		if n, err := p.endpoints.Recover(t.Context(), "wsp_1", "whe_1", time.Unix(0, 0)); n != 2 || err != nil {
			t.Fatalf("%d recovered: %v", n, err)
		}
		synctest.Wait()
		ids := []string{}
		for _, a := range r.wire.got() {
			ids = append(ids, a.id)
		}
		if slices.Sort(ids); !slices.Equal(ids, []string{first.ID, second.ID}) && !slices.Equal(ids, []string{second.ID, first.ID}) {
			t.Errorf("recovered under the ids %v, not %s and %s", ids, first.ID, second.ID)
		}
		time.Sleep(2 * 24 * time.Hour)
		if all := r.mem.all(); len(all) != 1 || all[0].EventID != second.ID {
			t.Errorf("after 31 days there are %d", len(all))
		}
	})
}

func TestMetricsTellCountsAndTheOldestUndelivered(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		r.wire.answers("good.test", 204)
		r.wire.answers("bad.test", 500)
		r.relay = RelayConfig{Poll: time.Minute, Sweep: time.Minute, Count: 30 * time.Second}
		r.config.Metrics = NewMetrics()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(r.config.Metrics)
		r.mem.owe(event(memory.EventMemoryCompleted, "http://good.test/"), event(memory.EventMemoryCompleted, "http://bad.test/"))
		start := time.Now()
		r.run(nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		got := gathered(t, registry)
		age, counted := got["switchyard_webhook_oldest_undelivered_seconds"], time.Since(start).Seconds()
		if age > counted || age < counted-60 {
			t.Errorf("the oldest is %v s old; it was made %v s ago", age, counted)
		}
		for name, want := range map[string]float64{
			"switchyard_webhook_attempts_total delivered": 1, "switchyard_webhook_attempts_total pending": 4,
			"switchyard_webhook_deliveries delivered": 1, "switchyard_webhook_deliveries pending": 1,
			"switchyard_webhook_deliveries failed": 0, "switchyard_webhook_deliveries held": 0,
			"switchyard_webhook_attempts_in_flight": 0, "switchyard_webhook_first_attempts_queued": 0,
		} {
			if v, there := got[name]; !there || v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
	})
}

// gathered are the counters and gauges of a registry by name and label.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

// Whatever happens to a delivery, no log, view or delivery in the store shows a secret, in any of the forms in which it
// could be shown.
func TestNoSecretIsSeenAnywhere(t *testing.T) {
	virtual(t, func(t *testing.T, r *rig) {
		p := r.run(nil)
		const credential = "Bearer sesame-open-0123456789"
		made, err := p.endpoints.Create(t.Context(), "wsp_1", EndpointInput{URL: "http://93.184.215.14/", Headers: map[string]string{"Authorization": credential}})
		if err != nil {
			t.Fatal(err)
		}
		pair, err := p.endpoints.Create(t.Context(), "wsp_1", EndpointInput{URL: "http://93.184.215.15/", Signing: "v1a"})
		if err != nil || pair.Secret != "" {
			t.Fatalf("a private key is shown: %v", err)
		}
		fresh, err := p.endpoints.Rotate(t.Context(), "wsp_1", made.ID, RotateInput{})
		if err != nil {
			t.Fatal(err)
		}
		oneOffs, err := p.endpoints.WorkspaceSecret(t.Context(), "wsp_1")
		if err != nil {
			t.Fatal(err)
		}
		r.wire.handle("93.184.215.14", func(_ *http.Request, n int) (int, http.Header, error) {
			if n == 1 {
				return 0, nil, io.ErrUnexpectedEOF
			}
			return http.StatusGone, nil, nil
		})
		r.wire.answers("receiver.test", 500)
		r.mem.owe(event(memory.EventBatchCompleted, oneOff))
		p.relay.Poke()
		time.Sleep(time.Hour)
		synctest.Wait()
		if !strings.Contains(r.log.String(), "webhook endpoint disabled") {
			t.Fatalf("the log does not tell of the endpoint:\n%s", r.log)
		}
		seen := r.log.String()
		for _, d := range r.mem.all() {
			seen += string(d.Body) + d.URL
			for _, a := range d.Attempts {
				seen += a.Error + a.Answer
			}
		}
		for _, secret := range []string{made.Secret, fresh.Secret, oneOffs, credential} {
			if text := strings.TrimPrefix(secret, "whsec_"); strings.Contains(seen, text) {
				t.Errorf("%.12s… is seen", secret)
			}
		}
	})
}
