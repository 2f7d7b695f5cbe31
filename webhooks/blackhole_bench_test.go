package webhooks

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// What the benchmark of the black hole does in a round.
const (
	holeEndpoints = 100
	holeEvents    = 12
	holePause     = 150 * time.Millisecond // between events
	holeLatency   = 250 * time.Millisecond // of every receiver: it dominates what is measured, and so the noise of the machine
	holeTimeout   = time.Second
)

// town is a hundred receivers, each with a listener of its own. The last one is the black hole, or a receiver like the
// others.
type town struct {
	swallows atomic.Bool
	owed     sync.Map // by id of the event: when it was owed

	mu  sync.Mutex
	all []time.Duration // from owed to answered, of the other ninety-nine
}

func (c *town) receiver(b *testing.B, last bool) string {
	b.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if last && c.swallows.Load() {
			<-r.Context().Done()
			return
		}
		time.Sleep(holeLatency) // it is the receiver's work
		w.WriteHeader(http.StatusNoContent)
		if at, ok := c.owed.Load(r.Header.Get(webhook.HeaderID)); ok && !last {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.all = append(c.all, time.Since(at.(time.Time)))
		}
	}))
	b.Cleanup(s.Close)
	return s.URL
}

// take returns the ninety-ninth percentile of what was measured since it was called last, once nothing is under way.
func (c *town) take(b *testing.B, courier *Courier) float64 {
	b.Helper()
	for active, queued := 1, 1; active+queued > 0; active, queued = courier.first.load() {
		time.Sleep(10 * time.Millisecond)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) != holeEvents*(holeEndpoints-1) {
		b.Fatalf("%d of %d deliveries arrived", len(c.all), holeEvents*(holeEndpoints-1))
	}
	slices.Sort(c.all)
	p99 := c.all[len(c.all)*99/100]
	c.all = nil
	return float64(p99) / float64(time.Millisecond)
}

// BenchmarkBlackHole sends events to a hundred endpoints, in rounds that alternate: in one all of them answer, in the other
// one never does. It compares the ninety-ninth percentile, of the other ninety-nine, of the time from an event being owed
// to its delivery being answered: p99-rise is the median over the pairs of rounds, in parts of a hundred.
func BenchmarkBlackHole(b *testing.B) {
	c, sealer, outbox := &town{}, sealer(b), &benchOutbox{}
	stores := openBench(b, sealer, "http://127.0.0.1:9999")
	guard := NewGuard(GuardConfig{Allow: loopbackNetworks})
	stores.Outbox = outbox
	courier := NewCourier(stores, guard, sealer, Config{Timeout: holeTimeout})
	service := NewEndpoints(courier)
	for i := range holeEndpoints {
		if _, err := service.Create(b.Context(), "wsp_2", EndpointInput{URL: c.receiver(b, i == holeEndpoints-1)}); err != nil {
			b.Fatal(err)
		}
	}
	relay := NewRelay(courier, newEngine(b.Context()), RelayConfig{})
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	round := func(n int, swallows bool) float64 {
		c.swallows.Store(swallows)
		for i := range holeEvents {
			e := memory.Event{ID: fmt.Sprintf("evt_%d_%v_%d", n, swallows, i), Type: memory.EventBatchCompleted, Workspace: "wsp_2", Time: memory.Now(), Data: []byte(`{}`)}
			c.owed.Store(e.ID, time.Now())
			outbox.owe([]memory.Event{e})
			relay.Poke()
			time.Sleep(holePause)
		}
		return c.take(b, courier)
	}
	round(-1, false) // connections, caches
	var rises, good, hole []float64
	for n := 0; b.Loop(); n++ {
		first := round(n, n%2 == 1)
		second := round(n, n%2 == 0)
		if n%2 == 1 {
			first, second = second, first
		}
		rises, good, hole = append(rises, 100*(second/first-1)), append(good, first), append(hole, second)
	}
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	b.ReportMetric(median(rises), "p99-rise-%")
	b.ReportMetric(median(good), "p99-ms-without")
	b.ReportMetric(median(hole), "p99-ms-with")
	b.ReportMetric(0, "ns/op")
}
