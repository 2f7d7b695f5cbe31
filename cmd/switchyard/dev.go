package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/configs"
)

// settings are the flags that dev, serve and worker share; a flag wins over the environment, the file and the default.
type settings struct {
	file, listen, data, logLevel string
}

func (s *settings) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "config", "", "YAML file with settings")
	cmd.Flags().StringVar(&s.data, "data", "", "folder of the embedded parts (default .switchyard)")
	cmd.Flags().StringVar(&s.logLevel, "log-level", "", "debug, info, warn or error (default info)")
}

func (s *settings) load() (configs.Config, error) {
	cfg, err := configs.Load(s.file, os.LookupEnv)
	for _, o := range []struct {
		to *string
		v  string
	}{{&cfg.Listen, s.listen}, {&cfg.DataDir, s.data}, {&cfg.LogLevel, s.logLevel}} {
		if o.v != "" {
			*o.to = o.v
		}
	}
	return cfg, errors.Join(err, cfg.Validate())
}

func newDevCommand(t *console) *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything in one process, with nothing to set up",
		Long: `Runs the API, both tracks, the worker, webhooks, the store and Temporal in one process. State survives in the data
folder; a start goes on with what was open. Set SWITCHYARD_CHAT_API_KEY or OPENAI_API_KEY to use a real LLM.`,
		Example: `  switchyard dev
  switchyard dev --listen 127.0.0.1:9000 --data /tmp/switchyard
  OPENAI_API_KEY=sk-… switchyard dev`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load()
			if err != nil {
				return err
			}
			return runDev(cmd.Context(), t, cfg)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&s.listen, "listen", "", "address of the API (default 127.0.0.1:8080)")
	return cmd
}

// loopback is what webhooks may reach with dev where nothing else is set: receivers on the same machine.
const loopback = "127.0.0.0/8,::1/128"

func runDev(ctx context.Context, t *console, cfg configs.Config) (err error) {
	if cfg.WebhookAllow == "" {
		cfg.WebhookAllow = loopback
	}
	log := newLog(cfg.LogLevel)
	l, err := listen(ctx, cfg.Listen)
	if err != nil {
		return err
	}
	if cfg.Webhooks.Events.BaseURL == "" {
		cfg.Webhooks.Events.BaseURL = "http://" + l.Addr().String() // the links in webhooks can be followed
	}
	start := time.Now()
	s, err := newServer(ctx, cfg, log)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer func() { err = errors.Join(err, s.closers.close()) }()
	s.stock(true, cfg.DevKey)
	stages, err := s.apiStages(l)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	welcome(t.out, "http://"+l.Addr().String(), s, time.Since(start))
	return runStages(ctx, slices.Concat(stages[:2], s.workStages(), stages[2:])...)
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w: choose another address with --listen or SWITCHYARD_LISTEN", err)
	}
	return l, nil
}

// welcome says where everything is and what to try.
func welcome(w io.Writer, url string, s *server, took time.Duration) {
	ui := "none"
	if s.ui != "" {
		ui = "http://" + s.ui
	}
	fmt.Fprintf(w, `Switchyard %s, ready in %.1f s

  API          %s   (docs at /docs)
  API key      %s
  Temporal UI  %s
  data         %s
  LLM          %s
  embeddings   %s

Try:
  curl -s %[3]s/v1/memories -H 'Authorization: Bearer %[4]s' -H 'Content-Type: application/json' -H 'Prefer: wait=10' -d '{"content": "Dorothy lived in Kansas with Aunt Em and her dog Toto."}'
  curl -s %[3]s/v1/memories/search -H 'Authorization: Bearer %[4]s' -H 'Content-Type: application/json' -d '{"query": "Where did the girl live?"}'
  curl -s '%[3]s/v1/graph/nodes?name=Dorothy' -H 'Authorization: Bearer %[4]s'

`, version(), took.Seconds(), url, s.cfg.DevKey, ui, s.cfg.DataDir, s.models.Extractor.Model(), s.models.Embedder.Model())
}
