package llmtest

import (
	"context"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// Reranker is the suite for rerankers. open makes a new one; it may register clean-up with tb.
func Reranker(t *testing.T, open func(tb testing.TB) llm.Reranker) {
	for name, test := range map[string]func(*testing.T, llm.Reranker){
		"TheAnswerScoresMost":           rerankAnswer,
		"EachTextHasAScore":             rerankSamples,
		"NothingIsNoQuestion":           rerankNothing,
		"CancelledContextIsInterrupted": rerankStopped,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func rerank(t *testing.T, r llm.Reranker, query string, texts ...string) llm.Ranking {
	t.Helper()
	got, err := r.Rerank(t.Context(), query, texts)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Scores) != len(texts) || got.Usage.Model == "" {
		t.Fatalf("%d scores of the model %q for %d texts", len(got.Scores), got.Usage.Model, len(texts))
	}
	for _, s := range got.Scores {
		if !(s >= 0 && s <= 1) {
			t.Errorf("a score is %v", s)
		}
	}
	return got
}

func rerankAnswer(t *testing.T, r llm.Reranker) {
	got := rerank(t, r, "Where did Dorothy live?", "The cyclone carried the house away.", "Dorothy lived in Kansas.", "Toto barked.").Scores
	if got[1] <= got[0] || got[1] <= got[2] {
		t.Errorf("scores %v, though the second text answers the query", got)
	}
}

func rerankSamples(t *testing.T, r llm.Reranker) {
	var texts []string
	for _, s := range samples() {
		texts = append(texts, s)
	}
	rerank(t, r, "What happened in Kansas?", texts...)
	rerank(t, r, samples()["Instructions"], texts...)
	rerank(t, r, strings.Repeat("Kansas ", 1_000), "Dorothy lived in Kansas.")
}

func rerankNothing(t *testing.T, r llm.Reranker) {
	got, err := r.Rerank(t.Context(), "Kansas", nil)
	if err != nil || len(got.Scores) != 0 || got.Usage.Tokens != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func rerankStopped(t *testing.T, r llm.Reranker) {
	stopped(t, func(ctx context.Context) error {
		_, err := r.Rerank(ctx, "Kansas", []string{"Dorothy lived in Kansas."})
		return err
	})
}
