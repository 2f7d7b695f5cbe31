package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/switchyard-ai/switchyard/internal/search"
	"github.com/switchyard-ai/switchyard/internal/store"
)

func (a *API) searchRoutes() {
	serve(a, route{
		id: "search-memories", method: http.MethodPost, path: "/v1/memories/search", tag: "Search", scope: store.ScopeRead,
		summary: "Search memories",
		about: "By meaning (`vector`), by words (`lexical`) or by both, fused (`hybrid`). " +
			"`filter`: `{\"metadata.topic\": \"travel\", \"created_at\": {\"gte\": \"2025-01-01T00:00:00Z\"}}`; operators `eq ne in nin gt gte lt lte exists`; " +
			"combined by `and`, `or` (lists) and `not`; fields `metadata.<key>`, `external_id`, `status`, `created_at`, `occurred_at`, `batch_id`. " +
			"`expand_graph` adds what the graph holds within so many relationships of what was found. " +
			"`rerank` has the LLM judge how well each of the best answers the query, and orders them by that; `usage` says what it took. Without an LLM the order stays as it was, and `degraded` says so. " +
			"`scores` says why a memory was found: by meaning (`vector`), by words (`lexical`), by the LLM's judgement (`rerank`). " +
			"While the embedding model is away, hybrid searches go by words and say so in `degraded`.",
		request: `{"query":"Who lived in Kansas?","limit":3,"mode":"hybrid","expand_graph":1}`,
		answer:  `{"items":[{"memory":` + exampleFound + `,"score":0.83,"scores":{"vector":0.81,"lexical":0.4},"passage":"Dorothy lived in Kansas."}],"graph":{"nodes":[],"relationships":[]}}`,
	}, a.search)
}

// SearchQuery is what to look for.
type SearchQuery struct {
	Query       string          `json:"query" minLength:"1" maxLength:"8000" pattern:"\\S" patternDescription:"text that is not blank"`
	Limit       int             `json:"limit,omitempty" minimum:"1" maximum:"100" default:"10"`
	Filter      json.RawMessage `json:"filter,omitempty"`
	Mode        store.Mode      `json:"mode,omitempty" enum:"hybrid,vector,lexical" default:"hybrid"`
	ExpandGraph int             `json:"expand_graph,omitempty" minimum:"0" maximum:"3"`
	MinScore    float64         `json:"min_score,omitempty" minimum:"0" maximum:"1"`
	Rerank      bool            `json:"rerank,omitempty"`
}

type searchInput struct {
	Body SearchQuery
}

func (a *API) search(ctx context.Context, in *searchInput) (*body[search.Answer], error) {
	filter, err := store.ParseFilter(in.Body.Filter, "/filter")
	if err != nil {
		return nil, err
	}
	answer, err := a.parts.Search.Find(ctx, search.Query{
		Workspace: workspaceOf(ctx), Text: in.Body.Query, Mode: in.Body.Mode, Limit: in.Body.Limit, Filter: filter,
		MinScore: in.Body.MinScore, Expand: in.Body.ExpandGraph, Rerank: in.Body.Rerank,
	})
	for i := range answer.Items {
		answer.Items[i].Memory = shown(answer.Items[i].Memory)
	}
	return &body[search.Answer]{answer}, err
}
