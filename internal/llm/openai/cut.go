package openai

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A token is four bytes of ASCII, or one other character. That is a little above what common models make of English and
// of Chinese text; where it is below (digits, base64) the server says so, and the text is cut by half.
const quartersPerToken = 4

// estimate says how many tokens a text has.
func estimate(text string) int {
	quarters := 0
	for _, r := range text {
		quarters += quarterTokens(r)
	}
	return (quarters + quartersPerToken - 1) / quartersPerToken
}

func quarterTokens(r rune) int {
	if r < utf8.RuneSelf {
		return 1
	}
	return quartersPerToken
}

// fit cuts a text to so many tokens: at the end of a sentence or at a blank where one is near, never inside a character.
func fit(text string, limit int) string {
	left := limit * quartersPerToken
	for i, r := range text {
		if left -= quarterTokens(r); left < 0 {
			return strings.TrimRight(text[:boundary(text[:i])], " \n\t")
		}
	}
	return text
}

// boundary is where in its last fifth a text is best cut.
func boundary(text string) int {
	from := len(text) - len(text)/5
	tail := text[from:]
	for _, ends := range [][]string{{"\n\n", ". ", "! ", "? ", ".\n", "。", "！", "？"}, {"\n", " "}} {
		best := -1
		for _, end := range ends {
			if i := strings.LastIndex(tail, end); i >= 0 {
				best = max(best, i+len(end))
			}
		}
		if best >= 0 {
			return from + best
		}
	}
	return len(text)
}

// half is the first half of a text, cut like fit.
func half(text string) string {
	return fit(text, max(estimate(text)/2, 1))
}

// cut shortens a text to at most n bytes, at a character's boundary.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// notice says that a text was cut.
func notice(what string, before, after int) string {
	return fmt.Sprintf("%s cut from about %s to %s tokens", what, thousands(before), thousands(after))
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
