package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// AddMemory hands a memory in. It is stored when the call returns; its status says whether it is done already, which
// the option [Wait] makes likely.
func (c *Client) AddMemory(ctx context.Context, in memory.Input, options ...CallOption) (memory.Memory, error) {
	return post[memory.Memory](ctx, c, in, options, "memories")
}

// GetMemory returns a memory with its results and the receipts of its steps.
func (c *Client) GetMemory(ctx context.Context, id string) (memory.Memory, error) {
	return read[memory.Memory](ctx, c, get(nil, "memories", id))
}

// MemoryQuery selects memories; its zero value selects all.
type MemoryQuery struct {
	Status        memory.Status
	ExternalID    string
	Metadata      map[string]string // by key and value, as text
	CreatedAfter  time.Time         // exclusive
	CreatedBefore time.Time         // exclusive
	PageSize      int               // how many are fetched at a time, at most 500. Default 50
}

func (q MemoryQuery) values() url.Values {
	v := queryOf("status", string(q.Status), "external_id", q.ExternalID, "limit", number(q.PageSize),
		"created_after", timestamp(q.CreatedAfter), "created_before", timestamp(q.CreatedBefore))
	for key, value := range q.Metadata {
		v.Set("metadata."+key, value)
	}
	return v
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	b, _ := memory.At(t).MarshalText() // never fails
	return string(b)
}

// ListMemories goes through the memories of the workspace, newest first.
func (c *Client) ListMemories(ctx context.Context, q MemoryQuery) iter.Seq2[memory.Memory, error] {
	return list[memory.Memory](ctx, c, q.values(), "memories")
}

// MemoryChange is what to change of a memory. New content makes the next version, which is processed again.
type MemoryChange struct {
	Content  string          `json:"content,omitempty"` // "": stays
	Metadata memory.Metadata `json:"metadata,omitzero"` // nil: stay; otherwise takes the place of all there were
}

// UpdateMemory changes a memory and returns it as it then is. It is not sent again where its answer was lost.
func (c *Client) UpdateMemory(ctx context.Context, id string, change MemoryChange) (memory.Memory, error) {
	r, err := send(http.MethodPatch, change, "memories", id)
	if err != nil {
		return memory.Memory{}, err
	}
	return read[memory.Memory](ctx, c, r)
}

// DeleteMemory erases a memory from every store, a run in flight included.
func (c *Client) DeleteMemory(ctx context.Context, id string) error {
	return c.delete(ctx, "memories", id)
}

// RetryMemory runs a failed memory again, from its first unfinished step.
func (c *Client) RetryMemory(ctx context.Context, id string) (memory.Memory, error) {
	return act[memory.Memory](ctx, c, "memories", id, "retry")
}

// Mode says what a search goes by.
type Mode string

// The modes: by meaning and by words together, by meaning only, by words only.
const (
	Hybrid  Mode = "hybrid"
	Vector  Mode = "vector"
	Lexical Mode = "lexical"
)

// SearchQuery is what to look for. Only Query is required.
type SearchQuery struct {
	Query string `json:"query"`
	// Limit is how many memories are returned at most, 100 at most. Default 10.
	Limit int `json:"limit,omitempty"`
	// Filter is a condition such as {"metadata.topic": "travel"} or {"metadata.year": {"gte": 2020}}; "and", "or" and
	// "not" combine. Default: none.
	Filter map[string]any `json:"filter,omitempty"`
	// Mode is [Hybrid], [Vector] or [Lexical]. Default hybrid.
	Mode Mode `json:"mode,omitempty"`
	// ExpandGraph is how many relationships away from the memories found the graph in the answer goes, 3 at most.
	// Default 0.
	ExpandGraph int `json:"expand_graph,omitempty"`
	// MinScore leaves out what scores less. Default 0.
	MinScore float64 `json:"min_score,omitempty"`
}

// SearchResult is what a search found, best first, and the part of the graph around it.
type SearchResult struct {
	Items    []Hit        `json:"items"`
	Graph    memory.Graph `json:"graph"`
	Degraded string       `json:"degraded,omitempty"` // what the search had to do without; "": nothing
}

// Hit is a memory that was found.
type Hit struct {
	Memory  memory.Memory `json:"memory"` // without steps
	Score   float64       `json:"score"`  // what it is ranked by
	Scores  Scores        `json:"scores"`
	Passage string        `json:"passage"` // the part of the content that fits best
}

// Scores say why a memory was found: by meaning, by words, or both. Nil: not that way.
type Scores struct {
	Vector  *float64 `json:"vector,omitempty"`
	Lexical *float64 `json:"lexical,omitempty"`
}

// Search finds memories of the workspace.
func (c *Client) Search(ctx context.Context, q SearchQuery) (SearchResult, error) {
	r, err := send(http.MethodPost, q, "memories", "search")
	if err != nil {
		return SearchResult{}, err
	}
	r.repeatable = true // it changes nothing
	return read[SearchResult](ctx, c, r)
}
