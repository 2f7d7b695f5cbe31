package main

import (
	"context"
	"crypto/sha256"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
)

// TestTheFirstKeyIsMadeOnTheStoreItself is how a new installation gets its first key.
func TestTheFirstKeyIsMadeOnTheStoreItself(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	keys := func(args ...string) string {
		t.Helper()
		sh := newShell("", nil)
		args = append(append([]string{"keys"}, args...), "--direct", "--data", data, "--workspace", "acme")
		if code := sh.report(run(t.Context(), sh.console, args)); code != exitOK {
			t.Fatalf("%v ended with %d: %s", args, code, sh.err)
		}
		return sh.out.String()
	}
	secret := strings.TrimSpace(keys("create", "--name", "first", "--scope", "admin"))
	s, err := sqlitestore.Open(t.Context(), filepath.Join(data, "switchyard.db"), sqlitestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.Keys().Lookup(t.Context(), sha256.Sum256([]byte(secret)))
	if err != nil || k.Workspace != "acme" || k.Name != "first" || len(k.Scopes) != 1 || k.Scopes[0] != "admin" {
		t.Errorf("stored %+v, %v", k, err)
	}
	if w, err := s.Workspaces().Get(context.Background(), "acme"); err != nil || w.ID != "acme" {
		t.Errorf("workspace %+v, %v", w, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if listed := keys("list"); !strings.Contains(listed, k.ID) || strings.Contains(listed, secret) {
		t.Errorf("listed %s", listed)
	}
	keys("revoke", k.ID)
	if listed := keys("list"); strings.Contains(listed, k.ID) {
		t.Errorf("still listed %s", listed)
	}
}
