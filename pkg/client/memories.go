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
	Statuses      []memory.Status // any of them; default all
	ExternalID    string
	BatchID       string
	Metadata      map[string]string // by key and value, as text
	CreatedAfter  time.Time         // exclusive
	CreatedBefore time.Time         // exclusive
	PageSize      int               // how many are fetched at a time, at most 500. Default 50
}

func (q MemoryQuery) values() url.Values {
	v := queryOf("external_id", q.ExternalID, "batch_id", q.BatchID, "limit", number(q.PageSize),
		"created_after", timestamp(q.CreatedAfter), "created_before", timestamp(q.CreatedBefore))
	for _, s := range q.Statuses {
		v.Add("status", string(s))
	}
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

// MemoryChange is what to change of a memory; what is not set stays. A change makes the next version, which is processed
// again.
type MemoryChange struct {
	Content    string          `json:"content,omitempty"`
	Metadata   memory.Metadata `json:"metadata,omitzero"` // not nil: takes the place of all there were
	OccurredAt *memory.Time    `json:"occurred_at,omitempty"`
	Track      memory.Track    `json:"track,omitempty"`
}

// UpdateMemory changes a memory and returns it as it then is; [Wait] makes that finished. It is not sent again where its
// answer was lost.
func (c *Client) UpdateMemory(ctx context.Context, id string, change MemoryChange, options ...CallOption) (memory.Memory, error) {
	return sendFor[memory.Memory](ctx, c, http.MethodPatch, change, options, "memories", id)
}

// Erasure is the receipt of a deletion: the stores that hold nothing of the memory any more.
type Erasure struct {
	ID       string      `json:"id"`
	Erased   []string    `json:"erased"`            // the stores that hold nothing of it any more
	Pending  []string    `json:"pending,omitempty"` // those that could not be reached, and are erased when they can be
	ErasedAt memory.Time `json:"erased_at"`
}

// DeleteMemory erases a memory from every store, and stops a run in flight.
func (c *Client) DeleteMemory(ctx context.Context, id string) (Erasure, error) {
	return sendFor[Erasure](ctx, c, http.MethodDelete, nil, nil, "memories", id)
}

// RetryMemory runs a memory again that failed, was degraded or cancelled, from its first unfinished step. [Wait] serves.
func (c *Client) RetryMemory(ctx context.Context, id string, options ...CallOption) (memory.Memory, error) {
	return sendFor[memory.Memory](ctx, c, http.MethodPost, nil, options, "memories", id, "retry")
}

// Explanation says how a memory came to be what it is.
type Explanation struct {
	ID       string           `json:"id"`
	Version  int              `json:"version"`
	Status   memory.Status    `json:"status"`
	Track    memory.Track     `json:"track"`
	Reason   string           `json:"track_reason"`
	BatchID  string           `json:"batch_id,omitempty"`
	Priority memory.Priority  `json:"priority,omitempty"`
	Error    *memory.Fault    `json:"error"`
	Took     Took             `json:"took"`
	Steps    []memory.Receipt `json:"steps"`
	Written  Written          `json:"written"`
}

// Took is what a memory took.
type Took struct {
	Attempts   int     `json:"attempts"`
	DurationMS *int64  `json:"duration_ms"` // nil until it is finished
	Tokens     int     `json:"tokens"`
	CostUSD    float64 `json:"cost_usd"`
}

// Written says what of a memory is where.
type Written struct {
	Documents bool `json:"documents"`
	Vectors   struct {
		Written    bool   `json:"written"`
		Model      string `json:"model,omitempty"`
		Dimensions int    `json:"dimensions,omitempty"`
	} `json:"vectors"`
	Graph struct {
		Written       bool `json:"written"`
		Nodes         int  `json:"nodes"`
		Relationships int  `json:"relationships"`
	} `json:"graph"`
}

// ExplainMemory says why a memory ran on its track, what its steps took, and what was written where.
func (c *Client) ExplainMemory(ctx context.Context, id string) (Explanation, error) {
	return read[Explanation](ctx, c, get(nil, "memories", id, "explain"))
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
	// Rerank has the server's LLM judge how well each of the best answers the query, and orders them by that. Default
	// false.
	Rerank bool `json:"rerank,omitempty"`
}

// SearchResult is what a search found, best first, and the part of the graph around it.
type SearchResult struct {
	Items    []Hit        `json:"items"`
	Graph    memory.Graph `json:"graph"`
	Degraded string       `json:"degraded,omitempty"` // what the search had to do without; "": nothing
	Usage    *SearchUsage `json:"usage,omitempty"`    // what the LLM took to judge; nil where it was not asked
}

// SearchUsage is what the LLM took for one answer.
type SearchUsage struct {
	Model   string  `json:"model"`
	Tokens  int     `json:"tokens"`
	CostUSD float64 `json:"cost_usd"`
	Notice  string  `json:"notice,omitempty"`
}

// Hit is a memory that was found.
type Hit struct {
	Memory  memory.Memory `json:"memory"` // without steps
	Score   float64       `json:"score"`  // what it is ranked by
	Scores  Scores        `json:"scores"`
	Passage string        `json:"passage"` // the part of the content that fits best
}

// Scores say why a memory was found: by meaning, by words, by the LLM's judgement. Nil: not that way.
type Scores struct {
	Vector  *float64 `json:"vector,omitempty"`
	Lexical *float64 `json:"lexical,omitempty"`
	Rerank  *float64 `json:"rerank,omitempty"`
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
