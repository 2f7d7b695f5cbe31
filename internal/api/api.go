// Package api is Switchyard's HTTP contract: its routes, the one map from error codes to answers, and the OpenAPI
// document, all made of one set of types.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/live"
	"github.com/switchyard-ai/switchyard/internal/search"
	"github.com/switchyard-ai/switchyard/internal/store"
)

// Live tells when a memory or a batch changes.
type Live interface {
	Subscribe(ctx context.Context, workspace, id string) (events <-chan live.Event, stop func())
}

// Steering gives orders to the running batch: "pause", "resume" or "cancel". CodeConflict: it is not running;
// CodeUnavailable: the durable engine is away.
type Steering interface {
	Control(ctx context.Context, b store.BatchRef, order string) error
}

// Breakers says how the circuit breakers are, by dependency: closed, half-open or open.
type Breakers interface {
	States() map[string]string
}

// Check is a dependency that readiness asks after. Without an optional one the service goes on, degraded.
type Check struct {
	Name     string
	Probe    func(ctx context.Context) error
	Optional bool
}

// Parts are what the API works with.
type Parts struct {
	Intake     *intake.Intake
	Search     *search.Searcher
	Memories   store.Memories
	Batches    store.Batches
	BatchRuns  store.BatchRuns
	Vectors    store.Vectors
	Graph      store.Graph
	Leases     store.Leases
	Keys       store.Keys
	Workspaces store.Workspaces
	Requests   store.Requests
	Live       Live
	Steering   Steering
	Breakers   Breakers // nil: this process runs no realtime track
	Webhooks   Webhooks
	Checks     []Check
	Waiting    func() error         // why requests are not taken yet; nil, or an answer of nil: they are
	Registry   *prometheus.Registry // nil: one of its own
	Log        *slog.Logger         // nil: slog.Default
	Version    string               // of the program
}

// Config tunes the API. Its zero value works.
type Config struct {
	// MaxBodyBytes is the largest JSON body, uploads of batches apart. Default 2 MiB.
	MaxBodyBytes int64 `yaml:"max_body_bytes"`
	// BodyTimeout is how long a JSON body may take, and how long an upload may stand still. Default 60s.
	BodyTimeout time.Duration `yaml:"body_timeout"`
	// StoreTimeout is how long a write may take that goes on though the caller left. Default 30s.
	StoreTimeout time.Duration `yaml:"store_timeout"`
	// RequestLease is how long the process of an idempotent request must be silent to be taken for dead. Default 30s.
	RequestLease time.Duration `yaml:"request_lease"`
	// RequestRetention is how long an Idempotency-Key is known. Default 24h.
	RequestRetention time.Duration `yaml:"request_retention"`
	// KeyTTL is how long after its revocation by another process a key may still be taken. Default 2s.
	KeyTTL time.Duration `yaml:"key_ttl"`
	// TouchInterval is how often the times when keys were used are stored. Default 10s.
	TouchInterval time.Duration `yaml:"touch_interval"`
	// RatePerSecond is how many requests a key may send a second; negative: any number. Default 10,000.
	RatePerSecond float64 `yaml:"rate_per_second"`
	// RateBurst is how many it may send at once. Default: twice RatePerSecond.
	RateBurst int `yaml:"rate_burst"`
	// PollInterval is how often a memory or batch that is watched is read though no event came. Default 1s.
	PollInterval time.Duration `yaml:"poll_interval"`
	// ProgressInterval is the least time between two events of a batch. Default 500ms.
	ProgressInterval time.Duration `yaml:"progress_interval"`
	// Heartbeat is how often an event stream without events says that it is alive. Default 15s.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// CheckTimeout is how long a readiness check may take. Default 2s.
	CheckTimeout time.Duration `yaml:"check_timeout"`
	// UndoTime is how long one request to undo a batch goes on erasing. Default 20s.
	UndoTime time.Duration `yaml:"undo_time"`
	// ServiceApart leaves /metrics out of the API: it is served by [API.Service] only. Default: false.
	ServiceApart bool `yaml:"service_apart"`
}

func (c Config) withDefaults() Config {
	setDefault(&c.MaxBodyBytes, 2<<20)
	setDefault(&c.BodyTimeout, time.Minute)
	setDefault(&c.StoreTimeout, 30*time.Second)
	setDefault(&c.RequestLease, 30*time.Second)
	setDefault(&c.RequestRetention, 24*time.Hour)
	setDefault(&c.KeyTTL, 2*time.Second)
	setDefault(&c.TouchInterval, 10*time.Second)
	setDefault(&c.RatePerSecond, 10_000)
	setDefault(&c.RateBurst, int(2*c.RatePerSecond))
	setDefault(&c.PollInterval, time.Second)
	setDefault(&c.ProgressInterval, 500*time.Millisecond)
	setDefault(&c.Heartbeat, 15*time.Second)
	setDefault(&c.CheckTimeout, 2*time.Second)
	setDefault(&c.UndoTime, 20*time.Second)
	return c
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// API answers HTTP requests. It is safe for concurrent use.
type API struct {
	parts   Parts
	cfg     Config
	log     *slog.Logger
	echo    *echo.Echo
	huma    huma.API
	keys    *keyring
	limits  *limiter
	dropped *dropped
	metrics *metrics
	doc     document
	closing chan struct{} // closed when the process is about to stop
}

// New makes the API of the parts.
func New(parts Parts, cfg Config) *API {
	cfg = cfg.withDefaults()
	if parts.Log == nil {
		parts.Log = slog.Default()
	}
	if parts.Registry == nil {
		parts.Registry = prometheus.NewRegistry()
	}
	a := &API{
		parts: parts, cfg: cfg, log: parts.Log, closing: make(chan struct{}),
		keys: newKeyring(parts.Keys, cfg.KeyTTL), limits: newLimiter(cfg.RatePerSecond, cfg.RateBurst), dropped: newDropped(cfg.RequestLease), metrics: newMetrics(parts.Registry),
	}
	a.echo = a.newEcho()
	a.huma = newHuma(a.echo, parts.Version)
	a.huma.UseMiddleware(a.begun, a.authenticate, a.limit, a.checkQuery, a.readBody, a.idempotent)
	a.routes()
	a.describe()
	return a
}

func (a *API) routes() {
	a.memoryRoutes()
	a.searchRoutes()
	a.batchRoutes()
	a.webhookRoutes()
	a.graphRoutes()
	a.workspaceRoutes()
	a.keyRoutes()
	a.serviceRoutes()
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.echo.ServeHTTP(w, r) }

// Echo is the router, for pages that are not part of the API, such as the console.
func (a *API) Echo() *echo.Echo { return a.echo }

// Run does what is not done for one request: it stores when keys were used and forgets old idempotent requests. When ctx
// is done it ends the requests that only wait (Prefer: wait, event streams), so that the server can stop, and returns.
func (a *API) Run(ctx context.Context) error {
	touch, sweep := time.NewTicker(a.cfg.TouchInterval), time.NewTicker(a.cfg.RequestRetention/24)
	defer touch.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			close(a.closing)
			return a.lastTouch(ctx)
		case <-touch.C:
			if err := a.keys.flush(ctx); err != nil {
				a.log.WarnContext(ctx, "when keys were used was not stored", "error", err)
			}
		case now := <-sweep.C:
			if _, err := a.parts.Requests.Sweep(ctx, now.Add(-a.cfg.RequestRetention)); err != nil {
				a.log.WarnContext(ctx, "old idempotent requests were not swept", "error", err)
			}
		}
	}
}

func (a *API) lastTouch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.CheckTimeout)
	defer cancel()
	return a.keys.flush(ctx)
}
