//go:build e2e

package neo4jstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// openShared opens the database that all tests share: each has a workspace of its own.
func openShared(tb testing.TB) *Store {
	tb.Helper()
	uri := testservers.Neo4j(tb)
	if err := migrateAtOnce(tb.Context(), uri); err != nil {
		tb.Fatal("several that migrate at once: ", err)
	}
	return openAt(tb, Config{URI: uri})
}

func openAt(tb testing.TB, cfg Config) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := s.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return s
}

// TestMigrateFromSeveralPlacesAtOnce is about the server that the tests share: the first that needs it makes the schema so.
func TestMigrateFromSeveralPlacesAtOnce(t *testing.T) {
	t.Parallel()
	openShared(t)
}

// migrated is of the server, which is one for all tests.
var migrated struct {
	once sync.Once
	errs [8]error
}

// migrateAtOnce lets several processes make the schema of a server that has none.
func migrateAtOnce(ctx context.Context, uri string) error {
	migrated.once.Do(func() {
		var wg sync.WaitGroup
		for i := range migrated.errs {
			wg.Go(func() {
				s, err := Open(ctx, Config{URI: uri})
				if err == nil {
					err = errors.Join(s.Migrate(ctx), s.Check(ctx), s.Close())
				}
				migrated.errs[i] = err
			})
		}
		wg.Wait()
	})
	return errors.Join(migrated.errs[:]...)
}

func TestGraph(t *testing.T) {
	t.Parallel()
	s := openShared(t)
	storetest.Graph(t, func(testing.TB) store.Graph { return s.Graph() })
}

