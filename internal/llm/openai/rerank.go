package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

var _ llm.Reranker = (*Extractor)(nil)

const rerankPrompt = `You judge how well passages answer a search. "query" is what somebody looks for, "passages" are what was found.
` + aboutData + `{"scores": [{"id": 0, "score": 7}, {"id": 1, "score": 0}]}

Give each passage, by its id, a whole number from 0 to 10: 10 if it answers the query directly and fully, 5 if it helps to answer it, ` +
	`0 if it has nothing to do with it. Judge what a passage says, not how many words it shares with the query. Leave none out.`

const (
	bestScore = 10
	// maxPassageBytes is how much of a passage is judged.
	maxPassageBytes = 2_000
)

// passage is a text to be judged.
type passage struct {
	ID   int    `json:"id"`
	Text string `json:"text"`
}

// Rerank implements [llm.Reranker], by one call for all texts.
func (e *Extractor) Rerank(ctx context.Context, query string, texts []string) (llm.Ranking, error) {
	if len(texts) == 0 {
		return llm.Ranking{Usage: llm.Usage{Model: e.Model()}}, ctx.Err()
	}
	t, note := e.rerankTask(query, texts)
	scores, usage, err := converse(ctx, &e.chat, t, func(answer string) ([]float64, problem) {
		return readScores(answer, len(texts))
	})
	usage.Notice = join(usage.Notice, note)
	return llm.Ranking{Scores: scores, Usage: usage}, describe(err)
}

// rerankTask cuts the passages so that all fit into one prompt, and says so.
func (e *Extractor) rerankTask(query string, texts []string) (task, string) {
	room := (e.chat.config.MaxInputTokens - estimate(rerankPrompt) - estimate(query)) / len(texts)
	in, shorter := input{Task: "rerank", Query: query}, 0
	for i, text := range texts {
		text = strings.ToValidUTF8(text, "")
		short := fit(cut(text, maxPassageBytes), max(room-8, 16)) // a passage's frame takes some tokens too
		if len(short) < len(text) {
			shorter++
		}
		in.Passages = append(in.Passages, passage{i, short})
	}
	note := ""
	if shorter > 0 {
		note = fmt.Sprintf("%d of %d passages were judged by their beginning", shorter, len(texts))
	}
	return task{rerankPrompt, rerankSchema(), in}, note
}

func rerankSchema() map[string]any {
	return object(map[string]any{"scores": list(object(map[string]any{"id": integer(), "score": integer()}))})
}

// readScores validates an answer: each of the n passages has one score.
func readScores(answer string, n int) ([]float64, problem) {
	raw, ok := findObject(answer, "scores")
	if !ok {
		return nil, `it has no JSON object with the field "scores"`
	}
	var in struct {
		Scores []struct {
			ID    int      `json:"id"`
			Score *float64 `json:"score"`
		} `json:"scores"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, `"scores" is not a list of objects with the numbers "id" and "score"`
	}
	out, seen := make([]float64, n), make([]bool, n)
	for _, s := range in.Scores {
		switch {
		case s.ID < 0 || s.ID >= n:
			return nil, fmt.Sprintf("there is no passage %d", s.ID)
		case seen[s.ID]:
			return nil, fmt.Sprintf("passage %d has two scores", s.ID)
		case s.Score == nil || *s.Score < 0 || *s.Score > bestScore:
			return nil, fmt.Sprintf("the score of passage %d is not a number from 0 to %d", s.ID, bestScore)
		}
		seen[s.ID], out[s.ID] = true, *s.Score/bestScore
	}
	for i, ok := range seen {
		if !ok {
			return nil, fmt.Sprintf("passage %d has no score", i)
		}
	}
	return out, ""
}
