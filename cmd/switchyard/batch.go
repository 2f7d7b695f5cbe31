package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const batchExitCodes = `Exit code: 0 completed, 3 completed with errors, 4 failed or cancelled, 130 interrupted (the batch itself goes on).`

func newBatchCommand(t *console) *cobra.Command {
	cmd := group("batch", "Submit, watch and steer batches", `  switchyard batch submit memories.ndjson --watch
  switchyard batch items bat_01K4XJ3W8Q2VZ7N5B6C9D0E1F2 --status failed`)
	r := newRemote(t, cmd)
	cmd.AddCommand(
		newBatchSubmit(r),
		newBatchGet(r),
		newBatchList(r),
		newBatchItems(r),
		newBatchAction(r, "pause", "Stop a batch from taking up more of its items", (*client.Client).PauseBatch),
		newBatchAction(r, "resume", "Let a paused batch go on", (*client.Client).ResumeBatch),
		newBatchCancel(r),
		newBatchAction(r, "retry", "Run the failed items of a batch again, each from its first unfinished step", (*client.Client).RetryBatch),
	)
	return cmd
}

// submission is what batch submit was told.
type submission struct {
	file   string
	key    string
	watch  bool
	dryRun bool
	client.BatchOptions
}

func newBatchSubmit(r *remote) *cobra.Command {
	var s submission
	cmd := &cobra.Command{
		Use:   "submit FILE",
		Short: "Submit a file of memories as a batch",
		Long: `Submit a file of memories as a batch. The name of the file says what it is: a .csv has a header row, a .json holds an array
of memories, every other one, and - (standard input), is NDJSON: one memory a line. NDJSON and CSV may be compressed (.gz),
are read as they are sent, and may have any number of lines. A line that is not a valid memory is rejected with its number
and never fails the others.

` + batchExitCodes + " Without --watch: 0 as soon as the batch is stored.",
		Example: `  switchyard batch submit memories.ndjson --watch
  switchyard batch submit import.csv --dry-run
  switchyard batch submit import.ndjson.gz --name "CRM import" --webhook-url https://example.com/hooks
  jq -c '.[] | {content: .text, external_id: .id}' export.json | switchyard batch submit - --watch`,
		Args: takes("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s.file = args[0]
			return r.submit(cmd.Context(), s)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&s.watch, "watch", "w", false, "stay until the batch is over and show how it gets on")
	f.BoolVar(&s.dryRun, "dry-run", false, "store nothing; say what would be rejected and what it would take")
	f.StringVar(&s.Name, "name", "", "name of the batch (default: that of the file)")
	f.StringVar(&s.WebhookURL, "webhook-url", "", "`address` that is told when it is over")
	f.StringVar((*string)(&s.Priority), "priority", "", "interactive, normal or bulk (default bulk)")
	f.StringVar(&s.key, "idempotency-key", "", "submitting again with the same `key` and file makes no second batch (default: a new key each time)")
	return cmd
}

func (r *remote) submit(ctx context.Context, s submission) error {
	c, err := r.client()
	if err != nil {
		return err
	}
	if s.file != "-" {
		s.Name = cmp.Or(s.Name, filepath.Base(s.file))
	}
	p := r.newProgress()
	defer p.end()
	lines, err := r.open(s, p)
	if err != nil {
		return err
	}
	defer lines.Close()
	if s.dryRun {
		f, err := c.TryBatch(ctx, lines, s.BatchOptions, lines.options...)
		p.end()
		if err != nil {
			return r.advise(err)
		}
		return r.printForecast(f)
	}
	b, err := c.UploadBatch(ctx, lines, s.BatchOptions, lines.options...)
	p.end()
	if err != nil {
		return r.advise(err)
	}
	if s.watch {
		return r.watch(ctx, c, b.ID)
	}
	if err := r.printBatch(b); err != nil {
		return err
	}
	if r.live {
		fmt.Fprintln(r.err, r.paintErr(dim, "watch it with: switchyard batch get "+b.ID+" --watch"))
	}
	return nil
}

// watch shows how a batch gets on until it is over.
func (r *remote) watch(ctx context.Context, c *client.Client, id string) error {
	p := r.newProgress()
	b, err := c.WaitForBatch(ctx, id, p.batch)
	p.end()
	if ctx.Err() != nil {
		return exitWith(exitInterrupted, "stopped watching; the batch goes on: switchyard batch get %s --watch", id)
	}
	if err != nil {
		return r.advise(err)
	}
	if err := r.printBatch(b); err != nil {
		return err
	}
	return batchOutcome(b)
}

// batchOutcome is the exit code of a batch that is over.
func batchOutcome(b memory.Batch) error {
	look := fmt.Sprintf("see which and why: switchyard batch items %s --status failed,degraded,rejected", b.ID)
	if b.Counts.Rejected > 0 {
		look += fmt.Sprintf("\nmend what was rejected: switchyard batch items %s --sent > mend.ndjson", b.ID)
	}
	switch b.Status {
	case memory.BatchCompletedWithErrors:
		return exitWith(exitPartly, "the batch completed with errors: %d failed, %d degraded, %d rejected\n%s", b.Counts.Failed, b.Counts.Degraded, b.Counts.Rejected, look)
	case memory.BatchFailed:
		return exitWith(exitFailed, "the batch failed: nothing of it succeeded\n%s", look)
	case memory.BatchCancelled:
		return exitWith(exitFailed, "the batch was cancelled")
	}
	return nil
}

func newBatchGet(r *remote) *cobra.Command {
	watch := false
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Show a batch and its counts",
		Long:  "Show a batch and its counts, which add up at every moment.\n\nWith --watch: " + batchExitCodes,
		Example: `  switchyard batch get bat_01K4XJ3W8Q2VZ7N5B6C9D0E1F2 --watch
  switchyard batch get bat_01K4XJ3W8Q2VZ7N5B6C9D0E1F2 --json | jq .counts`,
		Args: takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			if watch {
				return r.watch(cmd.Context(), c, args[0])
			}
			b, err := c.GetBatch(cmd.Context(), args[0])
			if err != nil {
				return r.advise(err)
			}
			return r.printBatch(b)
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "stay until the batch is over and show how it gets on")
	return cmd
}

