package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/embedded"
	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/local"
	"github.com/switchyard-ai/switchyard/internal/llm/openai"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/webhooks"
)

// This file is the one that names adapters: what runs on what is decided here and nowhere else.

// stores are the ports to all that is kept.
type stores struct {
	Memories   store.Memories
	Runs       store.Runs
	Leases     store.Leases
	Outbox     store.Outbox
	Erasures   store.Erasures
	Batches    store.Batches
	BatchRuns  store.BatchRuns
	Vectors    store.Vectors
	Graph      store.Graph
	Keys       store.Keys
	Workspaces store.Workspaces
	Requests   store.Requests
	Endpoints  store.Endpoints
	Deliveries store.Deliveries
	Checks     []api.Check
}

// openStores opens the embedded store in the data folder.
func openStores(ctx context.Context, cfg configs.Config, c *closers) (*stores, error) {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	s, err := sqlitestore.Open(ctx, filepath.Join(cfg.DataDir, "switchyard.db"), sqlitestore.Config{})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	c.add(s.Close)
	return &stores{
		Memories: s.Memories(), Runs: s.Runs(), Leases: s.Leases(), Outbox: s.Outbox(), Erasures: s.Erasures(), Batches: s.Batches(), BatchRuns: s.BatchRuns(),
		Vectors: s.Vectors(), Graph: s.Graph(), Keys: s.Keys(), Workspaces: s.Workspaces(), Requests: s.Requests(),
		Endpoints: s.Endpoints(), Deliveries: s.Deliveries(),
		Checks: []api.Check{{Name: "store", Probe: s.Ping}},
	}, nil
}

// models are the language models.
type models struct {
	Extractor llm.Extractor
	Embedder  llm.Embedder
}

func openModels(cfg configs.Config) (m models, err error) {
	if m.Extractor = local.NewExtractor(); !cfg.Chat.Local() {
		if m.Extractor, err = openai.NewExtractor(openAI(cfg.Chat)); err != nil {
			return m, fmt.Errorf("chat model: %w", err)
		}
	}
	if !cfg.Embedding.Local() {
		if m.Embedder, err = openai.NewEmbedder(openAI(cfg.Embedding)); err != nil {
			return m, fmt.Errorf("embedding model: %w", err)
		}
		return m, nil
	}
	if m.Embedder, err = local.NewEmbedder(); err != nil {
		return m, fmt.Errorf("local embedding model: %w", err)
	}
	return m, nil
}

func openAI(l configs.LLM) openai.Config {
	c := openai.Config{
		BaseURL: l.BaseURL, APIKey: l.APIKey, Model: l.Model, MaxInputTokens: l.MaxInputTokens, MaxOutputTokens: l.MaxOutputTokens,
		ReasoningEffort: l.ReasoningEffort, Dimensions: l.Dimensions, MaxBatch: l.MaxBatch, Prices: map[string]openai.Price{},
	}
	for name, p := range l.Prices {
		c.Prices[name] = openai.Price{Input: p.Input, Output: p.Output}
	}
	return c
}

// checkModel refuses to start with an embedding model other than the one whose vectors are stored: the two could not be
// compared, and searches would find nothing.
func checkModel(ctx context.Context, s *stores, m models) error {
	stored, err := s.Vectors.Model(ctx)
	if err != nil {
		return fmt.Errorf("read the model of the stored vectors: %w", err)
	}
	if stored.ID != "" && stored.ID != m.Embedder.Model() {
		return fmt.Errorf("the stored vectors are of the embedding model %q, the configured one is %q: "+
			"set the first one again (SWITCHYARD_EMBEDDING_…), or use another data folder", stored.ID, m.Embedder.Model())
	}
	return nil
}

// openTemporal connects to the configured Temporal, or starts the embedded one. ui is the address of its web UI.
func openTemporal(ctx context.Context, cfg *configs.Config, log *slog.Logger, c *closers) (tc client.Client, ui string, err error) {
	address := cfg.Temporal.Address
	if address == "" {
		listen := cfg.Temporal.UIListen
		if listen == "none" {
			listen = ""
		}
		server, err := embedded.Start(ctx, embedded.Config{
			Dir: filepath.Join(cfg.DataDir, "temporal"), Namespace: cfg.Temporal.Namespace, UIListen: listen, Logger: log,
		})
		if err != nil {
			return nil, "", err
		}
		c.add(server.Close)
		address, ui = server.Address(), server.UIAddress()
		cfg.Batch.SearchAttributes = true
	}
	tc, err = client.NewLazyClient(client.Options{
		HostPort: address, Namespace: cfg.Temporal.Namespace, Logger: temporallog.NewStructuredLogger(quiet(log)),
	})
	if err != nil {
		return nil, "", fmt.Errorf("temporal client: %w", err)
	}
	c.add(func() error { tc.Close(); return nil })
	return tc, ui, nil
}

// sealer makes what seals webhook secrets: with the configured key, or one kept in the data folder.
func sealer(cfg configs.Config) (*webhooks.Sealer, error) {
	if cfg.WebhookKey == "" {
		key, err := webhooks.LoadOrCreateKeyfile(filepath.Join(cfg.DataDir, "webhook.key"))
		if err != nil {
			return nil, err
		}
		return cfg.Webhooks.Sealer(key)
	}
	key, err := webhooks.ParseSealKey(cfg.WebhookKey)
	if err != nil {
		return nil, fmt.Errorf("SWITCHYARD_WEBHOOK_KEY: %w", err)
	}
	return cfg.Webhooks.Sealer(key)
}

// defaultWorkspace is the workspace that `dev` makes.
const defaultWorkspace = "default"

// ensureWorkspace makes sure of the default workspace and, where one is given, of an admin key for it.
func ensureWorkspace(ctx context.Context, s *stores, key string) error {
	_, err := s.Workspaces.Get(ctx, defaultWorkspace)
	if memory.CodeOf(err) == memory.CodeNotFound {
		err = s.Workspaces.Save(ctx, store.Workspace{ID: defaultWorkspace, Name: "Default", CreatedAt: memory.Now()})
		if memory.CodeOf(err) == memory.CodeConflict { // another process was first
			err = nil
		}
	}
	if err != nil || key == "" {
		return err
	}
	hash := sha256.Sum256([]byte(key))
	if _, err := s.Keys.Lookup(ctx, hash); memory.CodeOf(err) != memory.CodeNotFound {
		return err
	}
	return s.Keys.Create(ctx, store.Key{
		ID: "key_dev", Workspace: defaultWorkspace, Name: "development", Scopes: []store.Scope{store.ScopeAdmin}, Hash: hash,
		Hint: key[:min(6, len(key))], CreatedAt: memory.Now(),
	})
}

// errNoTemporal says what serve and worker need.
var errNoTemporal = errors.New("serve and worker share a Temporal server: set SWITCHYARD_TEMPORAL_ADDRESS, or run everything in one process with `switchyard dev`")
