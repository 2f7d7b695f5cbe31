package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/census"
	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/live"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/webhooks"
)

func newDoctorCommand(t *console) *cobra.Command {
	var s settings
	var f censusFlags
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong, and how to mend it",
		Long:  "Looks at what Switchyard runs on and says what is wrong with it, and how to mend it.\n\n" + censusHelp,
		Example: `  switchyard doctor --config /etc/switchyard.yaml
  switchyard doctor --census
  switchyard doctor --repair          # says what it would do
  switchyard doctor --repair --yes    # does it`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load()
			if err != nil {
				return err
			}
			if !f.wanted() {
				return runDoctor(cmd.Context(), t, cfg, f.json)
			}
			return f.run(cmd.Context(), t, cfg)
		},
	}
	s.flags(cmd)
	f.flags(cmd)
	return cmd
}

const censusHelp = `--census compares the documents with the vectors, the graph, batches and webhooks, while the system runs: what looks wrong
is looked at again after a moment, and only what still is counts. --repair says what it would do about that, and does it
with --yes. It ends with 3 where something is wrong.`

// censusFlags are those of the comparison of the stores.
type censusFlags struct {
	census, repair, yes, json bool
	workspaces                []string
	cfg                       census.Config
}

func (f *censusFlags) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.census, "census", false, "compare what the stores hold with each other")
	cmd.Flags().BoolVar(&f.repair, "repair", false, "take a census, and say what would be done about what is wrong")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "with --repair: do it")
	cmd.Flags().BoolVar(&f.json, "json", false, "for programs: one JSON object")
	cmd.Flags().StringSliceVar(&f.workspaces, "workspace", nil, "census of these workspaces only")
	cmd.Flags().DurationVar(&f.cfg.Grace, "grace", time.Minute, "for how long work on its way may look wrong")
	cmd.Flags().DurationVar(&f.cfg.Recheck, "recheck", 5*time.Second, "how long after the first look to look again")
}

func (f *censusFlags) wanted() bool { return f.census || f.repair }

// run takes the census, and mends what it found where that is asked for.
func (f *censusFlags) run(ctx context.Context, t *console, cfg configs.Config) (err error) {
	s, err := openAside(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closers.close()) }()
	c := census.New(s.censusParts(), f.cfg)
	report, err := c.Take(ctx, f.workspaces...)
	if err != nil {
		return err
	}
	var mended []census.Mended
	if f.repair && f.yes {
		mended = c.Mend(ctx, s.censusTools(), report.Drift)
	}
	if err := f.print(t, report, mended); err != nil {
		return err
	}
	if left := len(report.Drift) - countDone(mended); left > 0 {
		return exitWith(exitPartly, "%s wrong", plural(left, "thing"))
	}
	return nil
}

func countDone(mended []census.Mended) (n int) {
	for _, m := range mended {
		if m.Done {
			n++
		}
	}
	return n
}

// openAside opens the stores and models beside the processes that run: nothing is started.
func openAside(ctx context.Context, cfg configs.Config) (s *server, err error) {
	s = &server{cfg: cfg, log: newLog("error"), hub: &live.Hub{}}
	defer func(opened *closers) {
		if err != nil {
			err = errors.Join(err, opened.close())
		}
	}(&s.closers)
	if s.models, err = openModels(cfg); err != nil {
		return nil, err
	}
	if s.stores, err = openStores(ctx, opening{cfg, s.models, &s.closers, newLog("warn")}); err != nil {
		return nil, err
	}
	if err := s.openRedis(); err != nil {
		return nil, err
	}
	if cfg.Temporal.Address == "" {
		return s, nil // the embedded one belongs to the process that runs
	}
	if s.temporal, _, err = openTemporal(ctx, &s.cfg, s.log, client.MetricsNopHandler, &s.closers); err != nil {
		return nil, err
	}
	s.stores.Servers = append(s.stores.Servers, s.temporalServer())
	s.starter = batch.NewStarter(s.temporal, s.cfg.Batch)
	return s, nil
}

