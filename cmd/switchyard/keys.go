package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const exampleKeyID = "key_01K4XJ3W8Q2VZ7N5B6C9D0E1F2"

// keys is where API keys are managed: a server, or, before there is any key to ask it with, the store itself.
type keys struct {
	*remote
	direct    bool
	workspace string
	settings  settings
}

// keyStore is what can be done with the keys of a workspace.
type keyStore interface {
	create(ctx context.Context, name string, scopes []client.Scope) (client.Key, error)
	list(ctx context.Context, each func(client.Key) error) error
	revoke(ctx context.Context, id string) error
}

func newKeysCommand(t *console) *cobra.Command {
	cmd := group("keys", "Make, list and revoke API keys", `  switchyard keys create --name importer --scope write
  switchyard keys list
  switchyard keys create --direct --config /etc/switchyard.yaml --name first --scope admin`)
	cmd.Long = `Make, list and revoke the API keys of a workspace. Its server is asked, which takes a key with the scope admin.

A new installation has no key yet: with --direct the command works on the store that --config, --data and the environment
name, as switchyard serve would. Run it where it can reach that store.`
	k := &keys{remote: newRemote(t, cmd)}
	f := cmd.PersistentFlags()
	f.BoolVar(&k.direct, "direct", false, "work on the configured store itself, without a server or key")
	f.StringVar(&k.workspace, "workspace", defaultWorkspace, "with --direct: the workspace, made if it is not there; a server knows it by the key")
	f.StringVar(&k.settings.file, "config", "", "with --direct: YAML file with settings")
	f.StringVar(&k.settings.data, "data", "", "with --direct: folder of the embedded parts (default .switchyard)")
	cmd.AddCommand(newKeysCreate(k), newKeysList(k), newKeysRevoke(k))
	return cmd
}

func newKeysCreate(k *keys) *cobra.Command {
	var (
		name   string
		scopes []string
	)
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a key",
		Long: `Make a key. It is printed this once, alone on standard output, so that it can be kept: only its hash is stored.

Each scope includes those before it: read, write, admin.`,
		Example: `  switchyard keys create --name importer --scope write
  SWITCHYARD_KEY=$(switchyard keys create --direct --data /tmp/switchyard --name first --scope admin)
  switchyard keys create --name dashboards --scope read --json | jq -r .key`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkScopes(scopes); err != nil {
				return misuse(cmd, err)
			}
			return k.with(cmd, func(ctx context.Context, s keyStore) error {
				got, err := s.create(ctx, name, scopesOf(scopes))
				if err != nil {
					return err
				}
				return k.printNewKey(got)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what it is for")
	cmd.Flags().StringSliceVar(&scopes, "scope", []string{"write"}, "what it may do: read, write or admin")
	return cmd
}

func checkScopes(scopes []string) error {
	for _, s := range scopes {
		if !slices.Contains([]client.Scope{client.ScopeRead, client.ScopeWrite, client.ScopeAdmin}, client.Scope(s)) {
			return fmt.Errorf("--scope takes read, write or admin, not %q", s)
		}
	}
	return nil
}

func scopesOf(names []string) []client.Scope {
	out := make([]client.Scope, len(names))
	for i, n := range names {
		out[i] = client.Scope(n)
	}
	return out
}

func newKeysList(k *keys) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the keys, oldest first, with when each was last used",
		Example: `  switchyard keys list`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.with(cmd, func(ctx context.Context, s keyStore) error {
				if k.json {
					return s.list(ctx, func(key client.Key) error { return k.printJSON(key) })
				}
				var rows [][]cell
				err := s.list(ctx, func(key client.Key) error {
					rows = append(rows, k.keyRow(key))
					return nil
				})
				k.printTable(rows)
				return err
			})
		},
	}
}

func newKeysRevoke(k *keys) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID…",
		Short:   "Revoke keys at once",
		Example: `  switchyard keys revoke ` + exampleKeyID,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misuse(cmd, errors.New("ID is missing; switchyard keys list shows them"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.with(cmd, func(ctx context.Context, s keyStore) error {
				for _, id := range args {
					if err := s.revoke(ctx, id); err != nil {
						return err
					}
					if err := k.printRevoked(id); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// with runs f on the keys that the flags name.
func (k *keys) with(cmd *cobra.Command, f func(context.Context, keyStore) error) (err error) {
	for _, name := range []string{"workspace", "config", "data"} {
		if !k.direct && cmd.Flags().Changed(name) {
			return misuse(cmd, fmt.Errorf("--%s goes with --direct: the server knows its workspace by the key", name))
		}
	}
	if !k.direct {
		c, err := k.client()
		if err != nil {
			return err
		}
		return k.advise(f(cmd.Context(), remoteKeys{c}))
	}
	cfg, err := k.settings.load()
	if err != nil {
		return err
	}
	var c closers
	defer func() { err = errors.Join(err, c.close()) }()
	s, err := openDirectKeys(cmd.Context(), cfg, k.workspace, &c)
	if err != nil {
		return err
	}
	return f(cmd.Context(), s)
}

// remoteKeys asks a server.
type remoteKeys struct{ c *client.Client }

func (r remoteKeys) create(ctx context.Context, name string, scopes []client.Scope) (client.Key, error) {
	return r.c.CreateKey(ctx, name, scopes)
}

func (r remoteKeys) list(ctx context.Context, each func(client.Key) error) error {
	for key, err := range r.c.ListKeys(ctx) {
		if err != nil {
			return err
		}
		if err := each(key); err != nil {
			return err
		}
	}
	return nil
}

func (r remoteKeys) revoke(ctx context.Context, id string) error { return r.c.RevokeKey(ctx, id) }

// printNewKey prints the key alone where it can be kept by a script, and what it is on the side.
func (k *keys) printNewKey(key client.Key) error {
	if k.json {
		return k.printJSON(key)
	}
	if _, err := fmt.Fprintln(k.out, key.Key); err != nil {
		return err
	}
	fmt.Fprintf(k.err, "%s  %s; it is not shown again\n", key.ID, strings.Join(scopeNames(key.Scopes), ", "))
	return nil
}

func scopeNames(scopes []client.Scope) []string {
	out := make([]string, len(scopes))
	for i, s := range scopes {
		out[i] = string(s)
	}
	return out
}

func (k *keys) keyRow(key client.Key) []cell {
	used := "never used"
	if key.LastUsedAt != nil {
		used = "used " + k.when(*key.LastUsedAt)
	}
	return []cell{
		{key.ID, bold}, plain(key.Hint + "…"), plain(strings.Join(scopeNames(key.Scopes), ",")), {k.when(key.CreatedAt), dim}, plain(used), plain(squeeze(key.Name, 40)),
	}
}

func (k *keys) printRevoked(id string) error {
	if k.json {
		return k.printJSON(map[string]any{"id": id, "revoked_at": memory.At(k.now())})
	}
	_, err := fmt.Fprintln(k.out, id, "revoked")
	return err
}
