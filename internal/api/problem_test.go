package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// pointers are the fields that a problem names.
func pointers(p map[string]any) []string {
	out := []string{}
	fields, _ := p["errors"].([]any)
	for _, f := range fields {
		out = append(out, f.(map[string]any)["pointer"].(string))
	}
	return out
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{api: api.Config{MaxBodyBytes: 500_000}})
	long := strings.Repeat("x", memory.MaxContentBytes+1)
	for name, tc := range map[string]struct {
		method, target, body string
		headers              []string
		status               int
		code                 memory.Code
		pointers             []string
	}{
		"UnknownRoute":          {"GET", "/nope", "", nil, 404, memory.CodeNotFound, nil},
		"UnknownRouteBelowV1":   {"GET", "/v1/nope", "", nil, 404, memory.CodeNotFound, nil},
		"TrailingSlash":         {"GET", "/v1/memories/", "", nil, 404, memory.CodeNotFound, nil},
		"UnknownMethod":         {"DELETE", "/v1/memories", "", nil, 405, memory.CodeNotAllowed, nil},
		"StrangeMethod":         {"BREW", "/v1/memories", "", nil, 405, memory.CodeNotAllowed, nil},
		"NoSuchMemory":          {"GET", "/v1/memories/mem_nope", "", nil, 404, memory.CodeNotFound, nil},
		"IDWithASlash":          {"GET", "/v1/memories/mem%2Fnope", "", nil, 404, memory.CodeNotFound, nil},
		"NoBody":                {"POST", "/v1/memories", "", nil, 400, memory.CodeMalformed, nil},
		"NotJSON":               {"POST", "/v1/memories", "{nope", nil, 400, memory.CodeMalformed, nil},
		"MoreThanJSON":          {"POST", "/v1/memories", `{"content":"x"} {}`, nil, 400, memory.CodeMalformed, nil},
		"NotUTF8":               {"POST", "/v1/memories", "{\"content\":\"\xff\"}", nil, 400, memory.CodeMalformed, nil},
		"AList":                 {"POST", "/v1/memories", `[]`, nil, 422, memory.CodeInvalid, []string{""}},
		"NoContent":             {"POST", "/v1/memories", `{}`, nil, 422, memory.CodeInvalid, []string{"/content"}},
		"EmptyContent":          {"POST", "/v1/memories", `{"content":""}`, nil, 422, memory.CodeInvalid, []string{"/content"}},
		"BlankContent":          {"POST", "/v1/memories", `{"content":" \n "}`, nil, 422, memory.CodeInvalid, []string{"/content"}},
		"ContentOfAnotherType":  {"POST", "/v1/memories", `{"content":5}`, nil, 422, memory.CodeInvalid, []string{"/content"}},
		"NullContent":           {"POST", "/v1/memories", `{"content":null}`, nil, 422, memory.CodeInvalid, []string{"/content"}},
		"NUL":                   {"POST", "/v1/memories", `{"content":"a\u0000b"}`, nil, 422, memory.CodeInvalid, []string{"/content"}},
		"LongContent":           {"POST", "/v1/memories", `{"content":"` + long + `"}`, nil, 413, memory.CodeTooLarge, []string{"/content"}},
		"LongBody":              {"POST", "/v1/memories", `{"content":"` + strings.Repeat("x", 500_000) + `"}`, nil, 413, memory.CodeTooLarge, nil},
		"UnknownField":          {"POST", "/v1/memories", `{"content":"x","metdata":{}}`, nil, 422, memory.CodeInvalid, []string{"/metdata"}},
		"FieldInAnotherCase":    {"POST", "/v1/memories", `{"content":"x","Track":"auto"}`, nil, 422, memory.CodeInvalid, []string{"/Track"}},
		"FieldWithADot":         {"POST", "/v1/memories", `{"content":"x","a.b/c":1}`, nil, 422, memory.CodeInvalid, []string{"/a.b~1c"}},
		"SeveralAtOnce":         {"POST", "/v1/memories", `{"content":"","track":"fast","priority":"now"}`, nil, 422, memory.CodeInvalid, []string{"/content", "/priority", "/track"}},
		"NestedMetadata":        {"POST", "/v1/memories", `{"content":"x","metadata":{"a.b/c":{"d":1}}}`, nil, 422, memory.CodeInvalid, []string{"/metadata/a.b~1c"}},
		"TooMuchMetadata":       {"POST", "/v1/memories", `{"content":"x","metadata":{"a":"` + strings.Repeat("x", 17_000) + `"}}`, nil, 422, memory.CodeInvalid, []string{"/metadata/a"}},
		"NoTime":                {"POST", "/v1/memories", `{"content":"x","occurred_at":"yesterday"}`, nil, 422, memory.CodeInvalid, []string{"/occurred_at"}},
		"ForbiddenAddress":      {"POST", "/v1/memories", `{"content":"x","webhook_url":"http://127.0.0.1/"}`, nil, 422, memory.CodeForbiddenURL, []string{"/webhook_url"}},
		"NotAnAddress":          {"POST", "/v1/memories", `{"content":"x","webhook_url":"ftp://x/"}`, nil, 422, memory.CodeInvalid, []string{"/webhook_url"}},
		"AnotherContentType":    {"POST", "/v1/memories", `{"content":"x"}`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, memory.CodeUnsupported, nil},
		"NoContentTypeAtAll":    {"POST", "/v1/memories", `{"content":"x"}`, []string{"Content-Type", ";"}, 415, memory.CodeUnsupported, nil},
		"AnotherEncoding":       {"POST", "/v1/memories", `{"content":"x"}`, []string{"Content-Encoding", "br"}, 415, memory.CodeUnsupported, nil},
		"LimitZero":             {"GET", "/v1/memories?limit=0", "", nil, 422, memory.CodeInvalid, []string{"/limit"}},
		"LimitOverTheTop":       {"GET", "/v1/batches?limit=501", "", nil, 422, memory.CodeInvalid, []string{"/limit"}},
		"LimitNoNumber":         {"GET", "/v1/memories?limit=ten", "", nil, 422, memory.CodeInvalid, []string{"/limit"}},
		"UnknownParameter":      {"GET", "/v1/memories?statuss=failed", "", nil, 422, memory.CodeInvalid, []string{"/statuss"}},
		"UnknownParameterThere": {"GET", "/v1/batches?x=1", "", nil, 422, memory.CodeInvalid, []string{"/x"}},
		"UnknownStatus":         {"GET", "/v1/memories?status=done", "", nil, 422, memory.CodeInvalid, []string{"/status/0"}},
		"NoCursor":              {"GET", "/v1/memories?cursor=nope", "", nil, 422, memory.CodeInvalid, []string{"/cursor"}},
		"NoTimeToListFrom":      {"GET", "/v1/memories?created_after=yesterday", "", nil, 422, memory.CodeInvalid, []string{"/created_after"}},
		"DepthOverTheTop":       {"GET", "/v1/graph/nodes/nod_x/neighbours?depth=4", "", nil, 422, memory.CodeInvalid, []string{"/depth"}},
		"NothingToSearchFor":    {"POST", "/v1/memories/search", `{"query":" "}`, nil, 422, memory.CodeInvalid, []string{"/query"}},
		"UnknownMode":           {"POST", "/v1/memories/search", `{"query":"x","mode":"magic"}`, nil, 422, memory.CodeInvalid, []string{"/mode"}},
		"UnknownOperator":       {"POST", "/v1/memories/search", `{"query":"x","filter":{"metadata.a":{"like":1}}}`, nil, 422, memory.CodeInvalid, []string{"/filter/metadata.a/like"}},
		"NothingToChange":       {"PATCH", "/v1/memories/mem_x", `{}`, nil, 422, memory.CodeInvalid, nil},
		"NoScopes":              {"POST", "/v1/keys", `{"scopes":[]}`, nil, 422, memory.CodeInvalid, []string{"/scopes"}},
		"UnknownScope":          {"POST", "/v1/keys", `{"scopes":["root"]}`, nil, 422, memory.CodeInvalid, []string{"/scopes/0"}},
		"UnnamedType":           {"PUT", "/v1/schema", `{"nodes":[{"name":"ok"},{"description":"x"}]}`, nil, 422, memory.CodeInvalid, []string{"/nodes/1/name"}},
		"StrictWithoutTypes":    {"PUT", "/v1/schema", `{"mode":"strict"}`, nil, 422, memory.CodeInvalid, []string{"/nodes"}},
		"ForbiddenEndpoint":     {"POST", "/v1/webhooks", `{"url":"http://10.0.0.1/"}`, nil, 422, memory.CodeForbiddenURL, []string{"/url"}},
		"UploadWithoutAnything": {"POST", "/v1/batches", "", nil, 400, memory.CodeMalformed, nil},
		"UploadOfNothing":       {"POST", "/v1/batches", `{"memories":[]}`, nil, 422, memory.CodeInvalid, []string{"/memories"}},
		"UploadCutShort":        {"POST", "/v1/batches", `{"memories":[{"content":"x"}`, nil, 400, memory.CodeMalformed, nil},
		"UploadOfAnotherType":   {"POST", "/v1/batches", "x", []string{"Content-Type", "text/plain"}, 415, memory.CodeUnsupported, nil},
		"UploadNotCompressed":   {"POST", "/v1/batches", "x", []string{"Content-Encoding", "gzip"}, 400, memory.CodeMalformed, nil},
		"UploadInBrotli":        {"POST", "/v1/batches", "x", []string{"Content-Encoding", "br"}, 415, memory.CodeUnsupported, nil},
		"BatchToNowhere":        {"POST", "/v1/batches?webhook_url=http://10.0.0.1/", `{"memories":[{"content":"x"}]}`, nil, 422, memory.CodeForbiddenURL, []string{"/webhook_url"}},
		"LongKey":               {"POST", "/v1/memories", `{"content":"x"}`, []string{"Idempotency-Key", strings.Repeat("k", 256)}, 422, memory.CodeInvalid, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := r.call(t, tc.method, tc.target, tc.body, tc.headers...).want(t, tc.status)
			p := checkProblem(t, a)
			if p["code"] != string(tc.code) {
				t.Errorf("code %v, want %s: %s", p["code"], tc.code, a.body)
			}
			if diff := cmp.Diff(append([]string{}, tc.pointers...), pointers(p)); diff != "" {
				t.Errorf("pointers, -want +got:\n%s\n%s", diff, a.body)
			}
			if tc.status == http.StatusMethodNotAllowed && !strings.Contains(a.Header.Get("Allow"), "POST") {
				t.Errorf("Allow is %q", a.Header.Get("Allow"))
			}
			if strings.Contains(string(a.body), long[:1000]) {
				t.Error("the answer repeats what was sent")
			}
		})
	}
}

