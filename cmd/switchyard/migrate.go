package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/webhooks"
)

func newMigrateCommand(t *console) *cobra.Command {
	var (
		s       settings
		promote bool
		forget  bool
	)
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Make what servers need: indexes, constraints, collections, search attributes",
		Long: `Makes what is missing on the servers that are set, and says what it did: indexes in MongoDB, collections in Qdrant, constraints
in Neo4j, search attributes in Temporal. It changes nothing where all is there, so it may run before every start, from
several places at once. The embedded parts see to themselves.

--promote makes the build of batch.versioning the current version of its worker deployment, so that new runs begin on it, and
with auto-upgrade the old ones go on there. Its workers have to be running.

--forget-webhook-key is for when the key that webhook secrets were sealed with is lost: the one that is set takes its place.
What was sealed before stays shut; such endpoints need new secrets (switchyard webhook rotate).`,
		Example: `  switchyard migrate --config /etc/switchyard.yaml
  switchyard migrate --promote --config /etc/switchyard.yaml    # once the new workers run`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load()
			if err != nil {
				return err
			}
			if promote {
				return runPromote(cmd.Context(), t, cfg)
			}
			return runMigrate(cmd.Context(), t, cfg, forget)
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&promote, "promote", false, "make this build the current version of its deployment")
	cmd.Flags().BoolVar(&forget, "forget-webhook-key", false, "let the webhook key that is set take the place of a lost one")
	return cmd
}

// migrateTime bounds the making of one server's part: an index over many documents takes a while.
const migrateTime = 30 * time.Minute

func runMigrate(ctx context.Context, t *console, cfg configs.Config, forget bool) (err error) {
	s, err := openAside(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closers.close()) }()
	failed := 0
	for _, d := range s.stores.Servers {
		did, err := d.make(ctx)
		if err != nil {
			failed++
			did = t.paint(red, "failed: ") + err.Error()
		}
		fmt.Fprintf(t.out, "%-10s %s\n", d.name, harmless(did))
	}
	if err := s.markKey(ctx, t, forget); err != nil {
		failed++
		fmt.Fprintf(t.out, "%-10s %s%s\n", "webhooks", t.paint(red, "failed: "), harmless(err.Error()))
	}
	if failed > 0 {
		return exitWith(exitFault, "%s not made; once that is mended, run migrate again", plural(failed, "part"))
	}
	return nil
}

// markKey leaves the mark of the webhook key in the stores, where a key is set: a process with another one is refused then.
func (s *server) markKey(ctx context.Context, t *console, forget bool) error {
	if s.cfg.WebhookKey == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	seals, err := sealer(s.cfg)
	if err == nil && forget {
		err = webhooks.ForgetKeys(ctx, s.stores.Workspaces, seals)
	}
	if err == nil {
		err = webhooks.CheckKey(ctx, s.stores.Workspaces, seals)
	}
	if err == nil {
		fmt.Fprintf(t.out, "%-10s the key is the one of these stores\n", "webhooks")
	}
	return err
}

// make makes what is missing, and says what that was.
func (d *dependency) make(ctx context.Context) (did string, err error) {
	if d.migrate == nil {
		return "nothing to make", nil
	}
	ctx, cancel := context.WithTimeout(ctx, migrateTime)
	defer cancel()
	if err := d.ping(ctx); err != nil {
		return "", err
	}
	missing := d.check(ctx)
	if err := d.migrate(ctx); err != nil {
		return "", err
	}
	if err := d.check(ctx); err != nil {
		return "", fmt.Errorf("made, and yet: %w", err)
	}
	if missing == nil {
		return "nothing to make: all was there", nil
	}
	return "made what was missing (" + missing.Error() + ")", nil
}

// runPromote makes the configured build the current version of its deployment.
func runPromote(ctx context.Context, t *console, cfg configs.Config) (err error) {
	v := cfg.Batch.Versioning
	if v.Deployment == "" || cfg.Temporal.Address == "" {
		return exitWith(exitUsage, "--promote needs batch.versioning.deployment and build_id (SWITCHYARD_DEPLOYMENT, SWITCHYARD_BUILD_ID) and SWITCHYARD_TEMPORAL_ADDRESS")
	}
	tc, err := dialTemporal(cfg.Temporal, identity(""), newLog("error"))
	if err != nil {
		return err
	}
	defer tc.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	deployment := tc.WorkerDeploymentClient().GetHandle(v.Deployment)
	before, err := deployment.Describe(ctx, client.WorkerDeploymentDescribeOptions{})
	if err == nil {
		_, err = deployment.SetCurrentVersion(ctx, client.WorkerDeploymentSetCurrentVersionOptions{BuildID: v.BuildID, ConflictToken: before.ConflictToken})
	}
	if err != nil {
		return fmt.Errorf("make build %s the current version of deployment %s (do its workers run?): %w", v.BuildID, v.Deployment, err)
	}
	was := buildOf(before.Info.RoutingConfig.CurrentVersion)
	fmt.Fprintf(t.out, "%s of deployment %s is the current version; before: %s\n", v.BuildID, v.Deployment, was)
	return nil
}

func buildOf(v *worker.WorkerDeploymentVersion) string {
	if v == nil || v.BuildID == "" {
		return "none, workers without a version"
	}
	return v.BuildID
}
