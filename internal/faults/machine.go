//go:build failpoints

package faults

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// When says on which side of a boundary a fault is.
type When string

// The sides.
const (
	Before When = "before"
	After  When = "after"
)

// Action is what happens.
type Action string

// The actions: the call answers an error (after it was made, where the fault is behind it); it panics; the process is
// gone at once, as with kill -9; the call stands still for [Stall].
const (
	Error Action = "error"
	Panic Action = "panic"
	Kill  Action = "kill"
	Stand Action = "stall"
)

// Stall is how long a call stands still.
const Stall = 5 * time.Second

// Fault is an action at a boundary: the first time that it is passed.
type Fault struct {
	Action Action
	When   When
	Point  string
}

// String is the form that the environment carries.
func (f Fault) String() string { return string(f.Action) + " " + string(f.When) + " " + f.Point }

// The variables that the program looks at: faults, separated by commas; a file to write down what happened; the name of
// a planted bug.
const (
	EnvFaults  = "SWITCHYARD_FAULTS"
	EnvJournal = "SWITCHYARD_FAULTS_JOURNAL"
	EnvBug     = "SWITCHYARD_FAULTS_BUG"
)

// Machine knows which faults are due in this process. The zero value has none.
type Machine struct {
	mu      sync.Mutex
	due     map[string]Action // by when and point
	seen    map[string]bool
	journal *os.File
	bug     string
}

// Load makes the machine that the environment asks for.
func Load(environ func(string) string) (*Machine, error) {
	m := &Machine{due: map[string]Action{}, seen: map[string]bool{}, bug: environ(EnvBug)}
	for text := range strings.SplitSeq(environ(EnvFaults), ",") {
		if text == "" {
			continue
		}
		parts := strings.SplitN(text, " ", 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("%s: %q is no fault", EnvFaults, text)
		}
		m.due[parts[1]+" "+parts[2]] = Action(parts[0])
	}
	if m.bug != "" && !bugs[m.bug] {
		return nil, fmt.Errorf("%s: there is no bug %q", EnvBug, m.bug)
	}
	name := environ(EnvJournal)
	if name == "" {
		return m, nil
	}
	var err error
	m.journal, err = os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the test names it
	return m, err
}

// at passes a boundary: what is due before it, the call, what is due after it. A call that failed committed nothing, so
// there is no after.
func (m *Machine) at(ctx context.Context, point string, call func() error) error {
	if err := m.pass(ctx, Before, point); err != nil {
		return err
	}
	if err := call(); err != nil {
		return err
	}
	return m.pass(ctx, After, point)
}

// pass does what is due on one side of a boundary.
func (m *Machine) pass(ctx context.Context, w When, point string) error {
	switch m.take(w, point) {
	case Error:
		return memory.Errorf(memory.CodeUnavailable, "a fault was put %s %s", w, point)
	case Panic:
		panic(fmt.Sprintf("a panic was put %s %s", w, point))
	case Kill:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // this very process is on its way out
	case Stand:
		return stand(ctx)
	}
	return nil
}

// take returns the action that is due, once, and writes it down before it happens.
func (m *Machine) take(w When, point string) Action {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := string(w) + " " + point
	action := m.due[key]
	delete(m.due, key)
	switch {
	case action != "":
		m.write("fired", Fault{action, w, point}.String())
	case !m.seen[key]:
		m.write("passed", key)
	}
	m.seen[key] = true
	return action
}

// stand stands still as a call over the network does: not for longer than the caller waits.
func stand(ctx context.Context) error {
	select {
	case <-time.After(Stall):
		return nil
	case <-ctx.Done():
		return memory.Wrap(memory.CodeTimeout, ctx.Err(), "the call stood still")
	}
}

// write adds a line to the journal: one write, so that lines of several processes are in the order in which they were
// made and outlive a kill.
func (m *Machine) write(words ...string) {
	if m == nil || m.journal == nil {
		return
	}
	line := fmt.Sprintf("%d\t%d\t%s\n", time.Now().UnixNano(), os.Getpid(), strings.Join(words, "\t"))
	if _, err := m.journal.WriteString(line); err != nil {
		panic(err) // without the journal the machine sees nothing
	}
}

// has reports whether the bug is planted.
func (m *Machine) has(bug string) bool { return m.bug == bug }

// stepOf names the step of a page of checkpoints: each is a boundary of its own.
func stepOf[T any](cs []T, name func(T) string) string {
	if len(cs) == 0 {
		return ""
	}
	return "/" + cmp.Or(name(cs[0]), "?")
}
