// Package e2e runs the built binary as its users do, in a process of its own, and looks at it from outside. Its tests
// carry the build tag e2e, since they need the binary: `make test-integration` builds and runs both.
package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
)

// Key is the API key of every server started here.
const Key = "sk_dev"

// Process is a `switchyard dev`, or another command of the binary that runs on, on a port and a data folder that it keeps
// over restarts.
type Process struct {
	Binary string
	Do     string   // dev, serve or worker; a worker has its probes only at its port. "": dev
	Args   []string // beyond the port and the data folder
	Key    string   // of its clients; "": that of dev
	Data   string   // its data folder
	Env    []string // beyond PATH and HOME
	Log    io.Writer

	addr string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process is over
	tail *tail
}

// Start starts the process and returns when it is ready, or with the end of its log when it is not within the time that
// ctx leaves it.
func (p *Process) Start(ctx context.Context) error {
	if err := p.Launch(ctx); err != nil {
		return err
	}
	return p.answers(ctx, http.StatusOK)
}

// Launch starts the process and returns when it can be asked whether it is ready, whatever it says.
func (p *Process) Launch(ctx context.Context) error {
	if err := p.launch(ctx); err != nil {
		return err
	}
	return p.answers(ctx, 0)
}

func (p *Process) launch(ctx context.Context) error {
	if p.addr == "" {
		addr, err := freeAddress()
		if err != nil {
			return err
		}
		p.addr = addr
	}
	p.tail = &tail{}
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), p.Binary, append(p.command(), p.Args...)...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.Data, "SWITCHYARD_TEMPORAL_UI_LISTEN=none"}, p.Env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output(), p.output()
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Binary, err)
	}
	p.done = make(chan struct{})
	go func() { defer close(p.done); _ = p.cmd.Wait() }()
	return nil
}

func (p *Process) command() []string {
	what := cmp.Or(p.Do, "dev")
	if what == "worker" {
		p.Env = append(p.Env, "SWITCHYARD_METRICS_LISTEN="+p.addr)
		return []string{what, "--data", p.Data}
	}
	return []string{what, "--listen", p.addr, "--data", p.Data}
}

func (p *Process) output() io.Writer {
	if p.Log == nil {
		return p.tail
	}
	return io.MultiWriter(p.tail, p.Log)
}

// answers waits until /readyz answers with the status, 0 for any.
func (p *Process) answers(ctx context.Context, status int) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if res, err := http.Get(p.URL() + "/readyz"); err == nil { //nolint:noctx // local, answers at once
			_ = res.Body.Close()
			if status == 0 || res.StatusCode == status {
				return nil
			}
		}
		select {
		case <-p.done:
			return fmt.Errorf("the process ended at its start: %s", p.tail)
		case <-ctx.Done():
			return fmt.Errorf("%w; the log ends: %s", ctx.Err(), p.tail)
		case <-tick.C:
		}
	}
}

// URL is where its API is.
func (p *Process) URL() string { return "http://" + p.addr }

// Client is a client of it.
func (p *Process) Client() *client.Client {
	c, err := client.New(p.URL(), cmp.Or(p.Key, Key), client.Config{})
	if err != nil {
		panic(err) // the URL is ours
	}
	return c
}

// Done is closed when the process that was started last is over.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal to it.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the process as kill -9 does.
func (p *Process) Kill() error { return p.end(syscall.SIGKILL, time.Minute) }

// Stop asks the process to stop, and waits until it did.
func (p *Process) Stop() error { return p.end(syscall.SIGTERM, time.Minute) }

func (p *Process) end(s syscall.Signal, within time.Duration) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal the process: %w", err)
	}
	select {
	case <-p.done:
	case <-time.After(within):
		_ = p.cmd.Process.Kill()
		return fmt.Errorf("the process did not end within %v of %v; the log ends: %s", within, s, p.tail)
	}
	if s == syscall.SIGTERM && p.cmd.ProcessState.ExitCode() != 0 {
		return fmt.Errorf("the process ended with %d; the log ends: %s", p.cmd.ProcessState.ExitCode(), p.tail)
	}
	return nil
}

// Ended reports whether the process is over.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// LogTail is the end of what the process printed.
func (p *Process) LogTail() string { return p.tail.String() }

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // local
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailSize = 16 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if over := t.buf.Len() - tailSize; over > 0 {
		t.buf.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}

// Paragraphs cuts the book into paragraphs of more than eight words.
func Paragraphs(book string) []string {
	var out []string
	for p := range strings.SplitSeq(strings.ReplaceAll(book, "\r\n", "\n"), "\n\n") {
		if words := strings.Fields(p); len(words) > 8 {
			out = append(out, strings.Join(words, " "))
		}
	}
	return out
}

// Book reads the public-domain text that the stories use; root is the top of the checkout.
func Book(root string) ([]string, error) {
	raw, err := os.ReadFile(filepath.Join(root, "internal", "e2e", "testdata", "wizard_of_oz.txt"))
	if err != nil {
		return nil, fmt.Errorf("read the book: %w", err)
	}
	return Paragraphs(string(raw)), nil
}
