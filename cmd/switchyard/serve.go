package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/configs"
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
	if cfg.Temporal.Address == "" {
		return errNoTemporal
	}
	srv, err := newServer(ctx, cfg, newLog(cfg.LogLevel))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.closers.close()) }()
	return command(ctx, srv)
}

func runServe(ctx context.Context, s *server) error {
	if err := ensureWorkspace(ctx, s.stores, bootstrapKey(s.cfg)); err != nil {
		return err
	}
	l, err := listen(ctx, s.cfg.Listen)
	if err != nil {
		return err
	}
	s.log.Info("serving", "address", l.Addr().String(), "version", version())
	// The relay runs here too: an event that this process owes is delivered at once by this process.
	return runStages(ctx, append(s.apiStages(l), []part{{"webhook relay", s.relay.Run}})...)
}

func runWorker(ctx context.Context, s *server) error {
	s.log.Info("working", "temporal", s.cfg.Temporal.Address, "version", version())
	return runStages(ctx, s.workStages()...)
}

// bootstrapKey is the first admin key: one that was set on purpose, never the development default.
func bootstrapKey(cfg configs.Config) string {
	if cfg.DevKey == configs.Default().DevKey {
		return ""
	}
	return cfg.DevKey
}
