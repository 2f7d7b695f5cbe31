//go:build failpoints

package faults

import (
	"context"
	"net/http"
	"regexp"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// rpcs are the calls by which something is committed to Temporal.
var rpcs = map[string]bool{ //nolint:gochecknoglobals // a constant
	"StartWorkflowExecution": true, "SignalWorkflowExecution": true, "RespondWorkflowTaskCompleted": true,
	"RespondActivityTaskCompleted": true, "RespondActivityTaskFailed": true,
}

// Dials puts faults around the calls to Temporal.
func (m *Machine) Dials() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		name := method[strings.LastIndexByte(method, '/')+1:]
		if !rpcs[name] {
			return invoke(ctx, method, req, reply, cc, opts...)
		}
		var failed error
		err := m.at(ctx, "Temporal."+name, func() error {
			failed = invoke(ctx, method, req, reply, cc, opts...)
			return failed
		})
		if err != nil && failed == nil { // the fault's own
			return status.Error(codes.Unavailable, err.Error())
		}
		return err
	})}
}

// Transport puts faults around the attempts at webhooks.
func (m *Machine) Transport(t http.RoundTripper) http.RoundTripper { return roundTripper{m, t} }

type roundTripper struct {
	m    *Machine
	next http.RoundTripper
}

func (t roundTripper) RoundTrip(r *http.Request) (res *http.Response, err error) {
	err = t.m.at(r.Context(), pointWebhook, func() error {
		res, err = t.next.RoundTrip(r) //nolint:bodyclose // the caller does
		return err
	})
	if err != nil && res != nil {
		_ = res.Body.Close()
		res = nil
	}
	return res, err
}

const pointWebhook = "Webhook.send"

// AnswerPoint is the boundary of an answer: the request's method and path, ids left out.
func AnswerPoint(method, path string) string {
	return "Answer." + method + " " + ids.ReplaceAllString(path, "/{id}")
}

var ids = regexp.MustCompile(`/[a-z]{3}_[0-9A-Za-z]+|/\{[a-z]+\}`)

// Answers puts faults around the answers to requests that change something: before one, what it says has been done and
// nobody has been told; an error there is an answer that is lost on its way.
func (m *Machine) Answers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || !strings.HasPrefix(r.URL.Path, "/v1/") {
			h.ServeHTTP(w, r)
			return
		}
		a := &answer{ResponseWriter: w, m: m, r: r, point: AnswerPoint(r.Method, r.URL.Path)}
		h.ServeHTTP(a, r)
		if a.lost || m.pass(r.Context(), After, a.point) != nil {
			panic(http.ErrAbortHandler)
		}
	})
}

type answer struct {
	http.ResponseWriter
	m     *Machine
	r     *http.Request
	point string
	begun bool
	lost  bool
}

func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) begin() {
	if !a.begun {
		a.begun = true
		a.lost = a.m.pass(a.r.Context(), Before, a.point) != nil
	}
}

// WriteHeader implements http.ResponseWriter. A refusal commits nothing, but is an answer all the same.
func (a *answer) WriteHeader(status int) {
	if a.begin(); !a.lost {
		a.ResponseWriter.WriteHeader(status)
	}
}

func (a *answer) Write(p []byte) (int, error) {
	if a.begin(); a.lost {
		return len(p), nil
	}
	n, err := a.ResponseWriter.Write(p)
	_ = http.NewResponseController(a.ResponseWriter).Flush() // the caller has it before what is due afterwards
	return n, err
}

// Extractor puts faults around the calls to the chat model.
func (m *Machine) Extractor(e llm.Extractor) llm.Extractor { return extractor{m.buggyExtractor(e), m} }

type extractor struct {
	llm.Extractor
	m *Machine
}

func (e extractor) UseCases(ctx context.Context, q llm.Question) (a llm.UseCases, err error) {
	err = e.m.at(ctx, "LLM.UseCases", func() error { a, err = e.Extractor.UseCases(ctx, q); return err })
	return a, err
}

func (e extractor) Graph(ctx context.Context, q llm.Question) (g llm.Graph, err error) {
	err = e.m.at(ctx, "LLM.Graph", func() error { g, err = e.Extractor.Graph(ctx, q); return err })
	return g, err
}

// Embedder puts faults around the calls to the embedding model.
func (m *Machine) Embedder(e llm.Embedder) llm.Embedder { return embedder{e, m} }

type embedder struct {
	llm.Embedder
	m *Machine
}

func (e embedder) Embed(ctx context.Context, texts []string) (v llm.Vectors, err error) {
	err = e.m.at(ctx, "LLM.Embed", func() error { v, err = e.Embedder.Embed(ctx, texts); return err })
	return v, err
}
