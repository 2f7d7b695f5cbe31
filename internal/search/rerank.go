package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// asked is the query for the candidates: where they are to be judged, more of them, and those of any score.
func (q Query) asked(cfg Config) Query {
	if q.Rerank {
		q.Limit, q.MinScore = max(q.Limit, cfg.Reranked), 0
	}
	return q
}

// rerank has the LLM judge what was found and puts the best first; ties stay as they were. Where it cannot, the order
// stays as it was. Then the answer is cut to what was asked for.
func (s *Searcher) rerank(ctx context.Context, q Query, a *Answer) {
	scores, usage, why := s.judge(ctx, q.Text, a.Items)
	if usage.Tokens > 0 || why == "" {
		a.Usage = &Usage{Model: usage.Model, Tokens: usage.Tokens, CostUSD: usage.CostUSD, Notice: usage.Notice}
	}
	if why != "" {
		a.without(why)
	} else {
		for i := range a.Items {
			a.Items[i].Score, a.Items[i].Scores.Rerank = scores[i], &scores[i]
		}
		slices.SortStableFunc(a.Items, func(x, y Item) int { return cmp.Compare(y.Score, x.Score) })
	}
	a.Items = slices.DeleteFunc(a.Items, func(it Item) bool { return it.Score < q.MinScore })
	a.Items = a.Items[:min(len(a.Items), q.Limit)]
}

// judge returns the LLM's score of each item, or says why there is none.
func (s *Searcher) judge(ctx context.Context, query string, items []Item) (scores []float64, u llm.Usage, why string) {
	if s.parts.Reranker == nil {
		return nil, u, "reranking takes an LLM, and none is set: the order is that of the search"
	}
	if len(items) == 0 {
		return nil, u, ""
	}
	texts := make([]string, len(items))
	for i, it := range items {
		texts[i] = it.Passage
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RerankTimeout)
	defer cancel()
	r, err := s.parts.Reranker.Rerank(ctx, query, texts)
	if err == nil && len(r.Scores) != len(items) {
		err = fmt.Errorf("%d scores for %d texts", len(r.Scores), len(items))
	}
	if err != nil {
		s.log.WarnContext(ctx, "a search goes without reranking", "error", err)
		return nil, r.Usage, "the LLM did not judge what was found: the order is that of the search"
	}
	return r.Scores, r.Usage, ""
}
