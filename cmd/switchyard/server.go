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
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/live"
	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/budget"
	"github.com/switchyard-ai/switchyard/internal/llm/pace"
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
	folder   string // names the data folder where something that processes share is in it; "": nothing is
	ui       string // address of the embedded Temporal's web UI; "": none
	stocked  *gate  // opens when the stores are there and made for this version
	peers    *gate  // opens when nobody is in sight who works on other stores
	making   []part // make servers ready that the process can begin without
	hub      hub
	redis    *live.Redis // nil: progress stays in this process
	registry *prometheus.Registry
	figures  *figures
	events   *webhooks.Events
	guard    *webhooks.Guard
	sealer   *webhooks.Sealer
	courier  *webhooks.Courier
	relay    *webhooks.Relay
	starter  *batch.Starter

	chatGate, embeddingGate pace.Gate
	budget                  *budget.Budget
}

// hub tells watchers of memories and batches what becomes of them, and takes that from whoever works.
type hub interface {
	api.Live
	Progress(m memory.Memory)
}

// newServer opens what all three commands share. It connects to nothing outside: servers may be away. Close it.
func newServer(ctx context.Context, cfg configs.Config, log *slog.Logger) (s *server, err error) {
	s = &server{cfg: cfg, log: log, hub: &live.Hub{}, registry: prometheus.NewRegistry()}
	defer func(opened *closers) {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}(&s.closers)
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.figures = newFigures(s.registry)
	if s.models, err = openModels(cfg); err != nil {
		return nil, err
	}
	if s.stores, err = openStores(ctx, opening{cfg, s.models, &s.closers, s.log}); err != nil {
		return nil, err
	}
	if err := faultyStores(s.stores); err != nil {
		return nil, err
	}
	s.models = faultyModels(s.models)
	if err := s.checkModelNow(ctx); err != nil {
		return nil, err
	}
	if s.folder, err = folderOf(cfg); err != nil {
		return nil, err
	}
	if s.temporal, s.ui, err = openTemporal(ctx, &s.cfg, log, newSDKMetrics(s.registry), &s.closers); err != nil {
		return nil, err
	}
	s.stores.Servers = append(s.stores.Servers, s.temporalServer())
	if err := s.openRedis(); err != nil {
		return nil, err
	}
	s.starter = batch.NewStarter(s.temporal, s.cfg.Batch)
	s.peers = newGate(log, s.noStrangers()...)
	return s, s.openWebhooks()
}

// openRedis lets processes tell each other of progress. Redis may be away: watchers then see it in the store, later.
func (s *server) openRedis() error {
	s.budget = s.rates(nil)
	if s.cfg.Redis.URL == "" {
		return nil
	}
	tls, err := s.cfg.Redis.TLS.Config()
	if err != nil {
		return fmt.Errorf("redis.tls: %w", err)
	}
	c, err := live.Connect(s.cfg.Redis.URL, tls)
	if err != nil {
		return fmt.Errorf("SWITCHYARD_REDIS_URL: %w", err)
	}
	s.closers.add(c.Close)
	s.budget = s.rates(budget.NewRedis(c))
	s.redis = live.NewRedis(c, s.log)
	s.hub = s.redis
	s.stores.Servers = append(s.stores.Servers, &dependency{name: "redis", address: configs.Hide(s.cfg.Redis.URL), optional: true, ping: s.redis.Ping,
		about: func(ctx context.Context) (about, error) {
			v, clock, err := s.redis.About(ctx)
			return about{v, clock}, err
		},
		releases: releases{needed: "5.0", tested: "7.0"}})
	return nil
}

// rates are the rate budgets of the models, counted by the process itself where shared is nil.
func (s *server) rates(shared budget.Counters) *budget.Budget {
	limits := func(l configs.LLM) budget.Limits {
		return budget.Limits{Requests: l.RequestsPerMinute, Tokens: l.TokensPerMinute}
	}
	return budget.New(budget.Config{Models: map[string]budget.Limits{
		s.models.Extractor.Model(): limits(s.cfg.Chat), s.models.Embedder.Model(): limits(s.cfg.Embedding),
	}}, shared)
}

// checkModelNow refuses to start with a wrong model where the vectors can be asked for theirs. Where they are away,
// readiness asks until they are back; meanwhile, as ever, the store itself lets no vectors be mixed.
func (s *server) checkModelNow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, modelTime)
	defer cancel()
	err := checkModel(ctx, s.stores, s.models)
	if s.cfg.Qdrant.Addr != "" && (memory.CodeOf(err).Retryable() || ctx.Err() != nil) {
		s.log.Warn("the model of the stored vectors is not known yet", "error", err)
		return nil
	}
	return err
}

