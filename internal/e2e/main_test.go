//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// binary is what is tested: SWITCHYARD_BIN, or a build of the checkout.
var binary string

func TestMain(m *testing.M) { os.Exit(withBinary(m)) }

func withBinary(m *testing.M) int {
	if binary = os.Getenv("SWITCHYARD_BIN"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "switchyard-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "switchyard")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "../../cmd/switchyard")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the binary:", err)
		return 1
	}
	return m.Run()
}

// start starts a server on a data folder of its own; it is gone when the test is.
func start(t *testing.T, env ...string) *Process {
	t.Helper()
	p := &Process{Binary: binary, Data: t.TempDir(), Env: env}
	again(t, p)
	t.Cleanup(func() {
		_ = p.Kill()
		if t.Failed() {
			t.Log("the log of the server ends:\n" + p.LogTail())
		}
	})
	return p
}

// again starts a process that ended.
func again(t *testing.T, p *Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	if err := p.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

func limited(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
