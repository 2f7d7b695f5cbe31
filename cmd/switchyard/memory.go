package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func newMemoryCommand(t *console) *cobra.Command {
	cmd := group("memory", "Add, read, find, change and delete memories", `  switchyard memory add "Dorothy lived in Kansas." --metadata book=oz --wait 30s
  switchyard memory search "Who lived in Kansas?" --limit 3`)
	r := newRemote(t, cmd)
	cmd.AddCommand(newMemoryAdd(r), newMemoryGet(r), newMemoryList(r), newMemorySearch(r), newMemoryUpdate(r), newMemoryRetry(r),
		newMemoryExplain(r), newMemoryDelete(r))
	return cmd
}

func newMemoryAdd(r *remote) *cobra.Command {
	var (
		in       memory.Input
		metadata []string
		at       string
		wait     time.Duration
	)
	cmd := &cobra.Command{
		Use:   "add TEXT",
		Short: "Add a memory",
		Long: `Add a memory. TEXT is its content; - reads standard input. The memory is stored when the command returns; with --wait
the command returns when it is done, or when the time is over, whichever is first.

Exit code: 0, or with --wait: 3 where the memory is degraded (it can be found, but a step gave up), 4 where it failed.`,
		Example: `  switchyard memory add "Dorothy lived in Kansas with Uncle Henry." --wait 30s
  switchyard memory add - --external-id notes/42 --metadata topic=travel < note.txt
  switchyard memory add "Long report …" --track durable --json | jq -r .id`,
		Args: takes("TEXT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if in.Content, err = r.text(args[0]); err != nil {
				return err
			}
			if in.Metadata, err = parseMetadata(metadata); err != nil {
				return misuse(cmd, err)
			}
			if in.OccurredAt, err = parseTime(at); err != nil {
				return misuse(cmd, err)
			}
			return r.changeMemory(cmd, wait, func(c *client.Client, wait client.CallOption) (memory.Memory, error) {
				return c.AddMemory(cmd.Context(), in, wait)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.ExternalID, "external-id", "", "your own `id` for it: adding it again makes a new version, not a second memory")
	f.StringArrayVarP(&metadata, "metadata", "m", nil, "label as `key=value`, any number of them; numbers, true and false are sent as such, \"42\" in quotes as text")
	f.StringVar(&at, "occurred-at", "", "when it happened: a `time` as 2006-01-02 or 2006-01-02T15:04:05Z")
	f.StringVar((*string)(&in.Track), "track", "", "auto, realtime or durable (default auto: the router decides)")
	f.StringVar((*string)(&in.Priority), "priority", "", "interactive, normal or bulk (default interactive)")
	f.StringVar(&in.WebhookURL, "webhook-url", "", "`address` that is told when it is done")
	addWait(cmd, &wait)
	return cmd
}

// outcome is the exit code of a command that waited for a memory.
func outcome(m memory.Memory, wait time.Duration) error {
	why := ""
	if m.Error != nil {
		why = ": " + m.Error.Detail
	}
	switch {
	case wait == 0:
		return nil
	case m.Status == memory.StatusDegraded:
		return exitWith(exitPartly, "%s is degraded: it can be found, but a step gave up%s", m.ID, why)
	case m.Status == memory.StatusFailed, m.Status == memory.StatusCancelled:
		return exitWith(exitFailed, "%s %s%s", m.ID, m.Status, why)
	}
	return nil
}

func newMemoryGet(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "get ID",
		Short:   "Show a memory: its results and what each step did",
		Example: `  switchyard memory get mem_01K4XJ3W8Q2VZ7N5B6C9D0E1F2`,
		Args:    takes("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			m, err := c.GetMemory(cmd.Context(), args[0])
			switch {
			case err != nil:
				return r.advise(err)
			case r.json:
				return r.printJSON(m)
			}
			r.printMemory(m)
			return nil
		},
	}
}

func newMemoryList(r *remote) *cobra.Command {
	var (
		q        client.MemoryQuery
		statuses []string
		metadata []string
		limit    int
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List memories, newest first",
		Example: `  switchyard memory list --status failed,degraded
  switchyard memory list --metadata book=oz --limit 0 --json > all.ndjson`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if q.Metadata, err = parsePairs(metadata); err != nil {
				return misuse(cmd, err)
			}
			c, err := r.client()
			if err != nil {
				return err
			}
			q.Statuses = memoryStatuses(statuses)
			q.PageSize = pageSize(limit)
			ms, err := collect(c.ListMemories(cmd.Context(), q), limit, r.each())
			if err != nil {
				return r.advise(err)
			}
			if !r.json {
				r.printMemories(ms)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&statuses, "status", nil, "only those of these statuses: queued, processing, completed, degraded, failed or cancelled")
	f.StringVar(&q.ExternalID, "external-id", "", "only the one of this external `id`")
	f.StringVar(&q.BatchID, "batch", "", "only those of the batch of this `id`")
	f.StringArrayVarP(&metadata, "metadata", "m", nil, "only those with this label, as `key=value`")
	f.IntVar(&limit, "limit", 50, "how many at most; 0: all")
	return cmd
}

func newMemorySearch(r *remote) *cobra.Command {
	var (
		q      client.SearchQuery
		filter string
	)
	cmd := &cobra.Command{
		Use:   "search QUERY",
		Short: "Find memories by meaning and by words",
		Long: `Find memories by meaning and by words. Prints, best first, the score (0 to 1), the id and the passage that fits best.
A search that finds nothing prints nothing and succeeds.`,
		Example: `  switchyard memory search "the man behind the screen"
  switchyard memory search "where to eat" --filter '{"metadata.topic": "travel", "created_at": {"gte": "2026-01-01T00:00:00Z"}}'
  switchyard memory search "who helped Dorothy?" --rerank --limit 5
  switchyard memory search Kansas --mode lexical --limit 3 --json`,
		Args: takes("QUERY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if q.Query, err = r.text(args[0]); err != nil {
				return err
			}
			if filter != "" && json.Unmarshal([]byte(filter), &q.Filter) != nil {
				return misuse(cmd, errors.New(`--filter takes a JSON object such as '{"metadata.topic": "travel"}'`))
			}
			c, err := r.client()
			if err != nil {
				return err
			}
			found, err := c.Search(cmd.Context(), q)
			switch {
			case err != nil:
				return r.advise(err)
			case r.json:
				return r.printJSON(found)
			}
			r.printHits(found.Items)
			if found.Degraded != "" {
				fmt.Fprintln(r.err, r.paintErr(yellow, "note:"), harmless(found.Degraded))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&q.Limit, "limit", 10, "how many at most, up to 100")
	f.StringVar(&filter, "filter", "", "condition as `JSON`, on metadata.<key>, external_id, status, created_at, occurred_at, batch_id")
	f.StringVar((*string)(&q.Mode), "mode", "", "hybrid, vector or lexical (default hybrid)")
	f.Float64Var(&q.MinScore, "min-score", 0, "leave out what scores less")
	f.BoolVar(&q.Rerank, "rerank", false, "have the LLM judge what was found and order it by that")
	f.IntVar(&q.ExpandGraph, "expand-graph", 0, "with --json: how many relationships around what was found to show, 1 to 3")
	return cmd
}

func newMemoryDelete(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:     "delete ID…",
		Short:   "Erase memories from every store",
		Example: `  switchyard memory delete mem_01K4XJ3W8Q2VZ7N5B6C9D0E1F2`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misuse(cmd, errors.New("ID is missing"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			for _, id := range args {
				receipt, err := c.DeleteMemory(cmd.Context(), id)
				if err != nil {
					return r.advise(err)
				}
				if err := r.printErasure(receipt); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// text is an argument that may be - for standard input.
func (t *console) text(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	b, err := io.ReadAll(t.in)
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func parsePairs(pairs []string) (map[string]string, error) {
	m := map[string]string{}
	for _, p := range pairs {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--metadata takes key=value, not %q", p)
		}
		m[key] = value
	}
	return m, nil
}

// parseMetadata reads values that are JSON scalars as such, and all others as text.
func parseMetadata(pairs []string) (memory.Metadata, error) {
	texts, err := parsePairs(pairs)
	if err != nil || len(texts) == 0 {
		return nil, err
	}
	md := memory.Metadata{}
	for key, text := range texts {
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			value = text
		}
		switch value.(type) {
		case string, float64, bool:
			md[key] = value
		default: // null, a list or an object: metadata are flat
			md[key] = text
		}
	}
	return md, nil
}

func parseTime(text string) (*memory.Time, error) {
	if text == "" {
		return nil, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return memory.At(at).Ptr(), nil
		}
	}
	return nil, fmt.Errorf("%q is not a time like 2006-01-02 or 2006-01-02T15:04:05Z", text)
}
