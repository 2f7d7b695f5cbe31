package api

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/switchyard-ai/switchyard/internal/routing"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func (a *API) serviceRoutes() {
	serve(a, route{
		id: "get-router", method: http.MethodGet, path: "/v1/router", tag: "Service", scope: store.ScopeRead,
		summary: "Read the router's policy and the load of each track", answer: exampleRouter,
	}, a.getRouter)
	serve(a, route{
		id: "healthz", method: http.MethodGet, path: "/healthz", tag: "Service",
		summary: "Is the process alive?", about: "It asks after nothing else, so that no dependency's trouble restarts it.", answer: `{"status":"ok"}`,
	}, a.healthz)
	serve(a, route{
		id: "readyz", method: http.MethodGet, path: "/readyz", tag: "Service",
		summary: "Can it take requests?", about: "By dependency. `degraded`: it can, though something that it can do without is away.",
		answer: `{"status":"ready","checks":{"store":"ok","temporal":"ok"}}`,
	}, a.readyz)
	if !a.cfg.ServiceApart {
		a.echo.GET("/metrics", echo.WrapHandler(a.metricsHandler()))
	}
}

func (a *API) metricsHandler() http.Handler {
	return promhttp.HandlerFor(a.parts.Registry, promhttp.HandlerOpts{})
}

// Service serves /healthz, /readyz and /metrics only, for an address of its own.
func (a *API) Service() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metricsHandler())
	mux.Handle("GET /healthz", a)
	mux.Handle("GET /readyz", a)
	return mux
}

// Router is the routing policy and the load of the tracks.
type Router struct {
	Policy   Policy            `json:"policy"`
	Realtime RealtimeLoad      `json:"realtime"`
	Durable  DurableLoad       `json:"durable"`
	Breakers map[string]string `json:"breakers" doc:"By dependency: closed, half-open or open."`
}

// Policy is what the operator wants of the router.
type Policy struct {
	MaxQueued        int     `json:"max_queued" doc:"How many memories may wait for the realtime track before others go to the durable one."`
	MaxWaitSeconds   float64 `json:"max_wait_seconds" doc:"The longest expected wait for the realtime track."`
	MaxRealtimeBytes int     `json:"max_realtime_bytes" doc:"The largest content that runs in realtime unless asked to."`
}

// RealtimeLoad is how busy the realtime track of the process is that answers.
type RealtimeLoad struct {
	InFlight            int      `json:"in_flight"`
	Limit               int      `json:"limit"`
	Queued              int      `json:"queued"`
	ExpectedWaitSeconds float64  `json:"expected_wait_seconds"`
	Draining            bool     `json:"draining"`
	Open                []string `json:"open" doc:"Dependencies whose circuit breaker is open."`
	Unfinished          int      `json:"unfinished" doc:"Memories of this track that are not finished, in all processes and workspaces."`
}

// DurableLoad is how much the durable track has to do.
type DurableLoad struct {
	Unfinished int `json:"unfinished" doc:"Memories of this track that are not finished, in all processes and workspaces."`
}

func (a *API) getRouter(ctx context.Context, _ *struct{}) (*body[Router], error) {
	open, err := a.parts.Leases.Load(ctx)
	if err != nil {
		return nil, err
	}
	r := Router{
		Policy: policyOf(a.parts.Intake.Policy()), Realtime: loadOf(a.parts.Intake.Load()),
		Durable: DurableLoad{open[memory.TrackDurable]}, Breakers: map[string]string{},
	}
	r.Realtime.Unfinished = open[memory.TrackRealtime]
	if a.parts.Breakers != nil {
		r.Breakers = a.parts.Breakers.States()
	}
	return &body[Router]{r}, nil
}

func policyOf(p routing.Policy) Policy {
	return Policy{p.MaxQueued, p.MaxWait.Seconds(), p.MaxRealtimeBytes}
}

func loadOf(l routing.Load) RealtimeLoad {
	return RealtimeLoad{
		InFlight: l.InFlight, Limit: l.Limit, Queued: l.Queued, ExpectedWaitSeconds: l.ExpectedWait.Round(time.Millisecond).Seconds(),
		Draining: l.Draining, Open: append([]string{}, l.Open...),
	}
}

// Health is the answer of a process that is alive.
type Health struct {
	Status string `json:"status"`
}

func (a *API) healthz(context.Context, *struct{}) (*body[Health], error) {
	return &body[Health]{Health{"ok"}}, nil
}

// Readiness says how the dependencies are.
type Readiness struct {
	Status string            `json:"status" enum:"ready,degraded" doc:"degraded: something that is not needed is away."`
	Checks map[string]string `json:"checks" doc:"By dependency: ok, or what is wrong."`
}

func (a *API) readyz(ctx context.Context, _ *struct{}) (*body[Readiness], error) {
	r, missing := readiness(ctx, a.parts.Checks, a.cfg.CheckTimeout)
	switch {
	case missing != "":
		return nil, notReady(missing+" is not available", r.Checks)
	case a.waits() != nil:
		return nil, notReady(a.waits().Error(), r.Checks)
	case a.isClosing():
		return nil, notReady("the process is stopping", r.Checks)
	}
	return &body[Readiness]{r}, nil
}

func notReady(why string, checks map[string]string) error {
	p := problemOf(memory.Errorf(memory.CodeUnavailable, "%s", why))
	p.Checks = checks
	return &refused{p}
}

func (a *API) isClosing() bool {
	select {
	case <-a.closing:
		return true
	default:
		return a.parts.Intake.Load().Draining
	}
}
