package openai

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// dialect is what of the API the server knows, as far as is known.
type dialect struct {
	form     form
	oldLimit bool // max_tokens in place of max_completion_tokens
	noEffort bool // no reasoning_effort
}

// form is how the server is told to answer in JSON.
type form int

const (
	bySchema form = iota // response_format json_schema: the answer fits the schema
	asObject             // response_format json_object: the answer is JSON
	asText               // the prompt alone says so
)

// without is the dialect without what the server has just said it does not know; false: it said nothing of the kind.
func (d dialect) without(err error) (dialect, bool) {
	e, ok := refusal(err)
	if !ok {
		return d, false
	}
	switch {
	case !d.oldLimit && contains(e.said, "max_completion_tokens"):
		d.oldLimit = true
	case !d.noEffort && contains(e.said, "reasoning_effort", "reasoning effort"):
		d.noEffort = true
	case d.form < asText && contains(e.said, "response_format", "json_schema", "json_object", "structured output"):
		d.form++
	default:
		return d, false
	}
	return d, true
}

// refusal is the answer of a server that does not take the request as it is, for another reason than its length.
func refusal(err error) (*answerError, bool) {
	refused := []int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusNotImplemented}
	var e *answerError
	ok := errors.As(err, &e) && slices.Contains(refused, e.status) && !e.tooLong()
	return e, ok
}

// chat calls one model for chat completions.
type chat struct {
	connection
	config  Config
	service openai.ChatCompletionService
	dialect atomic.Pointer[dialect]
}

// prompt is what a completion is asked for.
type prompt struct {
	name     string // of the schema
	schema   map[string]any
	messages []openai.ChatCompletionMessageParamUnion
}

// reply is what the model said.
type reply struct {
	text     string
	finished bool // it was not cut off by the token limit
	usage    llm.Usage
}

// complete asks the server once, or once more for each thing that it says it does not know.
func (c *chat) complete(ctx context.Context, p prompt) (reply, error) {
	d := *c.dialect.Load()
	for {
		res, err := c.service.New(ctx, c.params(p, d), c.options...)
		if weaker, ok := d.without(err); ok {
			d = weaker
			continue
		}
		if err != nil {
			return reply{}, fault(ctx, err)
		}
		c.dialect.Store(&d)
		return c.read(res)
	}
}

func (c *chat) params(p prompt, d dialect) openai.ChatCompletionNewParams {
	out := openai.ChatCompletionNewParams{Model: c.config.Model, Messages: p.messages}
	if limit := param.NewOpt(int64(c.config.MaxOutputTokens)); d.oldLimit {
		out.MaxTokens = limit
	} else {
		out.MaxCompletionTokens = limit
	}
	if !d.noEffort {
		out.ReasoningEffort = shared.ReasoningEffort(c.config.ReasoningEffort)
	}
	switch d.form {
	case bySchema:
		out.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
			Name: p.name, Schema: p.schema, Strict: param.NewOpt(true),
		}}
	case asObject:
		out.ResponseFormat.OfJSONObject = &shared.ResponseFormatJSONObjectParam{}
	case asText:
	}
	return out
}

// read takes the first choice of an answer. An answer without one is a server that is out of order.
func (c *chat) read(res *openai.ChatCompletion) (reply, error) {
	r := reply{usage: llm.Usage{
		Model:   res.Model,
		Tokens:  int(max(res.Usage.TotalTokens, res.Usage.PromptTokens+res.Usage.CompletionTokens)),
		CostUSD: c.price(res.Model, c.config.Model).of(res.Usage.PromptTokens, res.Usage.CompletionTokens),
	}}
	if r.usage.Model == "" {
		r.usage.Model = c.config.Model
	}
	if len(res.Choices) == 0 {
		return r, memory.Errorf(memory.CodeUnavailable, "the LLM server's answer holds no choice")
	}
	choice := res.Choices[0]
	if choice.Message.Refusal != "" || choice.FinishReason == "content_filter" {
		return r, memory.Errorf(memory.CodeRefused, "the model declines to read this content")
	}
	r.text, r.finished = choice.Message.Content, choice.FinishReason != "length"
	return r, nil
}
