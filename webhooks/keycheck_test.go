package webhooks

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func tenants(t *testing.T) store.Workspaces {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"), sqlitestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.Workspaces()
}

// TestKeysOfOneStore goes through the life of a key: the first is taken, another refused, a new one taken from who has
// the old one too, and after a loss only the one that was left.
func TestKeysOfOneStore(t *testing.T) {
	t.Parallel()
	s := tenants(t)
	first, second, other := SealKey{1}, SealKey{2}, SealKey{3}
	check := func(what string, want memory.Code, keys ...SealKey) {
		t.Helper()
		if err := CheckKey(t.Context(), s, sealer(t, keys...)); memory.CodeOf(err) != want {
			t.Errorf("%s: got %v, want %q", what, err, want)
		}
	}
	known := func(want memory.Code, keys ...SealKey) {
		t.Helper()
		if err := KeyKnown(t.Context(), s, sealer(t, keys...)); memory.CodeOf(err) != want {
			t.Errorf("asked: got %v, want %q", err, want)
		}
	}
	known(memory.CodeNotFound, first)
	known(memory.CodeNotFound, other) // asking leaves nothing
	check("the first", "", first)
	check("the first again", "", first)
	check("another", memory.CodeConflict, other)
	known(memory.CodeConflict, other)
	known("", first)
	check("the second before it is known", memory.CodeConflict, second)
	check("the second with the first", "", second, first)
	check("the second alone", "", second)
	check("a process that has only the first still", "", first)
	check("another, still", memory.CodeConflict, other)
	if err := ForgetKeys(t.Context(), s, sealer(t, other)); err != nil {
		t.Fatal(err)
	}
	check("the one in place of the lost", "", other)
	check("the lost one", memory.CodeConflict, first)
}

// TestOfKeysThatComeAtOnceOneIsTaken: two processes with keys of their own start on an empty store.
func TestOfKeysThatComeAtOnceOneIsTaken(t *testing.T) {
	t.Parallel()
	s := tenants(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		seals := sealer(t, SealKey{byte(i + 1)})
		wg.Go(func() { errs[i] = CheckKey(t.Context(), s, seals) })
	}
	wg.Wait()
	taken := 0
	for _, err := range errs {
		switch memory.CodeOf(err) {
		case "":
			taken++
		case memory.CodeConflict:
		default:
			t.Error(err)
		}
	}
	if taken != 1 {
		t.Errorf("%d keys were taken, want 1", taken)
	}
}
