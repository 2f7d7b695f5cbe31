package budget

import (
	"context"
	"errors"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// Extractor keeps an extractor's calls within the budget of its model. One that can judge still can.
func (b *Budget) Extractor(e llm.Extractor) llm.Extractor {
	if r, ok := e.(llm.Reranker); ok {
		return judge{extractor{e, b}, r}
	}
	return extractor{e, b}
}

// Embedder keeps an embedder's calls within the budget of its model.
func (b *Budget) Embedder(e llm.Embedder) llm.Embedder { return embedder{e, b} }

type extractor struct {
	llm.Extractor

	budget *Budget
}

// UseCases implements [llm.Extractor].
func (e extractor) UseCases(ctx context.Context, q llm.Question) (llm.UseCases, error) {
	return within(ctx, e.budget, e.Model(), estimate(q.Content)+askedAndAnswered, func() (llm.UseCases, int, error) {
		out, err := e.Extractor.UseCases(ctx, q)
		return out, out.Usage.Tokens, err
	})
}

// Graph implements [llm.Extractor].
func (e extractor) Graph(ctx context.Context, q llm.Question) (llm.Graph, error) {
	texts := append([]string{q.Content}, q.Related...)
	return within(ctx, e.budget, e.Model(), estimate(texts...)+askedAndAnswered, func() (llm.Graph, int, error) {
		out, err := e.Extractor.Graph(ctx, q)
		return out, out.Usage.Tokens, err
	})
}

type judge struct {
	extractor
	llm.Reranker
}

// Rerank implements [llm.Reranker].
func (j judge) Rerank(ctx context.Context, query string, texts []string) (llm.Ranking, error) {
	return within(ctx, j.budget, j.Model(), estimate(texts...)+askedAndAnswered, func() (llm.Ranking, int, error) {
		out, err := j.Reranker.Rerank(ctx, query, texts)
		return out, out.Usage.Tokens, err
	})
}

type embedder struct {
	llm.Embedder

	budget *Budget
}

// Embed implements [llm.Embedder].
func (e embedder) Embed(ctx context.Context, texts []string) (llm.Vectors, error) {
	return within(ctx, e.budget, e.Model(), estimate(texts...), func() (llm.Vectors, int, error) {
		out, err := e.Embedder.Embed(ctx, texts)
		return out, out.Usage.Tokens, err
	})
}

// within makes a call that the budget allows, and counts what it took. A call that says nothing of that, since it failed
// on the way, keeps what was taken for it: it may have cost that.
func within[T any](ctx context.Context, b *Budget, model string, tokens int, call func() (T, int, error)) (out T, err error) {
	if err := b.Take(ctx, model, tokens); err != nil {
		return out, err
	}
	out, used, err := call()
	if err == nil || used > 0 || errors.Is(err, llm.ErrHeld) { // kept back on the way: it took nothing
		b.Settle(context.WithoutCancel(ctx), model, tokens, used)
	}
	return out, err
}

// askedAndAnswered is about what the words around a text and the answer take.
const askedAndAnswered = 1000

// estimate is about how many tokens the texts have.
func estimate(texts ...string) int {
	bytes := 0
	for _, t := range texts {
		bytes += len(t)
	}
	return bytes/4 + 1
}
