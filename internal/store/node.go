package store

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/switchyard-ai/switchyard/internal/id"
)

// NodeID is the id of the node of that type and name in the workspace: every memory that speaks of it means the same
// node.
func NodeID(workspace, kind, name string) string {
	return id.From(id.Node, time.UnixMilli(0), workspace, NormalName(kind), NormalName(name))
}

// NormalName is what names are compared by: lower case, Latin letters without their marks, punctuation inside as a blank
// (apostrophes, and the dots of abbreviations, as nothing), & as "and", a leading article and a trailing 's gone, one blank
// between words. "The New-York Café's" is "new york cafe"; "I.B.M." is "ibm"; "C#" and "C" stay apart.
func NormalName(name string) string {
	s := strings.TrimFunc(plainLetters(strings.ToLower(name)), func(r rune) bool { return unicode.IsSpace(r) || isSeparator(r) })
	s = strings.TrimSuffix(strings.TrimSuffix(s, "'s"), "’s")
	words := strings.FieldsFunc(separated(s), unicode.IsSpace)
	if len(words) > 1 && (words[0] == "the" || words[0] == "a" || words[0] == "an") {
		words = words[1:]
	}
	if len(words) == 0 {
		return strings.TrimSpace(strings.ToLower(name))
	}
	return strings.Join(words, " ")
}

// plainLetters takes the marks off Latin letters, and writes the letters that are one with their mark as what they are
// taken for. Marks of other scripts make other letters: those stay.
func plainLetters(s string) string {
	var out strings.Builder
	latin := false
	for _, r := range norm.NFD.String(norm.NFKC.String(s)) {
		if latin && unicode.Is(unicode.Mn, r) {
			continue
		}
		latin = unicode.Is(unicode.Latin, r)
		if plain, ok := joined[r]; ok {
			out.WriteString(plain)
			continue
		}
		out.WriteRune(r)
	}
	return norm.NFC.String(out.String())
}

//nolint:gochecknoglobals // a constant table
var joined = map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ı': "i"}

// isSeparator reports whether a sign only stands between words. # does not: it makes another name.
func isSeparator(r rune) bool { return unicode.IsPunct(r) && r != '#' && r != '&' }

// separated puts blanks in the place of the signs between words.
func separated(s string) string {
	var out strings.Builder
	runes := []rune(s)
	for i, r := range runes {
		switch {
		case r == '&':
			out.WriteString(" and ")
		case r == '\'', r == '’', r == 'ʼ', r == '.' && abbreviates(runes, i):
		case r == '.' && i > 0 && i+1 < len(runes) && unicode.IsDigit(runes[i-1]) && unicode.IsDigit(runes[i+1]):
			out.WriteRune(r) // 3.5 is not 35
		case isSeparator(r):
			out.WriteRune(' ')
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// abbreviates reports whether the dot at i stands after a single letter, as in I.B.M.
func abbreviates(s []rune, i int) bool {
	return i > 0 && unicode.IsLetter(s[i-1]) && (i == 1 || !unicode.IsLetter(s[i-2]) && !unicode.IsDigit(s[i-2]))
}
