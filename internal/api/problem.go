package api

import (
	"errors"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Problem is every answer that is not a success: RFC 9457, with a code for programs.
type Problem struct {
	Type      string            `json:"type" doc:"Where the code is explained." example:"/docs#error-invalid"`
	Title     string            `json:"title" doc:"The kind of problem, in words." example:"Invalid request"`
	Status    int               `json:"status" doc:"The HTTP status." example:"422"`
	Detail    string            `json:"detail" doc:"What is wrong with this request." example:"content must not be empty"`
	Code      memory.Code       `json:"code" doc:"The kind of problem, for programs. Codes are stable." example:"invalid"`
	Errors    []FieldProblem    `json:"errors,omitempty" doc:"What is wrong, field by field."`
	RequestID string            `json:"request_id,omitempty" doc:"What to look for in the server's log." example:"req_01K5"`
	Checks    map[string]string `json:"checks,omitempty" doc:"Of the readiness check: how each dependency is."`

	header http.Header
	cause  error // for the log
}

// FieldProblem is what is wrong with one field.
type FieldProblem struct {
	Pointer string      `json:"pointer" doc:"JSON pointer to the field." example:"/content"`
	In      string      `json:"in,omitempty" doc:"Where the field is, if not in the body: path, query or header." example:"query"`
	Code    memory.Code `json:"code,omitempty" doc:"The kind of problem, for programs." example:"invalid"`
	Detail  string      `json:"detail" doc:"What is wrong with it." example:"must not be empty"`
}

// Error implements error; with GetStatus, GetHeaders and ContentType a Problem is what huma wants of one.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// A kind is how a code is answered.
type kind struct {
	status int
	title  string
}

// kinds is the one map from codes to HTTP. A code that is not in it is a fault of ours: 500.
func kinds() map[memory.Code]kind {
	return map[memory.Code]kind{
		memory.CodeMalformed:     {http.StatusBadRequest, "Malformed request"},
		memory.CodeUnauthorized:  {http.StatusUnauthorized, "Not authenticated"},
		memory.CodeForbidden:     {http.StatusForbidden, "Not allowed for this key"},
		memory.CodeNotFound:      {http.StatusNotFound, "Not found"},
		memory.CodeNotAllowed:    {http.StatusMethodNotAllowed, "Method not allowed"},
		memory.CodeConflict:      {http.StatusConflict, "Not possible in the present state"},
		memory.CodeInProgress:    {http.StatusConflict, "The first request with this Idempotency-Key is still running"},
		memory.CodeSuperseded:    {http.StatusConflict, "Superseded"},
		memory.CodeModelMismatch: {http.StatusConflict, "Another embedding model"},
		memory.CodeTooLarge:      {http.StatusRequestEntityTooLarge, "Too large"},
		memory.CodeUnsupported:   {http.StatusUnsupportedMediaType, "Unsupported media type"},
		memory.CodeInvalid:       {http.StatusUnprocessableEntity, "Invalid request"},
		memory.CodeKeyReused:     {http.StatusUnprocessableEntity, "Idempotency-Key used for another request"},
		memory.CodeForbiddenURL:  {http.StatusUnprocessableEntity, "Forbidden address"},
		memory.CodeRateLimited:   {http.StatusTooManyRequests, "Too many requests"},
		memory.CodeUnavailable:   {http.StatusServiceUnavailable, "Temporarily unavailable"},
		memory.CodeTimeout:       {http.StatusServiceUnavailable, "Temporarily unavailable"},
		memory.CodeInterrupted:   {http.StatusServiceUnavailable, "Temporarily unavailable"},
		memory.CodeInternal:      {http.StatusInternalServerError, "Internal error"},
	}
}

var kindOf = sync.OnceValue(kinds) //nolint:gochecknoglobals // a constant table, made at its first use

// refused is a problem that a handler made itself, as an error.
type refused struct{ problem *Problem }

func (r *refused) Error() string { return r.problem.Detail }

// problemOf turns an error into what the caller sees: codes and messages that are made for that, nothing of a cause.
func problemOf(err error) *Problem {
	if r, ok := errors.AsType[*refused](err); ok {
		return r.problem
	}
	all := flatten(err)
	code := memory.CodeOf(all[0])
	k, known := kindOf()[code]
	if !known {
		code, k = memory.CodeInternal, kindOf()[memory.CodeInternal]
	}
	p := newProblem(code, k)
	p.cause = err
	p.Detail = detailOf(code, all)
	for _, e := range all {
		var f *memory.Error
		if errors.As(e, &f) && f.Pointer != "" && p.Status < http.StatusInternalServerError {
			p.Errors = append(p.Errors, FieldProblem{Pointer: f.Pointer, Code: f.Code, Detail: f.Message})
		}
	}
	p.askToWait(memory.RetryAfter(err))
	return p
}

func newProblem(code memory.Code, k kind) *Problem {
	p := &Problem{Type: "/docs#error-" + string(code), Title: k.title, Status: k.status, Code: code, Detail: k.title, header: http.Header{}}
	if code == memory.CodeUnauthorized {
		p.header.Set("WWW-Authenticate", "Bearer")
	}
	return p
}

// askToWait sets Retry-After where the same request may succeed later.
func (p *Problem) askToWait(asked time.Duration) {
	switch {
	case p.Status == http.StatusTooManyRequests, p.Status == http.StatusServiceUnavailable, p.Code == memory.CodeInProgress:
		seconds := max(1, int(math.Ceil(asked.Seconds())))
		p.header.Set("Retry-After", strconv.Itoa(seconds))
	}
}

// detailOf puts into words what is wrong. Faults of ours are not explained: the log has them, under the request's id.
func detailOf(code memory.Code, all []error) string {
	if code == memory.CodeInternal {
		return "something went wrong inside; the log has the cause"
	}
	var words []string
	for _, e := range all {
		var f *memory.Error
		switch {
		case !errors.As(e, &f):
			words = append(words, "the request was not completed in time")
		case f.Pointer != "":
			words = append(words, strings.TrimPrefix(f.Pointer, "/")+": "+f.Message)
		default:
			words = append(words, f.Message)
		}
	}
	return strings.Join(words, "; ")
}

// flatten returns the errors that err joins; err itself where it joins none.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}

// ofStatus is the problem of a status that the router or huma decided on.
func ofStatus(status int, detail string) *Problem {
	code := codeOf(status)
	p := newProblem(code, kindOf()[code])
	if status < http.StatusInternalServerError {
		p.Status = status
		if detail != "" {
			p.Detail = detail
		}
	}
	p.askToWait(0)
	return p
}

// codeOf is the code of a status that came without one.
func codeOf(status int) memory.Code {
	switch status {
	case http.StatusConflict:
		return memory.CodeConflict
	case http.StatusUnprocessableEntity:
		return memory.CodeInvalid
	case http.StatusServiceUnavailable:
		return memory.CodeUnavailable
	}
	for code, k := range kindOf() {
		if k.status == status {
			return code // the only one of this status
		}
	}
	if status < http.StatusInternalServerError {
		return memory.CodeMalformed
	}
	return memory.CodeInternal
}

// setErrorModel makes huma answer with Problems. Its error functions are variables of the library, so this is done once.
func setErrorModel() {
	setOnce.Do(func() {
		huma.ValidateStrictCasing = true
		huma.DefaultArrayNullable = false
		huma.NewError = func(status int, msg string, _ ...error) huma.StatusError {
			if status == 0 { // huma asks for the type
				return &Problem{}
			}
			return ofStatus(status, msg)
		}
		huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
			p := fromHuma(status, msg, errs)
			finish(ctx, p)
			return p
		}
	})
}

