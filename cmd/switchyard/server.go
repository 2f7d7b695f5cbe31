package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/live"
	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/search"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/realtime"
	"github.com/switchyard-ai/switchyard/webhooks"
)

// server is what dev, serve and worker are made of. Which of its parts run is theirs to say.
type server struct {
	cfg      configs.Config
	log      *slog.Logger
	closers  closers
	stores   *stores
	models   models
	temporal client.Client
	ui       string // address of the embedded Temporal's web UI; "": none
	hub      *live.Hub
	registry *prometheus.Registry
	events   *webhooks.Events
	guard    *webhooks.Guard
	sealer   *webhooks.Sealer
	courier  *webhooks.Courier
	relay    *webhooks.Relay
	starter  *batch.Starter
}

// newServer opens what all three commands share. Close it.
func newServer(ctx context.Context, cfg configs.Config, log *slog.Logger) (s *server, err error) {
	s = &server{cfg: cfg, log: log, hub: &live.Hub{}, registry: prometheus.NewRegistry()}
	defer func(opened *closers) {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}(&s.closers)
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if s.stores, err = openStores(ctx, cfg, &s.closers); err != nil {
		return nil, err
	}
	if s.models, err = openModels(cfg); err != nil {
		return nil, err
	}
	if err := checkModel(ctx, s.stores, s.models); err != nil {
		return nil, err
	}
	if s.temporal, s.ui, err = openTemporal(ctx, &s.cfg, log, &s.closers); err != nil {
		return nil, err
	}
	s.starter = batch.NewStarter(s.temporal, s.cfg.Batch)
	return s, s.openWebhooks()
}

func (s *server) openWebhooks() error {
	set := s.cfg.Webhooks
	guard, err := set.Guard.Config(s.cfg.WebhookAllow)
	if err != nil {
		return err
	}
	if s.sealer, err = sealer(s.cfg); err != nil {
		return err
	}
	s.guard, s.events = webhooks.NewGuard(guard), webhooks.NewEvents(s.stores.Endpoints, set.Events)
	set.Delivery.Metrics, set.Delivery.Log = webhooks.NewMetrics(), s.log
	s.registry.MustRegister(set.Delivery.Metrics)
	s.courier = webhooks.NewCourier(s.webhookStores(), s.guard, s.sealer, set.Delivery)
	s.relay = webhooks.NewRelay(s.courier, webhooks.NewTemporal(s.temporal, set.TaskQueue), set.Relay)
	return nil
}

func (s *server) webhookStores() webhooks.Stores {
	return webhooks.Stores{
		Endpoints: s.stores.Endpoints, Deliveries: s.stores.Deliveries, Workspaces: s.stores.Workspaces, Outbox: s.stores.Outbox,
		Batches: s.stores.Batches,
	}
}

// pipelineParts are what both tracks' pipelines are made of.
func (s *server) pipelineParts() pipeline.Parts {
	return pipeline.Parts{
		Extractor: s.models.Extractor, Embedder: s.models.Embedder, Vectors: s.stores.Vectors, Graph: s.stores.Graph,
		Memories: s.stores.Memories, Workspaces: s.stores.Workspaces, Runs: s.stores.Runs, Events: s.events, Watcher: watcher{s},
	}
}

// watcher passes progress on to whoever watches, and tells the relay when something may be owed.
type watcher struct{ s *server }

func (w watcher) Progress(m memory.Memory) {
	w.s.hub.Progress(m)
	if m.Status.Final() {
		w.s.relay.Poke()
	}
}

func (w watcher) Moved(string, string) { w.s.relay.Poke() }

