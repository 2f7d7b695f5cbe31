package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// accepted is what there is to say of a memory before it is finished.
type accepted struct {
	ID         string        `json:"id"`
	ExternalID string        `json:"external_id,omitempty"`
	Status     memory.Status `json:"status"`
	Track      memory.Track  `json:"track"`
	Reason     string        `json:"track_reason"`
	Version    int           `json:"version"`
	CreatedAt  memory.Time   `json:"created_at"`
}

func (r *remote) printAdded(m memory.Memory) error {
	switch {
	case r.json && m.Status.Final():
		return r.printJSON(m)
	case r.json:
		return r.printJSON(accepted{m.ID, m.ExternalID, m.Status, m.Track, m.Reason, m.Version, m.CreatedAt})
	}
	line := fmt.Sprintf("%s  %s  %s: %s", r.paint(bold, m.ID), r.paint(styleOf(m.Status), string(m.Status)), m.Track, m.Reason)
	if m.CompletedAt != nil {
		line += r.paint(dim, "  "+duration(m.CompletedAt.Sub(m.CreatedAt.Time)))
	}
	if r.live && !m.Status.Final() {
		fmt.Fprintln(r.err, r.paintErr(dim, "see it with: switchyard memory get "+m.ID))
	}
	_, err := fmt.Fprintln(r.out, line)
	return err
}

func (r *remote) printErasure(e client.Erasure) error {
	if r.json {
		return r.printJSON(e)
	}
	line := e.ID + "  erased from " + strings.Join(e.Erased, ", ")
	if len(e.Pending) > 0 {
		line += "; to follow when they can be reached: " + strings.Join(e.Pending, ", ")
	}
	_, err := fmt.Fprintln(r.out, line)
	return err
}

func (t *console) printMemory(m memory.Memory) {
	fault := ""
	if m.Error != nil {
		fault = t.paint(red, fmt.Sprintf("%s: %s", m.Error.Code, m.Error.Detail))
	}
	t.printFields([][2]string{
		{"id", t.paint(bold, m.ID)},
		{"status", t.paint(styleOf(m.Status), string(m.Status))},
		{"error", fault},
		{"track", fmt.Sprintf("%s: %s", m.Track, m.Reason)},
		{"version", fmt.Sprint(m.Version)},
		{"external id", harmless(m.ExternalID)},
		{"batch", m.BatchID},
		{"created", t.when(m.CreatedAt)},
		{"completed", t.whenPtr(m.CompletedAt)},
		{"occurred", t.whenPtr(m.OccurredAt)},
		{"metadata", labels(m.Metadata)},
		{"content", strings.Join(wrap(m.Content, min(t.width, 100)-12), "\n")},
		{"use cases", harmless(strings.Join(m.UseCases, "\n"))},
		{"related", relatedLines(m.Related)},
		{"graph", strings.Join(graphLines(m.Graph), "\n")},
	})
	t.printSteps(m.Steps)
}

func relatedLines(related []memory.Related) string {
	var lines []string
	for _, r := range related {
		lines = append(lines, fmt.Sprintf("%.2f  %s", r.Score, r.ID))
	}
	return strings.Join(lines, "\n")
}

// graphLines writes relationships by the names of their ends, then the nodes that have none.
func graphLines(g memory.Graph) []string {
	names, joined := map[string]string{}, map[string]bool{}
	for _, n := range g.Nodes {
		names[n.ID] = harmless(fmt.Sprintf("%s (%s)", n.Name, n.Type))
	}
	var lines []string
	for _, r := range g.Relationships {
		joined[r.From], joined[r.To] = true, true
		lines = append(lines, fmt.Sprintf("%s -%s-> %s", names[r.From], harmless(r.Type), names[r.To]))
	}
	for _, n := range g.Nodes {
		if !joined[n.ID] {
			lines = append(lines, names[n.ID])
		}
	}
	return lines
}

func (t *console) printSteps(steps []memory.Receipt) {
	if len(steps) == 0 {
		return
	}
	var rows [][]cell
	for _, s := range steps {
		row := []cell{
			plain(s.Name),
			{string(s.Status), styleOf(s.Status)},
			plain(plural(s.Attempts, "attempt")),
			plain(duration(time.Duration(s.DurationMS) * time.Millisecond)),
			{strings.TrimSpace(s.Model + "  " + cost(s.Tokens, s.CostUSD)), dim},
		}
		if s.Error != nil {
			row = append(row, cell{fmt.Sprintf("%s: %s", s.Error.Code, s.Error.Detail), red})
		}
		if s.Notice != "" {
			row = append(row, cell{s.Notice, yellow})
		}
		rows = append(rows, row)
	}
	fmt.Fprintln(t.out)
	t.printTable(rows)
}

func (t *console) printMemories(ms []memory.Memory) {
	var rows [][]cell
	for _, m := range ms {
		rows = append(rows, []cell{
			{m.ID, bold},
			{string(m.Status), styleOf(m.Status)},
			plain(string(m.Track)),
			{t.when(m.CreatedAt), dim},
			plain(squeeze(m.Content, max(20, t.width-73))),
		})
	}
	t.printTable(rows)
}

func (t *console) printHits(hits []client.Hit) {
	for i, h := range hits {
		if i > 0 {
			fmt.Fprintln(t.out)
		}
		fmt.Fprintf(t.out, "%s  %s%s%s\n", t.paint(green, fmt.Sprintf("%.2f", h.Score)), t.paint(bold, h.Memory.ID),
			t.paint(dim, prefixed("  ", harmless(h.Memory.ExternalID))), t.paint(dim, "  "+why(h.Scores)))
		for _, line := range wrap(h.Passage, min(t.width, 100)-6) {
			fmt.Fprintln(t.out, "      "+line)
		}
	}
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// why says by what a memory was found.
func why(s client.Scores) string {
	var parts []string
	if s.Vector != nil {
		parts = append(parts, fmt.Sprintf("meaning %.2f", *s.Vector))
	}
	if s.Rerank != nil {
		parts = append([]string{fmt.Sprintf("judged %.2f", *s.Rerank)}, parts...)
	}
	if s.Lexical != nil {
		parts = append(parts, fmt.Sprintf("words %.2f", *s.Lexical))
	}
	return strings.Join(parts, ", ")
}
