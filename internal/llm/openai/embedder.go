package openai

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// maxBatchTokens keeps a call clear of OpenAI's limit of 300,000 tokens over all its texts.
const maxBatchTokens = 200_000

// Embedder turns texts into vectors with an embedding model. An error in a later call of a long list of texts comes with
// the usage of the earlier ones. It is safe for concurrent use.
type Embedder struct {
	connection
	config  Config
	service openai.EmbeddingService
	noDims  atomic.Bool // the server has said that it does not know dimensions
}

var _ llm.Embedder = (*Embedder)(nil)

// NewEmbedder makes an embedder; nothing is called yet. Close it when it is not needed any more.
func NewEmbedder(c Config) (*Embedder, error) {
	c = c.forEmbeddings()
	x, err := connect(c)
	if err != nil {
		return nil, err
	}
	return &Embedder{connection: x, config: c, service: openai.NewEmbeddingService()}, nil
}

// Model implements [llm.Embedder].
func (e *Embedder) Model() string { return e.config.Model }

// Embed implements [llm.Embedder]. An empty text is embedded as a blank, since servers refuse it.
func (e *Embedder) Embed(ctx context.Context, texts []string) (llm.Vectors, error) {
	out := llm.Vectors{Usage: llm.Usage{Model: e.config.Model}}
	texts, note := shorten(texts, e.config.MaxInputTokens)
	out.Usage.Notice = note
	for len(texts) > 0 {
		n := e.batch(texts)
		vectors, usage, err := e.embed(ctx, texts[:n])
		out.Usage = add(out.Usage, usage)
		if err != nil {
			return llm.Vectors{Usage: out.Usage}, err
		}
		out.Vectors = append(out.Vectors, vectors...)
		texts = texts[n:]
	}
	if e.config.Dimensions > 0 && e.noDims.Load() && len(out.Vectors) > 0 {
		out.Usage.Notice = join(out.Usage.Notice, fmt.Sprintf("the server gives this model's vectors %s dimensions, not the %s asked for",
			thousands(len(out.Vectors[0])), thousands(e.config.Dimensions)))
	}
	return out, sameDimension(out.Vectors)
}

// batch is how many of the texts go into one call, at least one.
func (e *Embedder) batch(texts []string) int {
	sum := 0
	for i, t := range texts[:min(len(texts), e.config.MaxBatch)] {
		if sum += estimate(t); sum > maxBatchTokens && i > 0 {
			return i
		}
	}
	return min(len(texts), e.config.MaxBatch)
}

// shorten cuts the texts that have more tokens than the limit, and says how many these are.
func shorten(texts []string, limit int) ([]string, string) {
	texts = slices.Clone(texts)
	cuts, longest := 0, 0
	for i, t := range texts {
		if t == "" {
			texts[i] = " "
		}
		if short := fit(t, limit); len(short) < len(t) {
			cuts, longest = cuts+1, max(longest, estimate(t))
			texts[i] = short
		}
	}
	return texts, cutTexts(cuts, longest, limit)
}

func cutTexts(cuts, longest, limit int) string {
	switch cuts {
	case 0:
		return ""
	case 1:
		return notice("text", longest, limit)
	}
	return fmt.Sprintf("%d texts cut to about %s tokens, the longest from %s", cuts, thousands(limit), thousands(longest))
}

// embed asks for the vectors of one batch. Where the server finds a text too long, those that have more than half as
// many tokens as the longest are cut by half of that, and the batch is sent once more.
func (e *Embedder) embed(ctx context.Context, texts []string) ([][]float32, llm.Usage, error) {
	vectors, usage, err := e.call(ctx, texts)
	if !tooLong(err) {
		return vectors, usage, err
	}
	longest := 0
	for _, t := range texts {
		longest = max(longest, estimate(t))
	}
	texts, note := shorten(texts, max(longest/2, 1))
	vectors, usage, err = e.call(ctx, texts)
	usage.Notice = note
	return vectors, usage, describe(err)
}

// call asks once, or once more where the server says that it does not know dimensions, and from then on without them.
func (e *Embedder) call(ctx context.Context, texts []string) ([][]float32, llm.Usage, error) {
	params := e.params(texts)
	res, err := e.service.New(ctx, params, e.options...)
	if params.Dimensions.Valid() && lacksDimensions(err) {
		e.noDims.Store(true)
		res, err = e.service.New(ctx, e.params(texts), e.options...)
	}
	if err != nil {
		return nil, llm.Usage{}, fault(ctx, err)
	}
	n := max(res.Usage.TotalTokens, res.Usage.PromptTokens)
	usage := llm.Usage{Model: e.config.Model, Tokens: int(n), CostUSD: e.price(res.Model, e.config.Model).of(n, 0)}
	vectors, err := order(res.Data, len(texts))
	return vectors, usage, err
}

func (e *Embedder) params(texts []string) openai.EmbeddingNewParams {
	params := openai.EmbeddingNewParams{
		Model: e.config.Model, EncodingFormat: openai.EmbeddingNewParamsEncodingFormatFloat,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: texts},
	}
	if e.config.Dimensions > 0 && !e.noDims.Load() {
		params.Dimensions = param.NewOpt(int64(e.config.Dimensions))
	}
	return params
}

// lacksDimensions reports whether the server does not know the parameter, or not for this model. That it does not like the
// number is another matter, which whoever set it should hear of.
func lacksDimensions(err error) bool {
	e, ok := refusal(err)
	return ok && contains(e.said, "dimension") && contains(e.said, "support", "unknown", "unrecognized", "unrecognised", "unexpected", "not permitted", "not allowed")
}

// order puts the vectors into the order of their texts, and normalises them.
func order(data []openai.Embedding, want int) ([][]float32, error) {
	if len(data) != want {
		return nil, memory.Errorf(memory.CodeBadAnswer, "the LLM server answered %d vectors for %d texts", len(data), want)
	}
	out := make([][]float32, want)
	for i, d := range data {
		at := int64(i)
		if d.JSON.Index.Valid() { // some servers send none
			at = d.Index
		}
		if at < 0 || at >= int64(want) || out[at] != nil {
			return nil, memory.Errorf(memory.CodeBadAnswer, "the LLM server's vectors are not numbered from 0 to %d", want-1)
		}
		v, ok := normalise(d.Embedding)
		if !ok {
			return nil, memory.Errorf(memory.CodeBadAnswer, "the LLM server answered a vector without direction")
		}
		out[at] = v
	}
	return out, nil
}

// normalise scales a vector to length 1; false where it has no direction.
func normalise(v []float64) ([]float32, bool) {
	var sum float64
	for _, x := range v {
		sum += x * x
	}
	if !(sum > 0) || math.IsInf(sum, 0) { // not NaN either
		return nil, false
	}
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x / math.Sqrt(sum))
	}
	return out, true
}

func sameDimension(vectors [][]float32) error {
	for _, v := range vectors {
		if len(v) != len(vectors[0]) {
			return memory.Errorf(memory.CodeBadAnswer, "the LLM server's vectors have %d and %d dimensions", len(vectors[0]), len(v))
		}
	}
	return nil
}
