// Package local reads and embeds memories with nothing but this process: no network, no key, no set-up. Its embeddings
// are those of a static model; its extractor is a set of plain rules for English and says so in every receipt. They are
// there to begin with and to test with; a language model reads better.
package local

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// rulesModel is how receipts name the extractor. Its number grows when its answers change.
const rulesModel = "local/rules-v1"

// The types of nodes. They are few, so that a name has the same type in every memory and its nodes are one.
const (
	Entity  = "Entity"  // a proper name
	Concept = "Concept" // a term
	Date    = "Date"    // a day, month or year
)

// The relationships that hold where no verb says more.
const (
	MentionedWith = "MENTIONED_WITH" // in one sentence
	SpokeOf       = "SPOKE_OF"       // a speaker, in what he says
)

// What one memory gives at most.
const (
	maxEntities      = 12
	maxDates         = 4
	maxConcepts      = 8
	maxNodes         = 20
	maxRelationships = 40
	maxName          = 80 // characters
)

// Extractor reads memories by rules: proper names, frequent terms and dates are nodes; those that meet in a sentence are
// related, by the verb between them where there is one. It is safe for concurrent use.
//
// A strict schema is obeyed by leaving out what does not fit: nodes only where it has types named Entity, Concept or Date,
// relationships only where it has one named like the verb (LIVED_IN, LIVED), or SPOKE_OF or MENTIONED_WITH in its place.
// The rules cannot tell people from places, so they fill no other types; a notice says what was left out.
type Extractor struct {
	lexicon *lexicon
	dates   dateReader
}

var _ llm.Extractor = (*Extractor)(nil)

// NewExtractor makes an extractor.
func NewExtractor() *Extractor {
	l := newLexicon(lexiconText)
	return &Extractor{l, newDateReader(l)}
}

// Model implements [llm.Extractor].
func (e *Extractor) Model() string { return rulesModel }

// UseCases implements [llm.Extractor].
func (e *Extractor) UseCases(ctx context.Context, q llm.Question) (llm.UseCases, error) {
	if err := ctx.Err(); err != nil {
		return llm.UseCases{}, err
	}
	return llm.UseCases{UseCases: e.read(q.Content).useCases(), Usage: llm.Usage{Model: rulesModel}}, nil
}

// Graph implements [llm.Extractor]. It reads the content alone: use cases and related memories say nothing to rules.
func (e *Extractor) Graph(ctx context.Context, q llm.Question) (llm.Graph, error) {
	if err := ctx.Err(); err != nil {
		return llm.Graph{}, err
	}
	r := e.read(q.Content)
	g := fitted(r.nodes(), r.relationships(), q.Schema)
	g.Usage.Model = rulesModel
	return g, nil
}

// A reading is what the rules make of a text.
type reading struct {
	lexicon   *lexicon
	content   string
	sentences []sentence
	mentions  [][]mention // by sentence, in order, of the nodes only
	entities  []term
	dates     []term
	concepts  []term
	index     map[string]int // of nodes, by kind and name
}

func (e *Extractor) read(content string) *reading {
	r := &reading{lexicon: e.lexicon, content: content, sentences: e.lexicon.sentences(content), index: map[string]int{}}
	names, dates := make([][]mention, len(r.sentences)), make([][]mention, len(r.sentences))
	taken := make([][]mention, len(r.sentences))
	found := e.lexicon.weigh(r.sentences)
	for i, s := range r.sentences {
		dates[i] = e.dates.dates(s)
		names[i] = append(speaker(s), apart(found.names(s), dates[i])...)
		taken[i] = slices.Concat(names[i], dates[i])
	}
	terms := e.lexicon.terms(r.sentences, taken)
	r.entities, r.dates = rank(unified(names), maxEntities, frequent), rank(dates, maxDates, frequent)
	r.concepts = rank(terms, min(maxConcepts, maxNodes-len(r.entities)-len(r.dates)), telling)
	for i := range r.sentences {
		r.mentions = append(r.mentions, slices.Concat(names[i], dates[i], terms[i]))
	}
	r.keep()
	return r
}

