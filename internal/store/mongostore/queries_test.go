//go:build e2e

package mongostore

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestQueries runs all suites and then looks at every command that they sent: at its index, and at what it asks the server
// to promise.
func TestQueries(t *testing.T) {
	t.Parallel()
	var seen watcher
	opened := func(tb testing.TB) *Store {
		s := openNew(tb, seen.watch)
		tb.Cleanup(func() { seen.explain(tb, s) }) // before its database is dropped
		return s
	}
	t.Run("Suite", func(t *testing.T) {
		suite(t, "Documents", storetest.Documents, func(tb testing.TB) storetest.Ports { return documents(opened(tb)) })
		suite(t, "Keys", storetest.Keys, func(tb testing.TB) store.Keys { return opened(tb).Keys() })
		suite(t, "Workspaces", storetest.Workspaces, func(tb testing.TB) store.Workspaces { return opened(tb).Workspaces() })
		suite(t, "Requests", storetest.Requests, func(tb testing.TB) store.Requests { return opened(tb).Requests() })
		suite(t, "Endpoints", storetest.Endpoints, func(tb testing.TB) store.Endpoints { return opened(tb).Endpoints() })
		suite(t, "Deliveries", storetest.Deliveries, func(tb testing.TB) store.Deliveries { return opened(tb).Deliveries() })
	})
	t.Run("EachGoesByAnIndex", func(t *testing.T) {
		var lines []string
		for _, q := range seen.queries() {
			by, ok := q.goesBy()
			if !ok {
				t.Errorf("no index serves %s", q)
			}
			lines = append(lines, fmt.Sprintf("%-22s %s", by, q))
		}
		golden(t, "queries.txt", strings.Join(lines, "\n")+"\n")
	})
	t.Run("EachIndexServesAQuery", func(t *testing.T) {
		used := map[string]bool{}
		for _, q := range seen.queries() {
			by, _ := q.goesBy()
			for name := range strings.SplitSeq(by, "+") {
				used[name] = true
			}
		}
		for _, x := range indexes() {
			if !used[x.name] {
				t.Errorf("no query goes by %s", x.name)
			}
		}
	})
	t.Run("EachAsksForAMajority", func(t *testing.T) { seen.checkConcerns(t) })
	t.Run("NoneIsPartOfATransaction", func(t *testing.T) {
		for _, c := range seen.commands() {
			if _, err := c.body.LookupErr("startTransaction"); err == nil {
				t.Errorf("a transaction: %v", c.body)
			}
		}
	})
}

func suite[P any](t *testing.T, name string, run func(*testing.T, func(testing.TB) P), open func(testing.TB) P) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		run(t, open)
	})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not up to date; run with -update and read the diff:\n%s", path, diff)
	}
}

// watcher keeps one command of each shape.
type watcher struct {
	mu        sync.Mutex
	all       map[string]command // by shape
	explained map[string]bool
	mute      bool
}

type command struct {
	name string
	body bson.Raw
}

func (w *watcher) watch(o *options.ClientOptions) {
	o.SetMonitor(&event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.all == nil {
			w.all, w.explained = map[string]command{}, map[string]bool{}
		}
		c := command{e.CommandName, e.Command}
		if shape := fmt.Sprint(c.name, c.queries()); w.all[shape].name == "" {
			w.all[shape] = command{e.CommandName, slices.Clone(e.Command)}
		}
	}})
}

func (w *watcher) commands() []command {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.all))
}

// queries are what the commands look for, each once, in order.
func (w *watcher) queries() []query {
	byText := map[string]query{}
	for _, c := range w.commands() {
		for _, q := range c.queries() {
			byText[q.String()] = q
		}
	}
	var out []query
	for _, text := range slices.Sorted(maps.Keys(byText)) {
		out = append(out, byText[text])
	}
	return out
}

