//go:build failpoints

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/e2e"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// settings are those of a process that is quick to notice what a production one has seconds for. It sweeps so often that what
// was just taken in, and no run has claimed yet, is met by a sweep however quick the machine is.
const settings = `
pipeline: {chat_timeout: 8s, store_timeout: 8s, backoff: 50ms, max_backoff: 300ms}
realtime: {lease: 3s, heartbeat: 700ms, grace: 3s, breaker: {delay: 500ms}}
batch: {task_queue: %[1]s, llm_task_queue: %[1]s-llm, heartbeat: 2s, lease: 6s, sweep: 25ms, stop: 3s, round_backoff: 300ms, max_round_backoff: 1s}
api: {request_lease: 2s, request_retention: 120s, touch_interval: 700ms, store_timeout: 8s}
webhooks: {task_queue: %[1]s-hooks, timeout: 7s, relay: {poll: 300ms, sweep: 500ms, first_lease: 3s}}
intake: {erase_sweep: 500ms, erase_again: 2s, erase_checks: 2, erase_retention: 120s, upload_retention: 120s, write_timeout: 8s}
`

// patient are the settings that a program has where nothing is set, but for its task queues.
const patient = `
batch: {task_queue: %[1]s, llm_task_queue: %[1]s-llm}
webhooks: {task_queue: %[1]s-hooks}
`

// call is a call to the language model.
type call struct {
	method, text string
	at           time.Time
}

// world is a program in a process of its own, everything around it, and what its user was told.
type world struct {
	t        *testing.T
	name     string
	process  *e2e.Process
	journal  string
	llm      *llmtest.Server
	hooks    *e2e.Receiver
	temporal string // its address

	mu       sync.Mutex
	calls    []call
	refusing map[string]bool          // contents that the model has nothing to say about
	holding  map[string]chan struct{} // contents that it says nothing about until this is closed
	slow     time.Duration            // how long it thinks about contents with the word slow
	want     []expected
	broken   []string
	poison   map[string]bool // memories that a panic was put into
}

// expected is what has to become of a memory.
type expected struct {
	id      string
	content string
	version int
	gone    bool // erased
	told    bool // by a webhook
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, settings)
}

func newWorldOf(t *testing.T, settings string) *world {
	t.Helper()
	w := &world{t: t, name: fmt.Sprintf("f%d", time.Now().UnixNano()), refusing: map[string]bool{}, holding: map[string]chan struct{}{}, poison: map[string]bool{}, slow: 300 * time.Millisecond, hooks: e2e.NewReceiver()}
	t.Cleanup(w.hooks.Close)
	binary, err := program()
	must(t, err)
	w.temporal, err = temporal()
	must(t, err)
	w.llm, err = llmtest.NewServer(llmtest.Config{Script: w.script})
	must(t, err)
	t.Cleanup(func() { _ = w.llm.Close() })
	dir := t.TempDir()
	w.journal = filepath.Join(dir, "journal")
	file := filepath.Join(dir, "switchyard.yaml")
	must(t, os.WriteFile(file, fmt.Appendf(nil, settings, w.name), 0o600))
	w.process = &e2e.Process{Binary: binary, Data: filepath.Join(dir, "data"), Args: []string{"--config", file}}
	go func() { // nobody reads them as they come
		for range w.hooks.Came() {
		}
	}()
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) env(bug string, due []Fault) []string {
	list := make([]string, len(due))
	for i, f := range due {
		list[i] = f.String()
	}
	return []string{
		"SWITCHYARD_TEMPORAL_ADDRESS=" + w.temporal, "SWITCHYARD_LOG_LEVEL=warn",
		"SWITCHYARD_CHAT_BASE_URL=" + w.llm.URL(), "SWITCHYARD_CHAT_API_KEY=test",
		"SWITCHYARD_EMBEDDING_BASE_URL=" + w.llm.URL(), "SWITCHYARD_EMBEDDING_API_KEY=test",
		EnvBug + "=" + bug, EnvJournal + "=" + w.journal, EnvFaults + "=" + strings.Join(list, ","),
	}
}

