package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// checks are what must hold of a port: each of a store of its own, which open makes, empty.
type checks[P any] []struct {
	name  string
	check func(*testing.T, P)
}

func (cs checks[P]) run(t *testing.T, open func(testing.TB) P) {
	t.Helper()
	for _, c := range cs {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(t, open(t))
		})
	}
}

// noon is a moment to count from. Ports keep milliseconds.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) memory.Time { return memory.At(noon.Add(d)) }

func newWorkspace() string { return id.New(id.Workspace) }

// must stops the test where a call failed.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get is the answer of a call that must not fail.
func get[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// wantCode checks how a call failed.
func wantCode(t testing.TB, err error, code memory.Code) {
	t.Helper()
	if got := memory.CodeOf(err); got != code {
		t.Errorf("the error is %v, of code %q; want %q", err, got, code)
	}
}

// diff compares; empty and missing lists are the same.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// want checks an answer.
func want(t testing.TB, what string, want, got any) {
	t.Helper()
	if d := diff(want, got); d != "" {
		t.Errorf("%s: -want +got:\n%s", what, d)
	}
}
