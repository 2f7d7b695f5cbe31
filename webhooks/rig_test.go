package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// arrival is a request that reached a receiver.
type arrival struct {
	host, id string
	at       time.Time
	header   http.Header
	body     []byte
}

// wire is a network in memory: requests go to handlers by host, and are remembered.
type wire struct {
	mu       sync.Mutex
	handlers map[string]func(r *http.Request, n int) (status int, header http.Header, err error) // n counts the host's arrivals, from 1
	arrivals []arrival
	perHost  map[string]int
	arrived  chan arrival // each one, where it is not nil
}

// forget forgets what arrived.
func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrivals = nil
}

func newWire() *wire {
	return &wire{handlers: map[string]func(*http.Request, int) (int, http.Header, error){}, perHost: map[string]int{}}
}

// answers makes a host answer with these codes, the last one for ever.
func (w *wire) answers(host string, codes ...int) {
	w.handle(host, func(_ *http.Request, n int) (int, http.Header, error) { return codes[min(n, len(codes))-1], nil, nil })
}

func (w *wire) handle(host string, h func(*http.Request, int) (int, http.Header, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handlers[host] = h
}

// swallows makes a host take requests and never answer.
func (w *wire) swallows(host string) {
	w.handle(host, func(r *http.Request, _ int) (int, http.Header, error) {
		<-r.Context().Done()
		return 0, nil, r.Context().Err()
	})
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	a := arrival{r.URL.Host, r.Header.Get(webhook.HeaderID), time.Now(), r.Header.Clone(), body}
	w.mu.Lock()
	w.arrivals = append(w.arrivals, a)
	w.perHost[a.host]++
	n, handle := w.perHost[a.host], w.handlers[a.host]
	w.mu.Unlock()
	if w.arrived != nil {
		w.arrived <- a
	}
	if handle == nil {
		return nil, errors.New("no such host")
	}
	status, header, err := handle(r, n)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader([]byte("answer"))), Request: r}, nil
}

func (w *wire) got() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]arrival(nil), w.arrivals...)
}

// mortalWire is the wire as a process uses it.
type mortalWire struct {
	*wire
	p *process
}

func (m mortalWire) RoundTrip(r *http.Request) (response *http.Response, err error) {
	if err = m.p.do("send", func() error { response, err = m.wire.RoundTrip(r); return err }); err != nil {
		return nil, err
	}
	return response, nil
}

// engine stands for Temporal: what it was told to run it runs, through the end of any process, with whatever worker
// there is.
type engine struct {
	mu      sync.Mutex
	worker  *Courier
	away    bool
	running map[string]Ref
	starts  []time.Time
	loops   sync.WaitGroup
	ctx     context.Context //nolint:containedctx // it is the engine's life
}

func newEngine(ctx context.Context) *engine { return &engine{running: map[string]Ref{}, ctx: ctx} }

// startAs is the engine as a process calls it.
type startAs struct {
	*engine
	p *process
}

func (s startAs) StartDelivery(ctx context.Context, d store.Delivery) error {
	return s.p.do("start workflow", func() error { return s.engine.StartDelivery(ctx, d) })
}

func (e *engine) StartDelivery(_ context.Context, d store.Delivery) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.away {
		return errors.New("engine away")
	}
	id := workflowID(d)
	if _, runs := e.running[id]; !runs {
		e.running[id] = Ref{d.Workspace, d.ID}
		e.starts = append(e.starts, time.Now())
		e.loops.Go(func() { e.run(id, Ref{d.Workspace, d.ID}) })
	}
	return nil
}

// unfinished is how many workflows run.
func (e *engine) unfinished() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.running)
}

// started is how many workflows were started.
func (e *engine) started() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.starts)
}

func (e *engine) setAway(away bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.away = away
}

func (e *engine) employ(c *Courier) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.worker = c
}

func (e *engine) run(id string, ref Ref) {
	busy := 0
	for e.ctx.Err() == nil {
		e.mu.Lock()
		worker, away := e.worker, e.away
		e.mu.Unlock()
		v := Verdict{Wait: time.Second}
		if worker != nil && !away {
			if next, err := worker.next(e.ctx, ref, id); err == nil {
				v = next
			}
		}
		if v.Over {
			break
		}
		if v.Busy {
			v.Wait = min(v.Wait<<min(busy, 10), longestBusyWait)
			busy++
		}
		select {
		case <-e.ctx.Done():
		case <-time.After(v.Wait):
		}
	}
	e.mu.Lock()
	delete(e.running, id)
	e.mu.Unlock()
}

