package budget

import (
	"context"
	"sync"
	"time"
)

// Local counts in this process. Its zero value works.
type Local struct {
	mu      sync.Mutex
	buckets map[string]*bucket
}

var _ Counters = (*Local)(nil)

// bucket is what is left of a model's budget. It fills evenly, up to the burst. Tokens may be below zero: calls took more
// than was thought.
type bucket struct {
	at               time.Time
	requests, tokens float64
}

// Take implements [Counters].
func (c *Local) Take(_ context.Context, model string, l Limits, tokens int) (time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.bucket(model, l)
	need := min(float64(tokens), burst(l.Tokens)) // a call that needs more waits until the bucket is full
	wait := max(b.missing(1, b.requests, l.Requests), b.missing(need, b.tokens, l.Tokens))
	if wait == 0 {
		b.requests--
		b.tokens -= float64(tokens)
	}
	return wait, nil
}

// Give implements [Counters].
func (c *Local) Give(_ context.Context, model string, l Limits, tokens int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.bucket(model, l)
	b.tokens = min(b.tokens+float64(tokens), burst(l.Tokens))
	return nil
}

// bucket is that of the model, filled up to now.
func (c *Local) bucket(model string, l Limits) *bucket {
	if c.buckets == nil {
		c.buckets = map[string]*bucket{}
	}
	now := time.Now()
	b := c.buckets[model]
	if b == nil {
		b = &bucket{at: now, requests: burst(l.Requests), tokens: burst(l.Tokens)}
		c.buckets[model] = b
	}
	passed := now.Sub(b.at).Minutes()
	b.at = now
	b.requests = min(b.requests+passed*float64(l.Requests), burst(l.Requests))
	b.tokens = min(b.tokens+passed*float64(l.Tokens), burst(l.Tokens))
	return b
}

// missing is how long it takes until there is enough.
func (*bucket) missing(need, left float64, limit int) time.Duration {
	if limit == 0 || left >= need {
		return 0
	}
	return time.Duration((need-left)/float64(limit)*float64(time.Minute)) + time.Millisecond
}

// burst is how much of a limit can be taken at once.
func burst(limit int) float64 { return max(float64(limit)/10, 1) }
