package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/webhooks"
)

// checkModel refuses to start with an embedding model other than the one whose vectors are stored: the two could not be
// compared, and searches would find nothing.
func checkModel(ctx context.Context, s *stores, m models) error {
	stored, err := s.Vectors.Model(ctx)
	if err != nil {
		return fmt.Errorf("read the model of the stored vectors: %w", err)
	}
	if stored.ID != "" && stored.ID != m.Embedder.Model() {
		return fmt.Errorf("the stored vectors are of the embedding model %q, the configured one is %q: "+
			"set the first one again (SWITCHYARD_EMBEDDING_…), or move to the other one with switchyard reindex", stored.ID, m.Embedder.Model())
	}
	return nil
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
