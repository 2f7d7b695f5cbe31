package testservers

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// schemathesisVersion is the package of PyPI that tries the API.
const schemathesisVersion = "schemathesis==4.32.5"

// Schemathesis returns the path of schemathesis, in a Python environment of its own in the user's cache, which is made the
// first time. It needs Python and pip.
func Schemathesis(tb testing.TB) string {
	tb.Helper()
	path, err := schemathesis()
	if err != nil {
		Missing(tb, schemathesisVersion, err)
	}
	return path
}

var schemathesis = sync.OnceValues(func() (string, error) {
	base, err := cacheDir("python")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, schemathesisVersion)
	path := filepath.Join(dir, "bin", "schemathesis")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := command(ctx, "python3", "-m", "venv", dir); err != nil {
		return "", err
	}
	if err := command(ctx, filepath.Join(dir, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", schemathesisVersion); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir)) // half an environment would look like a whole one
	}
	return exec.LookPath(path)
})
