//go:build e2e

package mongostore

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestAServerThatComesBackNeedsNoRestart stops a server under a store, and starts it again.
func TestAServerThatComesBackNeedsNoRestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mongo.mv")
	server, err := testservers.StartMongo(file, 0)
	if err != nil {
		testservers.Missing(t, "MongoDB", err)
	}
	s, err := Open(t.Context(), Config{URI: testservers.MongoURI(server), SelectTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := put(t, s, known("x", "text"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(server.Ready)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Ping": func() error { return s.Ping(t.Context()) },
		"Put":  func() error { _, err := put(t, s, known("y", "text")); return err },
		"Get":  func() error { _, err := s.Memories().Get(t.Context(), "wsp_1", p.Memory.ID); return err },
		"Page": func() error { _, err := s.BatchRuns().Page(t.Context(), "bat_1", 0); return err },
	} {
		if err := call(); memory.CodeOf(err) != memory.CodeUnavailable {
			t.Errorf("%s without a server says: %v", name, err)
		}
	}
	server, err = testservers.StartMongo(file, port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	deadline := time.Now().Add(30 * time.Second)
	for err = s.Ping(t.Context()); err != nil && time.Now().Before(deadline); err = s.Ping(t.Context()) {
		if !memory.Retryable(err) {
			t.Fatal(err)
		}
	}
	ms, err := s.Memories().Get(t.Context(), "wsp_1", p.Memory.ID)
	if err != nil || len(ms) != 1 || ms[0].Content != "text" {
		t.Errorf("what was stored is %v, %v", ms, err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAClosedStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{URI: testservers.Mongo(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Memories().Get(t.Context(), "wsp_1", "mem_1"); memory.CodeOf(err) != memory.CodeUnavailable {
		t.Errorf("it says: %v", err)
	}
}

func TestWhatTakesTooLongMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	wire := newWire(t)
	s := openThrough(t, wire, 3*time.Second)
	wire.hold.Store(true)
	t.Cleanup(func() { close(wire.release) }) // before the store is closed
	if _, err := s.Memories().Get(t.Context(), "wsp_1", "mem_1"); memory.CodeOf(err) != memory.CodeUnavailable {
		t.Errorf("a call that the server does not answer says: %v", err)
	}
}

// TestAnAnswerThatIsLostChangesNothing makes each call twice: the server does what the first one asks, and the connection
// breaks before it can say so.
func TestAnAnswerThatIsLostChangesNothing(t *testing.T) {
	t.Parallel()
	wire := newWire(t)
	s := openThrough(t, wire, time.Minute)
	twice := func(call func() error) {
		t.Helper()
		wire.cut.Store(true)
		if err := call(); memory.CodeOf(err) != memory.CodeUnavailable {
			t.Errorf("the call whose answer is lost says: %v", err)
		}
		if err := call(); err != nil {
			t.Errorf("the call that is made again says: %v", err)
		}
	}
	all := func(oks []bool, err error) error {
		for _, ok := range oks {
			if !ok {
				return fmt.Errorf("refused: %w", err)
			}
		}
		return err
	}
	in := known("x", "text")
	var p store.Put
	twice(func() (err error) { p, err = put(t, s, in); return err })
	var ds []memory.Draft
	twice(func() (err error) {
		ds, err = s.Runs().Claim(t.Context(), store.Claim{Refs: []memory.Ref{p.Memory.Ref()}, Owner: "p", Until: time.Now().Add(time.Minute)})
		return err
	})
	ref, fence := p.Memory.Ref(), ds[0].Fence
	done := memory.Receipt{Name: memory.StepUseCases, Status: memory.StepCompleted, Tokens: 7}
	twice(func() error {
		return all(s.Runs().Checkpoint(t.Context(), []store.Checkpoint{{Ref: ref, Fence: fence, Receipt: done, Output: &memory.Output{UseCases: []string{"a"}}}}))
	})
	event := &memory.Event{ID: id.New(id.Event), Workspace: "wsp_1", Time: memory.Now()}
	failed := memory.Receipt{Name: memory.StepSchema, Status: memory.StepFailed, Tokens: 2}
	twice(func() error {
		return all(s.Runs().Finish(t.Context(), []store.Finish{{Ref: ref, Fence: fence, Status: memory.StatusDegraded, Receipts: []memory.Receipt{failed}, Event: event}}))
	})

	ms, err := s.Memories().Get(t.Context(), "wsp_1", ref.ID)
	if err != nil || len(ms) != 1 || ms[0].Version != 1 || ms[0].Status != memory.StatusDegraded || len(ms[0].Steps) != 2 || len(ms[0].UseCases) != 1 {
		t.Errorf("stored is %+v, %v", ms, err)
	}
	if u, err := s.Memories().Usage(t.Context(), "wsp_1"); err != nil || u.Tokens != 9 {
		t.Errorf("usage is %v, %v", u, err)
	}
	if owed, err := s.Outbox().Owed(t.Context(), 10); err != nil || len(owed) != 1 {
		t.Errorf("owed are %v, %v", owed, err)
	}
}

// wire is a connection to the server that can be spoilt.
type wire struct {
	address string
	cut     atomic.Bool // the next answer of the server to a command is not passed on, but its connection closed
	hold    atomic.Bool // answers are not passed on until release is closed
	release chan struct{}
}

func newWire(t *testing.T) *wire {
	t.Helper()
	server := strings.TrimPrefix(testservers.Mongo(t), "mongodb://")
	if strings.ContainsAny(server, "@,?/") {
		t.Skip("a real deployment is not spoken to through a spoilt wire")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String(), release: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { w.carry(client, server) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return w
}

func (w *wire) carry(client net.Conn, address string) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	var writes atomic.Bool // whether the latest request was a write
	var wg sync.WaitGroup
	wg.Go(func() {
		defer server.Close()
		copyEach(server, client, func(b []byte) bool {
			text := string(b)
			writes.Store(strings.Contains(text, "writeConcern") && strings.Contains(text, "$db"))
			return true
		})
	})
	copyEach(client, server, func([]byte) bool {
		if w.hold.Load() {
			<-w.release
		}
		return !writes.Load() || !w.cut.CompareAndSwap(true, false)
	})
	_ = client.Close()
	_ = server.Close()
	wg.Wait()
}

// copyEach copies what comes, piece by piece, as long as pass allows.
func copyEach(to io.Writer, from io.Reader, pass func([]byte) bool) {
	buf := make([]byte, 1<<20)
	for {
		n, err := from.Read(buf)
		if err != nil || !pass(buf[:n]) {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func openThrough(t *testing.T, w *wire, patience time.Duration) *Store {
	t.Helper()
	return openIn(t, Config{URI: "mongodb://" + w.address, Database: "test_" + strings.ToLower(id.New("")), Timeout: patience})
}
