// Package llm declares the ports to language models: what the pipeline asks of them, and what an answer carries. The
// suites in llmtest hold every adapter to it.
//
// Errors carry a [memory.Code]: CodeRateLimited with RetryAfter for a 429, CodeQuota for an account without credit,
// CodeUnavailable for 5xx and broken connections, CodeRefused for other 4xx, CodeBadAnswer for an answer that does not
// validate even after one repair. Adapters never retry by themselves: patience belongs to the tracks. An answer that comes
// with an error holds at most its Usage: what the calls cost that were answered before.
package llm

import (
	"context"
	"errors"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// ErrHeld is in the chain of the error of a call that was never made: the model said before that it has too many, and the
// process keeps to that. Its code is CodeRateLimited, its RetryAfter says when to ask again.
var ErrHeld = errors.New("the call was kept back")

// Usage says what a call took. CostUSD is 0 where the model's price is not known.
type Usage struct {
	Model   string // of an Extractor as the answering server names it, of an Embedder its Model; local ones begin with "local/"
	Tokens  int    // input and output
	CostUSD float64
	Notice  string // what the reader of the receipt should know, such as "content cut from 31,000 to 8,000 tokens"
}

// Embedder turns texts into vectors whose nearness is nearness of meaning.
type Embedder interface {
	// Embed returns one L2-normalised vector a text, in order, all of the same dimension. An empty list of texts is
	// answered by an empty list. A text that is too long for the model is cut with a notice, never silently.
	Embed(ctx context.Context, texts []string) (Vectors, error)
	// Model names the model before the first call, for a check at start. Vectors are stored under this name, so every
	// answer carries it, whatever a server calls its model.
	Model() string
}

// Vectors is the answer of an [Embedder].
type Vectors struct {
	Vectors [][]float32
	Usage   Usage
}

// Extractor reads a memory.
type Extractor interface {
	// UseCases says what the memory could serve for: 1 to 8 short, distinct phrases.
	UseCases(ctx context.Context, q Question) (UseCases, error)
	// Graph says what things the memory speaks of and how they are related. Every relationship joins two of the nodes,
	// by their place in the list. Types are those of q.Schema where it is strict.
	Graph(ctx context.Context, q Question) (Graph, error)
	// Model names the model before the first call, for a check at start.
	Model() string
}

// Reranker judges how well texts answer a query: what a search may ask once it has found candidates. An [Extractor] whose
// model can judge is one too; the local one has no judgement to offer and is none.
type Reranker interface {
	// Rerank returns one score a text, in their order, from 0 (it has nothing to do with the query) to 1 (it answers it
	// fully). An empty list is answered by an empty list, and nobody is asked. What is too long is judged by its beginning,
	// with a notice.
	Rerank(ctx context.Context, query string, texts []string) (Ranking, error)
}

// Ranking is the answer of a [Reranker].
type Ranking struct {
	Scores []float64
	Usage  Usage
}

// Question is what an [Extractor] is asked about. UseCases and Related are context for Graph; UseCases ignores them.
type Question struct {
	Content  string
	Metadata memory.Metadata
	UseCases []string
	Related  []string // contents of related memories, most related first
	Schema   Schema
}

// Schema is the workspace's own node and relationship types. Strict: no others may be used. The zero Schema is open.
type Schema struct {
	Mode          string `json:"mode,omitempty"` // "strict" or "open"; default open
	Nodes         []Type `json:"nodes,omitempty"`
	Relationships []Type `json:"relationships,omitempty"`
}

// Type is a node or relationship type with what it is meant for.
type Type struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// UseCases is an answer of an [Extractor].
type UseCases struct {
	UseCases []string
	Usage    Usage
}

// Graph is an answer of an [Extractor].
type Graph struct {
	Nodes         []Node
	Relationships []Relationship
	Usage         Usage
}

// Node is a thing that the memory speaks of.
type Node struct {
	Type       string
	Name       string
	Properties map[string]string
}

// Relationship joins two nodes of the same answer by their index.
type Relationship struct {
	From, To   int
	Type       string
	Properties map[string]string
}
