//go:build e2e

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestShortSoak is the soak that CI runs: few kills, about a minute each topology.
func TestShortSoak(t *testing.T) {
	run(t, "-kills", "8", "-in-flight", "50", "-thinking", "700ms")
}

// TestARollingRestartLosesNothing replaces all processes one after another under load, twice: each ends in an orderly way,
// and everything that was accepted is done as if nothing had been.
func TestARollingRestartLosesNothing(t *testing.T) {
	run(t, "-rolling", "2", "-topologies", "split", "-in-flight", "50", "-thinking", "700ms")
}

func run(t *testing.T, args ...string) {
	t.Helper()
	binary := os.Getenv("SWITCHYARD_BIN")
	if binary == "" {
		binary = filepath.Join(t.TempDir(), "switchyard")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../../cmd/switchyard")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build the binary: %v\n%s", err, out)
		}
	}
	var out bytes.Buffer
	err := soak(t.Context(), append(args, "-binary", binary, "-dir", t.TempDir(), "-drain", "5m", "-v"), &out)
	t.Log(out.String())
	if err != nil {
		t.Error(err)
	}
}
