package store

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Op is what a filter does.
type Op string

// The operators. And, Or and Not combine the filters in Args; the others compare the field with the values.
const (
	And    Op = "and"
	Or     Op = "or"
	Not    Op = "not"
	Eq     Op = "eq"
	Ne     Op = "ne" // also true where the field is missing
	In     Op = "in"
	Nin    Op = "nin" // also true where the field is missing
	Gt     Op = "gt"
	Gte    Op = "gte"
	Lt     Op = "lt"
	Lte    Op = "lte"
	Exists Op = "exists" // the value is true or false
)

// Filter is a condition on the fields of a memory. Values are strings, float64s and bools; those of created_at and
// occurred_at are time.Times. A comparison of values of different kinds is false (Ne and Nin: true).
type Filter struct {
	Op     Op
	Args   []Filter
	Field  string // "metadata.<key>", "external_id", "status", "created_at", "occurred_at" or "batch_id"
	Values []any
}

const (
	maxFilterDepth  = 8
	maxFilterValues = 100
)

// ParseFilter reads the JSON form of a filter: {"metadata.topic": "travel", "created_at": {"gte": "…"}, "or": […]}. All
// members of an object must hold. Errors carry CodeInvalid and a pointer below the given one.
func ParseFilter(raw json.RawMessage, pointer string) (*Filter, error) {
	if len(bytes.TrimSpace(raw)) == 0 || string(bytes.TrimSpace(raw)) == "null" {
		return nil, nil
	}
	f, err := parseObject(raw, pointer, 0)
	if err != nil {
		return nil, err
	}
	return &f, nil
}

func bad(pointer, message string) error {
	return &memory.Error{Code: memory.CodeInvalid, Pointer: pointer, Message: message}
}

func parseObject(raw json.RawMessage, pointer string, depth int) (Filter, error) {
	if depth > maxFilterDepth {
		return Filter{}, bad(pointer, "the filter is nested too deeply")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return Filter{}, bad(pointer, "must be an object")
	}
	all := Filter{Op: And}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		f, err := parseMember(name, members[name], pointer+"/"+escape(name), depth)
		if err != nil {
			return Filter{}, err
		}
		all.Args = append(all.Args, f)
	}
	if len(all.Args) == 1 {
		return all.Args[0], nil
	}
	return all, nil
}

func escape(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

func parseMember(name string, raw json.RawMessage, pointer string, depth int) (Filter, error) {
	switch Op(name) {
	case And, Or:
		return parseList(Op(name), raw, pointer, depth)
	case Not:
		f, err := parseObject(raw, pointer, depth+1)
		return Filter{Op: Not, Args: []Filter{f}}, err
	}
	return parseField(name, raw, pointer)
}

func parseList(op Op, raw json.RawMessage, pointer string, depth int) (Filter, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 || len(list) > maxFilterValues {
		return Filter{}, bad(pointer, "must be a list of 1 to 100 filters")
	}
	out := Filter{Op: op}
	for i, r := range list {
		f, err := parseObject(r, pointer+"/"+strconv.Itoa(i), depth+1)
		if err != nil {
			return Filter{}, err
		}
		out.Args = append(out.Args, f)
	}
	return out, nil
}

func parseField(field string, raw json.RawMessage, pointer string) (Filter, error) {
	if !knownField(field) {
		return Filter{}, bad(pointer, "unknown field; use metadata.<key>, external_id, status, created_at, occurred_at or batch_id")
	}
	var ops map[string]json.RawMessage
	if json.Unmarshal(raw, &ops) != nil || ops == nil {
		return compare(field, Eq, raw, pointer)
	}
	all := Filter{Op: And}
	for _, op := range slices.Sorted(maps.Keys(ops)) {
		f, err := compare(field, Op(op), ops[op], pointer+"/"+escape(op))
		if err != nil {
			return Filter{}, err
		}
		all.Args = append(all.Args, f)
	}
	if len(all.Args) == 1 {
		return all.Args[0], nil
	}
	return all, nil
}

func knownField(f string) bool {
	switch f {
	case "external_id", "status", "created_at", "occurred_at", "batch_id":
		return true
	}
	key, ok := strings.CutPrefix(f, "metadata.")
	return ok && key != "" && !strings.ContainsRune(key, 0)
}

func compare(field string, op Op, raw json.RawMessage, pointer string) (Filter, error) {
	values := []json.RawMessage{raw}
	switch op {
	case In, Nin:
		if json.Unmarshal(raw, &values) != nil || len(values) == 0 || len(values) > maxFilterValues {
			return Filter{}, bad(pointer, "must be a list of 1 to 100 values")
		}
	case Eq, Ne, Gt, Gte, Lt, Lte, Exists:
	default:
		return Filter{}, bad(pointer, "unknown operator; use eq, ne, in, nin, gt, gte, lt, lte or exists")
	}
	f := Filter{Op: op, Field: field}
	for _, r := range values {
		v, err := value(field, op, r, pointer)
		if err != nil {
			return Filter{}, err
		}
		f.Values = append(f.Values, v)
	}
	return f, nil
}

func value(field string, op Op, raw json.RawMessage, pointer string) (any, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, bad(pointer, "must be a string, a number or a bool")
	}
	if op == Exists {
		if _, ok := v.(bool); !ok {
			return nil, bad(pointer, "exists takes true or false")
		}
		return v, nil
	}
	switch s := v.(type) {
	case string:
		if field != "created_at" && field != "occurred_at" {
			return s, nil
		}
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return nil, bad(pointer, "must be an RFC 3339 time")
		}
		return t.UTC(), nil
	case float64, bool:
		if strings.HasPrefix(field, "metadata.") {
			return v, nil
		}
	}
	return nil, bad(pointer, "must be "+wanted(field))
}

