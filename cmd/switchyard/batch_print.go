package main

import (
	"cmp"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func (r *remote) printBatch(b memory.Batch) error {
	if r.json {
		return r.printJSON(b)
	}
	head := strings.TrimSpace(r.paint(bold, b.ID) + "  " + squeeze(b.Name, 60))
	fmt.Fprintf(r.out, "%s  %s\n", head, r.paint(styleOf(b.Status), string(b.Status)))
	fmt.Fprintf(r.out, "  %s: %s\n", plural(b.Counts.Total, "item"), counts(b.Counts))
	var rest []string
	if b.StartedAt != nil && b.CompletedAt != nil {
		rest = append(rest, "took "+duration(b.CompletedAt.Sub(b.StartedAt.Time)))
	}
	if c := cost(b.Tokens, b.CostUSD); c != "" {
		rest = append(rest, c)
	}
	if len(rest) > 0 {
		fmt.Fprintln(r.out, "  "+strings.Join(rest, ", "))
	}
	return nil
}

// counts writes those that are not zero.
func counts(c memory.Counts) string {
	var parts []string
	for _, p := range []struct {
		n    int
		name string
	}{
		{c.Completed, "completed"},
		{c.Degraded, "degraded"},
		{c.Failed, "failed"},
		{c.Rejected, "rejected"},
		{c.Cancelled, "cancelled"},
		{c.Processing, "processing"},
		{c.Queued, "queued"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.name))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}

func (t *console) printBatches(bs []memory.Batch) {
	var rows [][]cell
	for _, b := range bs {
		rows = append(rows, []cell{
			{b.ID, bold},
			{string(b.Status), styleOf(b.Status)},
			{t.when(b.CreatedAt), dim},
			plain(counts(b.Counts)),
			plain(squeeze(b.Name, 40)),
		})
	}
	t.printTable(rows)
}

func (t *console) printItems(items []memory.Item) {
	var rows [][]cell
	for _, i := range items {
		row := []cell{plain(place(i)), {string(i.Status), styleOf(i.Status)}, plain(i.MemoryID)}
		if i.Error != nil {
			row = append(row, cell{strings.TrimSpace(i.Pointer + " " + string(i.Error.Code) + ": " + i.Error.Detail), red})
		}
		rows = append(rows, row)
	}
	t.printTable(rows)
}

// printSent writes rejected lines as they came, and on the side what is wrong with each.
func (r *remote) printSent(items iter.Seq2[memory.Item, error]) error {
	for i, err := range items {
		if err != nil {
			return r.advise(err)
		}
		why := ""
		if i.Error != nil {
			why = strings.TrimSpace(i.Pointer + " " + i.Error.Detail)
		}
		switch {
		case i.Sent == nil:
			why += " (what was sent was not kept)"
		case i.Sent.Cut:
			why += " (too long to be kept: look for it in the file)"
		default:
			if _, err := r.out.Write(append(i.Sent.Raw(), '\n')); err != nil {
				return err
			}
		}
		fmt.Fprintln(r.err, r.paintErr(dim, place(i)+": "+harmless(why)))
	}
	return nil
}

// place says where an item was in what was sent.
func place(i memory.Item) string {
	if i.Line > 0 {
		return fmt.Sprintf("line %d", i.Line)
	}
	return fmt.Sprintf("item %d", i.Index)
}

func (r *remote) printForecast(f client.Forecast) error {
	if r.json {
		return r.printJSON(f)
	}
	fmt.Fprintf(r.out, "%s: %d valid, %d rejected; %s within the file\n", plural(f.Total, "item"), f.Valid, f.Rejected, plural(f.Duplicates, "duplicate"))
	fmt.Fprintf(r.out, "would take about %s and %s\n", duration(time.Duration(f.Seconds)*time.Second), cost(f.Tokens, f.CostUSD))
	r.printItems(f.Rejects)
	return nil
}
