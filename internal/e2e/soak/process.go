package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// process is one of the processes under attack. It is started again whenever it was killed.
type process struct {
	name   string
	args   []string
	env    []string
	listen string // where it says whether it is ready
	log    string

	mu     sync.Mutex
	cmd    *exec.Cmd
	done   chan struct{}
	up     bool
	frozen bool
}

// errEnded is what a process came to that did not get as far as serving.
var errEnded = errors.New("ended at its start")

// start starts the process and returns when it serves.
func (p *process) start(ctx context.Context, binary string) error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), binary, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, out, out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	p.mu.Lock()
	p.cmd, p.done, p.frozen = cmd, done, false
	p.mu.Unlock()
	if err := p.ready(ctx, done); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = true
	return nil
}

func (p *process) ready(ctx context.Context, done chan struct{}) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if res, err := http.Get("http://" + p.listen + "/readyz"); err == nil { //nolint:noctx // local, answers at once
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-done:
			return fmt.Errorf("%s %w; its log is %s", p.name, errEnded, p.log)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// alive reports whether the process is up and not frozen.
func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up && !p.frozen
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s) // one that is over needs none
	}
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	p.mu.Lock()
	done := p.done
	p.up = false
	p.mu.Unlock()
	<-done
}

// halt stops the process for d; false where it is not up, or stopped already.
func (p *process) halt(d time.Duration) bool {
	p.mu.Lock()
	if !p.up || p.frozen {
		p.mu.Unlock()
		return false
	}
	p.frozen = true
	cmd := p.cmd
	p.mu.Unlock()
	_ = cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(d)
	_ = cmd.Process.Signal(syscall.SIGCONT)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = false
	return true
}

// stop asks the process to end and says how it did.
func (p *process) stop(within time.Duration) error {
	p.signal(syscall.SIGTERM)
	p.mu.Lock()
	done, cmd := p.done, p.cmd
	p.up = false
	p.mu.Unlock()
	select {
	case <-done:
	case <-time.After(within):
		p.kill()
		return fmt.Errorf("%s did not stop within %v", p.name, within)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("%s stopped with %d; its log is %s", p.name, code, p.log)
	}
	return nil
}

// census lets the binary itself compare the stores.
func census(ctx context.Context, c *cluster) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.binary, append([]string{"doctor", "--census", "--json", "--data", c.data, "--grace", "20s"}, c.args...)...)
	cmd.Env = c.processes[0].env
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 { // it found something
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("take the census: %w", err)
	}
	return out, nil
}

func environment(data string, more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(data), "SWITCHYARD_TEMPORAL_UI_LISTEN=none", "SWITCHYARD_DEV_KEY=" + key,
		"SWITCHYARD_WEBHOOK_ALLOW=127.0.0.0/8",
	}, more...)
}
