package testservers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var temporal = shared{name: "Temporal", env: "SWITCHYARD_TEST_TEMPORAL_ADDRESS", start: func() (string, error) {
	p, err := StartTemporal("")
	if err != nil {
		return "", err
	}
	return p.Ready, nil
}}

// Temporal returns the address of SWITCHYARD_TEST_TEMPORAL_ADDRESS, or of a Temporal server with the namespace "default".
// Tests share it: each takes task queues and workflow ids of its own.
func Temporal(tb testing.TB) string {
	tb.Helper()
	return temporal.get(tb)
}

// StartTemporal starts a Temporal server of one's own, with its data in the folder, where one is named, so that it is
// there after the next start. Its address, which each start chooses anew, is the Process's Ready.
func StartTemporal(dir string) (*Process, error) {
	program, err := temporald()
	if err != nil {
		return nil, err
	}
	if dir == "" {
		// Nobody is told when a test process ends: what is left behind goes when the next one starts.
		base := filepath.Join(os.TempDir(), "switchyard-test-temporal")
		if dir, err = freshDir(base); err != nil {
			return nil, err
		}
	}
	return Start(exec.Command(program, "-dir", dir)) //nolint:noctx // a program of ours; it ends with its standard input
}

// temporald builds the program once a test process: with Go's cache that is a second, and some minutes the first time.
var temporald = sync.OnceValues(func() (string, error) {
	dir, err := cacheDir("bin")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	const pkg = "github.com/switchyard-ai/switchyard/internal/testservers/temporald"
	program := filepath.Join(dir, fmt.Sprintf("temporald-%d", os.Getpid()))
	if err := command(ctx, "go", "build", "-o", program, pkg); err != nil {
		return "", err
	}
	shared := filepath.Join(dir, "temporald")
	return shared, os.Rename(program, shared) // a process that runs the old one goes on with it
})

// freshDir makes a new folder below base, and removes those there that are older than a day.
func freshDir(base string) (string, error) {
	old, _ := filepath.Glob(filepath.Join(base, "*"))
	for _, dir := range old {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(dir)
		}
	}
	if err := os.MkdirAll(base, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(base, "")
}
