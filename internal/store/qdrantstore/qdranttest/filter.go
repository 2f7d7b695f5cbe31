package qdranttest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// met reports whether a point meets a filter that is valid.
func met(f *qdrant.Filter, p *point) bool {
	return meets(f, p.payload, p)
}

func meets(f *qdrant.Filter, payload map[string]*qdrant.Value, p *point) bool {
	holds := func(c *qdrant.Condition) bool { return condition(c, payload, p) }
	fails := func(c *qdrant.Condition) bool { return !holds(c) }
	if slices.ContainsFunc(f.GetMust(), fails) || slices.ContainsFunc(f.GetMustNot(), holds) {
		return false
	}
	return len(f.GetShould()) == 0 || slices.ContainsFunc(f.GetShould(), holds)
}

func condition(c *qdrant.Condition, payload map[string]*qdrant.Value, p *point) bool {
	switch v := c.GetConditionOneOf().(type) {
	case *qdrant.Condition_Field:
		return field(v.Field, payload)
	case *qdrant.Condition_IsEmpty:
		return empty(values(payload, v.IsEmpty.GetKey()))
	case *qdrant.Condition_HasId:
		key, _ := idKey(p.id)
		return slices.ContainsFunc(v.HasId.GetHasId(), func(id *qdrant.PointId) bool {
			k, err := idKey(id)
			return err == nil && k == key
		})
	case *qdrant.Condition_Filter:
		return meets(v.Filter, payload, p)
	case *qdrant.Condition_Nested:
		return slices.ContainsFunc(values(payload, elements(v.Nested.GetKey())), func(e *qdrant.Value) bool {
			return e.GetStructValue() != nil && meets(v.Nested.GetFilter(), e.GetStructValue().GetFields(), p)
		})
	}
	return false
}

// elements is the path of the elements of a list.
func elements(key string) string { return strings.TrimSuffix(key, "[]") + "[]" }

// field judges a condition on a field: one of its values must meet it.
func field(f *qdrant.FieldCondition, payload map[string]*qdrant.Value) bool {
	test := func(v *qdrant.Value) bool { return matches(f.GetMatch(), v) }
	if f.GetRange() != nil {
		test = func(v *qdrant.Value) bool { return inRange(f.GetRange(), v) }
	}
	for _, v := range values(payload, f.GetKey()) {
		if list := v.GetListValue(); list != nil {
			if slices.ContainsFunc(list.GetValues(), test) {
				return true
			}
		} else if test(v) {
			return true
		}
	}
	return false
}

func matches(m *qdrant.Match, v *qdrant.Value) bool {
	text, isText := v.GetKind().(*qdrant.Value_StringValue)
	number, isNumber := v.GetKind().(*qdrant.Value_IntegerValue)
	boolean, isBool := v.GetKind().(*qdrant.Value_BoolValue)
	switch w := m.GetMatchValue().(type) {
	case *qdrant.Match_Keyword:
		return isText && text.StringValue == w.Keyword
	case *qdrant.Match_Keywords:
		return isText && slices.Contains(w.Keywords.GetStrings(), text.StringValue)
	case *qdrant.Match_Integer:
		return isNumber && number.IntegerValue == w.Integer
	case *qdrant.Match_Integers:
		return isNumber && slices.Contains(w.Integers.GetIntegers(), number.IntegerValue)
	case *qdrant.Match_Boolean:
		return isBool && boolean.BoolValue == w.Boolean
	}
	return false
}

func inRange(r *qdrant.Range, v *qdrant.Value) bool {
	var n float64
	switch w := v.GetKind().(type) {
	case *qdrant.Value_DoubleValue:
		n = w.DoubleValue
	case *qdrant.Value_IntegerValue:
		n = float64(w.IntegerValue)
	default:
		return false
	}
	return (r.Gt == nil || n > r.GetGt()) && (r.Gte == nil || n >= r.GetGte()) && (r.Lt == nil || n < r.GetLt()) && (r.Lte == nil || n <= r.GetLte())
}

func empty(vs []*qdrant.Value) bool {
	return !slices.ContainsFunc(vs, func(v *qdrant.Value) bool {
		if _, null := v.GetKind().(*qdrant.Value_NullValue); null {
			return false
		}
		return v.GetListValue() == nil || len(v.GetListValue().GetValues()) > 0
	})
}

// A step of a path is a key, a place in a list, or all places.
type step struct {
	key   string
	place int // -1: no place
	all   bool
}

// parsePath reads a path: keys with dots between them, which may be in quotes, and [] or [n] behind them.
func parsePath(path string) ([]step, error) {
	var out []step
	for rest := path; ; rest = rest[1:] {
		var keyed, ok bool
		if out, rest, keyed = cutKey(out, rest); !keyed {
			break
		}
		for ok = true; ok && strings.HasPrefix(rest, "["); {
			out, rest, ok = cutPlace(out, rest)
		}
		if ok && rest == "" {
			return out, nil
		}
		if !ok || rest[0] != '.' {
			break
		}
	}
	return nil, status.Errorf(codes.InvalidArgument, "Invalid path: %q", path)
}

