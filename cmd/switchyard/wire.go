package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/local"
	"github.com/switchyard-ai/switchyard/internal/llm/openai"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/mongostore"
	"github.com/switchyard-ai/switchyard/internal/store/neo4jstore"
	"github.com/switchyard-ai/switchyard/internal/store/qdrantstore"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
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

	Servers []*dependency // what runs where
}

// opening is what stores are opened with; models are for Qdrant only.
type opening struct {
	cfg     configs.Config
	models  models
	closers *closers
	log     *slog.Logger
}

// openStores opens what the configuration names, and the embedded store for what it does not. Nothing is connected to:
// servers may be away at the start.
func openStores(ctx context.Context, o opening) (*stores, error) {
	s, cfg, c := &stores{}, o.cfg, o.closers
	if err := s.openEmbedded(ctx, o); err != nil {
		return nil, err
	}
	if cfg.Mongo.URI != "" {
		if err := s.openMongo(ctx, cfg.Mongo, c); err != nil {
			return nil, err
		}
	}
	if cfg.Qdrant.Addr != "" {
		if err := s.openQdrant(ctx, cfg.Qdrant, o.models, c); err != nil {
			return nil, err
		}
	}
	if cfg.Neo4j.URI != "" {
		if err := s.openNeo4j(ctx, cfg.Neo4j, c); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// openNeo4j moves the graph out.
func (s *stores) openNeo4j(ctx context.Context, cfg configs.Neo4j, c *closers) error {
	if cfg.Password == "" { // the URI has a user of its own, or the server asks for none
		cfg.User = ""
	}
	tls, err := cfg.TLS.Config()
	if err != nil {
		return fmt.Errorf("neo4j.tls: %w", err)
	}
	n, err := neo4jstore.Open(ctx, neo4jstore.Config{URI: cfg.URI, User: cfg.User, Password: cfg.Password, Database: cfg.Database, Pool: cfg.Pool, TLSConfig: tls})
	if err != nil {
		return fmt.Errorf("open Neo4j (SWITCHYARD_NEO4J_URI): %w", err)
	}
	c.add(n.Close)
	d := &dependency{name: "neo4j", address: configs.Hide(cfg.URI), optional: true, ping: n.Ping, check: n.Check, migrate: n.Migrate}
	d.about = func(ctx context.Context) (about, error) { v, clock, err := n.About(ctx); return about{v, clock}, err }
	d.releases = releases{needed: "5.23", tested: "5.26"}
	s.Graph = constrained{n.Graph(), d}
	s.Servers = append(s.Servers, d)
	return nil
}

// constrained lets nothing into a graph whose constraints are not made: without them two pages at once could make one
// thing two nodes, for good. What waits is tried again.
type constrained struct {
	store.Graph
	server *dependency
}

func (g constrained) Merge(ctx context.Context, ms []store.Mention) error {
	switch err := g.server.prepared(ctx); {
	case memory.CodeOf(err) == memory.CodeConflict: // the server answers, and lacks something
		return memory.Wrap(memory.CodeUnavailable, err, "the graph is not made for this version: switchyard migrate does that")
	case err != nil && !memory.Retryable(err): // it may be mended, and the memory waits for that
		return memory.Wrap(memory.CodeUnavailable, err, "the graph cannot be looked at")
	case err != nil:
		return err
	}
	return g.Graph.Merge(ctx, ms)
}

// openMongo moves the documents out.
func (s *stores) openMongo(ctx context.Context, cfg configs.Mongo, c *closers) error {
	m, err := mongostore.Open(ctx, mongostore.Config{URI: cfg.URI, Database: cfg.Database, Pool: cfg.Pool})
	if err != nil {
		return fmt.Errorf("open MongoDB (SWITCHYARD_MONGO_URI): %w", err)
	}
	c.add(m.Close)
	s.documents(m)
	s.Servers = append(s.Servers, &dependency{name: "mongo", address: configs.Hide(cfg.URI), ping: m.Ping, check: m.Check, migrate: m.Migrate,
		about:    func(ctx context.Context) (about, error) { v, clock, err := m.About(ctx); return about{v, clock}, err },
		releases: releases{needed: "5.0", stand: "a stand-in that speaks its protocol"}})
	return nil
}

// openQdrant moves the vectors out.
func (s *stores) openQdrant(ctx context.Context, cfg configs.Qdrant, m models, c *closers) error {
	tls, err := cfg.TLS.Config()
	if err != nil {
		return fmt.Errorf("qdrant.tls: %w", err)
	}
	q, err := qdrantstore.Open(ctx, qdrantstore.Config{
		Address: cfg.Addr, APIKey: cfg.APIKey, TLS: cfg.TLS.On(), TLSConfig: tls, Prefix: cfg.Prefix, OnDisk: cfg.OnDisk, Shards: cfg.Shards, Replicas: cfg.Replicas,
	})
	if err != nil {
		return fmt.Errorf("open Qdrant (SWITCHYARD_QDRANT_ADDR): %w", err)
	}
	c.add(q.Close)
	s.Vectors = q.Vectors()
	s.Servers = append(s.Servers, &dependency{
		name: "qdrant", address: cfg.Addr, optional: true, ping: q.Ping,
		about:    func(ctx context.Context) (about, error) { v, err := q.Version(ctx); return about{version: v}, err },
		releases: releases{needed: "1.19", tested: "1.19", stand: "stand-ins: its gRPC services, and its engine"},
		timeless: "Qdrant tells none over gRPC; nothing that Switchyard does goes by it, so it is not checked",
		check:    func(ctx context.Context) error { return errors.Join(q.Check(ctx), checkModel(ctx, s, m)) },
		migrate: func(ctx context.Context) error {
			model, err := modelOf(ctx, m)
			if err != nil {
				return err
			}
			return q.Migrate(ctx, model)
		},
	})
	return nil
}

// modelOf is the embedding model with its dimensions, which only an answer of it shows.
func modelOf(ctx context.Context, m models) (store.Model, error) {
	v, err := m.Embedder.Embed(ctx, []string{"switchyard"})
	if err != nil {
		return store.Model{}, fmt.Errorf("ask the embedding model for its dimensions: %w", err)
	}
	return store.Model{ID: m.Embedder.Model(), Dimensions: len(v.Vectors[0])}, nil
}

// openEmbedded opens the file in the data folder, which serves what is not set.
func (s *stores) openEmbedded(ctx context.Context, o opening) error {
	cfg := o.cfg
	if cfg.Mongo.URI != "" && cfg.Qdrant.Addr != "" && cfg.Neo4j.URI != "" {
		return nil
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	e, err := sqlitestore.Open(ctx, filepath.Join(cfg.DataDir, "switchyard.db"), sqlitestore.Config{Patience: cfg.DataPatience, Log: o.log})
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	o.closers.add(e.Close)
	s.documents(e)
	s.Vectors, s.Graph = e.Vectors(), e.Graph()
	s.Servers = append(s.Servers, &dependency{name: "store", ping: e.Ping})
	return nil
}

// documents is what an adapter of the documents gives.
type documents interface {
	Memories() store.Memories
	Runs() store.Runs
	Leases() store.Leases
	Outbox() store.Outbox
	Erasures() store.Erasures
	Batches() store.Batches
	BatchRuns() store.BatchRuns
	Keys() store.Keys
	Workspaces() store.Workspaces
	Requests() store.Requests
	Endpoints() store.Endpoints
	Deliveries() store.Deliveries
}

func (s *stores) documents(d documents) {
	s.Memories, s.Runs, s.Leases, s.Outbox, s.Erasures = d.Memories(), d.Runs(), d.Leases(), d.Outbox(), d.Erasures()
	s.Batches, s.BatchRuns = d.Batches(), d.BatchRuns()
	s.Keys, s.Workspaces, s.Requests, s.Endpoints, s.Deliveries = d.Keys(), d.Workspaces(), d.Requests(), d.Endpoints(), d.Deliveries()
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
