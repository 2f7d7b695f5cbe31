package local

import (
	_ "embed"
	"strings"
)

//go:embed lexicon.txt
var lexiconText string

// set is a set of words in lower case.
type set map[string]struct{}

func (s set) has(word string) bool {
	_, ok := s[word]
	return ok
}

func (s set) add(words ...string) {
	for _, w := range words {
		s[w] = struct{}{}
	}
}

// lexicon is what the rules know of English.
type lexicon struct {
	little    set // function words
	verbs     set // in all their forms
	infinite  set // base forms of verbs, which may be nouns as well
	qualities set
	vague     set
	common    set
	gerunds   set // nouns in -ing
	titles    set
	given     set
	months    map[string]int
	weekdays  set
	short     set
}

func newLexicon(text string) *lexicon {
	l := &lexicon{verbs: set{}, infinite: set{}, months: map[string]int{}}
	sections := map[string]set{}
	for _, section := range strings.Split("\n"+text, "\n# ")[1:] {
		head, body, _ := strings.Cut(section, "\n")
		name, _, _ := strings.Cut(head, ":")
		sections[name] = set{}
		sections[name].add(strings.Fields(body)...)
		switch name {
		case "irregular":
			l.irregular(body)
		case "months":
			for i, m := range strings.Fields(body) {
				l.months[m] = monthOf(i)
			}
		}
	}
	l.little, l.qualities, l.vague, l.common = sections["little"], sections["qualities"], sections["vague"], sections["common"]
	l.gerunds, l.titles, l.given = sections["nouns in -ing"], sections["titles"], sections["given"]
	l.weekdays, l.short = sections["weekdays"], sections["short"]
	for v := range sections["verbs"] {
		l.infinite.add(v)
		l.verbs.add(inflected(v)...)
	}
	return l
}

// monthOf is the month of the i-th word of its section: twelve names, then their short forms, of which May has none and
// September two.
func monthOf(i int) int {
	return append([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 1, 2, 3, 4, 6, 7, 8, 9, 9, 10, 11, 12)[i]
}

func (l *lexicon) irregular(body string) {
	for group := range strings.SplitSeq(body, "|") {
		if forms := strings.Fields(group); len(forms) > 0 {
			l.infinite.add(forms[0])
			l.verbs.add(forms...)
			l.verbs.add(forms[0]+"s", forms[0]+"ing", strings.TrimSuffix(forms[0], "e")+"ing")
		}
	}
}

// inflected are the forms of a regular verb.
func inflected(v string) []string {
	last, stem := v[len(v)-1], v[:len(v)-1]
	switch {
	case last == 'e':
		return []string{v, v + "s", v + "d", stem + "ing"}
	case last == 'y' && !vowel(v[len(v)-2]):
		return []string{v, stem + "ies", stem + "ied", v + "ing"}
	case strings.HasSuffix(v, "s") || strings.HasSuffix(v, "sh") || strings.HasSuffix(v, "ch") || strings.HasSuffix(v, "x"):
		return []string{v, v + "es", v + "ed", v + "ing"}
	}
	double := v + string(last) // planned, stopped: which verbs double is not worth a rule
	return []string{v, v + "s", v + "ed", v + "ing", double + "ed", double + "ing"}
}

func vowel(c byte) bool { return strings.IndexByte("aeiou", c) >= 0 }

// verb reports whether a word in lower case can be a verb that says something: no auxiliary.
func (l *lexicon) verb(w string) bool {
	if l.little.has(w) || l.gerunds.has(w) {
		return false
	}
	return l.verbs.has(w) || regularPast(w) && !l.qualities.has(w) && !l.given.has(w)
}

// regularPast reports whether a word looks like the past of a regular verb.
func regularPast(w string) bool {
	return len(w) > 4 && strings.HasSuffix(w, "ed") && !strings.HasSuffix(w, "eed") && !strings.HasSuffix(w, "red")
}

// ordinary reports whether a capitalised word at the start of a sentence is an ordinary one rather than a name.
func (l *lexicon) ordinary(w string) bool {
	if head, _, ok := strings.Cut(w, "-"); ok && l.listed(head) {
		return true
	}
	return l.listed(w) || l.listed(strings.TrimSuffix(w, "s")) || !l.given.has(w) && (regularPast(w) || ending(w))
}

// listed reports whether a word is in one of the lists of ordinary words.
func (l *lexicon) listed(w string) bool {
	for _, s := range []set{l.little, l.verbs, l.qualities, l.vague, l.common, l.gerunds} {
		if s.has(w) {
			return true
		}
	}
	return l.calendar(w)
}

// ending reports whether a word ends like adverbs, participles and abstract nouns do, and names seldom.
func ending(w string) bool {
	for _, end := range []string{"ly", "ing", "ings", "ness", "tion", "tions", "sion", "ment", "ments", "ity", "ship", "ence", "ance"} {
		if strings.HasSuffix(w, end) && len(w) > len(end)+2 {
			return true
		}
	}
	return quality(w)
}

// quality reports whether a word ends like an adjective.
func quality(w string) bool {
	for _, end := range []string{"ful", "less", "ous", "able", "ible", "ive"} {
		if strings.HasSuffix(w, end) && len(w) > len(end)+2 {
			return !strings.Contains(" table cable fable gable stable vegetable constable arrive detective native narrative relative initiative "+
				"archive motive olive perspective objective executive alternative incentive handful oblique ", " "+w+" ")
		}
	}
	return false
}

// calendar reports whether a word names a month or a day of the week.
func (l *lexicon) calendar(w string) bool { return l.months[w] > 0 || l.weekdays.has(w) }
