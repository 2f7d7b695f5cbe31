package qdrantstore

import (
	"fmt"
	"slices"
	"time"

	"github.com/qdrant/go-client/qdrant"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// maxFilterConditions keeps filters to what a server reads in no time.
const maxFilterConditions = 20_000

// translation turns filters into conditions of Qdrant that say what [store.Filter.Match] says, for every field but the
// status.
type translation struct {
	conditions int
	err        error
}

// conditionOf is the filter as a condition.
func conditionOf(f store.Filter) (*qdrant.Condition, error) {
	var t translation
	c := t.condition(f)
	if t.err == nil && t.conditions > maxFilterConditions {
		t.refuse("the filter names too many values")
	}
	return c, t.err
}

func (t *translation) refuse(message string) {
	t.err = &memory.Error{Code: memory.CodeInvalid, Pointer: "/filter", Message: message}
}

func (t *translation) condition(f store.Filter) *qdrant.Condition {
	t.conditions += 1 + len(f.Values)
	switch f.Op {
	case store.And:
		return all(t.each(f.Args)...)
	case store.Or:
		return anyOf(t.each(f.Args)...)
	case store.Not:
		return not(t.condition(f.Args[0]))
	case store.Ne, store.Nin:
		f.Op = store.In
		return not(t.condition(f))
	}
	switch f.Field {
	case "created_at":
		return t.time(f, fieldCreated)
	case "occurred_at":
		return t.time(f, fieldOccurred)
	}
	return t.label(f)
}

func (t *translation) each(fs []store.Filter) []*qdrant.Condition {
	out := make([]*qdrant.Condition, len(fs))
	for i, f := range fs {
		out[i] = t.condition(f)
	}
	return out
}

func all(cs ...*qdrant.Condition) *qdrant.Condition {
	return qdrant.NewFilterAsCondition(&qdrant.Filter{Must: cs})
}

func anyOf(cs ...*qdrant.Condition) *qdrant.Condition {
	if len(cs) == 0 {
		return never()
	}
	return qdrant.NewFilterAsCondition(&qdrant.Filter{Should: cs})
}

func not(c *qdrant.Condition) *qdrant.Condition {
	return qdrant.NewFilterAsCondition(&qdrant.Filter{MustNot: []*qdrant.Condition{c}})
}

// never is met by nothing: no point has one of no ids.
func never() *qdrant.Condition { return qdrant.NewHasID() }

// time writes a condition on a field of milliseconds.
func (t *translation) time(f store.Filter, field string) *qdrant.Condition {
	switch f.Op {
	case store.Exists:
		if f.Values[0] == true {
			return not(qdrant.NewIsEmpty(field))
		}
		return qdrant.NewIsEmpty(field)
	case store.Eq, store.In:
		var equal []*qdrant.Condition
		for _, v := range f.Values {
			if at, ok := v.(time.Time); ok && whole(at) {
				equal = append(equal, qdrant.NewRange(field, exactly(float64(at.UnixMilli()))))
			}
		}
		return anyOf(equal...)
	}
	at, ok := f.Values[0].(time.Time)
	if !ok {
		return never()
	}
	return qdrant.NewRange(field, timeRange(f.Op, at))
}

func whole(at time.Time) bool { return at.Nanosecond()%int(time.Millisecond) == 0 }

// timeRange compares whole milliseconds with a time that may lie between two of them: what is after it is after the one
// before it, what is before it is up to that.
func timeRange(op store.Op, at time.Time) *qdrant.Range {
	if !whole(at) {
		switch op {
		case store.Gte:
			op = store.Gt
		case store.Lt:
			op = store.Lte
		}
	}
	return compare(op, float64(at.UnixMilli()))
}

func compare(op store.Op, n float64) *qdrant.Range {
	switch op {
	case store.Gt:
		return &qdrant.Range{Gt: &n}
	case store.Gte:
		return &qdrant.Range{Gte: &n}
	case store.Lt:
		return &qdrant.Range{Lt: &n}
	}
	return &qdrant.Range{Lte: &n}
}

func exactly(n float64) *qdrant.Range { return &qdrant.Range{Gte: &n, Lte: &n} }

// label writes a condition on a label.
func (t *translation) label(f store.Filter) *qdrant.Condition {
	switch f.Op {
	case store.Exists:
		exists := qdrant.NewMatchKeywords(fieldLabelKeys, kindText+f.Field, kindNumber+f.Field, kindBool+f.Field)
		if f.Values[0] == true {
			return exists
		}
		return not(exists)
	case store.Eq, store.In:
		var tags []string
		for _, v := range f.Values {
			if l := store.LabelOf(v); l != nil {
				tags = append(tags, tag(f.Field, l))
			}
		}
		if len(tags) == 0 {
			return never()
		}
		return qdrant.NewMatchKeywords(fieldTags, tags...)
	}
	switch v := store.LabelOf(f.Values[0]).(type) {
	case float64:
		return qdrant.NewNestedFilter(fieldLabels, &qdrant.Filter{Must: []*qdrant.Condition{
			qdrant.NewMatchKeyword("k", kindNumber+f.Field), qdrant.NewRange("v", compare(f.Op, finite(v))),
		}})
	case string:
		return t.textOrder(f.Op, f.Field, v)
	}
	return never() // bools have no order
}

// textOrder compares texts by their ordinals: the first one that differs decides.
func (t *translation) textOrder(op store.Op, field, bound string) *qdrant.Condition {
	parts := ordinals(bound)
	if len(parts) > maxOrdinals {
		t.refuse(fmt.Sprintf("texts can be compared by order with at most %d bytes, not %d; compare for equality, or with a beginning", maxOrdinals*ordinalBytes-1, len(bound)))
		return never()
	}
	strict := map[store.Op]store.Op{store.Gt: store.Gt, store.Gte: store.Gt, store.Lt: store.Lt, store.Lte: store.Lt}[op]
	var equal, decided []*qdrant.Condition
	for i, part := range parts {
		path := "v"
		if i > 0 {
			path = fmt.Sprintf("c[%d]", i-1)
		}
		differs := strict
		if i == len(parts)-1 {
			differs = op
		}
		here := append(slices.Clone(equal), qdrant.NewRange(path, compare(differs, part)))
		decided = append(decided, all(here...))
		equal = append(equal, qdrant.NewRange(path, exactly(part)))
		t.conditions += len(here)
	}
	return qdrant.NewNestedFilter(fieldLabels, &qdrant.Filter{
		Must: []*qdrant.Condition{qdrant.NewMatchKeyword("k", kindText+field), anyOf(decided...)},
	})
}