const modelTime = 5 * time.Second

// temporalServer is Temporal as a dependency: without it the API goes on, and what is accepted waits in the store.
func (s *server) temporalServer() *dependency {
	d := &dependency{name: "temporal", address: s.cfg.Temporal.Address, optional: true, ping: func(ctx context.Context) error {
		_, err := s.temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
		return memory.Wrap(memory.CodeUnavailable, err, "Temporal does not answer")
	}}
	if d.address == "" {
		return d
	}
	namespace := s.cfg.Temporal.Namespace
	d.migrate = func(ctx context.Context) error { return migrateTemporal(ctx, s.temporal, namespace) }
	d.check = func(ctx context.Context) error { return checkTemporal(ctx, s.temporal, namespace) }
	d.spare = !s.cfg.Batch.SearchAttributes
	d.releases, d.examine = releases{tested: "1.32"}, s.examineTemporal
	if s.cfg.Batch.Versioning.Deployment != "" {
		d.releases.needed = "1.28"
	}
	d.about = func(ctx context.Context) (about, error) {
		info, err := s.temporal.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
		return about{version: info.GetServerVersion()}, err
	}
	return d
}

// noStrangers is met when those who work on the same task queue work on the same stores.
func (s *server) noStrangers() []condition {
	if s.cfg.Temporal.Address == "" {
		return nil // embedded: nobody else knows its address
	}
	return []condition{{
		name: "Temporal, which knows who else is at work", fatal: isConflict,
		met: func(ctx context.Context) error {
			return strangers(ctx, s.temporal, s.cfg.Batch.WithDefaults().TaskQueue, s.folder)
		},
	}}
}

// stock makes the gate before everything that uses the stores. makes says whether what is missing is made, as dev does,
// or waited for; key is the first admin key, "" for none.
func (s *server) stock(makes bool, key string) {
	var conditions []condition
	for _, d := range s.stores.Servers {
		wanted := d.prepared
		if makes && d.migrate != nil {
			wanted = d.madeReady
		}
		switch {
		case !d.optional:
			conditions = append(conditions, condition{name: d.name, met: wanted})
		case makes && d.migrate != nil && !d.spare: // what needs it waits, nothing else does
			s.making = append(s.making, part{"make " + d.name + " ready", newGate(s.log, condition{name: d.name, met: wanted}).run})
		}
	}
	conditions = append(conditions, condition{name: "the first workspace", met: func(ctx context.Context) error {
		return ensureWorkspace(ctx, s.stores, key)
	}})
	conditions = append(conditions, condition{name: "the webhook key", fatal: isConflict, met: func(ctx context.Context) error {
		return webhooks.CheckKey(ctx, s.stores.Workspaces, s.sealer)
	}})
	s.stocked = newGate(s.log, conditions...)
}

// isConflict reports whether waiting will not mend it: processes are set up against each other.
func isConflict(err error) bool { return memory.CodeOf(err) == memory.CodeConflict }

