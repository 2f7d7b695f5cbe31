package intake

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// ParseInput reads one memory from JSON, as strictly as a single one is read by the API: names are exact, unknown ones
// are errors, and so is every rule of [memory.Input.Validate] that it breaks. Each error is a *[memory.Error] with a
// pointer; several are joined.
func ParseInput(raw []byte) (memory.Input, error) {
	var in memory.Input
	fields, err := members(raw)
	if err != nil {
		return in, err
	}
	if err := setFields(&in, fields); err != nil {
		return in, err
	}
	return in, in.Validate()
}

// members splits a JSON object.
func members(raw []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(raw) {
		return nil, memory.Errorf(memory.CodeMalformed, "is not valid UTF-8")
	}
	var fields map[string]json.RawMessage
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(raw, &fields); {
	case errors.As(err, &syntax):
		return nil, memory.Errorf(memory.CodeMalformed, "is not valid JSON: %s", syntax)
	case err != nil || fields == nil:
		return nil, memory.Errorf(memory.CodeInvalid, "must be a JSON object")
	}
	return fields, nil
}

// setFields sets the fields of in that the object has; null is as good as absent.
func setFields(in *memory.Input, fields map[string]json.RawMessage) error {
	targets := map[string]target{
		"content":     {&in.Content, "a string"},
		"external_id": {&in.ExternalID, "a string"},
		"metadata":    {&in.Metadata, "an object"},
		"occurred_at": {&in.OccurredAt, "an RFC 3339 time"},
		"track":       {&in.Track, "a string"},
		"priority":    {&in.Priority, "a string"},
		"webhook_url": {&in.WebhookURL, "a string"},
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		errs = append(errs, targets[name].set(name, fields[name]))
	}
	return errors.Join(errs...)
}

// A target is a field of a Go value and what JSON it takes.
type target struct {
	value any
	want  string
}

func (t target) set(name string, raw json.RawMessage) error {
	if t.value == nil {
		return at(name, "unknown field")
	}
	if json.Unmarshal(raw, t.value) != nil {
		return at(name, "must be "+t.want)
	}
	return nil
}

func at(name, message string) error {
	pointer := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	return &memory.Error{Code: memory.CodeInvalid, Pointer: pointer, Message: message}
}

// rejection turns the errors of a line into what its item shows: the first, for programs, with all of them in words.
func rejection(err error) (*memory.Fault, string) {
	all := flatten(err)
	var words []string
	for _, e := range all {
		words = append(words, strings.TrimSpace(strings.TrimPrefix(e.Pointer, "/")+" "+e.Message))
	}
	return &memory.Fault{Code: all[0].Code, Detail: strings.Join(words, "; ")}, all[0].Pointer
}

// flatten returns the coded errors that err is made of, at least one.
func flatten(err error) []*memory.Error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*memory.Error
		for _, e := range joined.Unwrap() {
			out = append(out, flatten(e)...)
		}
		return out
	}
	if e, ok := errors.AsType[*memory.Error](err); ok {
		return []*memory.Error{e}
	}
	return []*memory.Error{memory.Errorf(memory.CodeMalformed, "cannot be read")}
}