// script writes every call down and is refusing or slow where the story says so.
func (w *world) script(c llmtest.Call) llmtest.Behaviour {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, text := range c.Texts {
		w.calls = append(w.calls, call{c.Method, text, time.Now()})
	}
	text := strings.Join(c.Texts, " ")
	switch {
	case c.Method != "UseCases" && c.Method != "Graph":
		return nil
	case w.holding[text] != nil:
		return llmtest.When(w.holding[text])
	case w.refusing[text]:
		return llmtest.Fail(http.StatusBadRequest, "content_filter", "I have nothing to say about that", "", "")
	case strings.Contains(text, "failing") && c.Method == "UseCases" && c.Times("failing") <= 4:
		return llmtest.Status(http.StatusInternalServerError)
	case strings.Contains(text, "very slow"): // the request that waits for it lives longer than a third of its lease
		return llmtest.Slowly(max(w.slow, time.Second))
	case strings.Contains(text, "slow"):
		return llmtest.Slowly(w.slow)
	}
	return nil
}

func (w *world) refuse(content string, yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusing[content] = yes
}

// hold lets the model keep its answers about the content until release is called.
func (w *world) hold(content string) (release func()) {
	held := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holding[content] = held
	return func() { close(held) }
}

// expect notes what has to become of a memory; later notes about the same one win.
func (w *world) expect(e expected) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.want {
		if w.want[i].id == e.id {
			w.want[i] = e
			return
		}
	}
	w.want = append(w.want, e)
}

// breachf notes that a promise was broken.
func (w *world) breachf(kind, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = append(w.broken, kind+": "+fmt.Sprintf(format, args...))
}

// reply is an answer.
type reply struct {
	status int
	body   []byte
}

func (r reply) field(name string) string {
	var fields map[string]any
	_ = json.Unmarshal(r.body, &fields)
	s, _ := fields[name].(string)
	return s
}

// ask sends a request as a patient client does: until it is answered by other things than that we are in trouble. A key
// makes it safe to send again.
func (w *world) ask(ctx context.Context, method, path, key, body string, header ...string) (reply, error) {
	for {
		r, err := w.try(ctx, method, path, key, body, header...)
		again := err != nil || r.status >= 500 || r.status == http.StatusTooManyRequests || r.field("code") == string(memory.CodeInProgress)
		if !again {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return r, fmt.Errorf("%s %s: %w; the latest answer was %d %s, %w", method, path, ctx.Err(), r.status, r.body, err)
		case <-time.After(150 * time.Millisecond):
		}
	}
}

func (w *world) try(ctx context.Context, method, path, key, body string, header ...string) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, w.process.URL()+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+e2e.Key)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, bytes.TrimSpace(all)}, err
}

// wants is an answer that has one of the statuses.
func (w *world) wants(ctx context.Context, statuses []int, method, path, key, body string, header ...string) (reply, error) {
	r, err := w.ask(ctx, method, path, key, body, header...)
	if err != nil {
		return r, err
	}
	if slices.Contains(statuses, r.status) {
		return r, nil
	}
	return r, fmt.Errorf("%s %s was answered %d %s, want one of %v", method, path, r.status, r.body, statuses)
}

// final waits until a memory or batch is over.
func (w *world) final(ctx context.Context, path string) (reply, error) {
	for {
		r, err := w.ask(ctx, http.MethodGet, path, "", "")
		if err != nil || r.status != http.StatusOK {
			return r, errors.Join(err, fmt.Errorf("GET %s was answered %d", path, r.status))
		}
		switch r.field("status") {
		case "completed", "degraded", "failed", "cancelled", "completed_with_errors":
			return r, nil
		}
		select {
		case <-ctx.Done():
			return r, fmt.Errorf("%s is not over: %s: %w", path, r.body, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
