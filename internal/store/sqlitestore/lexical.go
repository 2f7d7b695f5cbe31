package sqlitestore

import (
	"slices"
	"strings"
	"unicode"
)

// maxTerms is how many different words of a text are searched for: the first ones.
const maxTerms = 64

// matchExpression turns any text into an expression of FTS5 for passages that hold one of its words, whatever else is in
// the text. It is empty where the text has no word.
func matchExpression(text string) string {
	terms := terms(text)
	if len(terms) == 0 {
		return ""
	}
	return `"` + strings.Join(terms, `" OR "`) + `"` // letters, digits and marks only: nothing to escape
}

// terms returns the different words of a text: without those that say nothing, unless there are no others.
func terms(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	})
	telling := slices.DeleteFunc(slices.Clone(words), isStopWord)
	if len(telling) == 0 {
		telling = words
	}
	return firstTerms(telling)
}

func firstTerms(words []string) []string {
	seen := make(map[string]bool, maxTerms)
	var out []string
	for _, w := range words {
		if !seen[w] {
			seen[w] = true
			out = append(out, w)
		}
		if len(out) == maxTerms {
			break
		}
	}
	return out
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
