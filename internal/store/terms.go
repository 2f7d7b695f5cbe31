package store

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
	"golang.org/x/text/unicode/norm"
)

// words yields the words of a text as full-text search compares them: runs of letters, digits and marks, in lower case,
// without accents. Scripts that put no blanks between words give every two neighbouring characters in place of words.
func words(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, run := range strings.FieldsFunc(fold(text), isGap) {
			for w := range split(run) {
				if !yield(w) {
					return
				}
			}
		}
	}
}

func isGap(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) }

// fold takes case, the accents of European scripts and forms for typesetting away: Café and ｃａｆｅ are cafe. Marks of
// other scripts are part of their words.
func fold(text string) string {
	if isASCII(text) {
		return strings.ToLower(text)
	}
	return strings.Map(func(r rune) rune {
		if 0x300 <= r && r <= 0x36f { // combining diacritical marks
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(text))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// split yields the parts of a run: words as they are, and pairs of the characters of a script without blanks (a single one
// where it stands alone).
func split(run string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for run != "" {
			dense := isDense(first(run))
			end := strings.IndexFunc(run, func(r rune) bool { return isDense(r) != dense && !unicode.IsMark(r) })
			if end < 0 {
				end = len(run)
			}
			if !dense && !yield(run[:end]) || dense && !pairs(run[:end], yield) {
				return
			}
			run = run[end:]
		}
	}
}

func first(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// isDense reports whether a character belongs to a script that puts no blanks between words.
func isDense(r rune) bool {
	return r >= 0xe00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

func pairs(run string, yield func(string) bool) bool {
	_, size := utf8.DecodeRuneInString(run)
	if size == len(run) {
		return yield(run)
	}
	for size < len(run) {
		_, next := utf8.DecodeRuneInString(run[size:])
		if !yield(run[:size+next]) {
			return false
		}
		run, size = run[size:], next
	}
	return true
}

// stemmer makes one form of the forms of an English word; words of other languages stay as they are, or lose an ending
// in documents and queries alike. It is not safe for concurrent use.
type stemmer struct{ env *snowballstem.Env }

func newStemmer() stemmer { return stemmer{snowballstem.NewEnv("")} }

func (s stemmer) stem(word string) string {
	if len(word) < 3 || !isASCII(word) {
		return word
	}
	s.env.SetCurrent(word)
	english.Stem(s.env)
	return s.env.Current()
}

// isStopWord reports whether a word is so common in English that it says nothing of what a text is about. Single letters
// are here for what an apostrophe leaves of it's, don't and I'd.
func isStopWord(word string) bool {
	switch word {
	case "a", "an", "the", "this", "that", "these", "those",
		"and", "or", "but", "if", "so", "as", "than", "then", "not", "no", "nor",
		"i", "me", "my", "mine", "we", "us", "our", "ours", "you", "your", "yours", "he", "him", "his", "she", "her", "hers",
		"it", "its", "they", "them", "their", "theirs", "there", "here",
		"am", "is", "are", "was", "were", "be", "been", "being", "do", "does", "did", "doing", "done",
		"have", "has", "had", "having", "will", "would", "shall", "should", "can", "could", "may", "might", "must",
		"of", "in", "on", "at", "to", "from", "by", "for", "with", "about", "into", "over", "under", "up", "down", "out", "off",
		"what", "which", "who", "whom", "whose", "when", "where", "why", "how",
		"s", "t", "d", "m", "ll", "re", "ve", "don", "isn", "didn", "doesn", "wasn":
		return true
	}
	return false
}