func wanted(field string) string {
	switch {
	case field == "created_at" || field == "occurred_at":
		return "an RFC 3339 time"
	case strings.HasPrefix(field, "metadata."):
		return "a string, a number or a bool"
	}
	return "a string"
}

// Match reports whether the memory meets the filter: the reference for every adapter, and what tests the fields that
// an index does not hold. A nil filter is met by all.
func (f *Filter) Match(m *memory.Memory) bool {
	if f == nil {
		return true
	}
	switch f.Op {
	case And:
		return !slices.ContainsFunc(f.Args, func(a Filter) bool { return !a.Match(m) })
	case Or:
		return slices.ContainsFunc(f.Args, func(a Filter) bool { return a.Match(m) })
	case Not:
		return !f.Args[0].Match(m)
	}
	return f.holds(fieldOf(m, f.Field))
}

// Names reports whether the filter speaks of the field.
func (f *Filter) Names(field string) bool {
	return f != nil && (f.Field == field || slices.ContainsFunc(f.Args, func(a Filter) bool { return a.Names(field) }))
}

func (f *Filter) holds(v any) bool {
	equal := func(w any) bool { c, ok := order(v, w); return ok && c == 0 }
	switch f.Op {
	case Exists:
		return (v != nil) == f.Values[0].(bool)
	case Eq, In:
		return slices.ContainsFunc(f.Values, equal)
	case Ne, Nin:
		return !slices.ContainsFunc(f.Values, equal)
	}
	c, ok := order(v, f.Values[0])
	if _, isBool := v.(bool); !ok || isBool {
		return false
	}
	switch f.Op {
	case Gt:
		return c > 0
	case Gte:
		return c >= 0
	case Lt:
		return c < 0
	}
	return c <= 0
}

// order compares two values of the same kind.
func order(a, b any) (int, bool) {
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		return strings.Compare(x, y), ok
	case float64:
		y, ok := b.(float64)
		return cmpFloat(x, y), ok
	case bool:
		y, ok := b.(bool)
		if x == y {
			return 0, ok
		}
		return 1, ok
	case time.Time:
		y, ok := b.(time.Time)
		return x.Compare(y), ok
	}
	return 0, false
}

func cmpFloat(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func fieldOf(m *memory.Memory, field string) any {
	switch field {
	case "external_id":
		return text(m.ExternalID)
	case "status":
		return text(string(m.Status))
	case "batch_id":
		return text(m.BatchID)
	case "created_at":
		return m.CreatedAt.Time
	case "occurred_at":
		if m.OccurredAt == nil {
			return nil
		}
		return m.OccurredAt.Time
	}
	return number(m.Metadata[strings.TrimPrefix(field, "metadata.")])
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// LabelOf is a value of metadata, whatever Go type its number has, as filters compare it: a string, a float64 or a bool;
// nil where it is none of these.
func LabelOf(v any) any {
	switch l := number(v).(type) {
	case string, float64, bool:
		return l
	}
	return nil
}

func number(v any) any {
	switch n := v.(type) {
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case json.Number:
		f, _ := n.Float64()
		return f
	}
	return v
}
