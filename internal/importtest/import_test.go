// Package importtest holds the module to the shape that its design gives it: one direction of imports, and the folders
// at the top. Change the rule and the code together.
package importtest

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/switchyard-ai/switchyard/"

// load asks the go command what the packages import, with and without the in-process Temporal server.
func load(t *testing.T) imports {
	t.Helper()
	lookAround(t)
	all := imports{}
	for _, tags := range []string{"", "lean"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-tags", tags, "-json=ImportPath,Imports", "./...")
		cmd.Dir = "../.."
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		add(t, all, string(out))
	}
	return all
}

// lookAround reads every folder, so that the go command knows what the result depends on and does not keep an old one.
func lookAround(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func add(t *testing.T, all imports, listed string) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(listed)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		all[name] = append(all[name], nil...)
		for _, imported := range p.Imports {
			if imported = strings.TrimPrefix(imported, module); !slices.Contains(all[name], imported) {
				all[name] = append(all[name], imported)
			}
		}
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	all := load(t)
	for _, v := range violations(all) {
		t.Error(v)
	}
	for _, r := range allowed {
		used := false
		for pkg := range all {
			used = used || match(r.pkg, pkg)
		}
		if !used {
			t.Errorf("the row of %s is of no package: delete it", r.pkg)
		}
	}
	if len(all) < 20 || len(all["cmd/switchyard"]) < 10 {
		t.Errorf("only %d packages were looked at, cmd/switchyard with %d imports", len(all), len(all["cmd/switchyard"]))
	}
}

// TestPlantedImportsAreSeen shows that the table is no ornament.
func TestPlantedImportsAreSeen(t *testing.T) {
	t.Parallel()
	clean := func() imports {
		return imports{
			"pkg/memory": {"time"}, "pkg/client": {"net/http", "pkg/memory"}, "internal/store": {"pkg/memory"}, "internal/llm": {"pkg/memory"},
			"internal/store/sqlitestore": {"internal/store", "modernc.org/sqlite"}, "internal/store/mongostore": {"internal/store"},
			"internal/pipeline": {"internal/store", "internal/llm"}, "internal/api": {"internal/store", "github.com/labstack/echo/v4"},
			"realtime": {"internal/pipeline", "github.com/failsafe-go/failsafe-go"}, "batch": {"internal/pipeline", "go.temporal.io/sdk/workflow"},
			"cmd/switchyard": {"realtime", "batch", "internal/store/sqlitestore", "go.temporal.io/sdk/client"},
		}
	}
	if got := violations(clean()); got != nil {
		t.Fatalf("violations without any planted: %v", got)
	}
	for _, plant := range []struct{ pkg, imported, want string }{
		{"pkg/memory", "golang.org/x/sync/errgroup", "pkg/memory must import the standard library only, not golang.org/x/sync/errgroup"},
		{"pkg/client", "internal/store", "pkg/client must not import internal/store; pkg/client must never reach internal/store"},
		{"internal/pipeline", "github.com/labstack/echo/v4", "internal/pipeline must not import github.com/labstack/echo/v4: that is for internal/api, internal/console; " +
			"batch must never reach github.com/labstack/echo/v4; internal/pipeline must never reach github.com/labstack/echo/v4; realtime must never reach github.com/labstack/echo/v4"},
		{"internal/store", "modernc.org/sqlite", "internal/store must not import modernc.org/sqlite: that is for internal/store/sqlitestore; internal/pipeline must never reach modernc.org/sqlite"},
		{"internal/store/mongostore", "internal/store/sqlitestore", "internal/store/mongostore must not import internal/store/sqlitestore"},
		{"internal/api", "internal/store/sqlitestore", "internal/api must not import internal/store/sqlitestore"},
		{"internal/api", "go.temporal.io/sdk/client", "internal/api must not import go.temporal.io/sdk/client: that is for batch, webhooks, internal/embedded, internal/replaytest, cmd/switchyard"},
		{"realtime", "batch", "realtime must not import batch; realtime must never reach batch; realtime must never reach go.temporal.io/sdk/workflow"},
		{"batch", "realtime", "batch must not import realtime; batch must never reach github.com/failsafe-go/failsafe-go; batch must never reach realtime"},
		{"cmd/switchyard", "go.temporal.io/server/temporal", "cmd/switchyard must not import go.temporal.io/server/temporal: that is for internal/embedded"},
		{"internal/utils", "strings", "internal/utils has no row: say in allowed what it may import"},
	} {
		t.Run(plant.pkg+" imports "+plant.imported, func(t *testing.T) {
			t.Parallel()
			all := clean()
			all[plant.pkg] = append(all[plant.pkg], plant.imported)
			if diff := cmp.Diff(plant.want, strings.Join(violations(all), "; ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTopLevel(t *testing.T) {
	t.Parallel()
	known := list("cmd pkg internal batch realtime webhooks configs go.mod go.sum Makefile README.md LICENSE NOTICE " +
		"CHANGELOG.md CONTRIBUTING.md SECURITY.md bin dist")
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(known, e.Name()) && !strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s does not belong at the top: see Where things live in the design", e.Name())
		}
	}
}
