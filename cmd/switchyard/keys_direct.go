package main

import (
	"context"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// directKeys works on the store itself.
type directKeys struct {
	store     store.Keys
	workspace string
}

// openDirectKeys opens the configured store and makes sure of the workspace.
func openDirectKeys(ctx context.Context, cfg configs.Config, workspace string, c *closers) (directKeys, error) {
	s, err := openStores(ctx, opening{cfg, models{}, c, newLog("warn")}) // keys ask no model
	if err != nil {
		return directKeys{}, err
	}
	_, err = s.Workspaces.Get(ctx, workspace)
	if memory.CodeOf(err) == memory.CodeNotFound {
		err = s.Workspaces.Save(ctx, store.Workspace{ID: workspace, Name: workspace, CreatedAt: memory.Now()})
		if memory.CodeOf(err) == memory.CodeConflict { // another process was first
			err = nil
		}
	}
	return directKeys{s.Keys, workspace}, err
}

func (d directKeys) create(ctx context.Context, name string, scopes []client.Scope) (client.Key, error) {
	wanted := make([]store.Scope, len(scopes))
	for i, s := range scopes {
		wanted[i] = store.Scope(s)
	}
	k, secret := api.NewKey(d.workspace, name, wanted)
	shown := keyOf(k)
	shown.Key = secret
	return shown, d.store.Create(ctx, k)
}

func (d directKeys) list(ctx context.Context, each func(client.Key) error) error {
	all, err := d.store.List(ctx, d.workspace)
	if err != nil {
		return err
	}
	for _, k := range all {
		if err := each(keyOf(k)); err != nil {
			return err
		}
	}
	return nil
}

func (d directKeys) revoke(ctx context.Context, id string) error {
	return d.store.Revoke(ctx, d.workspace, id)
}

func keyOf(k store.Key) client.Key {
	scopes := make([]client.Scope, len(k.Scopes))
	for i, s := range k.Scopes {
		scopes[i] = client.Scope(s)
	}
	return client.Key{ID: k.ID, Name: k.Name, Scopes: scopes, Hint: k.Hint, CreatedAt: k.CreatedAt, LastUsedAt: k.LastUsedAt}
}
