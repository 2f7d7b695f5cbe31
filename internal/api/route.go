package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// What the metadata of an operation say.
const (
	metaBody    = "body"    // what it takes as its body
	metaCreates = "creates" // the prefix of the id of what it creates: it takes an Idempotency-Key
	metaSecret  = "secret"  // its answer shows a secret
)

// A route is an operation of the API: what its handler is registered with, and what the OpenAPI document says of it.
type route struct {
	id      string // of the operation, for generated clients
	method  string
	path    string
	summary string
	about   string      // more words, Markdown
	tag     string      // the group that it is shown in
	scope   store.Scope // "": no key is needed
	status  int         // of success; 0: 200
	errors  []int       // beside those that follow from the rest
	creates string      // see metaCreates
	secret  bool        // see metaSecret
	stream  bool        // the handler reads the body itself
	loose   bool        // the handler checks the query parameters itself
	request string      // an example, JSON
	answer  string      // likewise
}

// serve registers a handler.
func serve[I, O any](a *API, r route, handler func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Description: r.about, Tags: []string{r.tag},
		DefaultStatus: r.status, Metadata: map[string]any{metaCreates: r.creates, metaSecret: r.secret, metaBody: r.body()},
		MaxBodyBytes: -1, BodyReadTimeout: -1, // see readBody
		RejectUnknownQueryParameters: !r.loose, Errors: r.problems(),
	}
	if r.scope != "" {
		op.Security = []map[string][]string{{"bearer": {string(r.scope)}}, {"apiKey": {string(r.scope)}}}
	}
	if r.creates != "" {
		op.Parameters = append(op.Parameters, idempotencyParam())
	}
	huma.Register(a.huma, op, handler)
	a.doc.examples = append(a.doc.examples, example{r.method, r.path, r.request, r.answer})
}

func (r route) body() int {
	switch {
	case r.stream:
		return takesStream
	case r.method == http.MethodPost || r.method == http.MethodPut || r.method == http.MethodPatch:
		return takesJSON
	}
	return takesNothing
}

// problems are the statuses, other than success, that an answer can have.
func (r route) problems() []int {
	statuses := append([]int{http.StatusTooManyRequests, http.StatusServiceUnavailable}, r.errors...)
	if r.scope != "" {
		statuses = append(statuses, http.StatusUnauthorized, http.StatusForbidden)
	}
	if strings.Contains(r.path, "{") {
		statuses = append(statuses, http.StatusNotFound)
	}
	if r.body() != takesNothing {
		statuses = append(statuses, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	}
	if r.creates != "" {
		statuses = append(statuses, http.StatusConflict)
	}
	return statuses
}

func idempotencyParam() *huma.Param {
	most := 255
	return &huma.Param{
		Name: idempotencyHeader, In: "header",
		Description: "The same key with the same request again, within 24 hours, does nothing and is answered as the first one was (`Idempotency-Replayed: true`). With another request it is 422; while the first one is running, 409.",
		Schema:      &huma.Schema{Type: huma.TypeString, MaxLength: &most, Pattern: "^[ -~]*$"},
	}
}

// newHuma makes the API over the router. Its own extras are off: schema links, and pages that load from elsewhere.
func newHuma(e *echo.Echo, version string) huma.API {
	setErrorModel()
	if version == "" {
		version = "dev"
	}
	c := huma.DefaultConfig("Switchyard", version)
	c.CreateHooks, c.OpenAPIPath, c.DocsPath, c.SchemasPath = nil, "", "", ""
	c.Formats = map[string]huma.Format{"application/json": jsonFormat(), "json": jsonFormat()}
	c.Components.Schemas = newSchemas()
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", Description: "An API key. Its scopes are `read`, `write` and `admin`; each includes those before it."},
		"apiKey": {Type: "apiKey", In: "header", Name: "X-API-Key", Description: "The same key in another header."},
	}
	return humaecho.New(e, c)
}
