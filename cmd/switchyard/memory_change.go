package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func newMemoryUpdate(r *remote) *cobra.Command {
	var (
		change   client.MemoryChange
		metadata []string
		at       string
		wait     time.Duration
	)
	cmd := &cobra.Command{
		Use:   "update ID",
		Short: "Change a memory; its next version is processed again",
		Long: `Change a memory. What no flag names stays as it is; --metadata takes the place of all labels there were. The change makes
the next version, which is processed again; searches find the old one until the new one is there.

Exit codes are those of memory add.`,
		Example: `  switchyard memory update mem_01K4XJ3W8Q2VZ7N5B6C9D0E1F2 --content "Dorothy lived in Kansas with Aunt Em." --wait 30s
  switchyard memory update mem_01K4XJ3W8Q2VZ7N5B6C9D0E1F2 --metadata topic=family
  switchyard memory update mem_01K4XJ3W8Q2VZ7N5B6C9D0E1F2 --content - < note.txt`,
		Args: takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if change.Content, err = r.text(change.Content); err != nil {
				return err
			}
			if change.Metadata, err = parseMetadata(metadata); err != nil {
				return misuse(cmd, err)
			}
			if change.OccurredAt, err = parseTime(at); err != nil {
				return misuse(cmd, err)
			}
			if change.Content == "" && change.Metadata == nil && change.OccurredAt == nil && change.Track == "" {
				return misuse(cmd, errors.New("nothing to change: give --content, --metadata, --occurred-at or --track"))
			}
			return r.changeMemory(cmd, wait, func(c *client.Client, wait client.CallOption) (memory.Memory, error) {
				return c.UpdateMemory(cmd.Context(), args[0], change, wait)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&change.Content, "content", "", "the new `text`; - reads standard input")
	f.StringArrayVarP(&metadata, "metadata", "m", nil, "label as `key=value`, any number of them, as with memory add; they replace all there were")
	f.StringVar(&at, "occurred-at", "", "when it happened: a `time` as 2006-01-02 or 2006-01-02T15:04:05Z")
	f.StringVar((*string)(&change.Track), "track", "", "auto, realtime or durable (default: as it was)")
	addWait(cmd, &wait)
	return cmd
}

func newMemoryRetry(r *remote) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "retry ID",
		Short: "Run a memory again that failed, from its first unfinished step",
		Long: `Run a memory again that failed, was degraded or cancelled. Steps that are done are not done again, nor paid for.

Exit codes are those of memory add. All of a batch: switchyard batch retry.`,
		Example: `  switchyard memory retry mem_01K4XJ3W8Q2VZ7N5B6C9D0E1F2 --wait 30s`,
		Args:    takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.changeMemory(cmd, wait, func(c *client.Client, wait client.CallOption) (memory.Memory, error) {
				return c.RetryMemory(cmd.Context(), args[0], wait)
			})
		},
	}
	addWait(cmd, &wait)
	return cmd
}

func addWait(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", 0, "how long to wait for it to be done, at most 60s")
}

// changeMemory sends a change, prints the memory that came of it and returns the exit code of that.
func (r *remote) changeMemory(cmd *cobra.Command, wait time.Duration, send func(*client.Client, client.CallOption) (memory.Memory, error)) error {
	if wait < 0 || wait > time.Minute {
		return misuse(cmd, errors.New("--wait takes 0s to 60s"))
	}
	c, err := r.client()
	if err != nil {
		return err
	}
	m, err := send(c, client.Wait(wait))
	if err != nil {
		return r.advise(err)
	}
	if err := r.printAdded(m); err != nil {
		return err
	}
	return outcome(m, wait)
}

func newMemoryExplain(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "explain ID",
		Short:   "Say why a memory ran on its track, what its steps took and what was written where",
		Example: `  switchyard memory explain mem_01K4XJ3W8Q2VZ7N5B6C9D0E1F2`,
		Args:    takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			e, err := c.ExplainMemory(cmd.Context(), args[0])
			switch {
			case err != nil:
				return r.advise(err)
			case r.json:
				return r.printJSON(e)
			}
			r.printExplanation(e)
			return nil
		},
	}
}

func (t *console) printExplanation(e client.Explanation) {
	fault := ""
	if e.Error != nil {
		fault = t.paint(red, fmt.Sprintf("%s: %s", e.Error.Code, e.Error.Detail))
	}
	took := "not finished"
	if e.Took.DurationMS != nil {
		took = duration(time.Duration(*e.Took.DurationMS) * time.Millisecond)
	}
	t.printFields([][2]string{
		{"id", t.paint(bold, e.ID)},
		{"status", t.paint(styleOf(e.Status), string(e.Status))},
		{"error", fault},
		{"track", fmt.Sprintf("%s: %s", e.Track, e.Reason)},
		{"priority", string(e.Priority)},
		{"version", fmt.Sprint(e.Version)},
		{"batch", e.BatchID},
		{"took", strings.TrimRight(fmt.Sprintf("%s  %s  %s", took, plural(e.Took.Attempts, "attempt"), cost(e.Took.Tokens, e.Took.CostUSD)), " ")},
		{"documents", written(e.Written.Documents, "")},
		{"vectors", written(e.Written.Vectors.Written, fmt.Sprintf("%s, %d dimensions", e.Written.Vectors.Model, e.Written.Vectors.Dimensions))},
		{"graph", written(e.Written.Graph.Written, plural(e.Written.Graph.Nodes, "node")+", "+plural(e.Written.Graph.Relationships, "relationship"))},
	})
	t.printSteps(e.Steps)
}

// written says whether a store has what it is to have.
func written(yes bool, what string) string {
	if !yes {
		return "not written"
	}
	return strings.TrimSuffix("written: "+what, ": ")
}
