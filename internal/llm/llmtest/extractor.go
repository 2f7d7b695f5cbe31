package llmtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// Extractor is the suite for extractors. open makes a new one; it may register clean-up with tb.
func Extractor(t *testing.T, open func(tb testing.TB) llm.Extractor) {
	for name, test := range map[string]func(*testing.T, llm.Extractor){
		"UseCasesAreFewShortAndDistinct": extractUseCases,
		"GraphIsWellFormed":              extractGraphs,
		"NamesBecomeJoinedNodes":         extractNames,
		"StrictSchemaIsObeyed":           extractStrict,
		"StrictSchemaWithoutTypes":       extractNoTypes,
		"ModelIsNamed":                   extractNamed,
		"CancelledContextIsInterrupted":  extractStopped,
		"SeveralMayCallAtOnce":           extractTogether,
		"QuestionIsLeftAsItWas":          extractUntouched,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func graph(t *testing.T, e llm.Extractor, q llm.Question) llm.Graph {
	t.Helper()
	g, err := e.Graph(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	CheckGraph(t, g)
	return g
}

// CheckGraph reports what is not well-formed: names and types that are empty or too long, nodes or relationships that
// come twice, relationships that join what is not there, or a node to itself.
func CheckGraph(tb testing.TB, g llm.Graph) {
	tb.Helper()
	var nodes, relationships []string
	for _, n := range g.Nodes {
		if !short(n.Name, 200) || !short(n.Type, 64) {
			tb.Errorf("node %.250q of type %.80q", n.Name, n.Type)
		}
		nodes = append(nodes, n.Type+"\x00"+n.Name)
	}
	for _, r := range g.Relationships {
		if r.From < 0 || r.To < 0 || r.From >= len(g.Nodes) || r.To >= len(g.Nodes) || r.From == r.To {
			tb.Errorf("relationship from %d to %d of %d nodes", r.From, r.To, len(g.Nodes))
		}
		if !short(r.Type, 64) || strings.ContainsFunc(r.Type, unicode.IsSpace) {
			tb.Errorf("relationship of type %q", r.Type)
		}
		relationships = append(relationships, fmt.Sprint(r.From, r.To, r.Type))
	}
	if !distinct(nodes) || !distinct(relationships) {
		tb.Errorf("something comes twice: %q, %q", nodes, relationships)
	}
}

func extractUseCases(t *testing.T, e llm.Extractor) {
	for name, content := range samples() {
		u, err := e.UseCases(t.Context(), llm.Question{Content: content})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := len(u.UseCases); n < 1 || n > 8 || !distinct(u.UseCases) {
			t.Errorf("%s: %d use cases: %q", name, n, u.UseCases)
		}
		for _, s := range u.UseCases {
			if !short(s, 200) {
				t.Errorf("%s: use case %.250q", name, s)
			}
		}
	}
}

func extractGraphs(t *testing.T, e llm.Extractor) {
	for _, content := range samples() {
		graph(t, e, llm.Question{Content: content, UseCases: []string{"Recall it"}, Related: []string{"Toto is a dog."}})
	}
}

func extractNames(t *testing.T, e llm.Extractor) {
	g := graph(t, e, llm.Question{Content: oz})
	for _, name := range []string{"Dorothy", "Kansas"} {
		i := slices.IndexFunc(g.Nodes, func(n llm.Node) bool { return strings.Contains(n.Name, name) })
		joined := slices.ContainsFunc(g.Relationships, func(r llm.Relationship) bool { return r.From == i || r.To == i })
		if i < 0 || !joined {
			t.Errorf("%s: node %d, joined %t, in %+v", name, i, joined, g)
		}
	}
}

func extractStrict(t *testing.T, e llm.Extractor) {
	s := llm.Schema{
		Mode:  "strict",
		Nodes: []llm.Type{{Name: "Character", Description: "a person or an animal"}, {Name: "Place"}}, Relationships: []llm.Type{{Name: "LIVES_IN"}},
	}
	g := graph(t, e, llm.Question{Content: oz, Schema: s})
	for _, n := range g.Nodes {
		if n.Type != "Character" && n.Type != "Place" {
			t.Errorf("node of type %q", n.Type)
		}
	}
	for _, r := range g.Relationships {
		if r.Type != "LIVES_IN" {
			t.Errorf("relationship of type %q", r.Type)
		}
	}
}

func extractNoTypes(t *testing.T, e llm.Extractor) {
	g := graph(t, e, llm.Question{Content: oz, Schema: llm.Schema{Mode: "strict"}})
	if len(g.Nodes)+len(g.Relationships) > 0 {
		t.Errorf("a strict schema without types allows nothing, got %+v", g)
	}
	g = graph(t, e, llm.Question{Content: oz, Schema: llm.Schema{Mode: "strict", Nodes: []llm.Type{{Name: "Entity"}}}})
	if len(g.Relationships) > 0 {
		t.Errorf("a strict schema without relationships allows none, got %+v", g.Relationships)
	}
}

func extractNamed(t *testing.T, e llm.Extractor) {
	u, err := e.UseCases(t.Context(), llm.Question{Content: oz})
	g := graph(t, e, llm.Question{Content: oz})
	for _, usage := range []llm.Usage{u.Usage, g.Usage} {
		if err != nil || e.Model() == "" || usage.Model == "" || usage.Tokens < 0 || usage.CostUSD < 0 {
			t.Errorf("model %q, usage %+v, error %v", e.Model(), usage, err)
		}
	}
}

func extractStopped(t *testing.T, e llm.Extractor) {
	stopped(t, func(ctx context.Context) error {
		_, err := e.UseCases(ctx, llm.Question{Content: oz})
		return err
	})
	stopped(t, func(ctx context.Context) error {
		_, err := e.Graph(ctx, llm.Question{Content: oz})
		return err
	})
}

func extractTogether(t *testing.T, e llm.Extractor) {
	together(func() {
		u, err := e.UseCases(t.Context(), llm.Question{Content: oz})
		g, err2 := e.Graph(t.Context(), llm.Question{Content: oz})
		if err != nil || err2 != nil || len(u.UseCases) == 0 || len(g.Nodes) == 0 {
			t.Errorf("%d use cases, %d nodes, errors %v, %v", len(u.UseCases), len(g.Nodes), err, err2)
		}
	})
}

func extractUntouched(t *testing.T, e llm.Extractor) {
	q := llm.Question{
		Content: oz, UseCases: []string{"b", "a"}, Related: []string{strings.Repeat("z", 10_000), "y"},
		Schema: llm.Schema{Nodes: []llm.Type{{Name: "B"}, {Name: "A"}}},
	}
	graph(t, e, q)
	want := []string{"b", "a", strings.Repeat("z", 10_000), "y", "B", "A"}
	got := append(slices.Concat(q.UseCases, q.Related), q.Schema.Nodes[0].Name, q.Schema.Nodes[1].Name)
	if !slices.Equal(got, want) {
		t.Error("the question was changed")
	}
}
