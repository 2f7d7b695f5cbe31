package openai

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// A problem says what is wrong with an answer, in words that the model can mend it by. "" is none.
type problem = string

// readUseCases validates an answer. Blanks, doubles and what is too much are dropped, the rest is a problem.
func readUseCases(answer string) ([]string, problem) {
	raw, ok := findObject(answer, "use_cases")
	if !ok {
		return nil, `it has no JSON object with the field "use_cases"`
	}
	var in struct {
		UseCases []string `json:"use_cases"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, `"use_cases" is not a list of strings`
	}
	var out []string
	for _, s := range in.UseCases {
		s = oneLine(s)
		if utf8.RuneCountInString(s) > maxUseCaseRunes {
			return nil, fmt.Sprintf("a use case is longer than %d characters: %.60q", maxUseCaseRunes, s)
		}
		if s != "" && !slices.ContainsFunc(out, func(o string) bool { return strings.EqualFold(o, s) }) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, `"use_cases" is empty`
	}
	return out[:min(len(out), maxUseCases)], ""
}

// oneLine makes every run of white space one blank and drops it at the ends; what is not UTF-8 goes too.
func oneLine(s string) string { return strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ") }

// answeredGraph is a graph as models answer it. Weaker ones give ids as strings and properties as an object.
type answeredGraph struct {
	Nodes []struct {
		ID         ref        `json:"id"`
		Type       string     `json:"type"`
		Name       string     `json:"name"`
		Properties properties `json:"properties"`
	} `json:"nodes"`
	Relationships []struct {
		From       ref        `json:"from"`
		To         ref        `json:"to"`
		Type       string     `json:"type"`
		Properties properties `json:"properties"`
	} `json:"relationships"`
}

// ref is the id of a node: a number or a string.
type ref string

// UnmarshalJSON implements json.Unmarshaler.
func (r *ref) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) != nil {
		s = string(b)
	}
	*r = ref(s)
	return nil
}

type properties map[string]string

// UnmarshalJSON implements json.Unmarshaler. What is neither a list of pairs nor an object is no properties.
func (p *properties) UnmarshalJSON(b []byte) error {
	*p = properties{}
	var pairs []struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	}
	if json.Unmarshal(b, &pairs) == nil {
		for _, kv := range pairs {
			p.set(kv.Key, kv.Value)
		}
		return nil
	}
	var object map[string]any
	if json.Unmarshal(b, &object) == nil {
		for k, v := range object {
			p.set(k, v)
		}
	}
	return nil
}

// set keeps what is short and simple.
func (p properties) set(key string, value any) {
	key = oneLine(key)
	switch value.(type) {
	case string, bool, float64:
	default:
		return
	}
	v := oneLine(fmt.Sprint(value))
	if key != "" && v != "" && utf8.RuneCountInString(key) <= maxTypeRunes && utf8.RuneCountInString(v) <= maxValueRunes && len(p) < maxProperties {
		p[key] = v
	}
}

// graphReader turns an answered graph into one that keeps all the promises of [llm.Extractor].
type graphReader struct {
	schema llm.Schema
	index  map[ref]int
	out    llm.Graph
}

func readGraph(answer string, s llm.Schema) (llm.Graph, problem) {
	raw, ok := findObject(answer, "nodes")
	if !ok {
		return llm.Graph{}, `it has no JSON object with the fields "nodes" and "relationships"`
	}
	var in answeredGraph
	if err := json.Unmarshal(raw, &in); err != nil {
		return llm.Graph{}, `"nodes" and "relationships" are not lists in the form asked for`
	}
	r := graphReader{schema: s, index: map[ref]int{}}
	for _, n := range in.Nodes {
		if p := r.node(n.ID, llm.Node{Type: n.Type, Name: oneLine(n.Name), Properties: n.Properties}); p != "" {
			return llm.Graph{}, p
		}
	}
	for _, rel := range in.Relationships {
		if p := r.relationship(rel.From, rel.To, rel.Type, rel.Properties); p != "" {
			return llm.Graph{}, p
		}
	}
	r.limit(len(in.Nodes), len(in.Relationships))
	return r.out, ""
}

// node adds a node, or finds that it is the same as an earlier one.
func (r *graphReader) node(id ref, n llm.Node) problem {
	if _, ok := r.index[id]; ok {
		return fmt.Sprintf("two nodes have the id %s", id)
	}
	if n.Name == "" || utf8.RuneCountInString(n.Name) > maxNameRunes {
		return fmt.Sprintf("node %s needs a name of 1 to %d characters", id, maxNameRunes)
	}
	var ok bool
	if n.Type, ok = typeName(n.Type, r.schema, r.schema.Nodes, camel); !ok {
		return fmt.Sprintf("node %s has the type %.80q, %s", id, n.Type, allowed(r.schema, r.schema.Nodes))
	}
	if len(n.Properties) == 0 {
		n.Properties = nil
	}
	same := slices.IndexFunc(r.out.Nodes, func(o llm.Node) bool { return o.Type == n.Type && strings.EqualFold(o.Name, n.Name) })
	if same < 0 {
		same = len(r.out.Nodes)
		r.out.Nodes = append(r.out.Nodes, n)
	}
	r.index[id] = same
	return ""
}

// relationship adds a relationship, unless it is there already or joins a node to itself.
func (r *graphReader) relationship(from, to ref, kind string, p properties) problem {
	i, okFrom := r.index[from]
	j, okTo := r.index[to]
	if !okFrom || !okTo {
		return fmt.Sprintf("a relationship joins %s and %s, but the ids of the nodes are others", from, to)
	}
	kind, ok := typeName(kind, r.schema, r.schema.Relationships, upperSnake)
	if !ok {
		return fmt.Sprintf("the relationship from %s to %s has the type %.80q, %s", from, to, kind, allowed(r.schema, r.schema.Relationships))
	}
	same := func(o llm.Relationship) bool { return o.From == i && o.To == j && o.Type == kind }
	if i == j || slices.ContainsFunc(r.out.Relationships, same) {
		return ""
	}
	rel := llm.Relationship{From: i, To: j, Type: kind}
	if len(p) > 0 {
		rel.Properties = p
	}
	r.out.Relationships = append(r.out.Relationships, rel)
	return ""
}

// limit keeps the first nodes and relationships where there are too many, and says so.
func (r *graphReader) limit(nodes, relationships int) {
	if len(r.out.Nodes) <= maxNodes && len(r.out.Relationships) <= maxRelationships {
		return
	}
	g := &r.out
	g.Nodes = g.Nodes[:min(len(g.Nodes), maxNodes)]
	g.Relationships = slices.DeleteFunc(g.Relationships, func(x llm.Relationship) bool { return max(x.From, x.To) >= len(g.Nodes) })
	g.Relationships = g.Relationships[:min(len(g.Relationships), maxRelationships)]
	g.Usage.Notice = fmt.Sprintf("kept %d of %d nodes and %d of %d relationships",
		len(g.Nodes), nodes, len(g.Relationships), relationships)
}

// typeName is the schema's spelling of a type, or in an open schema the type in its usual form; false: not allowed.
func typeName(name string, s llm.Schema, types []llm.Type, form func(string) string) (string, bool) {
	formed := form(name)
	for _, t := range types {
		if strings.EqualFold(t.Name, strings.TrimSpace(name)) || strings.EqualFold(t.Name, formed) {
			return t.Name, true
		}
	}
	if strict(s) || formed == "" || utf8.RuneCountInString(formed) > maxTypeRunes {
		return name, false
	}
	return formed, true
}

// allowed says which types there are, for the model.
func allowed(s llm.Schema, types []llm.Type) string {
	if !strict(s) {
		return fmt.Sprintf("but a type has 1 to %d letters", maxTypeRunes)
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Name
	}
	return "but only these are allowed: " + cut(strings.Join(names, ", "), 2_000)
}

func notInType(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// camel writes "music band" as "MusicBand".
func camel(name string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(name, notInType) {
		first, size := utf8.DecodeRuneInString(w)
		b.WriteRune(unicode.ToUpper(first))
		b.WriteString(w[size:])
	}
	return b.String()
}

// upperSnake writes "lives in" as "LIVES_IN".
func upperSnake(name string) string {
	return strings.ToUpper(strings.Join(strings.FieldsFunc(name, notInType), "_"))
}
