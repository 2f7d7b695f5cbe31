package local

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A mention is where a sentence speaks of something: the tokens from, up to but not including to.
type mention struct {
	kind     string
	name     string
	from, to int
}

// evidence is what the whole text says about a word being a name or not.
type evidence struct {
	lexicon *lexicon
	lower   set // words that come in lower case
	upper   set // words that come with a capital where nothing but a name asks for one
}

func (l *lexicon) weigh(text []sentence) evidence {
	e := evidence{l, set{}, set{}}
	for _, s := range text {
		loud := shouted(s)
		for _, t := range s.tokens {
			switch {
			case !t.upper:
				e.lower.add(t.lower)
			case !t.opens && !loud && !t.loud():
				e.upper.add(t.lower)
			}
		}
		e.upper.add(strings.Fields(strings.ToLower(s.speaker))...)
	}
	return e
}

// shouted reports whether most words of a sentence are in capitals throughout.
func shouted(s sentence) bool {
	loud := 0
	for _, t := range s.tokens {
		if utf8.RuneCountInString(t.text) > 1 && t.text == strings.ToUpper(t.text) && t.upper {
			loud++
		}
	}
	return loud >= 3 && 2*loud > len(s.tokens)
}

// names finds proper names: runs of capitalised words, also joined by "of", without what is capitalised for its place
// only.
func (e evidence) names(s sentence) []mention {
	var out []mention
	loud := shouted(s)
	for i := 0; i < len(s.tokens); {
		if !s.tokens[i].upper {
			i++
			continue
		}
		end := e.run(s.tokens, i)
		if m, ok := e.trim(s.tokens, i, end, loud); ok {
			out = append(out, m)
		}
		i = end
	}
	return out
}

// run is the end of the run of capitalised words that begins at i.
func (e evidence) run(ts []token, i int) int {
	end := i + 1
	for end < len(ts) && end-i < 6 && !ts[end-1].owner {
		next := end + e.link(ts[end:])
		if next >= len(ts) || !ts[next].upper || ts[next].loose || ts[next].opens || next > end && e.lexicon.little.has(ts[next].lower) {
			break
		}
		end = next + 1
	}
	return end
}

// link is how many tokens at the beginning join two parts of a name: "of", "of the", "de", "van der".
func (e evidence) link(ts []token) int {
	n := 0
	for n < len(ts) && n < 2 && !ts[n].loose && strings.Contains(" of the de la del van von der den da di al bin ", " "+ts[n].lower+" ") {
		n++
	}
	if n > 0 && ts[0].lower == "the" {
		return 0
	}
	return n
}

// trim drops from both ends of a run what is no part of the name; false: nothing is left.
func (e evidence) trim(ts []token, from, to int, loud bool) (mention, bool) {
	for from < to && !e.begins(ts, from, to, loud) {
		from++
	}
	for from < to && e.lexicon.little.has(ts[to-1].lower) {
		to--
	}
	if from >= to || to-from == 1 && !e.single(ts[from]) {
		return mention{}, false
	}
	parts := make([]string, 0, to-from)
	for _, t := range ts[from:to] {
		parts = append(parts, t.text)
	}
	return mention{Entity, clip(strings.Join(parts, " "), maxName), from, to}, true
}

// begins reports whether a name can begin with a token.
func (e evidence) begins(ts []token, i, to int, loud bool) bool {
	t := ts[i]
	switch {
	case e.lexicon.little.has(t.lower) && !e.lexicon.titles.has(t.lower):
		return false
	case e.lexicon.calendar(t.lower), strings.HasSuffix(t.lower, "n't"), numeral(t.text):
		return false
	case t.loud() && (e.lexicon.ordinary(t.lower) || utf8.RuneCountInString(t.text) > 6) && !e.upper.has(t.lower):
		return false // one word is stressed
	case acronym(t) && !loud:
		return true
	case t.opens || loud: // the capital means nothing
		return e.lexicon.titles.has(t.lower) && i+1 < to || e.upper.has(t.lower) || !e.lower.has(t.lower) && !e.lexicon.ordinary(t.lower) && !loud
	}
	return true
}

// single reports whether a word can be a name by itself. "Q3" is none.
func (e evidence) single(t token) bool {
	n := utf8.RuneCountInString(t.text)
	return n > 1 && (n > 3 || !strings.ContainsFunc(t.text, unicode.IsDigit)) &&
		(!e.lexicon.titles.has(t.lower) || e.lexicon.given.has(t.lower)) && !e.lexicon.vague.has(t.lower)
}

// numeral reports whether a word is a Roman number of at least two letters, as in headings.
func numeral(w string) bool { return len(w) > 1 && strings.Trim(w, "IVXLC") == "" }

// acronym reports whether a word is two to six capitals.
func acronym(t token) bool {
	n := utf8.RuneCountInString(t.text)
	return n >= 2 && n <= 6 && !strings.ContainsFunc(t.text, func(r rune) bool { return !unicode.IsUpper(r) })
}