func newBatchList(r *remote) *cobra.Command {
	limit := 0
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List batches, newest first",
		Example: `  switchyard batch list --limit 5`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			bs, err := collect(c.ListBatches(cmd.Context()), limit, r.each())
			if err != nil {
				return r.advise(err)
			}
			if !r.json {
				r.printBatches(bs)
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most; 0: all")
	return cmd
}

func newBatchItems(r *remote) *cobra.Command {
	var (
		statuses []string
		limit    int
		sent     bool
	)
	cmd := &cobra.Command{
		Use:   "items ID",
		Short: "List the items of a batch: what became of each line",
		Long: `List the items of a batch: what became of each line.

With --sent it writes the rejected lines as they came, to be mended and submitted again, and says beside them, on
standard error, what is wrong with each. Rows of a CSV come without their header.`,
		Example: `  switchyard batch items bat_01K4XJ3W8Q2VZ7N5B6C9D0E1F2 --status failed,rejected
  switchyard batch items bat_01K4XJ3W8Q2VZ7N5B6C9D0E1F2 --limit 0 --json > items.ndjson
  switchyard batch items bat_01K4XJ3W8Q2VZ7N5B6C9D0E1F2 --sent > mend.ndjson`,
		Args: takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			if sent && (len(statuses) > 0 || cmd.Flags().Changed("limit") || r.json) {
				return misuse(cmd, errors.New("--sent writes all rejected lines as they came: it takes no --status, --limit or --json"))
			}
			if sent {
				return r.printSent(c.BatchItems(cmd.Context(), args[0], memory.StatusRejected))
			}
			items, err := collect(c.BatchItems(cmd.Context(), args[0], memoryStatuses(statuses)...), limit, r.each())
			if err != nil {
				return r.advise(err)
			}
			if !r.json {
				r.printItems(items)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&statuses, "status", nil, "only those of these statuses: queued, processing, completed, degraded, failed, cancelled, rejected")
	f.IntVar(&limit, "limit", 100, "how many at most; 0: all")
	f.BoolVar(&sent, "sent", false, "write all rejected lines as they came, to be mended")
	return cmd
}

// newBatchAction is a command that does one thing to a batch and shows it.
func newBatchAction(r *remote, name, short string, act func(*client.Client, context.Context, string) (memory.Batch, error)) *cobra.Command {
	return &cobra.Command{
		Use:     name + " ID",
		Short:   short,
		Example: "  switchyard batch " + name + " bat_01K4XJ3W8Q2VZ7N5B6C9D0E1F2",
		Args:    takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			b, err := act(c, cmd.Context(), args[0])
			if err != nil {
				return r.advise(err)
			}
			return r.printBatch(b)
		},
	}
}

func newBatchCancel(r *remote) *cobra.Command {
	undo := false
	cmd := newBatchAction(r, "cancel", "End a batch: items that are not over become cancelled",
		func(c *client.Client, ctx context.Context, id string) (memory.Batch, error) {
			if undo {
				return undoAll(ctx, c, id)
			}
			return c.CancelBatch(ctx, id)
		})
	cmd.Flags().BoolVar(&undo, "undo", false, "erase what the batch wrote, too; also of one that is over")
	return cmd
}

// undoAll asks again and again, since one request erases for a limited time only.
func undoAll(ctx context.Context, c *client.Client, id string) (memory.Batch, error) {
	for {
		b, left, err := c.UndoBatch(ctx, id)
		if err != nil || !left {
			return b, err
		}
	}
}