// failing stands for a store that fails in some way.
type failing struct {
	store.Memories
	fail func() error
}

func (b failing) Get(context.Context, string, ...string) ([]memory.Memory, error) {
	return nil, b.fail()
}

func TestFaultsOfOurs(t *testing.T) {
	t.Parallel()
	secret := "dial tcp 10.1.2.3:27017: password hunter2"
	for name, tc := range map[string]struct {
		fail   func() error
		status int
		code   memory.Code
	}{
		"AnErrorWithoutACode": {func() error { return errors.New(secret) }, 500, memory.CodeInternal},
		"AStoreThatIsAway":    {func() error { return memory.Wrap(memory.CodeUnavailable, errors.New(secret), "the store is away") }, 503, memory.CodeUnavailable},
		"APanic":              {func() error { panic(secret) }, 500, memory.CodeInternal},
		"ATimeout":            {func() error { return context.DeadlineExceeded }, 503, memory.CodeTimeout},
		"ACodeOfThePipeline":  {func() error { return memory.Errorf(memory.CodeBadAnswer, "%s", secret) }, 500, memory.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, options{change: func(p *api.Parts) { p.Memories = failing{fail: tc.fail} }})
			a := r.call(t, http.MethodGet, "/v1/memories/mem_1", "").want(t, tc.status)
			if p := checkProblem(t, a); p["code"] != string(tc.code) {
				t.Errorf("code %v", p["code"])
			}
			if strings.Contains(string(a.body), "hunter2") {
				t.Errorf("the caller sees %s", a.body)
			}
			line := r.log.String()
			if tc.code != memory.CodeTimeout && !strings.Contains(line, "hunter2") || !strings.Contains(line, a.Header.Get("X-Request-Id")) {
				t.Errorf("the log does not have the cause: %s", line)
			}
		})
	}
}

