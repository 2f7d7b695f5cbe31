package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestReindexMovesADataFolder moves what a model that is not configured any more left in a data folder to the one in the
// binary, and drops it then.
func TestReindexMovesADataFolder(t *testing.T) {
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
	old := store.Model{ID: "old", Dimensions: 1}
	for _, id := range []string{"mem_a", "mem_b"} {
		m := memory.Memory{ID: id, Workspace: "default", Content: "Dorothy lived in Kansas, says " + id, CreatedAt: memory.Now(), Status: memory.StatusQueued}
		if _, err := s.Memories().Put(t.Context(), []store.Intake{{Memory: m}}); err != nil {
			t.Fatal(err)
		}
		p := store.Point{Workspace: "default", MemoryID: id, Version: 1, Text: m.Content, Vector: []float32{1}}
		if err := s.Vectors().Upsert(t.Context(), old, []store.Point{p}); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []struct {
		args, says string
		code       int
	}{
		{"--finish", "is not in force yet", exitFault},
		{"", "moved       2, in 2 rounds", exitOK},
		{"--json", `"moved":0`, exitOK},
		{"--finish", "What the model before had is dropped.", exitOK},
	} {
		sh := newShell("", nil)
		args := append([]string{"reindex", "--data", dir, "--log-level", "error"}, strings.Fields(row.args)...)
		code := sh.report(run(t.Context(), sh.console, args))
		if said := sh.out.String() + sh.err.String(); code != row.code || !strings.Contains(said, row.says) {
			t.Errorf("reindex %s ended with %d, want %d, and %q; it said:\n%s", row.args, code, row.code, row.says, said)
		}
	}
	m, err := s.Vectors().Model(t.Context())
	if err != nil || m == old || !strings.HasPrefix(m.ID, "local/") {
		t.Errorf("the model in force is %v, %v", m, err)
	}
	held, _, err := s.Vectors().Held(t.Context(), store.HeldQuery{Workspace: "default", Limit: 10})
	if err != nil || len(held) != 2 {
		t.Errorf("held are %v, %v", held, err)
	}
}
