package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

//go:embed docs.html
var docsPage string

// The reference is a page without scripts that loads nothing: it works where there is no internet.

type docsGroup struct {
	*huma.Tag
	Operations []docsOperation
}

type docsOperation struct {
	*huma.Operation
	Scope    string
	Fields   []docsField // of the body
	Request  string
	Answer   string
	Statuses []string
}

type docsField struct {
	Name, Type, Words string
	Required          bool
}

type docsCode struct {
	Code   memory.Code
	Status int
	Title  string
}

// render writes the reference of the document.
func render(doc *huma.OpenAPI) []byte {
	page := template.Must(template.New("docs").Funcs(template.FuncMap{"paragraphs": paragraphs, "marked": marked}).Parse(docsPage))
	var buf bytes.Buffer
	err := page.Execute(&buf, map[string]any{"Doc": doc, "Groups": groupsOf(doc), "Codes": codes()})
	if err != nil {
		panic(fmt.Errorf("api: %w", err)) // a mistake in the page, at the start
	}
	return buf.Bytes()
}

func groupsOf(doc *huma.OpenAPI) []docsGroup {
	var groups []docsGroup
	for _, tag := range doc.Tags {
		g := docsGroup{Tag: tag}
		for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
			item := doc.Paths[path]
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
				if op != nil && slices.Contains(op.Tags, tag.Name) {
					g.Operations = append(g.Operations, docsOf(op, doc.Components.Schemas))
				}
			}
		}
		groups = append(groups, g)
	}
	return groups
}

func docsOf(op *huma.Operation, schemas huma.Registry) docsOperation {
	d := docsOperation{Operation: op, Scope: string(scopeOf(op)), Statuses: slices.Sorted(maps.Keys(op.Responses))}
	if op.RequestBody != nil && op.RequestBody.Content["application/json"] != nil {
		d.Fields = fieldsOf(op.RequestBody.Content["application/json"].Schema, schemas)
		d.Request = pretty(op.RequestBody.Content["application/json"].Example)
	}
	for _, status := range d.Statuses {
		if m := op.Responses[status].Content["application/json"]; m != nil && m.Example != nil {
			d.Answer = pretty(m.Example)
		}
	}
	return d
}

// fieldsOf are the fields of a body, those that must be there first.
func fieldsOf(s *huma.Schema, schemas huma.Registry) (out []docsField) {
	if s != nil && s.Ref != "" {
		s = schemas.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		f := docsField{Name: name, Type: p.Type, Words: p.Description, Required: slices.Contains(s.Required, name)}
		if len(p.Enum) > 0 {
			f.Words += " One of: " + strings.Trim(fmt.Sprint(p.Enum), "[]") + "."
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b docsField) int {
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		}
		return 1
	})
	return out
}

// marked writes what stands between backquotes as code.
func marked(s string) template.HTML {
	var out strings.Builder
	for i, part := range strings.Split(s, "`") {
		text := template.HTMLEscapeString(part)
		if i%2 == 1 {
			text = "<code>" + text + "</code>"
		}
		out.WriteString(text)
	}
	return template.HTML(out.String()) //nolint:gosec // escaped, part by part
}

func pretty(example any) string {
	raw, _ := example.(json.RawMessage)
	var buf bytes.Buffer
	if len(raw) == 0 || json.Indent(&buf, raw, "", "  ") != nil {
		return ""
	}
	return buf.String()
}

func paragraphs(s string) []string { return strings.Split(s, "\n\n") }

func codes() []docsCode {
	var out []docsCode
	for code, k := range kindOf() {
		out = append(out, docsCode{code, k.status, k.title})
	}
	slices.SortFunc(out, func(a, b docsCode) int {
		if a.Status != b.Status {
			return a.Status - b.Status
		}
		return strings.Compare(string(a.Code), string(b.Code))
	})
	return out
}

func (a *API) showDocs(c echo.Context) error {
	c.Response().Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	return c.HTMLBlob(http.StatusOK, a.doc.html)
}
