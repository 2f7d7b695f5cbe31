package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// The rule by which two names are one is written down, with what was refused, in internal/docs/aliases.md.

// propertyAlias is where a node says what the memory itself calls it, where that is not its name.
const propertyAlias = "alias"

// unify gives the nodes of a graph that go by another name in related memories the name that they have there. What it
// cannot find out it leaves alone and says so: the answer that it mends was paid for.
func (p *Pipeline) unify(ctx context.Context, d memory.Draft, g *llm.Graph) {
	pairs, err := p.aliasPairs(ctx, d, g.Nodes)
	if err == nil && len(pairs) > 0 {
		pairs, err = p.similar(ctx, pairs, &g.Usage)
	}
	if err != nil {
		note := "its names were not compared with those of related memories: " + memory.FaultOf(err, "").Detail
		g.Usage.Notice = strings.TrimPrefix(g.Usage.Notice+"; "+note, "; ")
		return
	}
	g.Nodes = slices.Clone(g.Nodes) // the extractor may keep what it answered
	for _, a := range pairs {
		n := &g.Nodes[a.node]
		properties := map[string]string{propertyAlias: n.Name}
		maps.Copy(properties, n.Properties)
		n.Name, n.Properties = a.known.Name, properties
	}
}

// aliasPair is a node of a graph and one of related memories whose names may be one.
type aliasPair struct {
	node  int // its place in the graph
	name  string
	known memory.Node
}

// aliasPairs are the nodes that nobody in the workspace calls so yet, with those of the same type in related memories
// whose name can be another one for the same.
func (p *Pipeline) aliasPairs(ctx context.Context, d memory.Draft, nodes []llm.Node) ([]aliasPair, error) {
	workspace := d.Memory.Workspace
	if len(d.Memory.Related) == 0 || len(nodes) == 0 {
		return nil, nil
	}
	related := make([]string, len(d.Memory.Related))
	for i, r := range d.Memory.Related {
		related[i] = r.ID
	}
	known, err := p.parts.Graph.Of(ctx, workspace, related...)
	if err != nil {
		return nil, fmt.Errorf("nodes of related memories: %w", err)
	}
	var pairs []aliasPair
	for i, n := range nodes {
		found := aliasesOf(i, n, known)
		if len(found) == 0 {
			continue
		}
		same, _, err := p.parts.Graph.Nodes(ctx, store.NodeQuery{Workspace: workspace, Name: n.Name, Type: n.Type, Limit: 1})
		if err != nil {
			return nil, fmt.Errorf("nodes of that name: %w", err)
		}
		if len(same) == 0 {
			pairs = append(pairs, found...)
		}
	}
	return pairs, nil
}

func aliasesOf(place int, n llm.Node, known []memory.Node) (pairs []aliasPair) {
	for _, k := range known {
		if store.NormalName(k.Type) == store.NormalName(n.Type) && mayBeAlias(n.Name, k.Name) {
			pairs = append(pairs, aliasPair{place, n.Name, k})
		}
	}
	return pairs
}

// similar keeps, for each node, the pair whose names are most alike in meaning, if they are alike enough; ties go to the
// node that more memories speak of, which comes first.
func (p *Pipeline) similar(ctx context.Context, pairs []aliasPair, u *llm.Usage) ([]aliasPair, error) {
	texts := make([]string, 0, 2*len(pairs))
	for _, a := range pairs {
		texts = append(texts, a.name, a.known.Name)
	}
	answer, err := p.parts.Embedder.Embed(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("embed names: %w", err)
	}
	u.Tokens += answer.Usage.Tokens
	u.CostUSD += answer.Usage.CostUSD
	best, score := map[int]aliasPair{}, map[int]float64{}
	var order []int
	for i, a := range pairs {
		s := dot(answer.Vectors[2*i], answer.Vectors[2*i+1])
		if _, seen := best[a.node]; s < p.cfg.AliasSimilarity || seen && s <= score[a.node] {
			continue
		} else if !seen {
			order = append(order, a.node)
		}
		best[a.node], score[a.node] = a, s
	}
	out := make([]aliasPair, len(order))
	for i, node := range order {
		out[i] = best[node]
	}
	return out, nil
}

// dot is the cosine of vectors of length 1.
func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// mayBeAlias reports whether two names that are not the same can stand for the same by their form: one is the initials
// of the other, or both have the same words but for their order, which a comma or a "of" has turned, and the form of a
// company. Names that differ in any other word are never aliases, however alike they are.
func mayBeAlias(a, b string) bool {
	if store.NormalName(a) == store.NormalName(b) {
		return false // one node by its id already
	}
	return initialsOf(a, b) || initialsOf(b, a) || sameWords(a, b)
}

// initialsOf reports whether short, which is written in capitals, is made of the first letters of the words of long, at
// least three of them; small words count or do not.
func initialsOf(short, long string) bool {
	letters := []rune(strings.ReplaceAll(strings.ReplaceAll(short, ".", ""), " ", ""))
	if len(letters) < minInitials || slices.ContainsFunc(letters, func(r rune) bool { return !unicode.IsUpper(r) }) {
		return false
	}
	all := strings.Fields(store.NormalName(long))
	if len(all) < minInitials {
		return false
	}
	want := store.NormalName(string(letters))
	return want == initials(all) || want == initials(significant(all))
}

const minInitials = 3

func initials(words []string) string {
	var out []rune
	for _, w := range words {
		out = append(out, []rune(w)[0])
	}
	return string(out)
}

// sameWords reports whether two names differ in nothing but the form of a company at their end, or in the order of their
// words, and that in a way which explains it: "Smith, John", "Kansas University".
func sameWords(a, b string) bool {
	x, y := core(a), core(b)
	if slices.Equal(x, y) {
		return len(x) > 0
	}
	turned := strings.Contains(a, ",") != strings.Contains(b, ",") || len(x) != len(words(a)) || len(y) != len(words(b))
	slices.Sort(x)
	slices.Sort(y)
	return turned && slices.Equal(x, y)
}

// words are those of a name without the form of a company, which begins with a capital: a tech company is not tech.
func words(name string) []string {
	all := strings.Fields(store.NormalName(name))
	for endsInCapital(name) && len(all) > 1 && isCompanyForm(all[len(all)-1]) {
		all = all[:len(all)-1]
	}
	return all
}

func endsInCapital(name string) bool {
	fields := strings.Fields(name)
	return len(fields) > 0 && unicode.IsUpper([]rune(fields[len(fields)-1])[0])
}

func core(name string) []string { return significant(words(name)) }

func significant(words []string) (out []string) {
	for _, w := range words {
		if !isSmallWord(w) {
			out = append(out, w)
		}
	}
	return out
}

func isCompanyForm(word string) bool {
	switch word {
	case "inc", "incorporated", "ltd", "limited", "llc", "llp", "plc", "corp", "corporation", "co", "company",
		"gmbh", "ag", "kg", "sa", "sas", "srl", "spa", "bv", "nv", "oy", "ab", "as", "pty":
		return true
	}
	return false
}

func isSmallWord(word string) bool {
	switch word {
	case "of", "the", "and", "for", "in", "on", "at", "de", "la", "le", "du", "des", "von", "van", "der", "di", "da", "do", "del":
		return true
	}
	return false
}
