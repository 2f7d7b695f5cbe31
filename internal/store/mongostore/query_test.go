//go:build e2e

package mongostore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// query is what a command looks for, and in which order.
type query struct {
	collection string
	filter     bson.D
	sort       bson.D
	reads      bool // a read without a condition is a list of all
}

// queries are what the command looks for; none of those that look for nothing.
func (c command) queries() (out []query) {
	var body struct {
		Find      string `bson:"find"`
		Filter    bson.D `bson:"filter"`
		Sort      bson.D `bson:"sort"`
		Update    any    `bson:"update"`
		Delete    string `bson:"delete"`
		Modify    string `bson:"findAndModify"`
		Query     bson.D `bson:"query"`
		Aggregate string `bson:"aggregate"`
		Changes   []struct {
			Q bson.D `bson:"q"`
		} `bson:"updates"`
		Deletes []struct {
			Q bson.D `bson:"q"`
		} `bson:"deletes"`
		Pipeline []bson.D `bson:"pipeline"`
	}
	if err := bson.Unmarshal(c.body, &body); err != nil {
		panic(err)
	}
	switch c.name {
	case "find":
		out = append(out, query{body.Find, body.Filter, body.Sort, true})
	case "findAndModify":
		out = append(out, query{body.Modify, body.Query, body.Sort, false})
	case "aggregate":
		q := query{collection: body.Aggregate, reads: true}
		if first := body.Pipeline[0][0]; first.Key == "$match" {
			q.filter = first.Value.(bson.D)
		}
		out = append(out, q)
	case "update":
		for _, u := range body.Changes {
			out = append(out, query{collection: body.Update.(string), filter: u.Q})
		}
	case "delete":
		for _, d := range body.Deletes {
			out = append(out, query{collection: body.Delete, filter: d.Q})
		}
	case "count", "distinct":
		panic(c.name + " is not known here")
	}
	return out
}

// String is the shape of the query: names and operators, no values.
func (q query) String() string {
	s := q.collection + " " + shape(q.filter)
	if len(q.sort) > 0 {
		s += " by " + shape(q.sort)
	}
	return s
}

