package local

import (
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxUseCases  = 6
	maxUseLength = 120 // characters
)

// phrases collects use cases.
type phrases []string

// add adds a phrase, unless it is there or there are enough.
func (p *phrases) add(words ...string) {
	s := clip(strings.Join(words, " "), maxUseLength)
	if len(*p) < maxUseCases && !slices.ContainsFunc(*p, func(o string) bool { return strings.EqualFold(o, s) }) {
		*p = append(*p, s)
	}
}

// useCases says what a text answers: what its main names did, who they are, what joins them, what its terms are about.
func (r *reading) useCases() []string {
	var out phrases
	for _, fact := range r.facts(2) {
		out.add("Recall", fact)
	}
	if len(r.entities) > 0 {
		out.add("Find what is known about", r.called(r.entities[0].name))
	}
	if len(r.entities) > 1 {
		out.add("Explain how", r.called(r.entities[0].name), "and", r.called(r.entities[1].name), "are connected")
	}
	for _, d := range r.dates[:min(len(r.dates), 1)] {
		out.add("Recall what happened", on(d.name), d.name)
	}
	for _, t := range r.concepts[:min(len(r.concepts), 3)] {
		if who := r.speakerOf(t.name); who != "" {
			out.add("Recall what", who, "said about", r.placed(t.name))
			continue
		}
		out.add("Find memories about", r.placed(t.name))
	}
	if len(out) < 2 {
		out.add(r.opening())
	}
	return out
}

// on is the preposition of a date: a day is on, a month or year is in.
func on(date string) string {
	if len(date) == len("2023") || len(date) == len("2023-05") && strings.Contains(date, "-") {
		return "in"
	}
	return "on"
}

// opening quotes how the text begins.
func (r *reading) opening() string {
	words := strings.Fields(strings.ToValidUTF8(r.content, ""))
	if len(words) == 0 {
		return "Recall this memory"
	}
	return "Recall the note that says “" + clip(strings.Join(words[:min(len(words), 8)], " "), 60) + "”"
}

// facts are questions about what the names do, those about the main names first: "where Dorothy lived".
func (r *reading) facts(limit int) []string {
	var out []string
	for _, e := range r.entities[:min(len(r.entities), 4)] {
		if fact := r.fact(e.name); fact != "" && len(out) < limit {
			out = append(out, fact)
		}
	}
	return out
}

// fact is the first thing that a name does.
func (r *reading) fact(name string) string {
	for i, s := range r.sentences {
		for _, m := range r.mentions[i] {
			if m.name != name || m.kind != Entity || m.from == m.to {
				continue
			}
			self := s.tokens[m.from].text == "I"
			if question := r.asks(s.tokens[m.to:], name, self); question != "" {
				return question
			}
		}
	}
	return ""
}

// asks turns the words after a name into a question; "" where no verb follows that says much. Where the name is that of
// who says "I", the verb is put into the third person.
func (r *reading) asks(ts []token, name string, self bool) string {
	for len(ts) > 0 && strings.Contains(" also just then once really soon ", " "+ts[0].lower+" ") {
		ts = ts[1:]
	}
	if len(ts) == 0 || ts[0].loose || !r.lexicon.verb(ts[0].lower) || strings.HasSuffix(ts[0].lower, "ing") || pale(ts[0].lower) {
		return ""
	}
	verb := ts[0].lower
	if self && r.lexicon.infinite.has(verb) {
		verb = third(verb)
	}
	did := r.called(name) + " " + verb
	if len(ts) < 2 || ts[1].loose {
		return "when " + did
	}
	switch next := ts[1].lower; {
	case next == "to" && len(ts) > 2 && (r.lexicon.infinite.has(ts[2].lower) || ts[2].lower == "be"):
		return "what " + did + " to do"
	case strings.Contains(" in at on near into inside from through over under to toward towards ", " "+next+" "):
		return "where " + did
	case next == "with":
		return "with whom " + did
	case next == "about" || next == "for" || next == "of":
		return "what " + did + " " + next
	case next == "that" || next == "how" || next == "why":
		return "what " + did
	case r.lexicon.determines(ts[1]) || r.lexicon.noun(ts, 1) || ts[1].upper:
		return "what " + did
	}
	return "when " + did
}

// pale reports whether a verb says too little to ask about.
func pale(verb string) bool {
	return strings.Contains(" said say says think thinks thought know knew guess mean meant feel felt get got seem seemed look looked see saw "+
		"suppose supposed hope bet cried replied asked answered exclaimed continued remarked inquired called going come came ", " "+verb+" ")
}

// third is a verb's third person.
func third(verb string) string {
	if forms := inflected(verb); !strings.HasSuffix(verb, "o") {
		return forms[1]
	}
	return verb + "es"
}

// speakerOf is who speaks of a term first; "" where it is nobody's words.
func (r *reading) speakerOf(name string) string {
	for i, s := range r.sentences {
		for _, m := range r.mentions[i] {
			if m.kind == Concept && m.name == name {
				return s.speaker
			}
		}
	}
	return ""
}

// called is a name as a sentence uses it: with its article where it has one.
func (r *reading) called(name string) string {
	for i, s := range r.sentences {
		for _, m := range r.mentions[i] {
			if m.kind == Entity && m.name == name && m.from < m.to {
				if m.from > 0 && s.tokens[m.from-1].lower == "the" && !s.tokens[m.from].loose {
					return "the " + name
				}
				return name
			}
		}
	}
	return name
}

// placed is a term with the name that stands before it: "Kansas prairies".
func (r *reading) placed(name string) string {
	for i, s := range r.sentences {
		ms := r.mentions[i]
		for j, m := range ms {
			if j == 0 || m.kind != Concept || m.name != name {
				continue
			}
			before := ms[j-1]
			if before.kind == Entity && before.from < before.to && before.to == m.from && !s.tokens[m.from].loose &&
				!s.tokens[before.to-1].owner && s.tokens[before.from].lower != "i" && utf8.RuneCountInString(before.name) < 40 {
				return before.name + " " + name
			}
		}
	}
	return name
}
