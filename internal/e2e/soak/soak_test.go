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
	var out bytes.Buffer
	err := soak(t.Context(), append(args, "-binary", binary(t), "-dir", t.TempDir(), "-drain", "5m", "-v"), &out)
	t.Log(out.String())
	if err != nil {
		t.Error(err)
	}
}

// binary is what is tested: SWITCHYARD_BIN, or a build of the checkout.
func binary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("SWITCHYARD_BIN"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "switchyard")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../../cmd/switchyard")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	return path
}
