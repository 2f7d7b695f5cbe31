package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/api"
)

func newServeCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API with the realtime track",
		Long: `Serves the API and runs the realtime track. Any number may run on the same stores and Temporal server, beside any
number of workers (switchyard worker), which run the durable track and deliver webhooks.`,
		Example: `  SWITCHYARD_TEMPORAL_ADDRESS=temporal:7233 switchyard serve --config /etc/switchyard.yaml`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd.Context(), runServe)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&s.listen, "listen", "", "address of the API (default 127.0.0.1:8080)")
	return cmd
}

func newWorkerCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run the durable track: Temporal worker, recovery and webhook delivery",
		Long: `Runs the durable track: batches, and memories that fell off the realtime track; takes up what nobody answers for;
delivers webhooks. Any number may run.`,
		Example: `  SWITCHYARD_TEMPORAL_ADDRESS=temporal:7233 switchyard worker --config /etc/switchyard.yaml`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd.Context(), runWorker)
		},
	}
	s.flags(cmd)
	return cmd
}

// run runs one of the processes that share a Temporal server.
func (s *settings) run(ctx context.Context, command func(context.Context, *server) error) (err error) {
	cfg, err := s.load()
	if err != nil {
		return err
	}
	if err := workable(cfg); err != nil {
		return err
	}
	srv, err := newServer(ctx, cfg, newLog(cfg.LogLevel))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.closers.close()) }()
	return command(ctx, srv)
}

// workable refuses settings with which processes could not work together, in words. What only shows when they run, such
// as workers on the stores of another machine, is seen then: see strangers.
func workable(cfg configs.Config) error {
	if cfg.Temporal.Address == "" {
		return errors.New("serve and worker share a Temporal server: set SWITCHYARD_TEMPORAL_ADDRESS, or run everything in one process with `switchyard dev`")
	}
	if cfg.WebhookKey == "" && cfg.Mongo.URI != "" {
		return errors.New("SWITCHYARD_WEBHOOK_KEY must be set, to the same value for all processes: MongoDB keeps the webhook secrets, sealed; with a key " +
			"from each one's data folder, none could open what another has sealed (openssl rand -base64 32 makes one; the one of a data folder is in its webhook.key)")
	}
	if cfg.Mongo.URI == "" || cfg.Qdrant.Addr == "" || cfg.Neo4j.URI == "" { // a data folder, and so one machine
		kind, err := networkDisk(cfg.DataDir)
		if kind != "" {
			return fmt.Errorf("the data folder %s is on %s, where the file of the embedded store would break: processes on several machines "+
				"need SWITCHYARD_MONGO_URI, SWITCHYARD_QDRANT_ADDR and SWITCHYARD_NEO4J_URI; on one machine use a disk of its own", cfg.DataDir, kind)
		}
		return err
	}
	return nil
}

func runServe(ctx context.Context, s *server) error {
	s.stock(false, bootstrapKey(s.cfg))
	l, err := listen(ctx, s.cfg.Listen)
	if err != nil {
		return err
	}
	stages, err := s.apiStages(l)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	s.log.Info("serving", "address", l.Addr().String(), "version", version())
	// The relay runs here too: an event that this process owes is delivered at once by this process.
	return runStages(ctx, append(stages, []part{{"webhook relay", s.stocked.behind(s.relay.Run)}})...)
}

func runWorker(ctx context.Context, s *server) error {
	s.stock(false, bootstrapKey(s.cfg))
	stages := append(s.workStages(), s.gates())
	stages, err := s.withService(stages, api.Probes(s.checks(), s.stocked.waiting, s.registry))
	if err != nil {
		return err
	}
	s.log.Info("working", "temporal", s.cfg.Temporal.Address, "takes", s.cfg.Batch.WithDefaults().Work, "version", version())
	return runStages(ctx, stages...)
}

// bootstrapKey is the first admin key: one that was set on purpose, never the development default.
func bootstrapKey(cfg configs.Config) string {
	if cfg.DevKey == configs.Default().DevKey {
		return ""
	}
	return cfg.DevKey
}
