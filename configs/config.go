// Package configs gathers every component's own Config into one, reads it (flag over environment over file over
// default), and ships the files that a production set-up starts from.
package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/switchyard-ai/switchyard/batch"
	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/routing"
	"github.com/switchyard-ai/switchyard/realtime"
	"github.com/switchyard-ai/switchyard/webhooks"
)

// Config is all that can be set. A part whose setting is absent runs embedded.
type Config struct {
	// Listen is the address of the API. Default "127.0.0.1:8080".
	Listen string `yaml:"listen"`
	// MetricsListen is an address of its own for /metrics, /healthz and /readyz; empty: they are served by Listen only.
	// Default "".
	MetricsListen string `yaml:"metrics_listen"`
	// DataDir is where the embedded parts keep their files. Default ".switchyard".
	DataDir string `yaml:"data_dir"`
	// DataPatience is for how long a start waits for the file of the embedded store while another process keeps it locked.
	// Default 1m.
	DataPatience time.Duration `yaml:"data_patience"`
	// DevKey is the API key that `dev` makes sure of. Default "sk_dev".
	DevKey string `yaml:"dev_key"`
	// LogLevel is debug, info, warn or error. Default "info".
	LogLevel string `yaml:"log_level"`
	// WebhookAllow are networks that webhooks may reach although the guard forbids them, comma-separated, or "none".
	// Default: loopback with `dev`, none otherwise.
	WebhookAllow string `yaml:"webhook_allow"`
	// WebhookKey seals webhook secrets at rest: 32 bytes in base64, the same for all processes. Required for serve and worker
	// where MongoDB keeps the documents. Default: a keyfile in the data folder.
	WebhookKey string `yaml:"webhook_key"`

	Mongo     Mongo    `yaml:"mongo"`
	Qdrant    Qdrant   `yaml:"qdrant"`
	Neo4j     Neo4j    `yaml:"neo4j"`
	Redis     Redis    `yaml:"redis"`
	Temporal  Temporal `yaml:"temporal"`
	Chat      LLM      `yaml:"chat"`
	Embedding LLM      `yaml:"embedding"`

	Pipeline pipeline.Config   `yaml:"pipeline"`
	Realtime realtime.Config   `yaml:"realtime"`
	Batch    batch.Config      `yaml:"batch"`
	Routing  routing.Policy    `yaml:"routing"`
	API      api.Config        `yaml:"api"`
	Webhooks webhooks.Settings `yaml:"webhooks"`
	Intake   intake.Config     `yaml:"intake"`
}

// LLM says which server and model to ask.
type LLM struct {
	// BaseURL is that of an OpenAI-compatible API. Default "https://api.openai.com/v1".
	BaseURL string `yaml:"base_url"`
	// APIKey for it. Without a key and without a base URL the local one is used. Default "".
	APIKey string `yaml:"api_key"`
	// Model by its name there. Default "": a small current one of OpenAI's, which `switchyard doctor` names.
	Model string `yaml:"model"`
	// MaxInputTokens is how long a prompt, or a text to embed, may be; longer content is cut, with a notice in the
	// receipt. Default 100,000 for chat, 8,191 for embeddings.
	MaxInputTokens int `yaml:"max_input_tokens"`
	// MaxOutputTokens bounds an answer. Chat only. Default 8,192.
	MaxOutputTokens int `yaml:"max_output_tokens"`
	// ReasoningEffort is how much a reasoning model thinks: none, low, medium and so on. Chat only. Default: low for
	// the default model, not sent for others.
	ReasoningEffort string `yaml:"reasoning_effort"`
	// Dimensions asks for vectors of that length. Where a server does not know that, or not for the model, vectors have the
	// model's own length, and receipts say so. Embeddings only. Default 0: not sent.
	Dimensions int `yaml:"dimensions"`
	// MaxBatch is how many texts the server takes in one call. Embeddings only. Default 2,048.
	MaxBatch int `yaml:"max_batch"`
	// Prices are what models cost, by name, besides those known and in place of them. Default none.
	Prices map[string]Price `yaml:"prices"`
	// RequestsPerMinute is how many calls the pipeline makes to the model at most, over all processes where there is a
	// Redis; what is more waits, as it would for a 429. Searches are not counted. Default 0: no limit.
	RequestsPerMinute int `yaml:"requests_per_minute"`
	// TokensPerMinute is the same for tokens, in and out. Default 0: no limit.
	TokensPerMinute int `yaml:"tokens_per_minute"`
}

// Price is what a model costs in USD for a million tokens.
type Price struct {
	Input  float64 `yaml:"input"`
	Output float64 `yaml:"output"`
}

// Local reports whether nothing is set, so that the part that needs no set-up serves.
func (l LLM) Local() bool { return l.BaseURL == "" && l.APIKey == "" }

// Default is the configuration where nothing is set.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8080", DataDir: ".switchyard", DataPatience: time.Minute, DevKey: "sk_dev", LogLevel: "info",
		Mongo: Mongo{Database: "switchyard", Pool: 512}, Qdrant: Qdrant{Prefix: "switchyard"}, Neo4j: Neo4j{User: "neo4j"},
		Temporal: Temporal{Namespace: "default", UIListen: "127.0.0.1:8233"},
	}
}

// Load reads the file, where one is named, and the environment over the defaults. Unknown fields are an error that
// says where they are. Flags are the caller's to lay over the result.
func Load(file string, environ func(string) (string, bool)) (Config, error) {
	c := Default()
	if file != "" {
		raw, err := os.ReadFile(file) //nolint:gosec // the operator names the file
		if err != nil {
			return c, fmt.Errorf("read the configuration: %w", err)
		}
		err = yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict()).Decode(&c)
		if err != nil && !errors.Is(err, io.EOF) {
			return c, fmt.Errorf("%s: %w", file, err)
		}
		if reflect.ValueOf(c).IsZero() { // what the decoder makes of a file that says nothing
			c = Default()
		}
	}
	c.environment(environ)
	return c, c.switches(environ)
}

