package pipeline

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// passages cuts content into pieces of about size bytes, at the best boundary that there is: paragraph, line, sentence,
// word, rune. Together they hold all of the content but the white space between them; there is at least one.
func passages(content string, size int) []memory.Passage {
	var out []memory.Passage
	for start := skipSpace(content, 0); start < len(content); {
		end := start + cut(content[start:], size)
		out = append(out, memory.Passage{Start: start, End: start + len(strings.TrimRightFunc(content[start:end], unicode.IsSpace))})
		start = skipSpace(content, end)
	}
	if len(out) == 0 {
		return []memory.Passage{{Start: 0, End: len(content)}}
	}
	return out
}

func skipSpace(s string, from int) int {
	rest := strings.TrimLeftFunc(s[from:], unicode.IsSpace)
	return len(s) - len(rest)
}

// cut returns where the first passage of s ends. A rest that is a little too long stays whole, so that no passage is
// a crumb.
func cut(s string, size int) int {
	if len(s) <= size+size/4 {
		return len(s)
	}
	window := s[:size]
	for _, boundary := range []string{"\n\n", "\n", ". ", "! ", "? ", "。", "; ", ", ", " "} {
		if i := strings.LastIndex(window, boundary); i >= size/3 {
			return i + len(boundary)
		}
	}
	end := size
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return max(end, 1)
}
