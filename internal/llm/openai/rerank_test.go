package openai_test

import (
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/llm/openai"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestReranker(t *testing.T) {
	llmtest.Reranker(t, func(tb testing.TB) llm.Reranker { return extractor(tb, start(tb, nil), openai.Config{}) })
}

func TestScoresThatDoNotValidateAreRepairedOnce(t *testing.T) {
	t.Parallel()
	const good = `{"scores": [{"id": 1, "score": 10}, {"id": 0, "score": 2.5}]}`
	for name, c := range map[string]struct{ answer, problem string }{
		"NoJSON":  {"The second one.", `no JSON object with the field "scores"`},
		"NoList":  {`{"scores": 5}`, "not a list"},
		"One":     {`{"scores": [{"id": 0, "score": 5}]}`, "passage 1 has no score"},
		"Twice":   {`{"scores": [{"id": 0, "score": 5}, {"id": 0, "score": 6}]}`, "passage 0 has two scores"},
		"Unknown": {`{"scores": [{"id": 0, "score": 5}, {"id": 2, "score": 6}]}`, "no passage 2"},
		"TooMuch": {`{"scores": [{"id": 0, "score": 5}, {"id": 1, "score": 11}]}`, "not a number from 0 to 10"},
		"Without": {`{"scores": [{"id": 0, "score": 5}, {"id": 1}]}`, "not a number from 0 to 10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r recorder
			texts := []string{"Toto barked.", "Dorothy lived in Kansas."}
			s := start(t, r.script(llmtest.Sequence(llmtest.Say(c.answer), llmtest.Say(good))))
			got, err := extractor(t, s, openai.Config{}).Rerank(t.Context(), "Kansas", texts)
			if err != nil || got.Scores[0] != 0.25 || got.Scores[1] != 1 || got.Usage.Tokens == 0 {
				t.Errorf("got %+v, %v", got, err)
			}
			second := r.body(t, 1)["messages"].([]any)
			if said := second[len(second)-1].(map[string]any)["content"].(string); !strings.Contains(said, c.problem) {
				t.Errorf("the model is told %q", said)
			}
			s = start(t, llmtest.Always(llmtest.Say(c.answer)))
			if _, err := extractor(t, s, openai.Config{}).Rerank(t.Context(), "Kansas", texts); memory.CodeOf(err) != memory.CodeBadAnswer {
				t.Errorf("twice: %v", err)
			}
		})
	}
}

func TestLongPassagesAreJudgedByTheirBeginningAndThatIsSaid(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Dorothy lived in Kansas. ", 1_000)
	texts := []string{long, long, "Toto barked."}
	s, err := llmtest.NewServer(llmtest.Config{Key: key, ContextTokens: 1_500})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	got, err := extractor(t, s, openai.Config{MaxInputTokens: 1_200}).Rerank(t.Context(), "Kansas", texts)
	if err != nil || got.Usage.Notice != "2 of 3 passages were judged by their beginning" {
		t.Errorf("notice %q, %v", got.Usage.Notice, err)
	}
}