func TestRequestsCanBeTraced(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	for name, tc := range map[string]struct {
		id, parent string
		kept       bool
		traced     bool
	}{
		"TheCallersIDs":    {"my-request.1", "00-" + trace + "-00f067aa0ba902b7-01", true, true},
		"NoIDs":            {"", "", false, false},
		"AnIDWithABlank":   {"my request", "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01", false, false},
		"AnIDWithABreak":   {"a\nb", "00-" + strings.ToUpper(trace) + "-00f067aa0ba902b7-01", false, false},
		"AnIDThatIsTooBig": {strings.Repeat("x", 129), "ff-" + trace + "-00f067aa0ba902b7-01", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.call(t, http.MethodGet, "/v1/memories/mem_"+name, "", "X-Request-Id", tc.id, "Traceparent", tc.parent)
			got := a.Header.Get("X-Request-Id")
			if (got == tc.id) != tc.kept || !tc.kept && !strings.HasPrefix(got, "req_") {
				t.Errorf("request id %q", got)
			}
			var line struct {
				Request, Trace, Method, Route, Workspace, Memory string
				Status                                           int
			}
			all := strings.Split(strings.TrimSpace(r.log.String()), "\n")
			if err := json.Unmarshal([]byte(all[len(all)-1]), &line); err != nil {
				t.Fatal(err)
			}
			if line.Request != got || (line.Trace == trace) != tc.traced || line.Method != http.MethodGet || line.Route != "/v1/memories/:id" ||
				line.Workspace != workspace || line.Memory != "mem_"+name || line.Status != 404 {
				t.Errorf("logged %+v", line)
			}
		})
	}
}