// TestPagesThatShareNodesDoNotDeadlock merges pages whose nodes come in opposite orders, and deletes some of them, without
// letting the driver try anything again.
func TestPagesThatShareNodesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	g := openAt(t, Config{URI: testservers.Neo4j(t), RetryTime: time.Nanosecond}).Graph()
	ws := id.New(id.Workspace)
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("person ", i))
	}
	const writers, pages, size = 4, 3, 5
	var wg sync.WaitGroup
	for w := range writers {
		order := slices.Clone(names)
		if w%2 == 1 {
			slices.Reverse(order)
		}
		wg.Go(func() {
			for p := range pages {
				var ms []store.Mention
				for m := range size {
					ms = append(ms, mention(ws, fmt.Sprintf("m%d.%d.%d", w, p, m), order[m:m+10]...))
				}
				if err := errors.Join(g.Merge(t.Context(), ms), g.Delete(t.Context(), ws, ms[0].Ref.ID, ms[3].Ref.ID)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	holdings, next, err := g.Held(t.Context(), store.HeldQuery{Workspace: ws, Limit: 1000})
	if len(holdings) != writers*pages*(size-2) || next != "" || err != nil {
		t.Errorf("%d memories are there (%q, %v), want %d", len(holdings), next, err, writers*pages*(size-2))
	}
}

// mention is a memory that says that each knows the next.
func mention(ws, memoryID string, names ...string) store.Mention {
	m := store.Mention{Ref: memory.Ref{Workspace: ws, ID: memoryID, Version: 1}}
	for i, name := range names {
		m.Graph.Nodes = append(m.Graph.Nodes, memory.Node{ID: store.NodeID(ws, "person", name), Type: "person", Name: name})
		if i > 0 {
			m.Graph.Relationships = append(m.Graph.Relationships, memory.Relationship{From: m.Graph.Nodes[i-1].ID, Type: "KNOWS", To: m.Graph.Nodes[i].ID})
		}
	}
	return m
}

func TestVeryLongNamesAreStoredAndFound(t *testing.T) {
	t.Parallel()
	g := openShared(t).Graph()
	ws, long := id.New(id.Workspace), strings.Repeat("very ", 4000)+"long"
	if err := g.Merge(t.Context(), []store.Mention{mention(ws, "m1", long, "b")}); err != nil {
		t.Fatal(err)
	}
	nodes, _, err := g.Nodes(t.Context(), store.NodeQuery{Workspace: ws, Name: "The " + long, Limit: 10})
	if err != nil || len(nodes) != 1 || nodes[0].Name != long {
		t.Errorf("%d nodes are found (%v)", len(nodes), err)
	}
}

// TestReadsWaitForWhatWasWritten gives a read a bookmark that the server will never come to: it fails, so it does look
// at bookmarks; and the next one does without.
func TestReadsWaitForWhatWasWritten(t *testing.T) {
	t.Parallel()
	s := openShared(t)
	ws := id.New(id.Workspace)
	if err := s.Graph().Merge(t.Context(), []store.Mention{mention(ws, "m1", "a")}); err != nil {
		t.Fatal(err)
	}
	known, err := (*s.bookmarks.Load()).GetBookmarks(t.Context())
	if err != nil || len(known) == 0 {
		t.Fatalf("after a write the bookmarks are %v (%v)", known, err)
	}
	if err := (*s.bookmarks.Load()).UpdateBookmarks(t.Context(), known, neo4j.Bookmarks{"no bookmark"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Graph().Of(t.Context(), ws, "m1"); memory.CodeOf(err) != memory.CodeUnavailable {
		t.Errorf("a read before its bookmark gives %v", err)
	}
	if nodes, err := s.Graph().Of(t.Context(), ws, "m1"); err != nil || len(nodes) != 1 {
		t.Errorf("the next one finds %v (%v)", nodes, err)
	}
}

// TestAServerComesAndGoes takes a server away and brings it back, later without its data, under one Store.
func TestAServerComesAndGoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := startOwn(t, dir, 0)
	s := openAt(t, Config{URI: testservers.Neo4jURI(server)})
	g, ws := s.Graph(), id.New(id.Workspace)
	if err := g.Merge(t.Context(), []store.Mention{mention(ws, "m1", "a", "b")}); err != nil {
		t.Fatal(err)
	}

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := g.Merge(t.Context(), []store.Mention{mention(ws, "m2", "b", "c")}); memory.CodeOf(err) != memory.CodeUnavailable {
		t.Errorf("with no server a merge gives %v", err)
	}
	if err := s.Ping(t.Context()); memory.CodeOf(err) != memory.CodeUnavailable {
		t.Errorf("with no server a ping gives %v", err)
	}
	port, err := strconv.Atoi(server.Ready)
	if err != nil {
		t.Fatal(err)
	}
	server = startOwn(t, dir, port)
	if err := g.Merge(t.Context(), []store.Mention{mention(ws, "m2", "b", "c")}); err != nil {
		t.Errorf("with the server back a merge gives %v", err)
	}
	if nodes, err := g.Of(t.Context(), ws, "m1", "m2"); err != nil || len(nodes) != 3 {
		t.Errorf("after a kill there are %v (%v), want a, b and c", nodes, err)
	}

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	startOwn(t, t.TempDir(), port)
	if err := s.Check(t.Context()); memory.CodeOf(err) == memory.CodeUnavailable { // the bookmark of the lost data
		err = s.Check(t.Context())
		if memory.CodeOf(err) != memory.CodeConflict || !strings.Contains(err.Error(), "switchyard migrate") {
			t.Errorf("without its schema a check gives %v", err)
		}
	}
	if err := errors.Join(s.Migrate(t.Context()), s.Check(t.Context()), g.Merge(t.Context(), []store.Mention{mention(ws, "m1", "a")})); err != nil {
		t.Errorf("the server that lost its data is not used again: %v", err)
	}
}

func startOwn(t *testing.T, dir string, port int) *testservers.Process {
	t.Helper()
	p, err := testservers.StartNeo4j(dir, port)
	if err != nil {
		testservers.Missing(t, "Neo4j", err)
	}
	t.Cleanup(func() { _ = p.Stop() }) // it may be dead
	return p
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := openAt(t, Config{URI: testservers.Neo4jURI(startOwn(t, t.TempDir(), 0))})
	if err := s.Check(t.Context()); err != nil {
		t.Fatal("after Migrate:", err)
	}
	for drop, missing := range map[string]string{
		`DROP INDEX switchyard_mentions`:    "the index on SWITCHYARD_MENTIONS(workspace, entity, memory)",
		`DROP CONSTRAINT switchyard_entity`: "the uniqueness constraint on SwitchyardEntity(workspace, id)",
	} {
		if err := s.schemaChange(t.Context(), drop); err != nil {
			t.Fatal(err)
		}
		err := s.Check(t.Context())
		if memory.CodeOf(err) != memory.CodeConflict || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "switchyard migrate") {
			t.Errorf("after %s: %v", drop, err)
		}
		for range 2 {
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error("after another Migrate:", err)
		}
	}
}
