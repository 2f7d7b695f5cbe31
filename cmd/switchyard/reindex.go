package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/reindex"
)

func newReindexCommand(t *console) *cobra.Command {
	var (
		s              settings
		finish, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "reindex",
		Short: "Move all vectors to the embedding model that is configured",
		Long: `Makes the vectors of all memories anew, from their documents, with the embedding model that is configured, beside those that are
in force; then puts them in force. Meanwhile everything goes on with the model before. Run again after a kill or an
error, it goes on where it was.

The order: run reindex with the new model in the configuration; start all processes anew with that; then run
reindex --finish, which drops what the model before had. Between the switch and its own new start a process
answers searches from what the model before had, and what it takes in waits for a process that has the new one.

With a model that is in force already it makes what vectors are missing.`,
		Example: `  SWITCHYARD_EMBEDDING_MODEL=text-embedding-3-large switchyard reindex --config /etc/switchyard.yaml
  switchyard reindex --finish --config /etc/switchyard.yaml    # once every process has the new model`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load()
			if err != nil {
				return err
			}
			return runReindex(cmd.Context(), t, cfg, finish, asJSON)
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&finish, "finish", false, "drop what the model before had, once no process works with it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "for programs: one JSON object")
	return cmd
}

func runReindex(ctx context.Context, t *console, cfg configs.Config, finish, asJSON bool) (err error) {
	s, err := openAside(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closers.close()) }()
	vectors, ok := s.stores.Vectors.(reindex.Vectors)
	if !ok {
		return errors.New("the vectors in use cannot be moved to another model")
	}
	r := reindex.New(reindex.Parts{
		Vectors: vectors, Memories: s.stores.Memories, Workspaces: s.stores.Workspaces, Embedder: s.models.Embedder,
		Points: pipeline.New(s.pipelineParts(), cfg.Pipeline).Points, Log: newLog(cfg.LogLevel),
	}, reindex.Config{})
	run := r.Run
	if finish {
		run = r.Finish
	}
	report, err := run(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s moved; run reindex again to go on from there", err, plural(report.Moved, "memory"))
	}
	if asJSON {
		return t.printJSON(report)
	}
	printReindexed(t, report)
	return nil
}

func printReindexed(t *console, r reindex.Report) {
	from := "none"
	if r.From.ID != "" {
		from = fmt.Sprintf("%s, %d dimensions", r.From.ID, r.From.Dimensions)
	}
	t.printFields([][2]string{
		{"from", from},
		{"in force", fmt.Sprintf("%s, %d dimensions", r.To.ID, r.To.Dimensions)},
		{"moved", fmt.Sprintf("%d, in %s", r.Moved, plural(r.Passes, "round"))},
	})
	switch {
	case r.Dropped:
		fmt.Fprintln(t.out, "\nWhat the model before had is dropped.")
	case r.From.ID != "":
		fmt.Fprintln(t.out, "\nNow start all processes anew with this model; then run: switchyard reindex --finish")
	}
}