// TestHalfAnAnswerIsCut shows that a stream that fails halfway does not look whole to its reader.
func TestHalfAnAnswerIsCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{change: func(p *api.Parts) { p.Batches = &halfItems{Batches: p.Batches} }})
	ours := r.fill(t, workspace)
	srv := listen(t, r)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+ours.put("/v1/batches/{id}/items"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", adminKey)
	req.Header.Set("Accept", "application/x-ndjson")
	res, err := srv.Client().Do(req)
	if err != nil { // it was cut before anything was sent
		return
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("read to the end: %s", b)
	}
}

// halfItems fails at the second page.
type halfItems struct {
	store.Batches
	pages int
}

func (h *halfItems) Items(ctx context.Context, q store.ItemQuery) ([]memory.Item, string, error) {
	if h.pages++; h.pages > 1 {
		return nil, "", errors.New("away")
	}
	items, _, err := h.Batches.Items(ctx, q)
	return items, "more", err
}

// FuzzRequests holds every route that takes JSON to it that no body is a fault of ours.
func FuzzRequests(f *testing.F) {
	r := newRig(f, options{})
	routes := [][2]string{
		{"POST", "/v1/memories"}, {"POST", "/v1/memories/search"}, {"PATCH", "/v1/memories/mem_x"}, {"POST", "/v1/batches"},
		{"PUT", "/v1/schema"}, {"POST", "/v1/keys"}, {"PATCH", "/v1/webhooks/whe_x"}, {"POST", "/v1/webhooks/whe_x/rotate"}, {"POST", "/v1/webhooks/whe_x/recover"},
	}
	for i := range routes {
		for _, body := range []string{`{}`, `{"content":"x","metadata":{"a.b":1}}`, `{"query":"x","filter":{"not":{"status":"x"}}}`, `{"nodes":[{"name":"x"}]}`, `{"scopes":["read"]}`, `[`, `{"memories":[{}]}`, `{"a.b":1,"c":2}`} {
			f.Add(i, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, i int, body []byte) {
		route := routes[uint(i)%uint(len(routes))]
		a := r.call(t, route[0], route[1], string(body))
		if a.StatusCode >= 500 {
			t.Fatalf("%s %s answers %d: %s\n%s", route[0], route[1], a.StatusCode, a.body, r.log.String())
		}
		if a.StatusCode >= 300 {
			checkProblem(t, a)
		}
	})
}
