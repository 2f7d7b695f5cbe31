//go:build e2e

package neo4jstore

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// statements are all constants of statements.go, by name.
func statements(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "statements.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out[spec.Names[0].Name] = text
		}
		return true
	})
	return out
}

// inOrder are the statements whose rows come from an index in their order: none is read beyond the limit.
var inOrder = []string{"listAll", "listTyped", "listNamed", "listNamedAndTyped", "entitySources", "relatedSources", "heldByAll"}

// TestPlans asks the server how it would run each statement. What an index does not find is refused: reading through all
// nodes of a label, all relationships of a type, or a whole index.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := openShared(t)
	all := statements(t)
	if len(all) < 15 {
		t.Fatalf("only %d statements were found", len(all))
	}
	params := map[string]any{
		"workspace": "w", "workspaces": []string{"w"}, "ids": []string{"a"}, "edge": []string{"a"}, "seen": []string{"b"}, "memories": []string{"a"},
		"rank": 0, "id": "", "name": "n", "type": "t", "limit": 1, "most": 1, "after": "",
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			p := maps.Clone(params)
			for _, list := range []string{"memories", "entities", "related", "states"} {
				if strings.Contains(all[name], "$"+list+" AS x") {
					p[list] = []row{{"i": 0}}
				}
			}
			steps := explain(t, s, all[name], p)
			for _, step := range steps {
				if strings.Contains(step, "Scan") {
					t.Errorf("reads through:\n\t%s", strings.Join(steps, "\n\t"))
				}
				if slices.Contains(inOrder, name) && (strings.Contains(step, "Sort") || strings.Contains(step, "Top")) {
					t.Errorf("sorts:\n\t%s", strings.Join(steps, "\n\t"))
				}
			}
		})
	}
}

func explain(t *testing.T, s *Store, statement string, params map[string]any) []string {
	t.Helper()
	session := s.session(t.Context())
	defer func() { _ = session.Close(t.Context()) }()
	result, err := session.Run(t.Context(), "EXPLAIN "+statement, params)
	if err != nil {
		t.Fatal(err)
	}
	summary, err := result.Consume(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plan := strings.TrimSpace(summary.Plan().Arguments()["string-representation"].(string))
	return strings.Split(plan, "\n")
}
