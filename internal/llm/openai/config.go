// Package openai reads and embeds memories with OpenAI's models, or those of any server that speaks its API (vLLM,
// Ollama, llama.cpp, LM Studio, gateways). Such servers differ: what one does not know (JSON schemas, the newer name of
// the token limit, reasoning effort) is left out from then on, and every answer is validated here.
package openai

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/openai/openai-go/v3/option"
)

// Config says which server and model to call. Chat and embeddings have one each.
type Config struct {
	// BaseURL is the API's root, with its version. Default https://api.openai.com/v1.
	BaseURL string `json:"base_url" yaml:"base_url"`
	// APIKey goes into the Authorization header. Default none is sent.
	APIKey string `json:"-" yaml:"api_key"`
	// Model is the model's name. Default gpt-6-luna for chat, text-embedding-3-small for embeddings.
	Model string `json:"model" yaml:"model"`
	// MaxInputTokens is how long a prompt, or a text to embed, may be; longer content is cut, with a notice. Tokens are
	// estimated: four bytes of ASCII or one other character are a token. Default 100,000 for chat, 8,191 for embeddings.
	MaxInputTokens int `json:"max_input_tokens" yaml:"max_input_tokens"`
	// MaxOutputTokens bounds an answer, reasoning included. Chat only. Default 8,192.
	MaxOutputTokens int `json:"max_output_tokens" yaml:"max_output_tokens"`
	// ReasoningEffort is how much a reasoning model thinks: none, low, medium and so on. Chat only. Default low for the
	// default model; for others it is not sent.
	ReasoningEffort string `json:"reasoning_effort" yaml:"reasoning_effort"`
	// Dimensions asks for vectors of that length. Where a server does not know that, or not for the model, it is not asked
	// again: vectors have the model's own length, and receipts say so. Embeddings only. Default not sent: the model's own.
	Dimensions int `json:"dimensions" yaml:"dimensions"`
	// MaxBatch is how many texts the server takes in one call. Embeddings only. Default 2,048.
	MaxBatch int `json:"max_batch" yaml:"max_batch"`
	// Prices are what models cost, by name, besides those known by default and in place of them. Default none.
	Prices map[string]Price `json:"prices" yaml:"prices"`
	// HTTPClient makes the calls. Default one of its own, with no timeout but that of each call's context.
	HTTPClient *http.Client `json:"-" yaml:"-"`
}

const defaultChatModel = "gpt-6-luna"

func (c Config) forChat() Config {
	if c.Model == "" {
		c.Model = defaultChatModel
	}
	if c.Model == defaultChatModel && c.ReasoningEffort == "" {
		c.ReasoningEffort = "low"
	}
	if c.MaxInputTokens == 0 {
		c.MaxInputTokens = 100_000
	}
	if c.MaxOutputTokens == 0 {
		c.MaxOutputTokens = 8_192
	}
	return c
}

func (c Config) forEmbeddings() Config {
	if c.Model == "" {
		c.Model = "text-embedding-3-small"
	}
	if c.MaxInputTokens == 0 {
		c.MaxInputTokens = 8_191
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = 2_048
	}
	return c
}

// connection is what both adapters call a server with.
type connection struct {
	options []option.RequestOption
	client  *http.Client
	own     bool // the client was made here
	key     string
	prices  map[string]Price
}

// connect reads nothing from the environment: which settings hold is decided elsewhere.
func connect(c Config) (connection, error) {
	if c.BaseURL == "" {
		c.BaseURL = "https://api.openai.com/v1"
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return connection{}, fmt.Errorf("openai: base URL %q is not an http or https address", c.BaseURL)
	}
	x := connection{client: c.HTTPClient, own: c.HTTPClient == nil, key: c.APIKey, prices: c.Prices}
	if x.own {
		x.client = newClient()
	}
	x.options = []option.RequestOption{
		option.WithBaseURL(c.BaseURL),
		option.WithHTTPClient(x.client),
		option.WithMaxRetries(0), // patience belongs to the tracks
		option.WithMiddleware(x.inspect),
	}
	if c.APIKey != "" {
		x.options = append(x.options, option.WithAPIKey(c.APIKey))
	}
	return x, nil
}

// newClient keeps as many connections as there are likely calls at once: the standard two a host would make most calls
// begin with a handshake.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}}
}

// Close gives back idle connections.
func (x connection) Close() error {
	if x.own {
		x.client.CloseIdleConnections()
	}
	return nil
}
