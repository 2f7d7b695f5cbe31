package openai

import (
	"maps"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// The schemas keep to what every server with structured outputs knows: objects with all their fields required, arrays,
// strings, integers, enums. Lengths and counts are checked here, not there.

func useCasesSchema() map[string]any {
	return object(map[string]any{"use_cases": list(text())})
}

func graphSchema(s llm.Schema) map[string]any {
	properties := list(object(map[string]any{"key": text(), "value": text()}))
	return object(map[string]any{
		"nodes": list(object(map[string]any{
			"id": integer(), "type": oneOf(s, s.Nodes), "name": text(), "properties": properties,
		})),
		"relationships": list(object(map[string]any{
			"from": integer(), "to": integer(), "type": oneOf(s, s.Relationships), "properties": properties,
		})),
	})
}

func object(properties map[string]any) map[string]any {
	return map[string]any{
		"type": "object", "properties": properties, "additionalProperties": false,
		"required": slices.Sorted(maps.Keys(properties)), // the same bytes each time, so that servers can cache
	}
}

func list(items map[string]any) map[string]any {
	return map[string]any{"type": "array", "items": items}
}
func text() map[string]any    { return map[string]any{"type": "string"} }
func integer() map[string]any { return map[string]any{"type": "integer"} }

// maxEnum keeps clear of the limits on enums; longer lists stand in the prompt only.
const maxEnum = 200

// oneOf is a type name: one of the given where the schema is strict.
func oneOf(s llm.Schema, types []llm.Type) map[string]any {
	if !strict(s) || len(types) == 0 || len(types) > maxEnum {
		return text()
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Name
	}
	return map[string]any{"type": "string", "enum": names}
}

func strict(s llm.Schema) bool { return s.Mode == "strict" }
