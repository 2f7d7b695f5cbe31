package llmtest

import (
	"context"
	"crypto/sha256"
	"maps"
	"sync"
	"time"
)

// Stats is what a [Server] or [Fake] has seen so far.
type Stats struct {
	Calls         map[string]int // by method: Embed, UseCases, Graph; and on a server: Models, Other
	Answered      int            // calls that got a real answer
	InFlight      int            // calls at work now
	MaxConcurrent int            // the most calls that were at work at once
	Tokens        int            // of the real answers, input and output
}

// Total is how many calls there were, whatever became of them.
func (s Stats) Total() int {
	n := 0
	for _, c := range s.Calls {
		n += c
	}
	return n
}

// tally counts calls. It keeps texts as hashes, so that a soak of a million memories stays small.
type tally struct {
	mu      sync.Mutex
	start   time.Time
	stats   Stats
	texts   map[textKey]int
	changed chan struct{} // closed and replaced at each change
}

type textKey struct {
	method string
	hash   [sha256.Size]byte
}

func newTally() *tally {
	return &tally{
		start: time.Now(), stats: Stats{Calls: map[string]int{}},
		texts: map[textKey]int{}, changed: make(chan struct{}),
	}
}

// enter counts a call that begins, and fills in what is known of it by counting.
func (t *tally) enter(c *Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Calls[c.Method]++
	t.stats.InFlight++
	t.stats.MaxConcurrent = max(t.stats.MaxConcurrent, t.stats.InFlight)
	c.N, c.MethodN, c.At = t.stats.Total(), t.stats.Calls[c.Method], time.Since(t.start)
	c.seen = make([]int, len(c.Texts))
	for i, text := range c.Texts {
		k := textKey{c.Method, sha256.Sum256([]byte(text))}
		t.texts[k]++
		c.seen[i] = t.texts[k]
	}
	t.announce()
}

func (t *tally) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.InFlight--
	t.announce()
}

func (t *tally) answered(tokens int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Answered++
	t.stats.Tokens += tokens
	t.announce()
}

func (t *tally) announce() {
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *tally) snapshot() (Stats, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Calls = maps.Clone(s.Calls)
	return s, t.changed
}

// Stats is what happened so far.
func (t *tally) Stats() Stats {
	s, _ := t.snapshot()
	return s
}

// Count is how many calls of the method (Embed, UseCases, Graph) carried exactly that text.
func (t *tally) Count(method, text string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.texts[textKey{method, sha256.Sum256([]byte(text))}]
}

// Wait returns as soon as what was seen fulfils the condition, or with the context's error.
func (t *tally) Wait(ctx context.Context, until func(Stats) bool) error {
	for {
		s, changed := t.snapshot()
		if until(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
