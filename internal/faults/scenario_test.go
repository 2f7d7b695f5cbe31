//go:build failpoints

package faults

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/e2e"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/internal/testservers"
)

// scenarios are what a fault at a boundary cannot bring about. Each returns the promises that were broken.
var scenarios = map[string]func(t *testing.T, bug string) []string{
	"frozen": frozen, "long": long, "limited": limited, "orphaned": orphaned, "away": away,
}

// TestScenarios: a frozen process does not write over its successor; a long run that is alive is not stolen; a 429 does
// not open a breaker; an orphan is found within 15 s of its owner's end; without Temporal everything is taken in.
func TestScenarios(t *testing.T) {
	t.Parallel()
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, b := range scenario(t, "") {
				t.Error(b)
			}
		})
	}
}

// until waits for something that the journal says of a memory.
func (w *world) until(ctx context.Context, what string, is func(words []string) bool) bool {
	for ctx.Err() == nil {
		if slices.ContainsFunc(w.entries(), func(e entry) bool { return is(e.words) }) {
			return true
		}
		time.Sleep(50 * time.Millisecond) // the journal is a file
	}
	w.breachf("story", "%s did not happen", what)
	return false
}

// freeze stops a process at a moment when it does not write, which would hold the file up for everybody.
func (w *world) freeze(ctx context.Context, p *e2e.Process) {
	for ctx.Err() == nil {
		must(w.t, p.Signal(syscall.SIGSTOP))
		s, err := sqlitestore.Open(ctx, filepath.Join(p.Data, "switchyard.db"), sqlitestore.Config{BusyTimeout: 500 * time.Millisecond, Patience: -1})
		if err == nil {
			must(w.t, s.Close())
			return
		}
		must(w.t, p.Signal(syscall.SIGCONT))
		time.Sleep(50 * time.Millisecond) // to let it get on
	}
}

// frozen stops a process in the middle of a call to the model, lets another one take the memory over, and lets the first
// one go on.
func frozen(t *testing.T, bug string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := newWorld(t)
	w.slow = 4 * time.Second
	w.process.Env = w.env(bug, nil)
	must(t, w.process.Start(ctx))
	first := w.process
	id, err := w.post(ctx, "frozen", "The slow Lion sleeps in the poppies", nil)
	must(t, err)
	must(t, w.llm.Wait(ctx, func(s llmtest.Stats) bool { return s.Calls["UseCases"] == 1 }))
	w.freeze(ctx, first)
	second := &e2e.Process{Binary: first.Binary, Data: first.Data, Args: first.Args, Env: first.Env}
	defer func() { _ = second.Kill() }()
	must(t, second.Start(ctx))
	w.process = second
	took := w.until(ctx, "the claim of the successor", func(words []string) bool {
		return words[0] == "claimed" && words[1] == id && strings.HasPrefix(words[4], "memory-")
	})
	must(t, first.Signal(syscall.SIGCONT))
	if _, err := w.final(ctx, "/v1/memories/"+id); err != nil || !took {
		w.breachf("lost", "%s: %v", id, err)
	}
	if err := first.Stop(); err != nil { // it has nothing left to say
		w.breachf("stuck", "the process that was frozen: %v", err)
	}
	must(t, second.Stop())
	w.verify(context.WithoutCancel(ctx))
	return w.broken
}

// long runs a memory for longer than its lease would last without a sign of life.
func long(t *testing.T, bug string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := newWorld(t)
	w.slow = 6500 * time.Millisecond // twice a lease, less than the patience with a call
	stop := w.live(ctx, bug, nil)
	id, err := w.post(ctx, "long", "A very slow walk to the Emerald City", nil)
	must(t, err)
	if _, err := w.final(ctx, "/v1/memories/"+id); err != nil {
		w.breachf("lost", "%s: %v", id, err)
	}
	for _, e := range w.entries() {
		if e.words[0] == "entrusted" && e.words[1] == id {
			w.breachf("stolen", "%s was taken from a process that lives: %v", id, e.words)
		}
	}
	stop()
	w.verify(context.WithoutCancel(ctx))
	return w.broken
}

// refusals is how often the model says 429: often enough for a breaker that counted that.
const refusals = 6

// limited lets the model say 429 to everything for a while.
func limited(t *testing.T, bug string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // the pauses of six refusals alone are a minute
	defer cancel()
	w := newWorld(t)
	w.llm.SetScript(func(c llmtest.Call) llmtest.Behaviour {
		if c.Method == "UseCases" && c.MethodN <= refusals {
			return llmtest.RateLimitMS(200 * time.Millisecond)
		}
		return w.script(c)
	})
	stop := w.live(ctx, bug, nil)
	for _, name := range []string{"one", "two", "three", "four"} {
		if _, err := w.post(ctx, name, "A limited Munchkin, number "+name, nil); err != nil {
			w.breachf("story", "%v", err)
		}
	}
	looking, enough := context.WithCancel(ctx)
	var looks sync.WaitGroup
	looks.Go(func() {
		for looking.Err() == nil {
			w.closed(looking)
		}
	})
	w.settle(ctx)
	enough()
	looks.Wait()
	stop()
	w.verify(context.WithoutCancel(ctx))
	return w.broken
}

