package local

import (
	"context"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/local/static"
)

// Embedder turns texts into vectors with the static model that is part of the binary. Texts of any length are taken
// whole. It is safe for concurrent use.
type Embedder struct {
	model *static.Model
}

var _ llm.Embedder = (*Embedder)(nil)

// NewEmbedder loads the model. An error means that the binary is damaged.
func NewEmbedder() (*Embedder, error) {
	m, err := static.Load()
	if err != nil {
		return nil, fmt.Errorf("local embedding model: %w", err)
	}
	return &Embedder{m}, nil
}

// Model implements [llm.Embedder].
func (e *Embedder) Model() string { return "local/" + e.model.ID() }

// Dimensions is the length of its vectors.
func (e *Embedder) Dimensions() int { return e.model.Dimensions() }

// Embed implements [llm.Embedder].
func (e *Embedder) Embed(ctx context.Context, texts []string) (llm.Vectors, error) {
	out := llm.Vectors{Vectors: make([][]float32, 0, len(texts)), Usage: llm.Usage{Model: e.Model()}}
	for _, t := range texts {
		if err := ctx.Err(); err != nil {
			return llm.Vectors{}, err
		}
		out.Vectors = append(out.Vectors, e.model.Embed(t))
	}
	return out, nil
}
