package local

import (
	"cmp"
	"slices"
	"strings"
)

// A link is a relationship that was found, and how often.
type link struct {
	from, to int
	verb     string // in capitals; "" where the two only stand together
	joint    string // the preposition after it, in capitals, or ""
	spoken   bool   // from is who says it
	count    int
}

// kinds are the types that a link may have, the one that says most first.
func (l link) kinds() []string {
	var out []string
	if l.verb != "" && l.joint != "" {
		out = append(out, l.verb+"_"+l.joint)
	}
	if l.verb != "" {
		out = append(out, l.verb)
	}
	if l.spoken {
		out = append(out, SpokeOf)
	}
	return append(out, MentionedWith)
}

// links collects what holds between nodes, each once.
type links struct {
	all   []link
	index map[link]int // by the link with a count of 0
}

func (l *links) add(x link) {
	if x.from == x.to {
		return
	}
	i, ok := l.index[x]
	if !ok {
		i = len(l.all)
		l.index[x] = i
		l.all = append(l.all, x)
	}
	l.all[i].count++
}

// near is how many of the names before a name in one sentence it is related to.
const near = 6

// relationships relates the nodes that meet in a sentence. Those that a verb joins come first, then the frequent ones; two
// that are joined by a verb are not said to be mentioned together as well.
func (r *reading) relationships() []link {
	found := &links{index: map[link]int{}}
	for i, ms := range r.mentions {
		r.relate(found, r.sentences[i], ms)
	}
	said := map[[2]int]bool{}
	for _, l := range found.all {
		if l.verb != "" || l.spoken {
			said[pair(l)] = true
		}
	}
	out := slices.DeleteFunc(found.all, func(l link) bool { return l.verb == "" && !l.spoken && said[pair(l)] })
	slices.SortStableFunc(out, func(a, b link) int { return cmp.Or(b.strength()-a.strength(), b.count-a.count) })
	return out[:min(len(out), maxRelationships)]
}

func pair(l link) [2]int { return [2]int{min(l.from, l.to), max(l.from, l.to)} }

func (l link) strength() int {
	switch {
	case l.verb != "":
		return 2
	case l.spoken:
		return 1
	}
	return 0
}

// relate relates the mentions of one sentence: names to the names shortly before them; terms and dates to the name before
// them, to the speaker, or where there is neither to what stands before them.
func (r *reading) relate(found *links, s sentence, ms []mention) {
	var names []mention
	for i, m := range ms {
		if m.kind == Entity {
			for _, other := range names[max(0, len(names)-near):] {
				found.add(r.between(s, other, m))
			}
			names = append(names, m)
			continue
		}
		switch {
		case len(names) > 0:
			found.add(r.between(s, names[len(names)-1], m))
		case i > 0:
			found.add(r.between(s, ms[i-1], m))
		}
	}
	if len(names) > 0 { // terms before the first name
		for _, m := range ms {
			if m.to <= names[0].from && m.kind != Entity {
				found.add(r.between(s, m, names[0]))
			}
		}
	}
}

// reach is how many words may stand between two things that a verb joins.
const reach = 8

// between is the link from a mention to a later one. Where it has no direction of its own it goes by the alphabet, so that
// memories that say the same agree.
func (r *reading) between(s sentence, a, b mention) link {
	if a.kind == Entity && a.from == a.to {
		return link{from: r.node(a), to: r.node(b), spoken: true}
	}
	if verb, joint, ok := r.joined(s, a, b); ok {
		return link{from: r.node(a), to: r.node(b), verb: verb, joint: joint}
	}
	if a.name > b.name {
		a, b = b, a
	}
	return link{from: r.node(a), to: r.node(b)}
}

// joined finds the verb that leads from a name to a later mention, and the preposition after it.
func (r *reading) joined(s sentence, a, b mention) (verb, joint string, ok bool) {
	if a.kind != Entity || b.from < a.to || b.from-a.to > reach {
		return "", "", false
	}
	gap := s.tokens[a.to:b.from]
	at := r.verb(gap)
	if at < 0 || slices.ContainsFunc(gap, parts) || slices.ContainsFunc(s.tokens[a.to+at+1:b.from+1], func(t token) bool { return t.loose }) {
		return "", "", false
	}
	return strings.ToUpper(strings.ReplaceAll(gap[at].lower, "'", "")), strings.ToUpper(r.joint(gap[at+1:])), true
}

// verb is the place of the first verb; -1: there is none.
func (r *reading) verb(ts []token) int {
	for i, t := range ts {
		if r.lexicon.verb(t.lower) && (i == 0 || !r.lexicon.determines(ts[i-1])) {
			return i
		}
	}
	return -1
}

// parts reports whether a word turns what is said into its contrary, or begins another clause.
func parts(t token) bool {
	return t.opens || strings.HasSuffix(t.lower, "n't") ||
		strings.Contains(" not never no nor but because while if than that who which i you he she it we they ", " "+t.lower+" ")
}

// joint is the preposition that leads to the second of two things: the last one before it, or where that is "of" the first
// one after the verb.
func (r *reading) joint(gap []token) string {
	for i, t := range slices.Backward(gap) {
		switch {
		case preposition(t):
			return t.lower
		case t.lower == "of" && len(gap) > 1 && preposition(gap[0]):
			return gap[0].lower
		case i < len(gap)-3:
			return ""
		}
	}
	return ""
}

func preposition(t token) bool {
	return strings.Contains(" in on at by to from with into onto about under over across through behind beside near for after before against "+
		"inside toward towards around among ", " "+t.lower+" ")
}
