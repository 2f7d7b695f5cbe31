package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// vectorsFilters holds searches with random filters over random memories against [store.Filter.Match].
func vectorsFilters(t *testing.T, s store.Vectors) {
	upsert(t, s, point(newWorkspace(), "m0", 0, "of others"))
	rapid.Check(t, func(rt *rapid.T) {
		ws := newWorkspace()
		ms := rapid.SliceOfN(someMemory, 1, 6).Draw(rt, "memories")
		var ps []store.Point
		for i := range ms {
			ms[i].ID = fmt.Sprint("m", i)
			ps = append(ps, indexed(ws, &ms[i]))
		}
		if err := s.Upsert(t.Context(), model, ps); err != nil {
			rt.Fatal(err)
		}
		for range 5 {
			holdFilter(rt, s, ws, ms, someFilter(3).Draw(rt, "filter"))
		}
	})
}

// vectorsKinds compares each value with each.
func vectorsKinds(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	values := []any{"", "a", "b", "1", "true", -1.0, 0.0, 1.0, 2.0, true, false}
	ms := []memory.Memory{{ID: "none", CreatedAt: memory.At(noon)}}
	for i, v := range values {
		ms = append(ms, memory.Memory{ID: fmt.Sprintf("m%02d", i), CreatedAt: memory.At(noon), Metadata: memory.Metadata{"x": v}})
	}
	var ps []store.Point
	for i := range ms {
		ps = append(ps, indexed(ws, &ms[i]))
	}
	upsert(t, s, ps...)
	for _, op := range []store.Op{store.Eq, store.Ne, store.Gt, store.Gte, store.Lt, store.Lte} {
		for _, v := range values {
			holdFilter(t, s, ws, ms, store.Filter{Op: op, Field: "metadata.x", Values: []any{v}})
		}
	}
	holdFilter(t, s, ws, ms, store.Filter{Op: store.In, Field: "metadata.x", Values: values})
	holdFilter(t, s, ws, ms, store.Filter{Op: store.Nin, Field: "metadata.x", Values: values})
}

// failer is what a *testing.T and a *rapid.T have in common here.
type failer interface {
	Context() context.Context
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// holdFilter checks that searches with the filter find those of the memories, all that there are, that it matches.
func holdFilter(t failer, s store.Vectors, workspace string, ms []memory.Memory, f store.Filter) {
	var wanted []string
	for i := range ms {
		if f.Match(&ms[i]) {
			wanted = append(wanted, ms[i].ID)
		}
	}
	slices.Sort(wanted)
	for _, mode := range []store.Mode{store.Vector, store.Lexical, store.Hybrid} {
		hits, err := s.Search(t.Context(), store.VectorQuery{
			Workspace: workspace, Mode: mode, Model: model, Vector: compass(10), Text: "word", Filter: &f, Limit: 20})
		if err != nil {
			t.Fatal(err)
		}
		got := found(hits)
		slices.Sort(got)
		if d := diff(wanted, got); d != "" {
			t.Fatalf("%s search with %+v: -want +got:\n%s", mode, f, d)
		}
	}
}

// indexed is the point of a memory of one passage.
func indexed(workspace string, m *memory.Memory) store.Point {
	p := point(workspace, m.ID, 0, "word")
	p.Fields = store.Fields{Metadata: m.Metadata, ExternalID: m.ExternalID, BatchID: m.BatchID, CreatedAt: m.CreatedAt.Time}
	if m.OccurredAt != nil {
		p.Fields.OccurredAt = m.OccurredAt.Time
	}
	return p
}

// The values are few, so that they meet; and such that a careless translation takes for the same, or puts in another
// order.
var (
	someText = rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "A", "b", "ab", "é", "e\u0301", "1", "1.0", "true", "null", "日", "🧙", "\uffff", "it's", `"q"`, "%", "a b"}),
		rapid.StringMatching(`[a-c]{0,3}`))
	someNumber = rapid.OneOf(
		rapid.SampledFrom([]float64{0, 1, -1, 0.1, 0.5, 10, 2, 1e300, -1e300, 5e-324, 1 << 53, 1<<53 + 2, 0.1 + 0.2, 0.3}),
		rapid.Float64Range(-3, 3),
		rapid.Map(rapid.IntRange(-3, 3), func(i int) float64 { return float64(i) }))
	someKey = rapid.OneOf(
		rapid.SampledFrom([]string{"a", "b", "A", "a.b", "$.a", "[0]", `"a"`, `a"b`, "a'b", "é", "metadata.a", "external_id", " ", "%", "a\\b", "🧙"}),
		rapid.SampledFrom([]string{"a", "b"}))
	someTime = rapid.Map(rapid.IntRange(-3, 3), func(i int) time.Time { return noon.Add(time.Duration(i) * time.Millisecond) })
)

