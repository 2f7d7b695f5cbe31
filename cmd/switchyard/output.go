package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// printJSON writes v as one line.
func (t *console) printJSON(v any) error {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// cell is a piece of a table; its style takes no room.
type cell struct {
	text  string
	style style
}

func plain(text string) cell { return cell{text: text} }

// printTable writes rows with columns as wide as they need to be, two spaces apart.
func (t *console) printTable(rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range rows {
		for len(row) > 0 && row[len(row)-1].text == "" {
			row = row[:len(row)-1] // no blanks at the end of a line
		}
		for i, c := range row {
			fmt.Fprint(t.out, t.paint(c.style, c.text))
			if i < len(row)-1 {
				fmt.Fprint(t.out, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		fmt.Fprintln(t.out)
	}
}

// printFields writes names with their values, a line each; values of several lines are indented, empty ones left out.
func (t *console) printFields(fields [][2]string) {
	const indent = 12
	for _, f := range fields {
		name, value := f[0], f[1]
		for line := range strings.Lines(value) {
			fmt.Fprintf(t.out, "%s%s\n", t.paint(dim, fmt.Sprintf("%-*s", indent, name)), strings.TrimSuffix(line, "\n"))
			name = ""
		}
	}
}

// styleOf is the colour of a status of whatever kind.
func styleOf[S ~string](status S) style {
	switch string(status) {
	case "completed", "delivered":
		return green
	case "failed", "rejected":
		return red
	case "degraded", "completed_with_errors", "cancelled", "paused", "skipped", "held":
		return yellow
	}
	return cyan
}

// squeeze makes one line of a text, of at most width characters.
func squeeze(text string, width int) string {
	return cut(strings.Join(strings.Fields(harmless(text)), " "), width)
}

// harmless takes out the control characters, with which a stranger's text could take over the terminal.
func harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
}

func cut(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:max(0, width-1)]) + "…"
	}
	return s
}

// wrap breaks a text between words into lines of at most width characters; a longer word has a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	room := 0
	for word := range strings.FieldsSeq(harmless(text)) {
		n := utf8.RuneCountInString(word) + 1
		if len(lines) == 0 || n > room {
			lines, room = append(lines, word), width-n+1
			continue
		}
		lines[len(lines)-1] += " " + word
		room -= n
	}
	return lines
}

func (t *console) when(at memory.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(t.zone).Format("2006-01-02 15:04:05")
}

func (t *console) whenPtr(at *memory.Time) string {
	if at == nil {
		return ""
	}
	return t.when(*at)
}

// duration rounds to what people care for.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// labels writes metadata as key=value, sorted.
func labels(md memory.Metadata) string {
	var parts []string
	for k, v := range md {
		parts = append(parts, harmless(fmt.Sprintf("%s=%v", k, v)))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if stem, ok := strings.CutSuffix(one, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func cost(tokens int, usd float64) string {
	if tokens == 0 {
		return ""
	}
	if usd == 0 {
		return plural(tokens, "token")
	}
	return fmt.Sprintf("%s, $%.4f", plural(tokens, "token"), usd)
}
