package llmtest

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// incoming is a call as the server understood it.
type incoming struct {
	call     Call
	question llm.Question
	query    string // of a Rerank, whose passages are the texts of the call
	messages []string
}

// prompts are the texts that must each fit into the model's context.
func (in incoming) prompts() []string {
	if in.call.Method == "Embed" {
		return in.call.Texts
	}
	return []string{strings.Join(in.messages, "\n")}
}

// parse reads a call; what is not understood is an "Other" call with the whole body as its text.
func parse(r *http.Request, body []byte) incoming {
	in := incoming{call: Call{Method: "Other", Texts: []string{string(body)}}}
	in.call.Request = &Request{Path: r.URL.Path, Header: r.Header, Body: body}
	switch {
	case strings.HasSuffix(r.URL.Path, "/embeddings"):
		parseEmbeddings(&in, body)
	case strings.HasSuffix(r.URL.Path, "/chat/completions"):
		parseChat(&in, body)
	case strings.HasSuffix(r.URL.Path, "/models"):
		in.call.Method = "Models"
	}
	return in
}

func parseEmbeddings(in *incoming, body []byte) {
	var req struct {
		Model string          `json:"model"`
		Input json.RawMessage `json:"input"`
	}
	if json.Unmarshal(body, &req) != nil {
		return
	}
	in.call.Method, in.call.Request.Model = "Embed", req.Model
	if json.Unmarshal(req.Input, &in.call.Texts) == nil {
		return
	}
	var one string
	if json.Unmarshal(req.Input, &one) == nil {
		in.call.Texts = []string{one}
	}
}

// parseChat finds the memory in the prompt: the first user message that is a JSON object with a task and a content.
func parseChat(in *incoming, body []byte) {
	var req struct {
		Model    string `json:"model"`
		Messages []struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		} `json:"messages"`
		Format struct {
			Type string `json:"type"`
		} `json:"response_format"`
	}
	if json.Unmarshal(body, &req) != nil {
		return
	}
	in.call.Request.Model, in.call.Request.Format = req.Model, req.Format.Type
	for _, m := range req.Messages {
		in.messages = append(in.messages, m.Content)
		in.call.Request.Repair = in.call.Request.Repair || m.Role == "assistant"
		if m.Role == "user" && in.call.Method == "Other" {
			parseQuestion(in, m.Content)
		}
	}
}

func parseQuestion(in *incoming, content string) {
	var q struct {
		Task     string          `json:"task"`
		Content  string          `json:"content"`
		Metadata memory.Metadata `json:"metadata"`
		UseCases []string        `json:"use_cases"`
		Related  []string        `json:"related"`
		Types    llm.Schema      `json:"types"`
		Query    string          `json:"query"`
		Passages []struct {
			Text string `json:"text"`
		} `json:"passages"`
	}
	if json.Unmarshal([]byte(content), &q) != nil {
		return
	}
	method := map[string]string{"use_cases": "UseCases", "graph": "Graph", "rerank": "Rerank"}[q.Task]
	if method == "" {
		return
	}
	in.call.Method, in.call.Texts, in.query = method, []string{q.Content}, q.Query
	if method == "Rerank" {
		in.call.Texts = nil
		for _, p := range q.Passages {
			in.call.Texts = append(in.call.Texts, p.Text)
		}
	}
	in.question = llm.Question{
		Content: q.Content, Metadata: q.Metadata, UseCases: q.UseCases, Related: q.Related, Schema: q.Types,
	}
}

type wireNode struct {
	ID         int            `json:"id"`
	Type       string         `json:"type"`
	Name       string         `json:"name"`
	Properties []wireProperty `json:"properties"`
}

type wireRelationship struct {
	From       int            `json:"from"`
	To         int            `json:"to"`
	Type       string         `json:"type"`
	Properties []wireProperty `json:"properties"`
}

type wireProperty struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// wireGraph is a graph in the form that the prompt asks for.
func wireGraph(g llm.Graph) map[string]any {
	nodes, relationships := []wireNode{}, []wireRelationship{}
	for i, n := range g.Nodes {
		nodes = append(nodes, wireNode{i, n.Type, n.Name, wireProperties(n.Properties)})
	}
	for _, r := range g.Relationships {
		relationships = append(relationships, wireRelationship{r.From, r.To, r.Type, wireProperties(r.Properties)})
	}
	return map[string]any{"nodes": nodes, "relationships": relationships}
}

func wireProperties(p map[string]string) []wireProperty {
	out := []wireProperty{}
	for k, v := range p {
		out = append(out, wireProperty{k, v})
	}
	return out
}

// wireScores writes scores as whole numbers from 0 to 10.
func wireScores(scores []float64) []map[string]int {
	out := []map[string]int{}
	for i, s := range scores {
		out = append(out, map[string]int{"id": i, "score": int(math.Round(10 * s))})
	}
	return out
}

func completed(model, text, refusal, finish string, prompt, completion int) map[string]any {
	message := map[string]any{"role": "assistant", "content": text, "refusal": nil}
	if refusal != "" {
		message["content"], message["refusal"] = nil, refusal
	}
	return map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": finish}},
		"usage":   map[string]any{"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
	}
}

func embeddings(model string, vectors [][]float32, n int) map[string]any {
	data := []any{}
	for i, v := range vectors {
		data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": v})
	}
	return map[string]any{
		"object": "list", "model": model, "data": data, "usage": map[string]any{"prompt_tokens": n, "total_tokens": n},
	}
}

func models(names ...string) map[string]any {
	data := []any{}
	for _, n := range names {
		data = append(data, map[string]any{"id": n, "object": "model", "created": 1, "owned_by": "llmtest"})
	}
	return map[string]any{"object": "list", "data": data}
}