// apiParts are the stages of a process that serves the API with its realtime track: the listener goes first.
func (s *server) apiStages(l net.Listener) [][]part {
	breakers := realtime.NewBreakers(s.cfg.Realtime.Breaker)
	executor := realtime.New(realtime.Parts{
		Pipeline: pipeline.New(breakers.Guard(s.pipelineParts()), s.cfg.Pipeline), Breakers: breakers,
		Runs: s.stores.Runs, Leases: s.stores.Leases, Durable: s.starter, Log: s.log,
	}, s.cfg.Realtime)
	in := intake.New(intake.Parts{
		Memories: s.stores.Memories, Runs: s.stores.Runs, Batches: s.stores.Batches, BatchRuns: s.stores.BatchRuns,
		Vectors: s.stores.Vectors, Graph: s.stores.Graph, Erasures: s.stores.Erasures,
		Realtime: executor, Durable: s.starter, Guard: s.guard, Log: s.log,
	}, intake.Config{Policy: s.cfg.Routing})
	a := api.New(api.Parts{
		Intake: in, Search: s.searcher(), Memories: s.stores.Memories, Batches: s.stores.Batches, BatchRuns: s.stores.BatchRuns,
		Vectors: s.stores.Vectors, Graph: s.stores.Graph, Leases: s.stores.Leases, Keys: s.stores.Keys, Workspaces: s.stores.Workspaces,
		Requests: s.stores.Requests, Live: s.hub, Steering: s.starter, Breakers: breakers,
		Webhooks: webhooks.NewEndpoints(s.courier), Checks: s.checks(), Registry: s.registry, Log: s.log, Version: version(),
	}, api.Config{})
	s.registry.MustRegister(loadMetrics(executor, breakers))
	return [][]part{
		{{"api", serveHTTP(l, a)}, {"api housekeeping", a.Run}},
		{{"realtime", executor.Run}, {"intake", in.Run}},
	}
}

func (s *server) searcher() *search.Searcher {
	judge, _ := s.models.Extractor.(llm.Reranker) // nil: it cannot
	return search.New(search.Parts{
		Memories: s.stores.Memories, Vectors: s.stores.Vectors, Graph: s.stores.Graph, Embedder: s.models.Embedder, Reranker: judge, Log: s.log,
	}, search.Config{})
}

// checks are what readiness asks after. Without Temporal the API goes on: what is accepted waits in the store.
func (s *server) checks() []api.Check {
	return append(s.stores.Checks, api.Check{Name: "temporal", Optional: true, Probe: func(ctx context.Context) error {
		_, err := s.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	}})
}

// workStages are the stages of a process that runs the durable track and delivers webhooks.
func (s *server) workStages() [][]part {
	p := pipeline.New(s.pipelineParts(), s.cfg.Pipeline)
	activities := batch.NewActivities(batch.Parts{
		Pipeline: p, Memories: s.stores.Memories, Runs: s.stores.Runs, Batches: s.stores.Batches, BatchRuns: s.stores.BatchRuns,
		Events: s.events, Watcher: watcher{s},
	}, s.cfg.Batch)
	durable := batch.NewWorker(s.temporal, batch.NewWorkflows(p, s.cfg.Batch), activities, s.cfg.Batch, s.log)
	recovery := batch.NewRecovery(s.stores.Leases, s.stores.BatchRuns, s.starter, s.cfg.Batch, s.log)
	return [][]part{
		{{"recovery", recovery.Run}},
		{{"durable track", durable.Run}},
		{{"webhook relay", s.relay.Run}, {"webhook worker", s.webhookWorker}},
	}
}

// webhookWorker runs the durable workflows of deliveries; while Temporal is away it waits for it.
func (s *server) webhookWorker(ctx context.Context) error {
	queue := cmp.Or(s.cfg.Webhooks.TaskQueue, webhooks.DefaultTaskQueue)
	return batch.RunWorker(ctx, s.temporal, s.cfg.Batch.DeliveryQueue(queue), s.log, func(r worker.Registry) { s.courier.Register(r) })
}

const stopTime = 15 * time.Second

// serveHTTP serves until ctx is done; then it takes no more requests and waits for those that it has.
func serveHTTP(l net.Listener, h http.Handler) func(context.Context) error {
	return func(ctx context.Context) error {
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
		failed := make(chan error, 1)
		go func() { failed <- srv.Serve(l) }()
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if err := srv.Shutdown(stop); err != nil {
			return errors.Join(fmt.Errorf("requests in flight were cut: %w", err), srv.Close())
		}
		return nil
	}
}

// newLog logs text on a terminal and JSON elsewhere, to standard error.
func newLog(level string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // validated with the configuration
	opts := &slog.HandlerOptions{Level: l}
	if isatty.IsTerminal(os.Stderr.Fd()) {
		return slog.New(slog.NewTextHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, opts))
}

// quiet passes on warnings and errors only: what Temporal's client says at info is for its developers.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(atLeast{log.Handler(), slog.LevelWarn}) }

type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(as []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(as), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