func cutKey(steps []step, path string) ([]step, string, bool) {
	if quoted, ok := strings.CutPrefix(path, `"`); ok {
		key, rest, ok := strings.Cut(quoted, `"`)
		return append(steps, step{key: key, place: -1}), rest, ok && key != ""
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	return append(steps, step{key: path[:end], place: -1}), path[end:], end > 0
}

func cutPlace(steps []step, path string) ([]step, string, bool) {
	inside, rest, ok := strings.Cut(path[1:], "]")
	if ok && inside == "" {
		return append(steps, step{place: -1, all: true}), rest, true
	}
	n, err := strconv.Atoi(inside)
	return append(steps, step{place: n}), rest, ok && err == nil && n >= 0
}

// values are those at a path; none where the path leads nowhere.
func values(payload map[string]*qdrant.Value, path string) []*qdrant.Value {
	if !strings.ContainsAny(path, `.["`) {
		if v, ok := payload[path]; ok {
			return []*qdrant.Value{v}
		}
		return nil
	}
	steps, err := parsePath(path)
	if err != nil {
		return nil
	}
	at := []*qdrant.Value{qdrant.NewValueStruct(&qdrant.Struct{Fields: payload})}
	for _, s := range steps {
		var next []*qdrant.Value
		for _, v := range at {
			list := v.GetListValue().GetValues()
			switch {
			case s.all:
				next = append(next, list...)
			case s.place >= 0 && s.place < len(list):
				next = append(next, list[s.place])
			case s.place < 0:
				if w, ok := v.GetStructValue().GetFields()[s.key]; ok {
					next = append(next, w)
				}
			}
		}
		at = next
	}
	return at
}

// use is a field that a filter goes by, with the types of index that serve it.
type use struct {
	field string
	types []qdrant.PayloadSchemaType
}

// uses lists what a filter goes by.
func uses(f *qdrant.Filter, below string) []use {
	var out []use
	for _, c := range slices.Concat(f.GetMust(), f.GetShould(), f.GetMustNot()) {
		switch v := c.GetConditionOneOf().(type) {
		case *qdrant.Condition_Field:
			out = append(out, use{below + v.Field.GetKey(), typesFor(v.Field)})
		case *qdrant.Condition_IsEmpty:
			out = append(out, use{below + v.IsEmpty.GetKey(), []qdrant.PayloadSchemaType{
				qdrant.PayloadSchemaType_Keyword, qdrant.PayloadSchemaType_Integer, qdrant.PayloadSchemaType_Float, qdrant.PayloadSchemaType_Bool,
			}})
		case *qdrant.Condition_Filter:
			out = append(out, uses(v.Filter, below)...)
		case *qdrant.Condition_Nested:
			out = append(out, uses(v.Nested.GetFilter(), below+elements(v.Nested.GetKey())+".")...)
		}
	}
	return out
}

func typesFor(f *qdrant.FieldCondition) []qdrant.PayloadSchemaType {
	if f.GetRange() != nil {
		return []qdrant.PayloadSchemaType{qdrant.PayloadSchemaType_Integer, qdrant.PayloadSchemaType_Float}
	}
	switch f.GetMatch().GetMatchValue().(type) {
	case *qdrant.Match_Integer, *qdrant.Match_Integers:
		return []qdrant.PayloadSchemaType{qdrant.PayloadSchemaType_Integer}
	case *qdrant.Match_Boolean:
		return []qdrant.PayloadSchemaType{qdrant.PayloadSchemaType_Bool}
	}
	return []qdrant.PayloadSchemaType{qdrant.PayloadSchemaType_Keyword}
}

// maxNesting is how deep messages may lie in each other: what Qdrant's decoder takes.
const maxNesting = 100

// validFilter refuses what is malformed or not known here.
func validFilter(f *qdrant.Filter, below string) error {
	if f == nil {
		return nil
	}
	if f.GetMinShould() != nil {
		return unknown("min_should")
	}
	if len(below) > maxNesting/2 {
		return status.Error(codes.Internal, "failed to decode Protobuf message: recursion limit reached")
	}
	for _, c := range slices.Concat(f.GetMust(), f.GetShould(), f.GetMustNot()) {
		if err := validCondition(c, below+"."); err != nil {
			return err
		}
	}
	return nil
}

func validCondition(c *qdrant.Condition, below string) error {
	switch v := c.GetConditionOneOf().(type) {
	case *qdrant.Condition_Field:
		return validField(v.Field)
	case *qdrant.Condition_IsEmpty:
		_, err := parsePath(v.IsEmpty.GetKey())
		return err
	case *qdrant.Condition_HasId:
		for _, id := range v.HasId.GetHasId() {
			if _, err := idKey(id); err != nil {
				return err
			}
		}
		return nil
	case *qdrant.Condition_Filter:
		return validFilter(v.Filter, below)
	case *qdrant.Condition_Nested:
		if _, err := parsePath(v.Nested.GetKey()); err != nil {
			return err
		}
		return validFilter(v.Nested.GetFilter(), below)
	}
	return unknown("this kind of condition")
}

func validField(f *qdrant.FieldCondition) error {
	if _, err := parsePath(f.GetKey()); err != nil {
		return err
	}
	switch f.GetMatch().GetMatchValue().(type) {
	case *qdrant.Match_Keyword, *qdrant.Match_Keywords, *qdrant.Match_Integer, *qdrant.Match_Integers, *qdrant.Match_Boolean:
		return nil
	case nil:
		if f.GetRange() != nil {
			return nil
		}
	}
	return unknown("this kind of condition on a field")
}