// switches lays what is true or false in the environment over c.
func (c *Config) switches(lookup func(string) (string, bool)) error {
	for _, s := range []struct {
		name string
		to   *bool
	}{
		{"SWITCHYARD_QDRANT_TLS", &c.Qdrant.TLS.Enabled},
		{"SWITCHYARD_TEMPORAL_TLS", &c.Temporal.TLS.Enabled},
		{"SWITCHYARD_SEARCH_ATTRIBUTES", &c.Batch.SearchAttributes},
	} {
		v, ok := lookup(s.name)
		if !ok || v == "" {
			continue
		}
		on, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%s is %q; it must be true or false", s.name, v)
		}
		*s.to = on
	}
	return nil
}

// environment lays what is set in the environment over c. OPENAI_* serve where the specific ones are not set.
func (c *Config) environment(lookup func(string) (string, bool)) {
	for _, s := range []struct {
		name string
		to   *string
	}{
		{"SWITCHYARD_LISTEN", &c.Listen},
		{"SWITCHYARD_METRICS_LISTEN", &c.MetricsListen},
		{"SWITCHYARD_DATA_DIR", &c.DataDir},
		{"SWITCHYARD_DEV_KEY", &c.DevKey},
		{"SWITCHYARD_LOG_LEVEL", &c.LogLevel},
		{"SWITCHYARD_WEBHOOK_ALLOW", &c.WebhookAllow},
		{"SWITCHYARD_WEBHOOK_KEY", &c.WebhookKey},
		{"SWITCHYARD_WEBHOOK_PORTS", &c.Webhooks.Guard.Ports},
		{"SWITCHYARD_WEBHOOK_PROXY", &c.Webhooks.Guard.Proxy},
		{"SWITCHYARD_PUBLIC_URL", &c.Webhooks.Events.BaseURL},
		{"SWITCHYARD_MONGO_URI", &c.Mongo.URI},
		{"SWITCHYARD_MONGO_DATABASE", &c.Mongo.Database},
		{"SWITCHYARD_QDRANT_ADDR", &c.Qdrant.Addr},
		{"SWITCHYARD_QDRANT_API_KEY", &c.Qdrant.APIKey},
		{"SWITCHYARD_NEO4J_URI", &c.Neo4j.URI},
		{"SWITCHYARD_NEO4J_USER", &c.Neo4j.User},
		{"SWITCHYARD_NEO4J_PASSWORD", &c.Neo4j.Password},
		{"SWITCHYARD_NEO4J_DATABASE", &c.Neo4j.Database},
		{"SWITCHYARD_REDIS_URL", &c.Redis.URL},
		{"SWITCHYARD_TEMPORAL_ADDRESS", &c.Temporal.Address},
		{"SWITCHYARD_TEMPORAL_NAMESPACE", &c.Temporal.Namespace},
		{"SWITCHYARD_TEMPORAL_API_KEY", &c.Temporal.APIKey},
		{"SWITCHYARD_WORK", (*string)(&c.Batch.Work)},
		{"SWITCHYARD_DEPLOYMENT", &c.Batch.Versioning.Deployment},
		{"SWITCHYARD_BUILD_ID", &c.Batch.Versioning.BuildID},
		{"SWITCHYARD_TEMPORAL_UI_LISTEN", &c.Temporal.UIListen},
		{"SWITCHYARD_CHAT_BASE_URL", &c.Chat.BaseURL},
		{"SWITCHYARD_CHAT_API_KEY", &c.Chat.APIKey},
		{"SWITCHYARD_CHAT_MODEL", &c.Chat.Model},
		{"SWITCHYARD_EMBEDDING_BASE_URL", &c.Embedding.BaseURL},
		{"SWITCHYARD_EMBEDDING_API_KEY", &c.Embedding.APIKey},
		{"SWITCHYARD_EMBEDDING_MODEL", &c.Embedding.Model},
	} {
		if v, ok := lookup(s.name); ok && v != "" {
			*s.to = v
		}
	}
	c.tlsFiles(lookup)
	for _, l := range []*LLM{&c.Chat, &c.Embedding} {
		if l.Local() {
			l.APIKey, _ = lookup("OPENAI_API_KEY")
			l.BaseURL, _ = lookup("OPENAI_BASE_URL")
		}
	}
}

// tlsFiles lays what the environment says of TLS over c: for each server that takes it apart from its address, such as
// SWITCHYARD_QDRANT_TLS_CA.
func (c *Config) tlsFiles(lookup func(string) (string, bool)) {
	for part, t := range map[string]*TLS{"QDRANT": &c.Qdrant.TLS, "NEO4J": &c.Neo4j.TLS, "REDIS": &c.Redis.TLS, "TEMPORAL": &c.Temporal.TLS} {
		for name, to := range map[string]*string{"CA": &t.CAFile, "CERT": &t.CertFile, "KEY": &t.KeyFile, "SERVER_NAME": &t.ServerName} {
			if v, ok := lookup("SWITCHYARD_" + part + "_TLS_" + name); ok && v != "" {
				*to = v
			}
		}
	}
}

// Validate says what is wrong with the settings.
func (c *Config) Validate() error {
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("log_level is %q; it must be debug, info, warn or error", c.LogLevel)
	}
	if c.Listen == "" {
		return errors.New("listen must name an address, such as 127.0.0.1:8080")
	}
	return errors.Join(c.validateServers(), c.Batch.Validate(), c.Webhooks.Validate())
}
