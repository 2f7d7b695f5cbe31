package sqlitestore

import (
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
)

// mayScanToo are what the queries of access, search and graph may read from end to end: what they have selected
// themselves, the full text (which MATCH narrows), tables of one row, counts, and the list of all workspaces.
var mayScanToo = regexp.MustCompile(`^SCAN (json_each|ids|joined|p|w|q|s|search_model|delivery_counts|\(subquery-\d+\))( VIRTUAL TABLE INDEX .*)?$|` +
	`^SCAN workspaces$|^SCAN \d+-ROW VALUES CLAUSE$`)

// readsThrough are the steps that read through a workspace. Lists do.
var readsThrough = regexp.MustCompile(`^SEARCH (\w+) USING .*\(workspace=\?\)$`)

// TestPorts runs the suites of access, search and graph, and then asks SQLite how it found the rows of every statement
// that was used, as TestDocuments does. Reading through a workspace is for lists.
func TestPorts(t *testing.T) {
	t.Parallel()
	var plans sync.Map // by text
	opened := func(tb testing.TB) *Store {
		s := openNew(tb)
		tb.Cleanup(func() { explainAll(tb, s, &plans) }) // before it is closed
		return s
	}
	t.Run("Suite", func(t *testing.T) {
		suite(t, "Keys", storetest.Keys, func(tb testing.TB) store.Keys { return opened(tb).Keys() })
		suite(t, "Workspaces", storetest.Workspaces, func(tb testing.TB) store.Workspaces { return opened(tb).Workspaces() })
		suite(t, "Requests", storetest.Requests, func(tb testing.TB) store.Requests { return opened(tb).Requests() })
		suite(t, "Endpoints", storetest.Endpoints, func(tb testing.TB) store.Endpoints { return opened(tb).Endpoints() })
		suite(t, "Deliveries", storetest.Deliveries, func(tb testing.TB) store.Deliveries { return opened(tb).Deliveries() })
		suite(t, "Vectors", storetest.Vectors, func(tb testing.TB) store.Vectors { return opened(tb).Vectors() })
		suite(t, "Graph", storetest.Graph, func(tb testing.TB) store.Graph { return opened(tb).Graph() })
	})
	n := 0
	plans.Range(func(text, plan any) bool {
		n++
		for _, step := range plan.([]string) {
			scans := strings.HasPrefix(step, "SCAN") && !mayScanToo.MatchString(step)
			if scans || readsThrough.MatchString(step) && !strings.Contains(step, "_listed ") && !strings.Contains(step, "search_workspaces") {
				t.Errorf("%s:\n%s\n\t%s", step, text, strings.Join(plan.([]string), "\n\t"))
			}
		}
		return true
	})
	if n < 50 {
		t.Errorf("only %d statements were looked at", n)
	}
}

func suite[P any](t *testing.T, name string, run func(*testing.T, func(testing.TB) P), open func(testing.TB) P) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		run(t, open)
	})
}

// TestPlans names the indexes of the queries that must not miss them.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	condition := func(f store.Filter) string {
		text, _, err := filterSQL(f, 1)
		if err != nil {
			t.Fatal(err)
		}
		return "SELECT m.id FROM search_memories m WHERE m.id BETWEEN ? AND ? AND " + text
	}
	label := func(op store.Op, values ...any) string {
		return condition(store.Filter{Op: op, Field: "metadata.x", Values: values})
	}
	for name, c := range map[string]struct{ text, uses string }{
		"Due":            {dueDeliveries, "SEARCH deliveries USING INDEX deliveries_due (lease_until<?)"},
		"Sweep":          {sweepDeliveries, "SEARCH deliveries USING INDEX deliveries_made (created_at<?)"},
		"OldestPending":  {oldestPending, "SEARCH deliveries USING COVERING INDEX deliveries_due"},
		"LabelEquals":    {label(store.Eq, "a"), "SEARCH search_labels USING PRIMARY KEY (workspace=? AND key=? AND value=?)"},
		"LabelIn":        {label(store.In, "a", 1.0, true), "SEARCH search_labels USING PRIMARY KEY (workspace=? AND key=? AND value=?)"},
		"LabelNumber":    {label(store.Gte, 1.0), "SEARCH search_labels USING PRIMARY KEY (workspace=? AND key=? AND value>? AND value<?)"},
		"LabelText":      {label(store.Lt, "a"), "SEARCH search_labels USING PRIMARY KEY (workspace=? AND key=? AND value>? AND value<?)"},
		"LabelExists":    {label(store.Exists, true), "SEARCH search_labels USING PRIMARY KEY (workspace=? AND key=?)"},
		"OneWorkspace":   {condition(store.Filter{Op: store.Exists, Field: "batch_id", Values: []any{true}}), "SEARCH m USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"},
		"NodesByName":    {listText(t, store.NodeQuery{Name: "n"}), "SEARCH graph_nodes USING COVERING INDEX graph_nodes_named (workspace=? AND name=?)"},
		"NodesByType":    {listText(t, store.NodeQuery{Type: "t"}), "SEARCH graph_nodes USING COVERING INDEX graph_nodes_typed (workspace=? AND type=?)"},
		"NodesBySupport": {listText(t, store.NodeQuery{}), "SEARCH graph_nodes USING COVERING INDEX graph_nodes_listed (workspace=?)"},
	} {
		var plan []string
		err := s.write(t.Context(), func(tx *tx) (err error) {
			plan, err = explain(tx.conn, c.text)
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all := strings.Join(plan, "\n\t")
		if !strings.Contains(all, c.uses) || strings.Contains(all, "TEMP B-TREE FOR ORDER BY") {
			t.Errorf("%s: the plan is\n\t%s\nwant\n\t%s", name, all, c.uses)
		}
	}
}

func listText(t *testing.T, q store.NodeQuery) string {
	t.Helper()
	text, _, err := listNodes(q)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
