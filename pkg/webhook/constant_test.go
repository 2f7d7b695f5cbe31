package webhook_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"testing"
)

// TestSignaturesAreComparedInConstantTime reads the source, since how long a comparison takes cannot be measured for
// certain: what judges a signature calls these functions, which take the same time wherever it differs, and no other.
func TestSignaturesAreComparedInConstantTime(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "webhook.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != "matches" {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				calls = append(calls, types.ExprString(call.Fun))
			}
			return true
		})
	}
	if slices.Sort(calls); !slices.Equal(calls, []string{"ed25519.Verify", "hmac.Equal", "k.mac", "len"}) {
		t.Errorf("a signature is judged by %v", calls)
	}
}
