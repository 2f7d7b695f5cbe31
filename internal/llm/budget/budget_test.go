package budget_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/budget"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const model = "m"

func limited(l budget.Limits, shared budget.Counters) *budget.Budget {
	return budget.New(budget.Config{Models: map[string]budget.Limits{model: l}}, shared)
}

// taken is how many calls of so many tokens are let through within the time, each being made as soon as it may.
func taken(t *testing.T, b *budget.Budget, tokens int, within time.Duration) int {
	t.Helper()
	n := 0
	for end := time.Now().Add(within); time.Now().Before(end); {
		err := b.Take(t.Context(), model, tokens)
		if err == nil {
			n++
			continue
		}
		wait := memory.RetryAfter(err)
		if memory.CodeOf(err) != memory.CodeRateLimited || wait <= 0 || !errors.Is(err, llm.ErrHeld) {
			t.Fatalf("over the budget a call gives %v, after %v", err, wait)
		}
		time.Sleep(wait) // in virtual time
	}
	return n
}

func TestNoMoreIsTakenThanTheBudgetAllows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits      budget.Limits
		tokens      int
		least, most int // within five minutes
	}{
		"Requests":           {budget.Limits{Requests: 60}, 1_000_000, 299, 307},
		"FewRequests":        {budget.Limits{Requests: 2}, 0, 10, 11},
		"Tokens":             {budget.Limits{Tokens: 10_000}, 100, 499, 511},
		"TheTighterOfTheTwo": {budget.Limits{Requests: 600, Tokens: 10_000}, 1000, 49, 51},
		"CallsOverTheBurst":  {budget.Limits{Tokens: 10_000}, 5000, 9, 11},
		"CallsOverTheMinute": {budget.Limits{Tokens: 10_000}, 50_000, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if n := taken(t, limited(c.limits, nil), c.tokens, 5*time.Minute); n < c.least || n > c.most {
					t.Errorf("%d calls are let through, want %d to %d", n, c.least, c.most)
				}
			})
		})
	}
}

func TestWhatACallTookIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := limited(budget.Limits{Tokens: 6000}, nil)
		for range 50 { // they take nothing in the end
			if err := b.Take(t.Context(), model, 500); err != nil {
				t.Fatal("what was given back cannot be taken:", err)
			}
			b.Settle(t.Context(), model, 500, 0)
		}
		if err := b.Take(t.Context(), model, 1); err != nil {
			t.Fatal(err)
		}
		b.Settle(t.Context(), model, 1, 6601) // a minute's worth more than the tenth that there was
		err := b.Take(t.Context(), model, 60)
		if wait := memory.RetryAfter(err); wait < time.Minute || wait > 61*time.Second {
			t.Errorf("after a call that took more the next one waits %v", wait)
		}
	})
}

func TestWhatHasNoLimitIsNotCounted(t *testing.T) {
	t.Parallel()
	for _, b := range []*budget.Budget{budget.New(budget.Config{}, broken{}), limited(budget.Limits{}, broken{})} {
		for range 1000 {
			if err := b.Take(t.Context(), model, 1_000_000); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// broken are counters that are away.
type broken struct{ asked *int }

func (b broken) Take(context.Context, string, budget.Limits, int) (time.Duration, error) {
	*b.asked++
	return 0, errors.New("away")
}

func (b broken) Give(context.Context, string, budget.Limits, int) error { return errors.New("away") }

func TestWithoutSharedCountersAProcessCountsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		b := limited(budget.Limits{Requests: 60}, broken{&asked})
		if n := taken(t, b, 0, 5*time.Minute); n < 299 || n > 307 {
			t.Errorf("%d calls are let through", n)
		}
		if asked < 10 || asked > 61 {
			t.Errorf("counters that are away are asked %d times in five minutes", asked)
		}
	})
}

// model answers with a usage.
type answering struct {
	llm.Extractor
	llm.Embedder

	tokens int
	err    error
}

func (answering) Model() string { return model }

func (a answering) UseCases(context.Context, llm.Question) (llm.UseCases, error) {
	return llm.UseCases{Usage: llm.Usage{Tokens: a.tokens}}, a.err
}

func (a answering) Graph(context.Context, llm.Question) (llm.Graph, error) {
	return llm.Graph{Usage: llm.Usage{Tokens: a.tokens}}, a.err
}

func (a answering) Embed(context.Context, []string) (llm.Vectors, error) {
	return llm.Vectors{Usage: llm.Usage{Tokens: a.tokens}}, a.err
}

func (a answering) Rerank(context.Context, string, []string) (llm.Ranking, error) {
	return llm.Ranking{Usage: llm.Usage{Tokens: a.tokens}}, a.err
}

func TestACallThatIsKeptBackTakesNoTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := limited(budget.Limits{Tokens: 60_000}, nil)
		for range 100 {
			if _, err := b.Extractor(answering{err: llm.ErrHeld}).UseCases(t.Context(), llm.Question{}); memory.CodeOf(err) == memory.CodeRateLimited {
				t.Fatal("the budget is used up by calls that were not made:", err)
			}
		}
	})
}

func TestEachCallIsWithinTheBudget(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(ctx context.Context, b *budget.Budget, a answering) error{
		"UseCases": func(ctx context.Context, b *budget.Budget, a answering) error {
			_, err := b.Extractor(a).UseCases(ctx, llm.Question{})
			return err
		},
		"Graph": func(ctx context.Context, b *budget.Budget, a answering) error {
			_, err := b.Extractor(a).Graph(ctx, llm.Question{})
			return err
		},
		"Rerank": func(ctx context.Context, b *budget.Budget, a answering) error {
			_, err := b.Extractor(a).(llm.Reranker).Rerank(ctx, "", nil)
			return err
		},
		"Embed": func(ctx context.Context, b *budget.Budget, a answering) error {
			_, err := b.Embedder(a).Embed(ctx, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := limited(budget.Limits{Tokens: 60_000}, nil)
				a := answering{tokens: 36_000, err: errors.New("cost something all the same")}
				if err := call(t.Context(), b, a); !errors.Is(err, a.err) {
					t.Fatalf("the first call gives %v", err)
				}
				if err := call(t.Context(), b, a); memory.CodeOf(err) != memory.CodeRateLimited || memory.RetryAfter(err) < 30*time.Second {
					t.Errorf("after %d tokens of 60,000 a minute the next call gives %v, after %v", a.tokens, err, memory.RetryAfter(err))
				}
			})
		})
	}
}
