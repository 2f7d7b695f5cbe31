package testservers

import (
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

//go:embed qdrant_engine.py
var qdrantEngine []byte

// The engine and the definitions of its services, pinned.
const (
	qdrantEdge   = "qdrant-edge-py==0.9.0"
	qdrantClient = "qdrant-client==1.20.0"
)

var engine = shared{name: "Qdrant's engine", env: "SWITCHYARD_TEST_QDRANT_ADDR", start: func() (string, error) {
	p, err := startQdrantEngine()
	if err != nil {
		return "", err
	}
	return "127.0.0.1:" + p.Ready, nil
}}

// QdrantEngine returns the address of SWITCHYARD_TEST_QDRANT_ADDR, or of a server that answers Qdrant's gRPC services with
// Qdrant's own engine, as it comes in the Python package qdrant-edge-py. It needs python3 with pip. It keeps nothing when
// it is stopped, and is too slow for more than the tests of an adapter.
func QdrantEngine(tb testing.TB) string {
	tb.Helper()
	return engine.get(tb)
}

func startQdrantEngine() (*Process, error) {
	dir, err := cacheDir("qdrant-engine")
	if err != nil {
		return nil, err
	}
	python := filepath.Join(dir, "bin", "python")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := command(ctx, python, "-c", "import qdrant_edge, qdrant_client"); err != nil {
		if err := command(ctx, "python3", "-m", "venv", dir); err != nil {
			return nil, fmt.Errorf("python3 with venv is needed: %w", err)
		}
		if err := command(ctx, python, "-m", "pip", "install", "-q", qdrantEdge, qdrantClient); err != nil {
			return nil, err
		}
	}
	source := filepath.Join(dir, "qdrant_engine.py")
	if err := writeFile(source, qdrantEngine); err != nil {
		return nil, err
	}
	return Start(exec.CommandContext(context.Background(), python, source))
}