// checkConcerns holds what each command asks the server to promise against what the store promises.
func (w *watcher) checkConcerns(t *testing.T) {
	kinds := map[string]int{}
	for _, c := range w.commands() {
		var asked struct {
			Write bson.M `bson:"writeConcern"`
			Read  bson.M `bson:"readConcern"`
		}
		if err := bson.Unmarshal(c.body, &asked); err != nil {
			t.Fatal(err)
		}
		switch c.name {
		case "insert", "update", "delete", "findAndModify":
			kinds["write"]++
			if diff := cmp.Diff(bson.M{"w": "majority", "j": true}, asked.Write); diff != "" {
				t.Errorf("%s: write concern (-want +got):\n%s", c.name, diff)
			}
		case "find", "aggregate", "count", "distinct":
			kinds["read"]++
			if diff := cmp.Diff(bson.M{"level": "majority"}, asked.Read); diff != "" {
				t.Errorf("%s: read concern (-want +got):\n%s", c.name, diff)
			}
		case "ping", "createIndexes", "listIndexes", "dropIndexes", "dropDatabase", "getMore", "killCursors", "endSessions", "explain":
		default:
			t.Errorf("unknown command %s: does it read or write?", c.name)
		}
		if mode, err := c.body.LookupErr("$readPreference", "mode"); err == nil && mode.StringValue() != "primary" && mode.StringValue() != "primaryPreferred" {
			t.Errorf("%s reads from a %s", c.name, mode.StringValue()) // a lone server is asked with primaryPreferred
		}
	}
	if kinds["read"] < 20 || kinds["write"] < 20 {
		t.Errorf("only %v were looked at", kinds)
	}
}

// explain asks the server how it finds the documents of each command that it was not asked about yet. The server that
// tests start cannot say.
func (w *watcher) explain(tb testing.TB, s *Store) {
	for _, c := range w.commands() {
		shape := fmt.Sprint(c.name, c.queries())
		w.mu.Lock()
		done := w.mute || w.explained[shape] || len(c.queries()) == 0
		w.explained[shape] = true
		w.mu.Unlock()
		if done {
			continue
		}
		reply, err := s.db.RunCommand(context.Background(), doc("explain", c.explainable(), "verbosity", "queryPlanner")).Raw()
		if no := (mongo.CommandError{}); errors.As(err, &no) && no.Code == 59 { // no such command
			tb.Log("this server does not explain: plans are held against the declared indexes only")
			w.mu.Lock()
			w.mute = true
			w.mu.Unlock()
			return
		}
		if err != nil {
			tb.Errorf("explain %s: %v", shape, err)
			continue
		}
		if bad := scans(reply); len(bad) > 0 {
			tb.Errorf("%s goes through the whole collection: %v\n%v", shape, bad, reply)
		}
	}
}

// explainable is the command without what explain does not take.
func (c command) explainable() bson.D {
	var d bson.D
	if err := bson.Unmarshal(c.body, &d); err != nil {
		panic(err)
	}
	return slices.DeleteFunc(d, func(e bson.E) bool {
		return slices.Contains([]string{"writeConcern", "lsid", "txnNumber", "$db", "$clusterTime", "$readPreference", "maxTimeMS", "ordered"}, e.Key)
	})
}

// scans are the stages of the winning plans that read a collection from end to end, or sort more than they keep.
func scans(reply bson.Raw) (bad []string) {
	var walk func(v bson.RawValue, won bool)
	walk = func(v bson.RawValue, won bool) {
		var inner bson.Raw
		switch v.Type {
		case bson.TypeEmbeddedDocument:
			inner = v.Document()
		case bson.TypeArray:
			inner = bson.Raw(v.Array())
		default:
			return
		}
		elements, err := inner.Elements()
		if err != nil {
			panic(err)
		}
		for _, e := range elements {
			if stage, ok := e.Value().StringValueOK(); ok && won && e.Key() == "stage" && stage == "COLLSCAN" {
				bad = append(bad, stage)
			}
			if e.Key() != "rejectedPlans" {
				walk(e.Value(), won || e.Key() == "winningPlan")
			}
		}
	}
	walk(bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: reply}, false)
	return bad
}