// gates are the parts that wait for what others need.
func (s *server) gates() []part {
	parts := append([]part{{"stores", s.stocked.run}, {"peers", s.peers.run}, {"servers", watchFigures(s.seeServers)}}, s.making...)
	if s.redis != nil {
		parts = append(parts, part{"live progress", s.redis.Run})
	}
	return parts
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
	set.Delivery.Metrics, set.Delivery.Log, set.Delivery.Transport = webhooks.NewMetrics(), s.log, faultyTransport(s.guard)
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

// paced keeps both tracks from a model that said that it has too many requests, and within the rate budgets. The gate comes
// first: what it keeps back takes nothing of a budget.
func (s *server) paced(p pipeline.Parts) pipeline.Parts {
	p.Extractor, p.Embedder = s.chatGate.Extractor(s.budget.Extractor(p.Extractor)), s.embeddingGate.Embedder(s.budget.Embedder(p.Embedder))
	return p
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
	w.s.figures.progress(m)
	if m.Status.Final() {
		w.s.relay.Poke()
	}
}

func (w watcher) Moved(string, string) { w.s.relay.Poke() }

// apiStages are the stages of a process that serves the API with its realtime track: the listener goes first.
func (s *server) apiStages(l net.Listener) ([][]part, error) {
	breakers := realtime.NewBreakers(s.cfg.Realtime.Breaker)
	executor := realtime.New(realtime.Parts{
		Pipeline: pipeline.New(s.paced(breakers.Guard(s.pipelineParts())), s.cfg.Pipeline), Breakers: breakers,
		Runs: s.stores.Runs, Leases: s.stores.Leases, Durable: s.starter, Log: s.log,
	}, s.cfg.Realtime)
	s.cfg.Intake.Policy = s.cfg.Routing
	in := intake.New(intake.Parts{
		Memories: s.stores.Memories, Runs: s.stores.Runs, Batches: s.stores.Batches, BatchRuns: s.stores.BatchRuns,
		Vectors: s.stores.Vectors, Graph: s.stores.Graph, Erasures: s.stores.Erasures,
		Realtime: executor, Durable: s.starter, Guard: s.guard, Log: s.log,
	}, s.cfg.Intake)
	a := s.api(in, breakers)
	s.registry.MustRegister(loadMetrics(executor, breakers))
	stages := [][]part{
		{{"api", serveHTTP(l, faultyAnswers(a))}, {"api housekeeping", s.stocked.behind(a.Run)}},
		{{"realtime", s.stocked.behind(executor.Run)}, {"intake", s.stocked.behind(in.Run)}},
		s.gates(),
	}
	return s.withService(stages, a.Service())
}

func (s *server) api(in *intake.Intake, breakers *realtime.Breakers) *api.API {
	cfg := s.cfg.API
	cfg.ServiceApart = s.cfg.MetricsListen != ""
	return api.New(api.Parts{
		Intake: in, Search: s.searcher(), Memories: s.stores.Memories, Batches: s.stores.Batches, BatchRuns: s.stores.BatchRuns,
		Vectors: s.stores.Vectors, Graph: s.stores.Graph, Leases: s.stores.Leases, Keys: s.stores.Keys, Workspaces: s.stores.Workspaces,
		Requests: s.stores.Requests, Live: s.hub, Steering: s.starter, Breakers: breakers,
		Webhooks: webhooks.NewEndpoints(s.courier), Checks: s.checks(), Waiting: s.stocked.waiting, Registry: s.registry, Log: s.log, Version: version(),
	}, cfg)
}

// withService adds the address of its own for /metrics, /healthz and /readyz, where one is set. It is the last to go.
func (s *server) withService(stages [][]part, h http.Handler) ([][]part, error) {
	if s.cfg.MetricsListen == "" {
		return stages, nil
	}
	l, err := listen(context.Background(), s.cfg.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("metrics_listen (SWITCHYARD_METRICS_LISTEN): %w", err)
	}
	s.log.Info("serving metrics and probes", "address", l.Addr().String())
	return append(stages, []part{{"probes", serveHTTP(l, h)}}), nil
}

func (s *server) searcher() *search.Searcher {
	judge, _ := s.models.Extractor.(llm.Reranker) // nil: it cannot
	return search.New(search.Parts{
		Memories: s.stores.Memories, Vectors: s.stores.Vectors, Graph: s.stores.Graph, Embedder: s.models.Embedder, Reranker: judge, Log: s.log,
	}, search.Config{})
}

// checks are what readiness asks after.
func (s *server) checks() []api.Check {
	checks := make([]api.Check, len(s.stores.Servers))
	for i, d := range s.stores.Servers {
		checks[i] = api.Check{Name: d.name, Optional: d.optional, Probe: d.ready}
	}
	return checks
}

// workStages are the stages of a process that runs the durable track and delivers webhooks; one that takes the work of
// language models only does neither recovery nor webhooks.
func (s *server) workStages() [][]part {
	p := pipeline.New(s.paced(s.pipelineParts()), s.cfg.Pipeline)
	activities := batch.NewActivities(batch.Parts{
		Pipeline: p, Memories: s.stores.Memories, Runs: s.stores.Runs, Batches: s.stores.Batches, BatchRuns: s.stores.BatchRuns,
		Events: s.events, Watcher: watcher{s},
	}, s.cfg.Batch)
	durable := batch.NewWorker(s.temporal, batch.NewWorkflows(p, s.cfg.Batch), activities, s.cfg.Batch, s.log)
	recovery := batch.NewRecovery(s.stores.Leases, s.stores.BatchRuns, s.starter, s.cfg.Batch, s.log)
	behind := func(run func(context.Context) error) func(context.Context) error {
		return s.stocked.behind(s.peers.behind(run))
	}
	if !s.cfg.Batch.Work.Takes(batch.WorkStore) {
		return [][]part{{{"durable track", behind(durable.Run)}}}
	}
	return [][]part{
		{{"recovery", behind(recovery.Run)}, {"figures", s.stocked.behind(watchFigures(s.seeOpen))}},
		{{"durable track", behind(durable.Run)}},
		{{"webhook relay", behind(s.relay.Run)}, {"webhook worker", behind(s.webhookWorker)}},
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
