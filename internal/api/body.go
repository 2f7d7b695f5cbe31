package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// inner is what a context wraps; under its own name the method Context could not be seen.
type inner = huma.Context

// A request whose body was read already.
type readContext struct {
	inner
	body []byte
}

// Unwrap lets the adapter find its own context.
func (c readContext) Unwrap() huma.Context { return c.inner }

// BodyReader gives the body again.
func (c readContext) BodyReader() io.Reader { return bytes.NewReader(c.body) }

// SetReadDeadline does nothing: the body is here, and a deadline would end the request while it waits for its answer.
func (c readContext) SetReadDeadline(time.Time) error { return nil }

// checkQuery turns away query parameters that are there but empty, where that cannot be meant: huma takes them for absent.
func (a *API) checkQuery(ctx huma.Context, next func(huma.Context)) {
	u := ctx.URL()
	query := u.Query()
	for _, p := range ctx.Operation().Parameters {
		values, there := query[p.Name]
		if p.In == "query" && there && !mayBeEmpty(p.Schema) && slices.Contains(values, "") {
			_ = huma.WriteErr(a.huma, ctx, http.StatusUnprocessableEntity, "", &huma.ErrorDetail{Location: "query." + p.Name, Message: "must not be empty"})
			return
		}
	}
	next(ctx)
}

func mayBeEmpty(s *huma.Schema) bool {
	return s.Type == huma.TypeString && s.Format == "" && len(s.Enum) == 0 && s.MinLength == nil
}

// readBody reads the body of requests whose operation takes one, and turns away what is not JSON.
func (a *API) readBody(ctx huma.Context, next func(huma.Context)) {
	switch takes(ctx.Operation()) {
	case takesJSON:
		body, err := a.jsonBody(ctx)
		if err != nil {
			a.fail(ctx, err)
			return
		}
		next(readContext{ctx, body})
	case takesStream:
		next(streamContext{ctx, &patient{ctx.BodyReader(), a.cfg.BodyTimeout, ctx.SetReadDeadline}})
	default:
		next(ctx)
	}
}

func (a *API) jsonBody(ctx huma.Context) ([]byte, error) {
	if err := checkType(ctx.Header("Content-Type")); err != nil {
		return nil, err
	}
	if e := ctx.Header("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, memory.Errorf(memory.CodeUnsupported, "Content-Encoding %q is not taken here", e)
	}
	_ = ctx.SetReadDeadline(time.Now().Add(a.cfg.BodyTimeout)) // a writer without deadlines has none to keep
	body, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), a.cfg.MaxBodyBytes+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, memory.Wrap(memory.CodeMalformed, err, "the body did not arrive in time")
	case err != nil:
		return nil, memory.Wrap(memory.CodeMalformed, err, "the body broke off")
	case int64(len(body)) > a.cfg.MaxBodyBytes:
		return nil, memory.Errorf(memory.CodeTooLarge, "the body is larger than %d bytes", a.cfg.MaxBodyBytes)
	case !utf8.Valid(body):
		return nil, memory.Errorf(memory.CodeMalformed, "the body is not valid UTF-8")
	}
	_ = ctx.SetReadDeadline(time.Time{})
	return body, nil
}

func checkType(header string) error {
	if header == "" {
		return nil
	}
	t, _, err := mime.ParseMediaType(header)
	if err != nil || t != "application/json" && !strings.HasSuffix(t, "+json") {
		return memory.Errorf(memory.CodeUnsupported, "send application/json, not %q", header)
	}
	return nil
}

// What an operation takes as its body.
const (
	takesNothing = iota
	takesJSON
	takesStream
)

func takes(op *huma.Operation) int {
	kind, _ := op.Metadata[metaBody].(int)
	return kind
}

// fail answers with the error's problem.
func (a *API) fail(ctx huma.Context, err error) {
	_ = huma.WriteErr(a.huma, ctx, http.StatusInternalServerError, "", err) // it writes what it cannot write to the log
}

// A request whose body is a stream: each read of it must bring something within the timeout, however long the whole
// takes.
type streamContext struct {
	inner
	body *patient
}

// Unwrap lets the adapter find its own context.
func (c streamContext) Unwrap() huma.Context { return c.inner }

// BodyReader gives the stream.
func (c streamContext) BodyReader() io.Reader { return c.body }

type patient struct {
	r        io.Reader
	timeout  time.Duration
	deadline func(time.Time) error
}

func (p *patient) Read(b []byte) (int, error) {
	_ = p.deadline(time.Now().Add(p.timeout)) // a writer without deadlines has none to keep
	n, err := p.r.Read(b)
	if err != nil {
		_ = p.deadline(time.Time{}) // or it would end the request later
	}
	return n, err
}
