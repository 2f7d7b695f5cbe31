package openai

import (
	"context"
	"errors"
	"strings"

	"github.com/openai/openai-go/v3"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Extractor reads memories with a chat model. An error after the model has answered comes with the usage of these
// answers. It is safe for concurrent use.
type Extractor struct {
	chat chat
}

var _ llm.Extractor = (*Extractor)(nil)

// NewExtractor makes an extractor; nothing is called yet. Close it when it is not needed any more.
func NewExtractor(c Config) (*Extractor, error) {
	c = c.forChat()
	x, err := connect(c)
	if err != nil {
		return nil, err
	}
	e := &Extractor{chat{connection: x, config: c, service: openai.NewChatCompletionService()}}
	e.chat.dialect.Store(new(dialect))
	return e, nil
}

// Close gives back idle connections.
func (e *Extractor) Close() error { return e.chat.Close() }

// Models are the names of the models that the server says it has; false: it does not say.
func (e *Extractor) Models(ctx context.Context) ([]string, bool, error) { return e.chat.Models(ctx) }

// Model implements [llm.Extractor].
func (e *Extractor) Model() string { return e.chat.config.Model }

// UseCases implements [llm.Extractor].
func (e *Extractor) UseCases(ctx context.Context, q llm.Question) (llm.UseCases, error) {
	phrases, usage, err := ask(ctx, &e.chat, useCasesTask(q), readUseCases)
	return llm.UseCases{UseCases: phrases, Usage: usage}, err
}

// Graph implements [llm.Extractor]. Where a strict schema allows no nodes, nothing is asked.
func (e *Extractor) Graph(ctx context.Context, q llm.Question) (llm.Graph, error) {
	if strict(q.Schema) && len(q.Schema.Nodes) == 0 {
		return llm.Graph{Usage: llm.Usage{Model: e.Model()}}, ctx.Err()
	}
	g, usage, err := ask(ctx, &e.chat, graphTask(q), func(answer string) (llm.Graph, problem) {
		return readGraph(answer, q.Schema)
	})
	g.Usage = add(usage, llm.Usage{Notice: g.Usage.Notice})
	return g, err
}

// ask puts a task to the model, its content cut to what the model takes. Where the server finds it too long all the
// same, it is cut by half and put once more.
func ask[T any](ctx context.Context, c *chat, t task, read func(string) (T, problem)) (T, llm.Usage, error) {
	t, note, err := t.shortened(c.config.MaxInputTokens)
	if err != nil {
		var none T
		return none, llm.Usage{}, memory.Wrap(memory.CodeInternal, err, "the prompt could not be written")
	}
	out, usage, err := converse(ctx, c, t, read)
	if tooLong(err) {
		first := usage
		t, second := t.halved()
		note = join(note, second)
		out, usage, err = converse(ctx, c, t, read)
		usage = add(first, usage)
	}
	usage.Notice = note
	return out, usage, describe(err)
}

// describe says of an error that the text is too long what can be done about it.
func describe(err error) error {
	var m *memory.Error
	if tooLong(err) && errors.As(err, &m) {
		m.Message += ": even half of the text is too long for the model; set max_input_tokens and max_output_tokens to what it takes"
	}
	return err
}

// converse asks, and where the answer does not validate shows the model what is wrong and asks once more.
func converse[T any](ctx context.Context, c *chat, t task, read func(string) (T, problem)) (T, llm.Usage, error) {
	var none T
	p, err := t.prompt()
	if err != nil {
		return none, llm.Usage{}, err
	}
	out, r, wrong, err := attempt(ctx, c, p, read)
	if err != nil || wrong == "" {
		return out, r.usage, err
	}
	out, second, wrong, err := attempt(ctx, c, p.repairs(r.text, wrong), read)
	if err == nil && wrong != "" {
		err = memory.Errorf(memory.CodeBadAnswer, "the model's answer is not valid, even after one repair: %s", cut(wrong, 300))
	}
	return out, add(r.usage, second.usage), err
}

// attempt is one question and what is wrong with its answer.
func attempt[T any](ctx context.Context, c *chat, p prompt, read func(string) (T, problem)) (T, reply, problem, error) {
	var none T
	r, err := c.complete(ctx, p)
	if err != nil {
		return none, r, "", err
	}
	out, wrong := read(r.text)
	switch {
	case wrong == "":
		return out, r, "", nil
	case !r.finished:
		wrong = "it was cut off at " + thousands(c.config.MaxOutputTokens) + " tokens, so it must be shorter"
	}
	return none, r, wrong, nil
}

// add sums what two calls took.
func add(a, b llm.Usage) llm.Usage {
	if b.Model != "" {
		a.Model = b.Model
	}
	a.Tokens += b.Tokens
	a.CostUSD += b.CostUSD
	a.Notice = join(a.Notice, b.Notice)
	return a
}

// join puts notices together.
func join(notices ...string) string {
	var some []string
	for _, n := range notices {
		if n != "" {
			some = append(some, n)
		}
	}
	return strings.Join(some, "; ")
}
