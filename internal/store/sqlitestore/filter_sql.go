package sqlitestore

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// maxFilterArgs keeps filters below the 32,766 parameters that a statement may have, and the time that SQLite takes to read
// them, which grows faster than they do, below half a second.
const maxFilterArgs = 10_000

// filterSQL is f as a condition on a row m of search_memories in the workspace of that number. It says what
// [store.Filter.Match] says, for every field but the status, and is never NULL.
func filterSQL(f store.Filter, ws int64) (condition string, args []any, err error) {
	w := filterWriter{ws: ws}
	condition = w.condition(f)
	if len(w.args) > maxFilterArgs {
		return "", nil, &memory.Error{Code: memory.CodeInvalid, Pointer: "/filter", Message: "the filter names too many values"}
	}
	return condition, w.args, nil
}

// filterWriter collects the parameters in the order in which the conditions name them.
type filterWriter struct {
	ws   int64
	args []any
}

func (w *filterWriter) condition(f store.Filter) string {
	switch f.Op {
	case store.And:
		return w.combine(f.Args, " AND ", "TRUE")
	case store.Or:
		return w.combine(f.Args, " OR ", "FALSE")
	case store.Not:
		return "NOT " + w.condition(f.Args[0])
	case store.Ne, store.Nin:
		f.Op = store.In
		return "NOT " + w.condition(f)
	}
	if column, ok := filterColumns[f.Field]; ok {
		return w.column(f, column)
	}
	return w.label(f, strings.TrimPrefix(f.Field, "metadata."))
}

// combine joins conditions as a balanced tree: SQLite refuses expressions of a depth over 1,000.
func (w *filterWriter) combine(fs []store.Filter, op, none string) string {
	switch len(fs) {
	case 0:
		return none
	case 1:
		return w.condition(fs[0])
	}
	half := len(fs) / 2
	left := w.combine(fs[:half], op, none)
	return "(" + left + op + w.combine(fs[half:], op, none) + ")"
}

//nolint:gochecknoglobals // a constant table
var filterColumns = map[string]string{
	"external_id": "m.external_id",
	"batch_id":    "m.batch_id",
	"created_at":  "m.created_at",
	"occurred_at": "m.occurred_at",
}

//nolint:gochecknoglobals // a constant table
var comparisons = map[store.Op]string{store.Gt: " > ", store.Gte: " >= ", store.Lt: " < ", store.Lte: " <= "}

// column writes a condition on a column that holds texts or times, or NULL where the memory has none.
func (w *filterWriter) column(f store.Filter, column string) string {
	if f.Op == store.Exists {
		if f.Values[0] == true {
			return column + " IS NOT NULL"
		}
		return column + " IS NULL"
	}
	isTime := strings.HasSuffix(column, "_at")
	var values []any
	for _, v := range f.Values {
		if t, ok := v.(time.Time); ok && isTime {
			values = append(values, instant(t))
		} else if s, ok := v.(string); ok && !isTime {
			values = append(values, s)
		}
	}
	if len(values) == 0 {
		return "FALSE"
	}
	if comparison, ok := comparisons[f.Op]; ok {
		return "(" + column + comparison + w.arg(values[0]) + " AND " + column + " IS NOT NULL)"
	}
	return "(" + column + " IN (" + w.list(values) + ") AND " + column + " IS NOT NULL)"
}

// instant is t to be compared with whole milliseconds: one that lies between two of them stays between them.
func instant(t time.Time) any {
	if t.Nanosecond()%int(time.Millisecond) == 0 {
		return t.UnixMilli()
	}
	return float64(t.UnixMilli()) + 0.5
}

// label writes a condition on the label of that key.
func (w *filterWriter) label(f store.Filter, key string) string {
	if f.Op == store.Exists {
		if f.Values[0] == true {
			return "m.id IN (" + w.labels(key) + ")"
		}
		return "m.id NOT IN (" + w.labels(key) + ")"
	}
	if comparison, ok := comparisons[f.Op]; ok {
		return w.labelRange(key, comparison, f.Values[0])
	}
	var values []any
	for _, v := range f.Values {
		if l := label(v); l != nil {
			values = append(values, l)
		}
	}
	if len(values) == 0 {
		return "FALSE"
	}
	return "m.id IN (" + w.labels(key) + " AND value IN (" + w.list(values) + "))"
}

// labelRange keeps to values of the same kind: in SQLite every number comes before every text, and every text before
// every blob.
func (w *filterWriter) labelRange(key, comparison string, value any) string {
	var kind string
	switch value = label(value); value.(type) {
	case float64:
		kind = "value < ''"
	case string:
		kind = "value >= '' AND value < x''"
	default: // bools have no order
		return "FALSE"
	}
	return "m.id IN (" + w.labels(key) + " AND value" + comparison + w.arg(value) + " AND " + kind + ")"
}

func (w *filterWriter) labels(key string) string {
	return "SELECT memory FROM search_labels WHERE workspace = " + w.arg(w.ws) + " AND key = " + w.arg(key)
}

func (w *filterWriter) list(values []any) string {
	w.args = append(w.args, values...)
	return strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")
}

func (w *filterWriter) arg(value any) string {
	w.args = append(w.args, value)
	return "?"
}

// label is a value of metadata, or of a filter on them, as search_labels has it; nil where it is of no kind that labels
// can be.
func label(value any) any {
	switch v := value.(type) {
	case string, float64:
		return v
	case bool:
		if v {
			return []byte{1}
		}
		return []byte{0}
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case json.Number:
		f, _ := v.Float64() // out of range: the infinity, as Filter.Match has it
		return f
	}
	return nil
}
