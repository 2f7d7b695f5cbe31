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
	binary := os.Getenv("SWITCHYARD_BIN")
	if binary == "" {
		binary = filepath.Join(t.TempDir(), "switchyard")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../../cmd/switchyard")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build the binary: %v\n%s", err, out)
		}
	}
	var out bytes.Buffer
	err := soak(t.Context(), []string{
		"-binary", binary, "-dir", t.TempDir(), "-kills", "8", "-in-flight", "50", "-thinking", "700ms", "-drain", "5m", "-v",
	}, &out)
	t.Log(out.String())
	if err != nil {
		t.Error(err)
	}
}
