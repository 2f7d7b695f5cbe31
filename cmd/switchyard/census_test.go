package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestTheDoctorMendsDriftOnlyWhenTold puts a point of no memory into a data folder, and lets the doctor find, plan and
// do away with it.
func TestTheDoctorMendsDriftOnlyWhenTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := sqlitestore.Open(t.Context(), filepath.Join(dir, "switchyard.db"), sqlitestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Workspaces().Save(t.Context(), store.Workspace{ID: "default", CreatedAt: memory.Now()}); err != nil {
		t.Fatal(err)
	}
	p := store.Point{Workspace: "default", MemoryID: "mem_gone", Version: 1, Text: "x", Vector: []float32{1}}
	if err := s.Vectors().Upsert(t.Context(), store.Model{ID: "m", Dimensions: 1}, []store.Point{p}); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		args, says string
		code       int
	}{
		{"--census", "--repair would: delete the points", exitPartly},
		{"--repair", "would: delete the points (--yes does it)", exitPartly},
		{"--census --json", `"kind":"points_orphaned","workspace":"default","id":"mem_gone"`, exitPartly},
		{"--repair --yes", "done: delete the points", exitOK},
		{"--census", "drift       0 (0 at the first look)", exitOK},
	} {
		sh := newShell("", nil)
		args := append([]string{"doctor", "--data", dir, "--grace", "1s", "--recheck", "1ms"}, strings.Fields(row.args)...)
		code := sh.report(run(t.Context(), sh.console, args))
		if code != row.code || !strings.Contains(sh.out.String(), row.says) {
			t.Errorf("doctor %s ended with %d, want %d, and %q; it said:\n%s%s", row.args, code, row.code, row.says, sh.out, sh.err)
		}
	}
}
