package local

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A term is a word or a pair of words that the text is about.
type term struct {
	name  string
	count int
	first int // where it came first, in order of all candidates
}

// terms finds what the sentences speak of besides names: nouns, also with the word before them, as far as a list of
// common words can tell. The mentions come sentence by sentence.
func (l *lexicon) terms(text []sentence, taken [][]mention) [][]mention {
	out := make([][]mention, len(text))
	for i, s := range text {
		free := make([]bool, len(s.tokens))
		for j, t := range s.tokens {
			free[j] = l.noun(s.tokens, j) && !t.loud()
		}
		for _, m := range taken[i] {
			for j := m.from; j < m.to; j++ {
				free[j] = false
			}
		}
		out[i] = l.phrases(s.tokens, free)
	}
	return out
}

// phrases takes of each run of free tokens the last one or two: the noun and what qualifies it.
func (l *lexicon) phrases(ts []token, free []bool) []mention {
	var out []mention
	for to := len(ts); to > 0; to-- {
		if !free[to-1] {
			continue
		}
		from := to - 1
		for from > 0 && free[from-1] && !ts[from].loose && !ts[from-1].owner {
			from--
		}
		head := max(from, to-2)
		if name := phrase(ts[head:to]); utf8.RuneCountInString(name) <= maxName {
			out = append(out, mention{Concept, name, head, to})
		}
		to = from + 1
	}
	slices.Reverse(out)
	return out
}

func phrase(ts []token) string {
	words := make([]string, len(ts))
	for i, t := range ts {
		words[i] = t.lower
	}
	return strings.Join(words, " ")
}

// noun reports whether a token may be part of a term.
func (l *lexicon) noun(ts []token, i int) bool {
	t := ts[i]
	switch {
	case t.unaired:
		return utf8.RuneCountInString(t.text) > 1
	case utf8.RuneCountInString(t.lower) < 3 || !unicode.IsLetter(firstRune(t.lower)):
		return false
	case l.little.has(t.lower), l.qualities.has(t.lower), l.vague.has(t.lower), l.calendar(t.lower), strings.HasSuffix(t.lower, "ly"), quality(t.lower):
		return false
	case l.gerunds.has(t.lower):
		return true
	case l.infinite.has(t.lower), l.infinite.has(strings.TrimSuffix(t.lower, "s")), strings.HasSuffix(t.lower, "ing"):
		return i > 0 && !t.loose && l.determines(ts[i-1])
	}
	return !l.verb(t.lower) && !strings.HasSuffix(t.lower, "n't")
}

// determines reports whether a noun follows a word: an article, a possessive, a quality.
func (l *lexicon) determines(t token) bool {
	return t.owner || l.qualities.has(t.lower) ||
		strings.Contains(" a an the my your his her its our their ", " "+t.lower+" ")
}

// loud reports whether a word is in capitals throughout.
func (t token) loud() bool {
	return t.upper && utf8.RuneCountInString(t.text) > 1 && t.text == strings.ToUpper(t.text)
}

// rank orders terms by weight, and those that weigh the same by which came first. A word that stands in a
// pair already taken, and no oftener than it, is left out.
func rank(mentions [][]mention, limit int, weight func(*term) int) []term {
	byName := map[string]*term{}
	var all []*term
	for _, ms := range mentions {
		for _, m := range ms {
			t, ok := byName[m.name]
			if !ok {
				t = &term{name: m.name, first: len(all)}
				byName[m.name] = t
				all = append(all, t)
			}
			t.count++
		}
	}
	slices.SortStableFunc(all, func(a, b *term) int { return weight(b) - weight(a) })
	var out []term
	for _, t := range all {
		inPair := func(o term) bool { return strings.HasSuffix(o.name, " "+t.name) && o.count >= t.count }
		if len(out) < limit && !slices.ContainsFunc(out, inPair) {
			out = append(out, *t)
		}
	}
	return out
}

// frequent weighs a term by how often it comes.
func frequent(t *term) int { return t.count }

// telling weighs a pair of words and a long word a little more.
func telling(t *term) int {
	w := 4 * t.count
	if strings.Contains(t.name, " ") {
		w += 2
	}
	return w + min(utf8.RuneCountInString(t.name), 12)/4
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}
