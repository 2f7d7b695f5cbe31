package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/configs"
)

func TestInit(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "switchyard.yaml")
	call := func(args ...string) (int, shell) {
		sh := newShell("", nil)
		return sh.report(run(t.Context(), sh.console, append([]string{"init"}, args...))), sh
	}
	if code, sh := call(file); code != exitOK || !strings.Contains(sh.err.String(), "--config "+file) {
		t.Fatalf("ended with %d: %s", code, sh.err)
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, configs.Commented) {
		t.Errorf("wrote %.100s…, %v", got, err)
	}
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, sh := call(file); code != exitFault || !strings.Contains(sh.err.String(), "--force") {
		t.Errorf("over a file ended with %d: %s", code, sh.err)
	}
	if got, _ := os.ReadFile(file); !strings.HasPrefix(string(got), "listen") {
		t.Errorf("wrote over the file: %.100s…", got)
	}
	if code, sh := call("--force", file); code != exitOK {
		t.Errorf("with --force ended with %d: %s", code, sh.err)
	}
	if code, sh := call("-"); code != exitOK || !bytes.Equal(sh.out.Bytes(), configs.Commented) {
		t.Errorf("to standard output ended with %d: %s", code, sh.err)
	}
	if code, _ := call("a", "b"); code != exitUsage {
		t.Errorf("two files ended with %d", code)
	}
}
