package testservers

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
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
	bin, err := pythonWith(schemathesisVersion)
	if err != nil {
		return "", err
	}
	return exec.LookPath(filepath.Join(bin, "schemathesis"))
})