var setOnce sync.Once //nolint:gochecknoglobals // what it sets is global

// finish gives the problem what belongs to the request: its id, headers, and the cause for the log line.
func finish(ctx huma.Context, p *Problem) {
	n := noteOf(ctx.Context())
	if p.Status >= http.StatusInternalServerError {
		n.err = p.cause
	}
	p.RequestID = n.requestID
	for name, values := range p.header {
		ctx.SetHeader(name, values[0])
	}
}

// fromHuma makes a problem of what huma found: errors of ours that a handler returned, or broken rules of a schema.
func fromHuma(status int, msg string, errs []error) *Problem {
	var detail *huma.ErrorDetail
	switch {
	case len(errs) == 0:
		return ofStatus(status, msg)
	case !errors.As(errs[0], &detail):
		return problemOf(errors.Join(errs...))
	}
	p := ofStatus(status, "")
	var words []string
	for _, err := range errs {
		p.Errors = append(p.Errors, fieldOf(err))
	}
	slices.SortFunc(p.Errors, func(a, b FieldProblem) int { return strings.Compare(a.Pointer+a.Detail, b.Pointer+b.Detail) })
	for _, f := range p.Errors {
		words = append(words, strings.TrimPrefix(strings.TrimPrefix(f.Pointer, "/")+": "+f.Detail, ": "))
	}
	p.Detail = strings.Join(words, "; ")
	if status == http.StatusBadRequest {
		p.Errors = nil
	}
	return p
}

var (
	missing = regexp.MustCompile(`^expected required property (.+) to be present$`)
	index   = regexp.MustCompile(`\[(\d+)\]`)
)

// fieldOf turns a broken rule of a schema, with its location like body.nodes[0].name, into a field and pointer. The
// value that broke it is not repeated.
func fieldOf(err error) FieldProblem {
	var d *huma.ErrorDetail
	if !errors.As(err, &d) {
		p := problemOf(err)
		return FieldProblem{Code: p.Code, Detail: p.Detail}
	}
	in, rest, _ := strings.Cut(d.Location, ".")
	f := FieldProblem{Pointer: pointerOf(rest), Code: memory.CodeInvalid, Detail: d.Message}
	if in != "body" {
		f.In, f.Pointer = in, "/"+index.ReplaceAllString(escape(rest), "/$1")
	}
	if m := missing.FindStringSubmatch(d.Message); m != nil {
		f.Pointer, f.Detail = f.Pointer+"/"+escape(m[1]), "is required"
	}
	if object, ok := d.Value.(map[string]any); ok && d.Message == "unexpected property" {
		f.Pointer, f.Detail = unexpected(rest, object), "unknown field"
	}
	return f
}

// pointerOf reads a location.
func pointerOf(location string) string {
	if location == "" {
		return ""
	}
	parts := strings.Split(index.ReplaceAllString(location, ".$1"), ".")
	for i := range parts {
		parts[i] = escape(parts[i])
	}
	return "/" + strings.Join(parts, "/")
}

// unexpected is the pointer to a member that the schema does not have. Its name may hold dots, so the object says which
// part of the location it is.
func unexpected(location string, object map[string]any) string {
	name := ""
	for k := range object {
		if (location == k || strings.HasSuffix(location, "."+k)) && len(k) >= len(name) {
			name = k
		}
	}
	parent := strings.TrimSuffix(strings.TrimSuffix(location, name), ".")
	return pointerOf(parent) + "/" + escape(name)
}

func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }
