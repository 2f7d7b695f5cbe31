//go:build e2e

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/testservers"
)

// TestShortSoak is the soak that CI runs: few kills, about a minute each topology.
func TestShortSoak(t *testing.T) {
	run(t, "-kills", "8", "-in-flight", "50", "-thinking", "700ms")
}

// TestShortSoakOnTheStoresOfProduction is the same for MongoDB, Qdrant, Neo4j, Redis and Temporal, which are cut off, slowed,
// ended and started again.
func TestShortSoakOnTheStoresOfProduction(t *testing.T) {
	for name, start := range map[string]func() (*testservers.Process, error){
		"MongoDB": func() (*testservers.Process, error) { return testservers.StartMongo("", 0) },
		"Neo4j":   func() (*testservers.Process, error) { return testservers.StartNeo4j("", 0) },
		"Redis":   func() (*testservers.Process, error) { return testservers.StartRedis(0) },
	} {
		p, err := start()
		if err != nil {
			testservers.Missing(t, name, err)
		}
		_ = p.Stop() // some say that they were told to
	}
	run(t, "-topologies", "servers", "-kills", "6", "-gap", "4s", "-in-flight", "40", "-thinking", "700ms")
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
