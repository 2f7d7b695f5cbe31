//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// llmServer is an LLM over HTTP that counts its calls.
func llmServer(t *testing.T, script llmtest.Script) (*llmtest.Server, []string) {
	t.Helper()
	s, err := llmtest.NewServer(llmtest.Config{Script: script})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s, []string{"SWITCHYARD_CHAT_BASE_URL=" + s.URL() + "/v1", "SWITCHYARD_CHAT_API_KEY=test"}
}

// gate lets calls through until it is shut; calls that find it shut hang until the test opens it.
type gate struct {
	mu   sync.Mutex
	shut map[string]bool // by method
}

func (g *gate) set(method string, shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut[method] = shut
}

func (g *gate) script(c llmtest.Call) llmtest.Behaviour {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut[c.Method] {
		return llmtest.Hang()
	}
	return nil
}

// TestKill kills the process in the middle of a single memory and of a batch. Both finish after the next start, and no
// step that had a checkpoint is done again: each content costs one call of each kind, and one more only where a call
// was in flight at the kill.
func TestKill(t *testing.T) {
	g := &gate{shut: map[string]bool{"Graph": true}}
	s, env := llmServer(t, g.script)
	p := start(t, env...)
	ctx := limited(t, 4*time.Minute)

	single, err := p.Client().AddMemory(ctx, memory.Input{Content: "Dorothy lived in Kansas with Aunt Em."})
	must(t, err)
	const n = 130
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("The Scarecrow counted crow number %d in the cornfield of Oz.", i)
	}
	b, err := p.Client().UploadBatch(ctx, strings.NewReader(string(Lines("k", texts))), client.BatchOptions{Name: "kill"})
	must(t, err)
	// All use cases of the batch have their checkpoints, and graphs are in flight, when the process dies: a page asks for 16
	// graphs at once, when it has all its use cases, so more than 16+2+1 of them are those of both big pages.
	must(t, s.Wait(ctx, func(st llmtest.Stats) bool { return st.Calls["Graph"] > 19 }))
	waitReceipts(ctx, t, p, single.ID)
	must(t, p.Kill())
	inFlight := s.Stats().Calls["Graph"]
	g.set("Graph", false)
	again(t, p)

	b, err = p.Client().WaitForBatch(ctx, b.ID, nil)
	must(t, err)
	if b.Counts.Completed != n {
		t.Errorf("the batch ended %s with %+v", b.Status, b.Counts)
	}
	m := finished(ctx, t, p.Client(), single.ID)
	if m.Status != memory.StatusCompleted || m.Track != memory.TrackDurable {
		t.Errorf("the single memory ended %s on %s (%s), want completed on durable", m.Status, m.Track, m.Reason)
	}
	for _, text := range append(texts, "Dorothy lived in Kansas with Aunt Em.") {
		if got := s.Count("UseCases", text); got != 1 {
			t.Errorf("use cases of %q were asked for %d times, though the first answer had a checkpoint", text, got)
		}
	}
	if extra := s.Stats().Calls["Graph"] - (n + 1); extra > inFlight {
		t.Errorf("%d graph calls more than memories, though only %d were in flight at the kill", extra, inFlight)
	}
}

// waitReceipts waits until the memory's use cases have a checkpoint.
func waitReceipts(ctx context.Context, t *testing.T, p *Process, id string) {
	t.Helper()
	poll(ctx, t, "use cases of "+id, func() (bool, error) {
		m, err := p.Client().GetMemory(ctx, id)
		r, _ := m.Receipt(memory.StepUseCases)
		return r.Status == memory.StepCompleted, err
	})
}

func finished(ctx context.Context, t *testing.T, c *client.Client, id string) (m memory.Memory) {
	t.Helper()
	poll(ctx, t, "the end of "+id, func() (bool, error) {
		var err error
		m, err = c.GetMemory(ctx, id)
		return m.Status.Final(), err
	})
	return m
}

// poll asks until the answer is yes.
func poll(ctx context.Context, t *testing.T, what string, ask func() (bool, error)) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := ask()
		must(t, err)
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s did not come: %v", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// TestStop stops the process in an orderly way while a memory is in flight: it is handed over at once, and goes on after
// the next start where it was.
func TestStop(t *testing.T) {
	g := &gate{shut: map[string]bool{"UseCases": true}}
	s, env := llmServer(t, g.script)
	p := start(t, env...)
	ctx := limited(t, 3*time.Minute)
	m, err := p.Client().AddMemory(ctx, memory.Input{Content: "The Lion wanted courage from the Wizard."})
	must(t, err)
	must(t, s.Wait(ctx, func(st llmtest.Stats) bool { return st.Calls["UseCases"] == 1 }))
	must(t, p.Stop())
	g.set("UseCases", false)
	again(t, p)
	got := finished(ctx, t, p.Client(), m.ID)
	if got.Status != memory.StatusCompleted || got.Track != memory.TrackDurable {
		t.Errorf("ended %s on %s (%s), want completed on durable", got.Status, got.Track, got.Reason)
	}
}
