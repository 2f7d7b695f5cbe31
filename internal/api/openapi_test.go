package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// document is as much of the OpenAPI document as the tests read.
type document struct {
	OpenAPI    string
	Info       struct{ Version string }
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	OperationID string
	Summary     string
	Tags        []string
	Security    []map[string][]string
	Parameters  []struct{ Name, In, Description string }
	RequestBody *struct{ Content map[string]media }
	Responses   map[string]struct{ Content map[string]media }
}

type media struct {
	Schema  json.RawMessage
	Example json.RawMessage
}

type schema struct {
	Ref         string `json:"$ref"`
	Description string
	Properties  map[string]schema
}

func readDocument(tb testing.TB, r *rig) document {
	tb.Helper()
	var d document
	r.call(tb, http.MethodGet, "/openapi.json", "", "Authorization", "").want(tb, http.StatusOK).into(tb, &d)
	return d
}

// each calls fn with every operation of the document.
func (d document) each(fn func(method, path string, op operation)) {
	for path, item := range d.Paths {
		for method, op := range item {
			fn(strings.ToUpper(method), path, op)
		}
	}
}

func TestTheDocumentHoldsTheContract(t *testing.T) {
	t.Parallel()
	d := readDocument(t, newRig(t, options{}))
	if !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Errorf("it is OpenAPI %q", d.OpenAPI)
	}
	for _, route := range []string{
		"POST /v1/memories", "GET /v1/memories", "GET /v1/memories/{id}", "PATCH /v1/memories/{id}", "DELETE /v1/memories/{id}",
		"POST /v1/memories/{id}/retry", "GET /v1/memories/{id}/events", "GET /v1/memories/{id}/explain", "POST /v1/memories/search",
		"POST /v1/batches", "GET /v1/batches", "GET /v1/batches/{id}", "GET /v1/batches/{id}/items", "POST /v1/batches/{id}/pause",
		"POST /v1/batches/{id}/resume", "POST /v1/batches/{id}/cancel", "POST /v1/batches/{id}/retry", "GET /v1/batches/{id}/events",
		"POST /v1/webhooks", "GET /v1/webhooks", "GET /v1/webhooks/{id}", "PATCH /v1/webhooks/{id}", "DELETE /v1/webhooks/{id}", "POST /v1/webhooks/{id}/rotate",
		"POST /v1/webhooks/{id}/test", "GET /v1/webhooks/{id}/deliveries", "GET /v1/deliveries/{id}", "POST /v1/deliveries/{id}/redeliver",
		"POST /v1/webhooks/{id}/recover", "GET /v1/workspace/webhook-secret", "POST /v1/workspace/webhook-secret/rotate",
		"GET /v1/graph/nodes", "GET /v1/graph/nodes/{id}/neighbours", "GET /v1/schema", "PUT /v1/schema", "GET /v1/workspace", "GET /v1/router",
		"POST /v1/keys", "GET /v1/keys", "DELETE /v1/keys/{id}", "GET /healthz", "GET /readyz",
	} {
		method, path, _ := strings.Cut(route, " ")
		if _, ok := d.Paths[path][strings.ToLower(method)]; !ok {
			t.Errorf("%s is not there", route)
		}
	}
}

func TestTheDocumentSaysWhatEverythingMeans(t *testing.T) {
	t.Parallel()
	d := readDocument(t, newRig(t, options{}))
	ids := map[string]string{}
	d.each(func(method, path string, op operation) {
		at := method + " " + path
		if other, twice := ids[op.OperationID]; twice || op.OperationID == "" {
			t.Errorf("%s has the operation id %q, like %s", at, op.OperationID, other)
		}
		ids[op.OperationID] = at
		if op.Summary == "" || len(op.Tags) != 1 {
			t.Errorf("%s has no summary or tag", at)
		}
		for _, p := range op.Parameters {
			if p.Description == "" {
				t.Errorf("%s: parameter %s has no description", at, p.Name)
			}
		}
		for status, answer := range op.Responses {
			if _, isProblem := answer.Content["application/problem+json"]; (status >= "300") != isProblem {
				t.Errorf("%s: status %s is a problem: %v", at, status, isProblem)
			}
		}
	})
	for name, s := range d.Components.Schemas {
		for property, p := range s.Properties {
			if p.Description == "" && p.Ref == "" {
				t.Errorf("%s.%s has no description", name, property)
			}
		}
	}
}

func TestExamplesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	var raw struct {
		Components struct{ Schemas map[string]json.RawMessage }
	}
	r := newRig(t, options{})
	r.call(t, http.MethodGet, "/openapi.json", "").into(t, &raw)
	registry := readSchemas(t, raw.Components.Schemas)
	checked := 0
	readDocument(t, r).each(func(method, path string, op operation) {
		check := func(where string, content map[string]media) {
			m, ok := content["application/json"]
			if !ok {
				return
			}
			if m.Example == nil {
				t.Errorf("%s %s has no example of its %s", method, path, where)
				return
			}
			checked++
			for _, err := range broken(t, registry, m) {
				t.Errorf("%s %s, %s: %v", method, path, where, err)
			}
		}
		if op.RequestBody != nil && op.OperationID != "rotate-webhook-secret" {
			check("request", op.RequestBody.Content)
		}
		for _, status := range []string{"200", "201", "202"} {
			if answer, ok := op.Responses[status]; ok && (status != "200" || op.Responses["202"].Content == nil) {
				check("answer", answer.Content)
			}
		}
	})
	if checked < 40 {
		t.Errorf("only %d examples were found", checked)
	}
}

// registry is a huma.Registry over the schemas of the published document.
type registry struct {
	huma.Registry
	schemas map[string]*huma.Schema
}

func (r registry) SchemaFromRef(ref string) *huma.Schema {
	return r.schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
}

func readSchemas(tb testing.TB, raw map[string]json.RawMessage) registry {
	tb.Helper()
	r := registry{schemas: map[string]*huma.Schema{}}
	for name, s := range raw {
		r.schemas[name] = readSchema(tb, s)
	}
	return r
}

// readSchema reads a schema as huma writes it: its "type" may be a list with "null".
func readSchema(tb testing.TB, raw json.RawMessage) *huma.Schema {
	tb.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		tb.Fatal(err)
	}
	s := schemaOf(m)
	s.PrecomputeMessages()
	return s
}

func schemaOf(m map[string]any) *huma.Schema {
	s := &huma.Schema{}
	switch typ := m["type"].(type) {
	case string:
		s.Type = typ
	case []any:
		s.Type, _ = typ[0].(string)
		s.Nullable = true
	}
	s.Ref, _ = m["$ref"].(string)
	s.Format, _ = m["format"].(string)
	s.Pattern, _ = m["pattern"].(string)
	s.Enum, _ = m["enum"].([]any)
	if s.Type == "null" {
		return &huma.Schema{Enum: []any{nil}}
	}
	for _, name := range list(m["required"]) {
		s.Required = append(s.Required, name.(string))
	}
	for _, sub := range list(m["oneOf"]) {
		s.OneOf = append(s.OneOf, schemaOf(sub.(map[string]any)))
	}
	for _, sub := range list(m["anyOf"]) {
		s.AnyOf = append(s.AnyOf, schemaOf(sub.(map[string]any)))
	}
	if items, ok := m["items"].(map[string]any); ok {
		s.Items = schemaOf(items)
	}
	if props, ok := m["properties"].(map[string]any); ok {
		s.Properties = map[string]*huma.Schema{}
		for name, p := range props {
			s.Properties[name] = schemaOf(p.(map[string]any))
		}
	}
	switch additional := m["additionalProperties"].(type) {
	case bool:
		s.AdditionalProperties = additional
	case map[string]any:
		s.AdditionalProperties = schemaOf(additional)
	}
	return s
}

func list(v any) []any { l, _ := v.([]any); return l }

func broken(tb testing.TB, r registry, m media) []error {
	tb.Helper()
	var value any
	if err := json.Unmarshal(m.Example, &value); err != nil {
		tb.Fatal(err)
	}
	res := &huma.ValidateResult{}
	huma.Validate(r, readSchema(tb, m.Schema), huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, res)
	return res.Errors
}

func TestExamplesOfRequestsAreTaken(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	filled := r.fill(t, workspace)
	readDocument(t, r).each(func(method, path string, op operation) {
		if op.RequestBody == nil || strings.Contains(path, "/retry") {
			return
		}
		example := string(op.RequestBody.Content["application/json"].Example)
		if strings.Contains(example, "example.com") {
			return // the guard would ask a name server
		}
		if a := r.call(t, method, filled.put(path), example); a.StatusCode >= 300 && a.StatusCode != http.StatusConflict {
			t.Errorf("%s %s answers its own example %d: %s", method, path, a.StatusCode, a.body)
		}
	})
}

func TestTheReferencePage(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	a := r.call(t, http.MethodGet, "/docs", "", "Authorization", "").want(t, http.StatusOK)
	page := string(a.body)
	for _, src := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if u, err := url.Parse(src[1]); err != nil || u.Host != "" {
			t.Errorf("it loads %s", src[1])
		}
	}
	if strings.Contains(page, "<script") || !strings.Contains(a.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("it runs scripts")
	}
	if strings.Contains(page, "`") || !strings.Contains(page, "<code>external_id</code>") {
		t.Error("backquotes are shown as they are")
	}
	var missing []string
	readDocument(t, r).each(func(method, path string, op operation) {
		if !strings.Contains(page, fmt.Sprintf("id=%q", op.OperationID)) {
			missing = append(missing, method+" "+path)
		}
	})
	slices.Sort(missing)
	if len(missing) > 0 || !strings.Contains(page, `id="error-invalid"`) {
		t.Errorf("it lacks %v", missing)
	}
}