func shape(d bson.D) string {
	var parts []string
	for _, e := range d {
		parts = append(parts, e.Key+operators(e.Value))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func operators(v any) string {
	switch x := v.(type) {
	case bson.D:
		var ops []string
		for _, e := range x {
			op := e.Key
			if op == "$exists" {
				op = fmt.Sprint("$exists=", e.Value)
			}
			ops = append(ops, op)
		}
		return " " + strings.Join(ops, " ")
	case bson.A:
		var alternatives []string
		for _, a := range x {
			if d, ok := a.(bson.D); ok {
				alternatives = append(alternatives, shape(d))
			}
		}
		return " " + strings.Join(slices.Compact(slices.Sorted(slices.Values(alternatives))), " | ")
	case int32:
		if x < 0 {
			return "↓"
		}
	}
	return ""
}

// mayBeSorted are the lists that are sorted after they are found: they are short.
var mayBeSorted = map[string]bool{"batches {lease_until $lt} by {created_at, _id}": true} // open batches that nobody answers for

// goesBy is the index that serves the query, or those that serve its alternatives.
func (q query) goesBy() (string, bool) {
	if len(q.sort) == 0 && narrow(q.filter, "_id") {
		return "_id", true
	}
	best, most := "", -1
	for _, x := range indexes() {
		if bounds, ok := x.serves(q); ok && bounds > most {
			best, most = x.name, bounds
		}
	}
	if best != "" {
		return best, true
	}
	for _, e := range q.filter {
		if e.Key != "$or" {
			continue
		}
		var all []string
		for _, alternative := range e.Value.(bson.A) {
			by, ok := query{q.collection, alternative.(bson.D), nil, q.reads}.goesBy()
			if !ok {
				return "none", false
			}
			all = append(all, by)
		}
		return strings.Join(all, "+"), true
	}
	return "none", false
}

// serves reports whether the index gives the query bounds on its first key, holds all that the query can find, and gives
// the order that it asks for. The more bounds the better.
func (x index) serves(q query) (bounds int, ok bool) {
	if x.collection != q.collection || x.sparse && !present(q.filter, x.keys[0].Key) {
		return 0, false
	}
	for _, p := range x.partial {
		if _, exists := p.Value.(bson.D); exists && !present(q.filter, p.Key) || !exists && value(q.filter, p.Key) != p.Value {
			return 0, false
		}
	}
	fixed := 0 // keys that have one value, or some: the rest is in order below each
	for fixed < len(x.keys) && narrow(q.filter, x.keys[fixed].Key) {
		fixed++
	}
	bounds = 2 * fixed
	if fixed < len(x.keys) && present(q.filter, x.keys[fixed].Key) {
		bounds++
	}
	all := len(q.filter) == 0 && q.reads && len(q.sort) > 0
	if bounds == 0 && !all {
		return 0, false
	}
	one := x.unique && fixed == len(x.keys)
	return bounds, one || mayBeSorted[q.String()] || len(q.sort) == 0 || ordered(x.keys[fixed:], q.sort)
}

// ordered reports whether keys in this order are in the order that is asked for.
func ordered(keys, sort bson.D) bool {
	return len(keys) >= len(sort) && sameDoc(keys[:len(sort)], sort)
}

func value(filter bson.D, field string) any {
	for _, e := range filter {
		if e.Key == field {
			return e.Value
		}
	}
	return nil
}

// narrow reports whether the filter leaves a field one value or some.
func narrow(filter bson.D, field string) bool {
	switch v := value(filter, field).(type) {
	case nil:
		return false
	case bson.D:
		return v[0].Key == "$in" || v[0].Key == "$all"
	}
	return true
}

// present reports whether only documents that have the field meet the filter.
func present(filter bson.D, field string) bool {
	switch v := value(filter, field).(type) {
	case nil:
		return false
	case bson.D:
		return slices.ContainsFunc(v, func(e bson.E) bool {
			return slices.Contains([]string{"$in", "$all", "$gt", "$gte", "$lt", "$lte"}, e.Key) || e.Key == "$exists" && e.Value == true
		})
	}
	return true
}

// TestTheJudgeOfQueries shows what the test of all queries refuses.
func TestTheJudgeOfQueries(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		q    query
		want string
	}{
		{query{"memories", doc("_id", "a", "version", 1), nil, false}, "_id"},
		{query{"memories", doc("_id", doc("$in", bson.A{"a"})), nil, false}, "_id"},
		{query{"memories", doc("version", 1), nil, false}, "none"},
		{query{"memories", doc(), nil, true}, "none"},
		{query{"memories", doc("status", "queued"), nil, false}, "none"}, // not the first key
		{query{"memories", doc("workspace", "w", "status", doc("$in", bson.A{"queued"})), newestFirst(), true}, "memories_listed"},
		{query{"memories", doc("workspace", "w"), newestFirst(), true}, "none"}, // not in order
		{query{"memories", doc("workspace", "w", "status", "queued"), oldestFirst(), true}, "none"},
		{query{"memories", doc("owner", "p"), nil, false}, "none"}, // who is over is not in the index
		{query{"memories", doc("owner", "p", "lease_until", exists()), nil, false}, "memories_owners"},
		{query{"memories", doc("lease_until", doc("$exists", false)), nil, false}, "none"},
		{query{"deliveries", doc("status", "failed", "lease_until", doc("$lt", 1)), doc("lease_until", 1, "_id", 1), true}, "none"},
		{query{"deliveries", doc("status", "pending", "lease_until", doc("$lt", 1)), doc("lease_until", 1, "_id", 1), true}, "deliveries_due"},
		{query{"memories", doc("$or", bson.A{doc("_id", "a"), doc("external", "b")}), nil, true}, "_id+memories_external"},
		{query{"memories", doc("$or", bson.A{doc("_id", "a"), doc("version", 1)}), nil, true}, "none"},
		{query{"workspaces", doc(), oldestFirst(), true}, "workspaces_listed"},
		{query{"workspaces", doc(), nil, false}, "none"},
	} {
		if got, _ := row.q.goesBy(); got != row.want {
			t.Errorf("%s goes by %s, want %s", row.q, got, row.want)
		}
	}
}

// TestScansAreSeenInPlans reads plans as servers of several versions give them.
func TestScansAreSeenInPlans(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		reply string
		want  int
	}{
		"Classic":     {`{"queryPlanner": {"winningPlan": {"stage": "FETCH", "inputStage": {"stage": "IXSCAN"}}, "rejectedPlans": [{"stage": "COLLSCAN"}]}}`, 0},
		"ClassicScan": {`{"queryPlanner": {"winningPlan": {"stage": "SORT", "inputStage": {"stage": "COLLSCAN"}}}}`, 1},
		"Express":     {`{"queryPlanner": {"winningPlan": {"stage": "EXPRESS_IXSCAN"}}}`, 0},
		"SlotBased":   {`{"queryPlanner": {"winningPlan": {"queryPlan": {"stage": "GROUP", "inputStage": {"stage": "COLLSCAN"}}, "slotBasedPlan": {}}}}`, 1},
		"Pipeline":    {`{"stages": [{"$cursor": {"queryPlanner": {"winningPlan": {"stage": "COLLSCAN"}}}}, {"$group": {"stage": "COLLSCAN"}}]}`, 1},
		"Alternatives": {`{"queryPlanner": {"winningPlan": {"stage": "SUBPLAN", "inputStage": {"stage": "OR",
			"inputStages": [{"stage": "IXSCAN"}, {"stage": "COLLSCAN"}]}}}}`, 1},
		"Shards": {`{"queryPlanner": {"winningPlan": {"stage": "SINGLE_SHARD", "shards": [{"winningPlan": {"stage": "COLLSCAN"}}]}}}`, 1},
	} {
		var reply bson.Raw
		if err := bson.UnmarshalExtJSON([]byte(row.reply), false, &reply); err != nil {
			t.Fatal(err)
		}
		if got := scans(reply); len(got) != row.want {
			t.Errorf("%s: %v, want %d", name, got, row.want)
		}
	}
}