// rig is all of it, for tests in virtual time.
type rig struct {
	tb     testing.TB
	mem    *mem
	wire   *wire
	engine *engine
	sealer *Sealer
	guard  *Guard
	config Config
	relay  RelayConfig
	log    *logs
}

func newRig(t *testing.T) *rig {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &rig{
		tb: t, mem: newMem(), wire: newWire(), engine: newEngine(ctx), sealer: sealer(t), guard: NewGuard(GuardConfig{}),
		config: Config{Schedule: Schedule{Jitter: -1}}, log: &logs{},
	}
	t.Cleanup(func() { stop(); r.engine.loops.Wait() })
	return r
}

// logs keeps what is logged.
type logs struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// running is a process that runs a relay and a worker.
type running struct {
	relay     *Relay
	courier   *Courier
	endpoints *Endpoints
	stop      func() // and waits
}

// run starts a process; it ends with the test.
func (r *rig) run(p *process) *running {
	c := r.config
	c.Transport, c.Log = mortalWire{r.wire, p}, slog.New(slog.NewTextHandler(r.log, nil))
	courier := NewCourier(r.mem.as(p), r.guard, r.sealer, c)
	relay := NewRelay(courier, startAs{r.engine, p}, r.relay)
	ctx, cancel := context.WithCancel(r.tb.Context())
	if p != nil {
		p.death = cancel
	}
	done := make(chan error, 1)
	r.engine.employ(courier)
	go func() { done <- relay.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				r.tb.Errorf("Run: %v", err)
			}
		})
	}
	r.tb.Cleanup(stop)
	return &running{relay, courier, NewEndpoints(courier), stop}
}

var eventNumber struct {
	sync.Mutex
	n int
}

// event is one of workspace wsp_1; url may be empty.
func event(kind, url string) memory.Event {
	eventNumber.Lock()
	defer eventNumber.Unlock()
	eventNumber.n++
	return memory.Event{
		ID: "evt_" + strconv.Itoa(eventNumber.n), Type: kind, Workspace: "wsp_1", Time: memory.Now(), URL: url, Data: json.RawMessage(`{"id":"mem_1"}`),
	}
}

// endpoint stores one that asks for everything.
func (r *rig) endpoint(id, host string, change ...func(*store.Endpoint)) {
	r.tb.Helper()
	k := keyring{sealer: r.sealer}
	e := store.Endpoint{
		ID: id, Workspace: "wsp_1", URL: "http://" + host + "/hook", Signing: "v1", CreatedAt: memory.Now(),
		Secrets: []store.Secret{k.seal("wsp_1", endpointPurpose(id), webhook.GenerateSecret())},
	}
	for _, f := range change {
		f(&e)
	}
	if err := r.mem.as(nil).Endpoints.Save(r.tb.Context(), e); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) stored(endpoint string) store.Endpoint {
	r.tb.Helper()
	e, err := r.mem.as(nil).Endpoints.Get(r.tb.Context(), "wsp_1", endpoint)
	if err != nil {
		r.tb.Fatal(err)
	}
	return e
}

// only is the one delivery that there is.
func (r *rig) only() store.Delivery {
	r.tb.Helper()
	all := r.mem.all()
	if len(all) != 1 {
		r.tb.Fatalf("%d deliveries", len(all))
	}
	return all[0]
}

// verifies checks an arrival against the secret of the workspace, as it would have been checked when it came in.
func (r *rig) verifies(a arrival) {
	r.tb.Helper()
	keys, err := keyring{r.sealer, r.mem.as(nil).Workspaces}.ofWorkspace(r.tb.Context(), "wsp_1", time.Now())
	if err != nil {
		r.tb.Fatal(err)
	}
	v := webhook.Verifier{Keys: keys, Now: func() time.Time { return a.at }}
	if _, err := v.Verify(a.header, a.body); err != nil {
		r.tb.Errorf("what arrived at %s: %v", a.at, err)
	}
}
