package webhooks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// What the benchmark of throughput sends.
const (
	benchEndpoints = 8
	benchRound     = 8_192 // deliveries, or requests of the bare client
)

// benchReceiver answers 204 to whatever comes.
func benchReceiver(b *testing.B) string {
	b.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	b.Cleanup(s.Close)
	return s.URL
}

// tally counts the attempts that are on disk.
type tally struct {
	store.Deliveries
	n    atomic.Int64
	full chan struct{} // gets one each time that another benchRound of deliveries are over
}

func (t *tally) Attempted(ctx context.Context, as []store.Attempted) ([]bool, error) {
	kept, err := t.Deliveries.Attempted(ctx, as)
	for i := range kept {
		if kept[i] && as[i].Status == store.DeliveryDelivered && t.n.Add(1)%benchRound == 0 {
			t.full <- struct{}{}
		}
	}
	return kept, err
}

// openBench opens the real embedded store, with endpoints that lead to a receiver.
func openBench(b *testing.B, sealer *Sealer, receiver string) Stores {
	b.Helper()
	s, err := sqlitestore.Open(b.Context(), filepath.Join(b.TempDir(), "switchyard.db"), sqlitestore.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	stores := Stores{Endpoints: s.Endpoints(), Deliveries: s.Deliveries(), Workspaces: s.Workspaces(), Outbox: s.Outbox()}
	service := NewEndpoints(NewCourier(stores, NewGuard(GuardConfig{Allow: loopbackNetworks}), sealer, Config{}))
	for range benchEndpoints {
		if _, err := service.Create(b.Context(), "wsp_1", EndpointInput{URL: receiver}); err != nil {
			b.Fatal(err)
		}
	}
	return stores
}

var loopbackNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// benchOutbox owes events that the benchmark makes up.
type benchOutbox struct {
	mu   sync.Mutex
	owed []memory.Event
}

func (o *benchOutbox) owe(events []memory.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.owed = append(o.owed, events...)
}

func (o *benchOutbox) Owed(_ context.Context, limit int) ([]memory.Event, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.owed[:min(limit, len(o.owed))]), nil
}

func (o *benchOutbox) Settle(_ context.Context, events []memory.Event) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.owed = o.owed[len(events):]
	return nil
}

func benchEvents(round, n int) []memory.Event {
	data := []byte(`{"id":"bat_01K5A0T4Y6B8N0M2K4J6H8G0F2","status":"completed","counts":{"total":1000,"completed":1000},"text":"` +
		string(bytes.Repeat([]byte("x"), 600)) + `"}`)
	events := make([]memory.Event, n)
	for i := range events {
		events[i] = memory.Event{ID: fmt.Sprintf("evt_%d_%d", round, i), Type: memory.EventBatchCompleted, Workspace: "wsp_1", Time: memory.Now(), Data: data}
	}
	return events
}

// spent is what a round took: by the clock, and of the processors' time, the receiver's included.
type spent struct{ wall, cpu time.Duration }

// measure runs a round. What the round before left to collect is not charged to this one.
func measure(round func()) spent {
	runtime.GC()
	wall, cpu := time.Now(), processorTime()
	round()
	return spent{time.Since(wall), processorTime() - cpu}
}

// benchWorkers is how many requests are made at the same time, by either side.
const benchWorkers = benchEndpoints * 8

// bareClient keeps its connections from round to round, as the transport of the deliveries does.
func bareClient(b *testing.B) *http.Client {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: benchWorkers, MaxIdleConnsPerHost: benchWorkers}}
	b.Cleanup(client.CloseIdleConnections)
	return client
}

// bare sends as many requests as a round has, at the same concurrency.
func bare(b *testing.B, client *http.Client, receiver string, body []byte) {
	b.Helper()
	var wg sync.WaitGroup
	for range benchWorkers {
		wg.Go(func() {
			for range benchRound / benchWorkers {
				if err := post(b.Context(), client, receiver, body); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// BenchmarkDurableDeliveries measures signed durable deliveries (stored before they are sent, each attempt recorded,
// all on disk) against requests of a bare net/http client to the same receiver at the same concurrency, in turns.
// x-bare is the median over the rounds of how many times as fast the deliveries are; x-bare-cpu is the same of the
// processors' time, which hardly depends on what else the machine does.
func BenchmarkDurableDeliveries(b *testing.B) {
	receiver, sealer, outbox := benchReceiver(b), sealer(b), &benchOutbox{}
	stores := openBench(b, sealer, receiver)
	written := &tally{Deliveries: stores.Deliveries, full: make(chan struct{}, 1)}
	stores.Outbox, stores.Deliveries = outbox, written
	relay := NewRelay(NewCourier(stores, NewGuard(GuardConfig{Allow: loopbackNetworks}), sealer, Config{}), newEngine(b.Context()), RelayConfig{})
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	body, err := render(benchEvents(0, 1)[0])
	if err != nil {
		b.Fatal(err)
	}
	client := bareClient(b)
	bare(b, client, receiver, body) // connections
	var wall, cpu, rates, micros []float64
	for n := 0; b.Loop(); n++ {
		alone := measure(func() { bare(b, client, receiver, body) })
		events := benchEvents(n, benchRound/benchEndpoints)
		ours := measure(func() {
			outbox.owe(events)
			relay.Poke()
			<-written.full
		})
		wall, rates = append(wall, alone.wall.Seconds()/ours.wall.Seconds()), append(rates, benchRound/ours.wall.Seconds())
		cpu, micros = append(cpu, alone.cpu.Seconds()/ours.cpu.Seconds()), append(micros, ours.cpu.Seconds()*1e6/benchRound)
	}
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	b.ReportMetric(median(wall), "x-bare")
	b.ReportMetric(median(cpu), "x-bare-cpu")
	b.ReportMetric(median(rates), "deliveries/s")
	b.ReportMetric(median(micros), "cpu-µs/delivery")
	b.ReportMetric(0, "ns/op")
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
