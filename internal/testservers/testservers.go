// Package testservers gives tests the servers that Switchyard runs on in production, each in a process of its own, spoken
// to over TCP on loopback. It is for tests alone.
//
// A server that a test process asks for is started once, shared by all its tests and gone with the process. Where an
// environment variable names a real one (SWITCHYARD_TEST_MONGO_URI and its like), that one is used instead. Where
// neither is to be had, the test is skipped with the reason, or fails if SWITCHYARD_TEST_STRICT is 1.
//
// Test files that use it have the build tag e2e: `make test` needs Go and nothing else.
package testservers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a server may take to be ready, downloads not counted.
const patience = 2 * time.Minute

// Missing says that the test cannot have what it needs here: it is skipped, or fails if SWITCHYARD_TEST_STRICT is 1.
func Missing(tb testing.TB, what string, err error) {
	tb.Helper()
	if os.Getenv("SWITCHYARD_TEST_STRICT") == "1" {
		tb.Fatalf("no %s here, and SWITCHYARD_TEST_STRICT is 1: %v", what, err)
	}
	tb.Skipf("SKIPPED, not passed: no %s here: %v", what, err)
}

// shared is a server of the test process: started by the first test that needs it.
type shared struct {
	name  string // what is missing where it does not start
	env   string // names a server to use instead
	start func() (address string, err error)

	once    sync.Once
	address string
	err     error
}

func (s *shared) get(tb testing.TB) string {
	tb.Helper()
	if address := os.Getenv(s.env); address != "" {
		return address
	}
	s.once.Do(func() { s.address, s.err = s.start() })
	if s.err != nil {
		Missing(tb, s.name, s.err)
	}
	return s.address
}

// A Process is a server that runs until its standard input ends: it goes with the process that started it, however that
// goes.
type Process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	Ready string // what followed "ready " in the line by which it said that it takes connections
}

// running are the processes that were started and not stopped: of one that nobody holds, the pipe to its standard input
// would be closed as garbage, which ends it.
var running sync.Map

// Start runs a command that writes a line "ready …" to its standard output once it takes connections, and ends when its
// standard input does.
func Start(cmd *exec.Cmd) (*Process, error) {
	return start(cmd, func(line string) (string, bool) { return strings.CutPrefix(line, "ready ") })
}

// start is Start for a command with its own words for it.
func start(cmd *exec.Cmd, readyIn func(line string) (string, bool)) (*Process, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	log := &tail{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, stdin: stdin}
	running.Store(p, true)
	ready := make(chan string, 1)
	go func() {
		defer close(ready)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if line, ok := readyIn(lines.Text()); ok {
				ready <- line
			} else {
				_, _ = fmt.Fprintln(log, lines.Text())
			}
		}
		runtime.KeepAlive(p) // its input: were it collected, it would be closed
	}()
	select {
	case line, ok := <-ready:
		if !ok {
			return nil, errors.Join(fmt.Errorf("%s did not start: %s", filepath.Base(cmd.Path), log), p.Stop())
		}
		p.Ready = line
		return p, nil
	case <-time.After(patience):
		return nil, errors.Join(fmt.Errorf("%s was not ready after %v: %s", filepath.Base(cmd.Path), patience, log), p.Stop())
	}
}

// Stop ends the process and waits until it is gone.
func (p *Process) Stop() error {
	running.Delete(p)
	err := p.stdin.Close()
	gone := make(chan error, 1)
	go func() { gone <- p.cmd.Wait() }()
	select {
	case exit := <-gone:
		return errors.Join(err, exit)
	case <-time.After(10 * time.Second):
		return errors.Join(err, p.cmd.Process.Kill(), <-gone)
	}
}

// Kill ends the process at once, as a loss of its machine would.
func (p *Process) Kill() error {
	running.Delete(p)
	err := p.cmd.Process.Kill()
	_ = p.cmd.Wait() // says that it was killed, and closes its input
	return err
}

// freePort is one that nobody listens on just now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - 8<<10; over > 0 {
		t.text = t.text[over:]
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// cacheDir is a folder of the user's cache that outlives the test.
func cacheDir(parts ...string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(append([]string{base, "switchyard-test-servers"}, parts...)...)
	return dir, os.MkdirAll(dir, 0o750)
}

// command runs a program to its end; its output is part of the error.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
