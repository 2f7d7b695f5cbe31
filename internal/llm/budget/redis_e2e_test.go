//go:build e2e

package budget_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/llm/budget"
	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func counters(t *testing.T, url string) budget.Redis {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() }) // nothing is lost with it
	return budget.NewRedis(client)
}

// TestProcessesShareABudget lets many calls of several processes come at once: of those, together, as many are let through
// as of one.
func TestProcessesShareABudget(t *testing.T) {
	t.Parallel()
	url, name := testservers.Redis(t), id.New("model_")
	limits := budget.Limits{Requests: 600, Tokens: 1_000_000} // 60 at once, then ten a second
	begun := time.Now()
	var mu sync.Mutex
	var wg sync.WaitGroup
	let, longest := 0, time.Duration(0)
	for range 4 {
		c := counters(t, url)
		for range 5 {
			wg.Go(func() {
				for range 10 {
					wait, err := c.Take(t.Context(), name, limits, 10)
					mu.Lock()
					if err != nil {
						t.Error(err)
					} else if wait == 0 {
						let++
					}
					longest = max(longest, wait)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	most := 60 + int(time.Since(begun).Seconds()*10) + 1
	if let < 60 || let > most || let == 200 && most < 200 {
		t.Errorf("%d of 200 calls are let through in %v, want 60 to %d", let, time.Since(begun), most)
	}
	if let < 200 && (longest <= 0 || longest > 200*time.Millisecond) {
		t.Errorf("a call waits up to %v, want about 100ms", longest)
	}
}

func TestRedisCountsAsAProcessDoes(t *testing.T) {
	t.Parallel()
	url := testservers.Redis(t)
	for name, c := range map[string]struct {
		limits budget.Limits
		take   []int // tokens; below zero they are given back
	}{
		"Requests":      {budget.Limits{Requests: 20}, []int{0, 0, 0, 0}},
		"OneRequest":    {budget.Limits{Requests: 1}, []int{0, 0}},
		"Tokens":        {budget.Limits{Tokens: 1000}, []int{60, 30, 20, -15, 20, 1}},
		"Debt":          {budget.Limits{Tokens: 1000}, []int{5000, 1}},
		"GivenBackOnly": {budget.Limits{Tokens: 1000}, []int{-5000, 100, 1}},
		"Both":          {budget.Limits{Requests: 30, Tokens: 1000}, []int{50, 60, 50, 0, 0}},
		"NoTokenLimit":  {budget.Limits{Requests: 1000}, []int{1_000_000, 1_000_000}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared, own, key := counters(t, url), &budget.Local{}, id.New("model_")
			for i, tokens := range c.take {
				if tokens < 0 {
					if err := errors.Join(shared.Give(t.Context(), key, c.limits, -tokens), own.Give(t.Context(), key, c.limits, -tokens)); err != nil {
						t.Fatal(err)
					}
					continue
				}
				got, err := shared.Take(t.Context(), key, c.limits, tokens)
				want, _ := own.Take(t.Context(), key, c.limits, tokens)
				if err != nil || (got == 0) != (want == 0) || (got-want).Abs() > want/4+50*time.Millisecond { // their clocks differ
					t.Errorf("call %d waits %v (%v), want %v", i, got, err, want)
				}
			}
		})
	}
}

func TestABudgetOutlivesItsRedis(t *testing.T) {
	t.Parallel()
	server, err := testservers.StartRedis(0)
	if err != nil {
		testservers.Missing(t, "Redis", err)
	}
	b := limited(budget.Limits{Requests: 1}, counters(t, testservers.RedisURL(server)))
	if err := errors.Join(b.Take(t.Context(), model, 0), server.Kill()); err != nil {
		t.Fatal(err)
	}
	if err := b.Take(t.Context(), model, 0); err != nil { // its own counters are full
		t.Errorf("with Redis away a call gives %v", err)
	}
	if err := b.Take(t.Context(), model, 0); memory.CodeOf(err) != memory.CodeRateLimited {
		t.Errorf("with Redis away another call gives %v", err)
	}
	port, err := strconv.Atoi(server.Ready)
	if err != nil {
		t.Fatal(err)
	}
	if server, err = testservers.StartRedis(port); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Kill() })                                              // that is its end
	for end := time.Now().Add(30 * time.Second); b.Take(t.Context(), model, 0) != nil; { // the new one is empty, so its bucket is full
		if time.Now().After(end) {
			t.Fatal("with Redis back it is not asked")
		}
		time.Sleep(100 * time.Millisecond)
	}
}
