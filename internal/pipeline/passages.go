package pipeline

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// passages cuts content into pieces of about size bytes, at the best boundary that there is: heading, paragraph, item of a
// list, line, sentence, clause, word, sign. A heading begins a passage and is never left at the end of one; code between
// fences stays in one piece where it fits. Together they hold all of the content but the white space between them; there
// is at least one.
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
	window := s[:whole(s, size)]
	for _, boundary := range boundaries {
		if i := last(window, boundary, size/3); i > 0 {
			return beforeHeading(s, i)
		}
	}
	return max(len(window), 1)
}

// whole is the greatest length up to size that ends between two signs, those that belong together (a letter and its
// accents, joined emoji) not parted where that can be helped.
func whole(s string, size int) int {
	end := size
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	for back := end; back > size/2; {
		r, _ := utf8.DecodeRuneInString(s[back:])
		before, n := utf8.DecodeLastRuneInString(s[:back])
		if !joins(r) && before != zeroWidthJoiner {
			return back
		}
		back -= n
	}
	return end
}

const zeroWidthJoiner = '\u200d'

func joins(r rune) bool {
	return r == zeroWidthJoiner || unicode.Is(unicode.M, r) || unicode.Is(unicode.Variation_Selector, r) || r >= 0x1f3fb && r <= 0x1f3ff
}

// boundaries are where a passage may end, best first. What matches ends the passage; a group is where the next begins.
//
//nolint:gochecknoglobals // constants that only regexp can make
var boundaries = []*regexp.Regexp{
	regexp.MustCompile(`\n[ \t]*\n()#{1,6} |\n()#{1,6} |\n()[^\n]+\n(?:={3,}|-{3,})[ \t]*\n`), // before a heading
	regexp.MustCompile("\n[ \t]*```[^\n`]*\n()"),                                              // after, or before, code
	regexp.MustCompile(`\n[ \t]*\n[\s]*()`),                                                   // between paragraphs
	regexp.MustCompile(`\n()[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]`),                               // before an item of a list
	regexp.MustCompile(`\n()`),
	// The ends of sentences: of Latin, Cyrillic and Greek; of Chinese and Japanese, which leave no blank; of Hindi, Arabic,
	// Urdu, Armenian, Ethiopic and Burmese. Quotation marks and brackets that close belong to the sentence.
	regexp.MustCompile(`[.!?…;]["'”’»)\]]*\s+()[^\p{Ll}\s]|[。！？｡．](?:[”’」』）]*)()|[।॥؟۔։።၊။]["'”’»)\]]*\s*()`),
	regexp.MustCompile(`[.!?…]["'”’»)\]]*\s+()`), // also before a small letter
	regexp.MustCompile(`[;:,،、，；：—–]\s*()`),
	regexp.MustCompile(`\s()`),
}

// last is the last place in the window, at or after from, where the boundary lets a passage end; 0: there is none. A place
// within code between fences is none, unless the code began before the passage could have ended.
func last(window string, boundary *regexp.Regexp, from int) int {
	best := 0
	fences := fencesOf(window)
	for _, m := range boundary.FindAllStringSubmatchIndex(window, -1) {
		for i := 2; i < len(m); i += 2 {
			if at := m[i]; at >= from && at < len(window) && !inCode(fences, at, from) {
				best = max(best, at)
			}
		}
	}
	return best
}

var fence = regexp.MustCompile("(?m)^[ \t]*```")

// fencesOf are the places where code begins and ends, by turns.
func fencesOf(s string) []int {
	var out []int
	for _, m := range fence.FindAllStringIndex(s, -1) {
		out = append(out, m[0])
	}
	return out
}

// inCode reports whether the place is within code that begins at or after from, so that the passage can end before it.
func inCode(fences []int, at, from int) bool {
	begun := -1
	for i, f := range fences {
		if f >= at {
			break
		}
		begun = -1
		if i%2 == 0 {
			begun = f
		}
	}
	return begun >= from
}

// beforeHeading moves an end that would leave a heading alone at the end of a passage to before that heading.
func beforeHeading(s string, end int) int {
	before := strings.TrimRightFunc(s[:end], unicode.IsSpace)
	line := strings.LastIndexByte(before, '\n') + 1
	if line > 0 && strings.HasPrefix(before[line:], "#") && strings.TrimLeft(before[line:], "#") != "" {
		return line
	}
	return end
}
