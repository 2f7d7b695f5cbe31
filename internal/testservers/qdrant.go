package testservers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

var qdrant = shared{name: "Qdrant", env: "SWITCHYARD_TEST_QDRANT_ADDR", start: func() (string, error) {
	p, err := StartQdrant("", 0)
	if err != nil {
		return "", err
	}
	return "127.0.0.1:" + p.Ready, nil
}}

// Qdrant returns the address of SWITCHYARD_TEST_QDRANT_ADDR, or of a server of our own that speaks Qdrant's gRPC services.
// What that one cannot show about Qdrant says internal/docs/production-stores.md. Tests share it: each takes a prefix of
// its own.
func Qdrant(tb testing.TB) string {
	tb.Helper()
	return qdrant.get(tb)
}

// StartQdrant starts a Qdrant for tests of one's own on loopback: with its collections in the file, where one is named, so
// that they are there after the next start, and on the port (0: a free one).
func StartQdrant(file string, port int) (*Process, error) {
	dir, err := os.MkdirTemp("", "qdrantd")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // a program that runs needs its file no more
	binary := filepath.Join(dir, "qdrantd")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "github.com/switchyard-ai/switchyard/internal/testservers/qdrantd")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the Qdrant for tests: %w: %s", err, out)
	}
	return Start(exec.CommandContext(context.Background(), binary, "-port", strconv.Itoa(port), "-journal", file))
}