// speaker is the mention of who says a sentence: before its first word, and wherever it says "I".
func speaker(s sentence) []mention {
	if s.speaker == "" {
		return nil
	}
	out := []mention{{Entity, s.speaker, 0, 0}}
	for i, t := range s.tokens {
		if t.text == "I" {
			out = append(out, mention{Entity, s.speaker, i, i + 1})
		}
	}
	return out
}

// apart are the names that share no token with a date.
func apart(names, dates []mention) []mention {
	return slices.DeleteFunc(names, func(n mention) bool {
		return slices.ContainsFunc(dates, func(d mention) bool { return n.from < d.to && d.from < n.to })
	})
}

// unified gives a name that is written in several ways (Toto, TOTO) the first of them.
func unified(mentions [][]mention) [][]mention {
	first := map[string]string{}
	for _, ms := range mentions {
		for i, m := range ms {
			key := strings.ToLower(m.name)
			if _, ok := first[key]; !ok {
				first[key] = m.name
			}
			ms[i].name = first[key]
		}
	}
	return mentions
}

// keep numbers the nodes and forgets the mentions of everything else.
func (r *reading) keep() {
	for _, n := range r.nodes() {
		r.index[n.Type+n.Name] = len(r.index)
	}
	for i, ms := range r.mentions {
		ms = slices.DeleteFunc(ms, func(m mention) bool { _, ok := r.index[m.kind+m.name]; return !ok })
		slices.SortStableFunc(ms, func(a, b mention) int { return a.from - b.from })
		r.mentions[i] = ms
	}
}

func (r *reading) nodes() []llm.Node {
	var out []llm.Node
	for _, list := range []struct {
		kind  string
		terms []term
	}{{Entity, r.entities}, {Date, r.dates}, {Concept, r.concepts}} {
		for _, t := range list.terms {
			out = append(out, llm.Node{Type: list.kind, Name: t.name})
		}
	}
	return out
}

func (r *reading) node(m mention) int { return r.index[m.kind+m.name] }

// fitted keeps of a graph what the schema allows, in the schema's spelling.
func fitted(nodes []llm.Node, links []link, s llm.Schema) llm.Graph {
	var g llm.Graph
	at := make([]int, len(nodes)) // the place of each node in the answer; -1: left out
	for i, n := range nodes {
		at[i] = -1
		if kind, ok := allowed(s, s.Nodes, n.Type); ok {
			at[i] = len(g.Nodes)
			g.Nodes = append(g.Nodes, llm.Node{Type: kind, Name: n.Name})
		}
	}
	for _, l := range links {
		kind, ok := allowed(s, s.Relationships, l.kinds()...)
		r := llm.Relationship{From: at[l.from], To: at[l.to], Type: kind}
		same := func(o llm.Relationship) bool { return o.From == r.From && o.To == r.To && o.Type == r.Type }
		if ok && r.From >= 0 && r.To >= 0 && !slices.ContainsFunc(g.Relationships, same) {
			g.Relationships = append(g.Relationships, r)
		}
	}
	if left := len(nodes) - len(g.Nodes) + len(links) - len(g.Relationships); s.Mode == "strict" && left > 0 {
		g.Usage.Notice = fmt.Sprintf("%s knows the types %s, %s and %s only; %d nodes and relationships are left out for the strict schema",
			rulesModel, Entity, Concept, Date, left)
	}
	return g
}

// allowed is the first of the types that the schema has, or in an open schema the first of all; false: none.
func allowed(s llm.Schema, types []llm.Type, kinds ...string) (string, bool) {
	for _, k := range kinds {
		for _, t := range types {
			if strings.EqualFold(t.Name, k) {
				return t.Name, true
			}
		}
	}
	return kinds[0], s.Mode != "strict"
}
