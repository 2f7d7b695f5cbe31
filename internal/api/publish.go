package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/webhooks"
)

// object is a JSON object of the published document.
type object = map[string]any

// publish writes the document down. To what requests are validated by it adds what is true beside it: what the handlers
// check themselves, that null is as good as absent, and what leads from one operation to the next.
func publish(doc *huma.OpenAPI) []byte {
	var d object
	if err := json.Unmarshal(mustJSON(doc), &d); err != nil {
		panic(fmt.Errorf("api: %w", err)) // it was written just now
	}
	schemas := at(d, "components", "schemas")
	for name := range requested(d, schemas) {
		allowNulls(at(schemas, name))
	}
	allowNulls(at(d, "paths", "/v1/batches", "post", "requestBody", "content", "application/json", "schema"))
	refine(schemas)
	schemas["Filter"], schemas["Condition"] = filterSchema(), conditionSchema()
	for _, param := range at(d, "paths", "/v1/batches", "post")["parameters"].([]any) { //nolint:forcetypeassert // the operation has parameters
		if p := param.(object); p["name"] == "Content-Encoding" { //nolint:forcetypeassert // each an object
			at(p, "schema")["enum"] = []any{"gzip", "identity"} // another one is 415, not 422
		}
	}
	link(d)
	return mustJSON(d)
}

// at goes down by the names. What is not there is a mistake of ours, at the start.
func at(o object, names ...string) object {
	for _, n := range names {
		next, ok := o[n].(object)
		if !ok {
			panic(fmt.Sprintf("api: the document has no %s", strings.Join(names, "."))) // at the start
		}
		o = next
	}
	return o
}

// requested are the names of the schemas that requests are made of.
func requested(d, schemas object) map[string]bool {
	found := map[string]bool{}
	for _, item := range at(d, "paths") {
		for _, op := range item.(object) { //nolint:forcetypeassert // a path holds operations
			if o, ok := op.(object); ok {
				walk(o["requestBody"], schemas, found)
			}
		}
	}
	return found
}

// walk notes the schemas that v refers to, and those that they refer to.
func walk(v any, schemas object, found map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			walk(x, schemas, found)
		}
	case object:
		if ref, ok := v["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, refPrefix)
			if !found[name] {
				found[name] = true
				walk(schemas[name], schemas, found)
			}
		}
		for _, x := range v {
			walk(x, schemas, found)
		}
	}
}

const refPrefix = "#/components/schemas/"

// allowNulls lets the optional properties of a schema be null: that is as good as leaving them out.
func allowNulls(schema object) {
	required, _ := schema["required"].([]any)
	properties, _ := schema["properties"].(object)
	for name, p := range properties {
		if !slices.Contains(required, any(name)) {
			properties[name] = orNull(p.(object)) //nolint:forcetypeassert // a property is a schema
		}
	}
}

func orNull(p object) object {
	if ref, ok := p["$ref"]; ok {
		return object{"anyOf": []any{object{"$ref": ref}, object{"type": "null"}}, "description": p["description"]}
	}
	if t, ok := p["type"].(string); ok {
		p["type"] = []any{t, "null"}
	}
	if values, ok := p["enum"].([]any); ok && !slices.Contains(values, nil) {
		p["enum"] = append(values, nil)
	}
	return p
}

// refine adds rules that requests are held to by other means than their schema.
func refine(schemas object) {
	// A request that changes nothing is a mistake.
	var some []any
	for name, kind := range map[string]string{"content": "string", "metadata": "object", "occurred_at": "string"} {
		some = append(some, object{"required": []any{name}, "properties": object{name: object{"type": kind}}})
	}
	schemas["MemoryChange"].(object)["anyOf"] = some //nolint:forcetypeassert // a schema is an object
	at(schemas, "Schema")["anyOf"] = []any{
		object{"properties": object{"mode": object{"enum": []any{"open", nil}}}},
		object{"required": []any{"nodes"}, "properties": object{"nodes": object{"type": "array", "minItems": 1}}},
	}
	at(schemas, "KeyInput", "properties", "scopes")["uniqueItems"] = true
	refineMemory(at(schemas, "MemoryInput", "properties"))
	refineMemory(at(schemas, "MemoryChange", "properties"))
	refineEndpoint(at(schemas, "EndpointInput", "properties"))
	refineEndpoint(at(schemas, "EndpointPatch", "properties"))
	grace := at(schemas, "RotateInput", "properties", "grace_seconds")
	grace["minimum"], grace["maximum"] = 0, 30*24*3600
	filter := at(schemas, "SearchQuery", "properties", "filter")
	filter["anyOf"] = []any{object{"$ref": refPrefix + "Filter"}, object{"type": "null"}}
}

