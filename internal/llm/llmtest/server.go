package llmtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// Config says how a [Server] answers.
type Config struct {
	// Addr is where to listen. Default a free port on 127.0.0.1.
	Addr string
	// Key is the API key that calls must carry; others get a 401. Default any.
	Key string
	// Extractor reads the contents of chat completions. Default a [Fake].
	Extractor llm.Extractor
	// Embedder answers embeddings. Default a [Fake].
	Embedder llm.Embedder
	// ContextTokens is how much one prompt, or one text to embed, may have; longer ones get a 400. Default no limit.
	ContextTokens int
	// Script says what becomes of each call. Default every call is answered at once.
	Script Script
}

// Script decides what becomes of a call; nil: it is answered. It is called by many goroutines at once.
type Script func(Call) Behaviour

// Request is what a call to a [Server] carried.
type Request struct {
	Path   string
	Header http.Header
	Body   []byte
	Model  string
	Format string // the response_format asked for: json_schema, json_object, or empty
	Repair bool   // the conversation already has an answer of the model
}

// Server speaks OpenAI's API (chat completions, embeddings, models) on a socket. What it answers is real: the injected
// Extractor reads the memory that the prompt carries. It counts calls, and misbehaves as its script says.
type Server struct {
	*tally
	config   Config
	http     *http.Server
	url      string
	mu       sync.Mutex
	script   Script
	closed   bool
	stopping chan struct{}
	handlers sync.WaitGroup
	served   chan error
}

// NewServer starts a server. Close stops it.
func NewServer(c Config) (*Server, error) {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	fake := new(Fake)
	if c.Extractor == nil {
		c.Extractor = fake
	}
	if c.Embedder == nil {
		c.Embedder = fake
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", c.Addr)
	if err != nil {
		return nil, fmt.Errorf("llmtest: %w", err)
	}
	s := &Server{
		tally: newTally(), config: c, script: c.Script, url: "http://" + l.Addr().String() + "/v1",
		stopping: make(chan struct{}), served: make(chan error, 1),
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { s.served <- s.http.Serve(l) }()
	return s, nil
}

// URL is the base URL for clients; it ends with /v1.
func (s *Server) URL() string { return s.url }

// Close cuts every connection, ends calls that hang, and returns when all are over.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	close(s.stopping)
	err := s.http.Close()
	s.handlers.Wait()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		return served
	}
	return err
}

// SetScript changes what becomes of calls from now on; nil: all are answered.
func (s *Server) SetScript(script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		return
	}
	defer s.handlers.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	in := parse(r, body)
	s.enter(&in.call)
	defer s.leave()
	if s.config.Key != "" && r.Header.Get("Authorization") != "Bearer "+s.config.Key {
		refuse(w, http.StatusUnauthorized, "invalid_api_key", "Incorrect API key provided: "+r.Header.Get("Authorization"))
		return
	}
	s.behave(w, r, in)
}

// begin adds a handler to those that Close waits for; false: it is closed.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.handlers.Add(1)
	}
	return !s.closed
}

func (s *Server) behave(w http.ResponseWriter, r *http.Request, in incoming) {
	s.mu.Lock()
	script := s.script
	s.mu.Unlock()
	var b Behaviour
	if script != nil {
		b = script(in.call)
	}
	if b == nil {
		s.answer(w, r, in)
		return
	}
	b(&Exchange{w: w, r: r, server: s, in: in})
}

// answer is what a server in good order does.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, in incoming) {
	for _, text := range in.prompts() {
		if limit := s.config.ContextTokens; limit > 0 && tokens(text) > limit {
			refuse(w, http.StatusBadRequest, "context_length_exceeded", fmt.Sprintf(
				"This model's maximum context length is %d tokens. However, you requested %d tokens.", limit, tokens(text)))
			return
		}
	}
	out, n, err := s.reply(r.Context(), in)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "server_error", err.Error())
		return
	}
	s.answered(n)
	send(w, out)
}

// reply makes the body of the answer, and says how many tokens it took.
func (s *Server) reply(ctx context.Context, in incoming) (any, int, error) {
	switch in.call.Method {
	case "Embed":
		v, err := s.config.Embedder.Embed(ctx, in.call.Texts)
		n := tokens(strings.Join(in.call.Texts, ""))
		return embeddings(in.call.Request.Model, v.Vectors, n), n, err
	case "Models":
		return models(s.config.Extractor.Model(), s.config.Embedder.Model()), 0, nil
	}
	text, err := s.read(ctx, in)
	prompt, completion := tokens(strings.Join(in.prompts(), "")), tokens(text)
	return completed(in.call.Request.Model, text, "", "stop", prompt, completion), prompt + completion, err
}

// read answers the prompt as a model would: in the form that the prompt's task asks for.
func (s *Server) read(ctx context.Context, in incoming) (string, error) {
	switch in.call.Method {
	case "UseCases":
		u, err := s.config.Extractor.UseCases(ctx, in.question)
		return encode(map[string]any{"use_cases": u.UseCases}), err
	case "Graph":
		g, err := s.config.Extractor.Graph(ctx, in.question)
		return encode(wireGraph(g)), err
	case "Rerank":
		if judge, ok := s.config.Extractor.(llm.Reranker); ok {
			r, err := judge.Rerank(ctx, in.query, in.call.Texts)
			return encode(map[string]any{"scores": wireScores(r.Scores)}), err
		}
	}
	return "I have nothing to say to that.", nil
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only values of our own types come here
	}
	return string(b)
}

func send(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, encode(v)) // a client that went away is no matter
}

// refuse answers an error as OpenAI does.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, encode(map[string]any{"error": map[string]any{
		"message": message, "type": "invalid_request_error", "param": nil, "code": code,
	}}))
}