// closed checks that the breaker of the chat model is.
func (w *world) closed(ctx context.Context) {
	r, err := w.ask(ctx, http.MethodGet, "/v1/router", "", "")
	var router struct{ Breakers map[string]string }
	_ = json.Unmarshal(r.body, &router)
	if err == nil && router.Breakers["chat"] != "closed" {
		w.breachf("breaker", "it is %q though the model only said 429: %s", router.Breakers["chat"], r.body)
	}
	time.Sleep(20 * time.Millisecond) // between two looks
}

// orphaned kills a process in the middle of a memory and measures when the memory is taken up, with the leases that a
// program has where nothing is set.
func orphaned(t *testing.T, bug string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := newWorldOf(t, patient)
	w.slow = 20 * time.Second
	w.process.Env = w.env(bug, nil)
	must(t, w.process.Start(ctx))
	id, err := w.post(ctx, "orphaned", "A slow cyclone carries the house away", nil)
	must(t, err)
	must(t, w.llm.Wait(ctx, func(s llmtest.Stats) bool { return s.Calls["UseCases"] == 1 }))
	must(t, w.process.Kill())
	died := time.Now() // its latest sign of life was no later
	w.mu.Lock()
	w.slow = 0
	w.mu.Unlock()
	must(t, w.process.Start(ctx))
	w.until(ctx, "the taking up", func(words []string) bool { return words[0] == "entrusted" && words[1] == id })
	if took := time.Since(died); took > 15*time.Second {
		w.breachf("late", "the orphan was found %v after its owner's end", took)
	}
	w.settle(ctx)
	must(t, w.process.Stop())
	w.verify(context.WithoutCancel(ctx))
	return w.broken
}

// away takes Temporal away: what comes in is taken in, single memories are done, and the rest when it is back.
func away(t *testing.T, bug string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := newWorld(t)
	proxy, err := testservers.NewProxy(w.temporal)
	must(t, err)
	defer proxy.Close()
	w.temporal = proxy.Addr()
	stop := w.live(ctx, bug, nil)
	first, err := w.post(ctx, "before", "The road is yellow before", nil)
	must(t, err)
	_, err = w.final(ctx, "/v1/memories/"+first)
	must(t, err)
	proxy.Cut()
	accepted := func(path, key, body string, header ...string) string {
		r, err := w.try(ctx, http.MethodPost, path, key, body, header...)
		if err != nil || r.status != http.StatusAccepted {
			w.breachf("refused", "%s was answered %d %s (%v) without Temporal", path, r.status, r.body, err)
		}
		return r.field("id")
	}
	single := accepted("/v1/memories", "single", `{"content":"The city is green meanwhile"}`)
	if _, err := w.final(ctx, "/v1/memories/"+single); err != nil {
		w.breachf("lost", "the single memory waits for Temporal: %v", err)
	}
	w.expect(expected{id: single, content: "The city is green meanwhile", version: 1})
	later := accepted("/v1/memories", "durable", `{"content":"The Witch is dead meanwhile","track":"durable"}`)
	w.expect(expected{id: later, content: "The Witch is dead meanwhile", version: 1})
	contents := []string{"Glinda is good meanwhile", "Oz is a humbug meanwhile"}
	batch := accepted("/v1/batches", "batch", lines(contents...), "Content-Type", "application/x-ndjson")
	proxy.Mend("")
	if _, err := w.final(ctx, "/v1/batches/"+batch); err != nil {
		w.breachf("lost", "the batch: %v", err)
	} else if err := w.members(ctx, batch, contents); err != nil {
		w.breachf("lost", "the batch: %v", err)
	}
	w.settle(ctx)
	stop()
	w.verify(context.WithoutCancel(ctx))
	return w.broken
}

// TestBugsAreSeen plants each bug and fails where the machine stays green.
func TestBugsAreSeen(t *testing.T) {
	t.Parallel()
	kill := func(w When, point string) []Fault { return []Fault{{Kill, w, point}} }
	with := func(due []Fault, only ...string) func(*testing.T, string) []string {
		return func(t *testing.T, bug string) []string { t.Helper(); return play(t, bug, due, only...).broken }
	}
	cases := map[string]struct {
		run  func(*testing.T, string) []string
		sign string // what the machine must say, among other things
	}{
		AnswerBeforeWrite:  {with(kill(After, "Answer.POST /v1/memories"), "single"), "lost"},
		NoCheckpoint:       {with(kill(Before, "LLM.Graph"), "single"), "paid-twice"},
		RandomIDs:          {with(kill(After, "Vectors.Upsert"), "single"), "points"},
		NoFence:            {frozen, "fence"},
		NoRenewal:          {long, "stolen"},
		LateEvent:          {with(kill(After, "Runs.Finish"), "single"), "untold"},
		CountedRateLimit:   {limited, "breaker"},
		DeleteWithoutFence: {with(nil, "overtaken"), "fence"},
		ForgetfulRequests:  {with(nil, "single"), "twice"},
		UntrueCounts:       {with(nil, "batched"), "story"},
		EraseWithoutNote:   {with(kill(After, "Memories.Delete"), "deleted"), "points"},
	}
	for _, bug := range Bugs() {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			broken := cases[bug].run(t, bug)
			seen := slices.ContainsFunc(broken, func(b string) bool { return strings.HasPrefix(b, cases[bug].sign+":") })
			if total.bug(seen); !seen {
				t.Errorf("the machine does not say %q of it, but %q", cases[bug].sign, broken)
			}
			t.Logf("seen: %q", broken)
		})
	}
}