// label makes a value of metadata, as those that come from JSON and as those that Go code gives.
func label(t *rapid.T) any {
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0, 1:
		return someText.Draw(t, "text")
	case 2:
		return someNumber.Draw(t, "number")
	case 3:
		return rapid.Bool().Draw(t, "bool")
	case 4:
		return rapid.IntRange(-3, 3).Draw(t, "int")
	}
	return json.Number(fmt.Sprint(someNumber.Draw(t, "number")))
}

var someMemory = rapid.Custom(func(t *rapid.T) memory.Memory {
	m := memory.Memory{
		ExternalID: rapid.SampledFrom([]string{"", "a", "b", "x1"}).Draw(t, "external_id"),
		BatchID:    rapid.SampledFrom([]string{"", "a", "bat_1"}).Draw(t, "batch_id"),
		CreatedAt:  memory.At(someTime.Draw(t, "created_at")),
		Metadata:   rapid.MapOfN(someKey, rapid.Custom(label), 0, 5).Draw(t, "metadata"),
	}
	if rapid.Bool().Draw(t, "occurred") {
		m.OccurredAt = memory.At(someTime.Draw(t, "occurred_at")).Ptr()
	}
	return m
})

// someFilter makes filters of the forms that [store.ParseFilter] makes.
func someFilter(depth int) *rapid.Generator[store.Filter] {
	return rapid.Custom(func(t *rapid.T) store.Filter {
		if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
			return someComparison(t)
		}
		op := rapid.SampledFrom([]store.Op{store.And, store.Or, store.Not}).Draw(t, "op")
		least, most := 1, 3
		switch op {
		case store.And:
			least = 0
		case store.Not:
			most = 1
		}
		return store.Filter{Op: op, Args: rapid.SliceOfN(someFilter(depth-1), least, most).Draw(t, "args")}
	})
}

func someComparison(t *rapid.T) store.Filter {
	f := store.Filter{
		Op:    rapid.SampledFrom([]store.Op{store.Eq, store.Ne, store.In, store.Nin, store.Gt, store.Gte, store.Lt, store.Lte, store.Exists}).Draw(t, "op"),
		Field: rapid.SampledFrom([]string{"external_id", "batch_id", "created_at", "occurred_at", "metadata."}).Draw(t, "field"),
	}
	if f.Field == "metadata." {
		f.Field += someKey.Draw(t, "key")
	}
	n := 1
	if f.Op == store.In || f.Op == store.Nin {
		n = rapid.IntRange(1, 3).Draw(t, "values")
	}
	for range n {
		f.Values = append(f.Values, operand(t, f))
	}
	return f
}

// operand makes a value to compare with: mostly of the kind that the field has.
func operand(t *rapid.T, f store.Filter) any {
	switch {
	case f.Op == store.Exists:
		return rapid.Bool().Draw(t, "exists")
	case f.Field == "created_at" || f.Field == "occurred_at":
		return someTime.Draw(t, "time").Add(rapid.SampledFrom([]time.Duration{0, 0, 1, 500_000, 999_999}).Draw(t, "rest"))
	case f.Field == "external_id" || f.Field == "batch_id":
		return rapid.SampledFrom([]string{"", "a", "b", "bat_1", "zz"}).Draw(t, "id")
	}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		return someText.Draw(t, "text")
	case 1:
		return someNumber.Draw(t, "number")
	}
	return rapid.Bool().Draw(t, "bool")
}