// The patterns of texts.
const (
	withoutNUL = `^[^\x00]*$`
	someText   = `^[^\x00]*[^\x00\s][^\x00]*$`
	address    = "^[Hh][Tt][Tt][Pp][Ss]?://."
)

func refineMemory(properties object) {
	at(properties, "content")["pattern"] = someText
	metadata := at(properties, "metadata")
	metadata["propertyNames"] = object{"pattern": `^[^\x00]+$`}
	metadata["additionalProperties"] = object{"anyOf": []any{object{"type": "string", "pattern": withoutNUL}, object{"type": "number"}, object{"type": "boolean"}}}
	for name, pattern := range map[string]string{"external_id": withoutNUL, "webhook_url": "^$|" + address} {
		if p, ok := properties[name].(object); ok {
			p["pattern"] = pattern
		}
	}
}

func refineEndpoint(properties object) {
	url, events, headers := at(properties, "url"), at(properties, "events"), at(properties, "headers")
	url["pattern"], url["maxLength"] = address, memory.MaxURLBytes
	known := webhooks.EventTypes()
	at(events, "items")["enum"], events["maxItems"] = known, len(known)
	at(properties, "description")["pattern"], at(properties, "description")["maxLength"] = withoutNUL, 1024
	headers["maxProperties"], headers["propertyNames"] = 20, object{"pattern": "^[A-Za-z0-9-]+$"}
	at(headers, "additionalProperties")["pattern"] = "^[ -~]{0,1024}$"
	for name, values := range map[string][]any{"signing": {"v1", "v1a", nil}, "format": {"standard", "papr", nil}} {
		if p, ok := properties[name].(object); ok {
			p["enum"] = values
		}
	}
}

// filterSchema is what [store.ParseFilter] reads.
func filterSchema() object {
	list := func(words string) object {
		return object{"type": "array", "minItems": 1, "maxItems": 100, "items": object{"$ref": refPrefix + "Filter"}, "description": words}
	}
	text := object{"type": "string"}
	text = object{"anyOf": []any{text, operators(text)}, "description": "A text."}
	return object{
		"type": "object", "description": "A condition; all its members must hold.", "additionalProperties": false,
		"properties": object{
			"and": list("All of them hold."), "or": list("At least one of them holds."), "not": object{"$ref": refPrefix + "Filter"},
			"external_id": text, "status": text, "batch_id": text,
			"created_at": timeCondition("When it was made."), "occurred_at": timeCondition("When what it speaks of happened."),
		},
		"patternProperties": object{`^metadata\.[^\x00]+$`: object{"$ref": refPrefix + "Condition"}},
	}
}

func conditionSchema() object {
	scalar := object{"type": []any{"string", "number", "boolean"}}
	return object{"description": "The value itself, or operators with values.", "anyOf": []any{scalar, operators(scalar)}}
}

func timeCondition(words string) object {
	moment := object{"type": "string", "format": "date-time"}
	return object{"anyOf": []any{moment, operators(moment)}, "description": words}
}

// operators are the members of a condition, each with a value or, for in and nin, some of them.
func operators(value object) object {
	several := object{"type": "array", "minItems": 1, "maxItems": 100, "items": value}
	members := object{"in": several, "nin": several, "exists": object{"type": "boolean"}}
	for _, op := range []string{"eq", "ne", "gt", "gte", "lt", "lte"} {
		members[op] = value
	}
	return object{"type": "object", "additionalProperties": false, "properties": members}
}