func (s *server) censusParts() census.Parts {
	return census.Parts{
		Workspaces: s.stores.Workspaces, Memories: s.stores.Memories, Leases: s.stores.Leases, Outbox: s.stores.Outbox,
		Batches: s.stores.Batches, BatchRuns: s.stores.BatchRuns, Vectors: s.stores.Vectors, Graph: s.stores.Graph,
		Endpoints: s.stores.Endpoints, Deliveries: s.stores.Deliveries, Erasures: s.stores.Erasures,
	}
}

func (s *server) censusTools() census.Tools {
	s.events = webhooks.NewEvents(s.stores.Endpoints, webhooks.EventsConfig{})
	tools := census.Tools{
		Runs: s.stores.Runs, Vectors: s.stores.Vectors, Graph: s.stores.Graph, Owner: batch.Owner, Events: s.events,
		Restore: pipeline.New(s.pipelineParts(), s.cfg.Pipeline).Restore,
		Tell:    webhooks.NewCourier(s.webhookStores(), webhooks.NewGuard(webhooks.GuardConfig{}), nil, webhooks.Config{Log: s.log}).FanOut,
		Starter: recovered{}, Deliver: recovered{}.deliver, Erase: s.eraseAgain,
	}
	if s.starter != nil {
		tools.Starter, tools.Deliver = s.starter, webhooks.NewTemporal(s.temporal, "").StartDelivery
	}
	return tools
}

// eraseAgain carries an erasure out; a store that is away is an error.
func (s *server) eraseAgain(ctx context.Context, workspace string, memoryIDs ...string) error {
	in := intake.New(intake.Parts{
		Memories: s.stores.Memories, Vectors: s.stores.Vectors, Graph: s.stores.Graph, Erasures: s.stores.Erasures, Log: s.log,
	}, s.cfg.Intake)
	receipt, err := in.Erase(ctx, workspace, memoryIDs...)
	if err == nil && len(receipt.Pending) > 0 {
		err = fmt.Errorf("still to be erased from: %s", strings.Join(receipt.Pending, ", "))
	}
	return err
}

// recovered leaves starting runs to the recovery of the process that has the embedded Temporal.
type recovered struct{}

func (recovered) StartMemory(context.Context, memory.Ref) error       { return nil }
func (recovered) StartBatch(context.Context, store.BatchRef) error    { return nil }
func (recovered) deliver(context.Context, store.Delivery) (err error) { return nil }

// print writes the report, and what was done.
func (f *censusFlags) print(t *console, report census.Report, mended []census.Mended) error {
	if f.json {
		return t.printJSON(struct {
			census.Report
			Mended int `json:"mended"`
		}{report, countDone(mended)})
	}
	var statuses []string
	for _, s := range slices.Sorted(maps.Keys(report.Memories)) {
		statuses = append(statuses, fmt.Sprintf("%d %s", report.Memories[s], s))
	}
	t.printFields([][2]string{
		{"workspaces", fmt.Sprint(report.Workspaces)},
		{"memories", strings.Join(statuses, ", ")},
		{"batches", fmt.Sprintf("%d, with %s", report.Batches, plural(report.Items, "item"))},
		{"points", fmt.Sprint(report.Points)},
		{"graph", plural(report.Graph, "statement")},
		{"deliveries", fmt.Sprint(report.Deliveries)},
		{"drift", fmt.Sprintf("%d (%d at the first look)", len(report.Drift), report.Rechecked)},
	})
	for i, d := range report.Drift {
		fmt.Fprintf(t.out, "\n%s %s %s\n  %s\n", t.paint(red, string(d.Kind)), d.Workspace, d.ID, harmless(d.Detail))
		fmt.Fprintf(t.out, "  %s\n", f.outcome(d, mended, i))
	}
	return nil
}

// outcome says what was, would be or can be done about a drift.
func (f *censusFlags) outcome(d census.Drift, mended []census.Mended, i int) string {
	remedy := d.Kind.Remedy()
	switch {
	case remedy == "":
		return "for you to decide: " + d.Kind.Reason()
	case mended == nil && f.repair:
		return "would: " + remedy + " (--yes does it)"
	case mended == nil:
		return "--repair would: " + remedy
	case mended[i].Err != nil:
		return "not mended: " + mended[i].Err.Error()
	case !mended[i].Done:
		return "not mended"
	}
	return "done: " + remedy
}
