package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// document is the OpenAPI document, written once: it does not change while the process runs.
type document struct {
	examples []example
	json     []byte
	html     []byte
}

// example is a request to an operation and its answer, as JSON; "": it has none.
type example struct{ method, path, request, answer string }

// describe completes the document with what cannot be read from types, and serves it.
func (a *API) describe() {
	doc := a.huma.OpenAPI()
	doc.Info.Description = "Memories for AI applications: handed in, enriched by an LLM, findable by meaning and by relation."
	doc.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	doc.Tags = tags()
	a.describeAnswers(doc)
	describeUpload(a.operation(http.MethodPost, "/v1/batches"), doc.Components.Schemas)
	describeSchemas(doc.Components.Schemas)
	list := a.operation(http.MethodGet, "/v1/memories")
	list.Parameters = append(list.Parameters, &huma.Param{
		Name: metadataParam + "<key>", In: "query", Description: "Only those whose metadata have the value, as text, under the key; may come with several keys.",
		Schema: &huma.Schema{Type: huma.TypeString},
	})
	for _, e := range a.doc.examples {
		a.attach(e)
	}
	a.doc.json = publish(doc)
	a.doc.html = render(doc)
	loosen(doc.Components.Schemas.Map())
	a.echo.GET("/openapi.json", func(c echo.Context) error {
		return c.Blob(http.StatusOK, "application/json", a.doc.json)
	})
	a.echo.GET("/docs", a.showDocs)
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Errorf("api: %w", err)) // of our own types and examples, at the start
	}
	return b
}

func tags() []*huma.Tag {
	return []*huma.Tag{
		{Name: "Memories", Description: "One memory at a time."},
		{Name: "Search", Description: "Finding memories."},
		{Name: "Batches", Description: "Many memories that come in together."},
		{Name: "Graph", Description: "What memories say, as nodes and relationships."},
		{Name: "Webhooks", Description: "Being told."},
		{Name: "Workspace", Description: "The tenant."},
		{Name: "Keys", Description: "Who may come in."},
		{Name: "Service", Description: "How the service is."},
	}
}

func (a *API) operation(method, path string) *huma.Operation {
	item := a.huma.OpenAPI().Paths[path]
	switch method {
	case http.MethodGet:
		return item.Get
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	case http.MethodPatch:
		return item.Patch
	}
	return item.Delete
}

// describeAnswers says what is in the answers whose type depends on their status.
func (a *API) describeAnswers(doc *huma.OpenAPI) {
	schemas := doc.Components.Schemas
	finished, accepted := refTo[memory.Memory](schemas), refTo[Accepted](schemas)
	for _, at := range []string{"POST /v1/memories", "PATCH /v1/memories/{id}", "POST /v1/memories/{id}/retry"} {
		method, path, _ := strings.Cut(at, " ")
		op := a.operation(method, path)
		setAnswer(op, http.StatusAccepted, "Accepted: it will be finished.", accepted)
		setAnswer(op, http.StatusOK, "Finished.", finished)
	}
	batch := refTo[memory.Batch](schemas)
	for _, verb := range []string{"", "/{id}/pause", "/{id}/resume", "/{id}/retry", "/{id}/cancel"} {
		setAnswer(a.operation(http.MethodPost, "/v1/batches"+verb), http.StatusAccepted, "Accepted.", batch)
	}
	setAnswer(a.operation(http.MethodPost, "/v1/batches"), http.StatusOK, "Of a dry run.", refTo[intake.Report](schemas))
	setAnswer(a.operation(http.MethodPost, "/v1/batches/{id}/cancel"), http.StatusOK, "Undone.", batch)
	items := a.operation(http.MethodGet, "/v1/batches/{id}/items")
	setAnswer(items, http.StatusOK, "The items.", refTo[List[memory.Item]](schemas))
	items.Responses["200"].Content[ndjson] = &huma.MediaType{Schema: refTo[memory.Item](schemas)}
	for _, path := range []string{"/v1/memories/{id}/events", "/v1/batches/{id}/events"} {
		op := a.operation(http.MethodGet, path)
		op.Responses["200"] = &huma.Response{
			Description: "Events, as they come.", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: eventSchema()}},
		}
		op.Responses["204"] = &huma.Response{Description: "There will be no more."}
	}
}

// eventSchema is what one event of a stream holds.
func eventSchema() *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Description: "One event of the stream.", Properties: map[string]*huma.Schema{
		"event": {Type: huma.TypeString, Description: "Its kind."},
		"id":    {Type: huma.TypeString, Description: "What Last-Event-ID takes, to go on after it."},
		"data":  {Type: huma.TypeString, Description: "What happened, as JSON."},
	}}
}

func refTo[T any](r huma.Registry) *huma.Schema { return r.Schema(typeOf[T](), true, "") }

func setAnswer(op *huma.Operation, status int, words string, s *huma.Schema) {
	key := strconv.Itoa(status)
	if op.Responses[key] == nil {
		op.Responses[key] = &huma.Response{Headers: op.Responses[strconv.Itoa(op.DefaultStatus)].Headers}
	}
	op.Responses[key].Description = words
	op.Responses[key].Content = map[string]*huma.MediaType{"application/json": {Schema: s}}
}

// describeUpload says what POST /v1/batches takes: its handler reads the body itself.
func describeUpload(op *huma.Operation, r huma.Registry) {
	memories := refTo[memory.Input](r)
	line := &huma.Schema{Type: huma.TypeString, Description: "A memory a line."}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: &huma.Schema{
			Type: huma.TypeObject, Required: []string{"memories"}, AdditionalProperties: false, Properties: map[string]*huma.Schema{
				"memories": {
					Type: huma.TypeArray, MinItems: new(1), Description: "The memories. One that is not valid is rejected by itself.",
					Items: &huma.Schema{AnyOf: []*huma.Schema{memories, {}}},
				},
				"name":        {Type: huma.TypeString, Description: "A name for people.", MaxLength: new(255)},
				"webhook_url": {Type: huma.TypeString, Description: "Where to report the end of the batch."},
				"priority":    {Type: huma.TypeString, Description: "Its place among batches.", Enum: []any{"interactive", "normal", "bulk"}},
				"dry_run":     {Type: huma.TypeBoolean, Description: "Store nothing; say what would become of it."},
			},
		}},
		ndjson:     {Schema: line, Example: exampleInput + "\n"},
		"text/csv": {Schema: &huma.Schema{Type: huma.TypeString, Description: "A header row, then a memory a row."}, Example: "content,external_id,book\nDorothy lived in Kansas.,oz-1,oz\n"},
	}}
}

// attach adds an example to its operation.
func (a *API) attach(e example) {
	op := a.operation(e.method, e.path)
	if e.request != "" {
		op.RequestBody.Content["application/json"].Example = json.RawMessage(e.request)
	}
	if r := op.Responses[strconv.Itoa(op.DefaultStatus)]; e.answer != "" {
		r.Content["application/json"].Example = json.RawMessage(e.answer)
	}
}
