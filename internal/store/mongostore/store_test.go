//go:build e2e

package mongostore

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// openNew opens a database of the test's own, with its indexes made, which goes when the test is over.
func openNew(tb testing.TB, watch ...func(*options.ClientOptions)) *Store {
	tb.Helper()
	s := openBare(tb, watch...)
	if err := s.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return s
}

// openBare is openNew without indexes.
func openBare(tb testing.TB, watch ...func(*options.ClientOptions)) *Store {
	tb.Helper()
	cfg := Config{URI: testservers.Mongo(tb), Database: "test_" + strings.ToLower(id.New("")), Pool: 32}
	return openIn(tb, cfg, watch...)
}

func openIn(tb testing.TB, cfg Config, watch ...func(*options.ClientOptions)) *Store {
	tb.Helper()
	s, err := connect(tb.Context(), cfg.withDefaults(), func(o *options.ClientOptions) {
		for _, w := range watch {
			w(o)
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.db.Drop(context.Background()); err != nil {
			tb.Error(err)
		}
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// documents are the ports to the documents of a store.
func documents(s *Store) storetest.Ports {
	return storetest.Ports{
		Memories: s.Memories(), Runs: s.Runs(), Leases: s.Leases(), Outbox: s.Outbox(), Erasures: s.Erasures(),
		Batches: s.Batches(), BatchRuns: s.BatchRuns(),
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	storetest.Documents(t, func(tb testing.TB) storetest.Ports { return documents(openNew(tb)) })
}

// TestNothingIsLeftOfWhatWasOwed looks for empty lists, which would stay in the index of what is owed.
func TestNothingIsLeftOfWhatWasOwed(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	in := known("x", "text")
	var events []memory.Event
	for range 3 { // a memory that owes three events
		p, err := put(t, s, in)
		if err != nil {
			t.Fatal(err)
		}
		ds, err := s.Runs().Claim(t.Context(), store.Claim{Refs: []memory.Ref{p.Memory.Ref()}, Owner: "p", Until: time.Now().Add(time.Minute)})
		if err != nil || len(ds) != 1 {
			t.Fatal(ds, err)
		}
		e := memory.Event{ID: id.New(id.Event), Workspace: "wsp_1", Time: memory.Now()}
		events = append(events, e)
		if _, err := s.Runs().Finish(t.Context(), []store.Finish{{Ref: p.Memory.Ref(), Fence: ds[0].Fence, Status: memory.StatusFailed, Event: &e}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, some := range [][]memory.Event{events[:1], events[1:]} {
		if err := s.Outbox().Settle(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	n, err := s.memories.CountDocuments(t.Context(), doc("owed", exists()))
	if err != nil || n != 0 {
		t.Errorf("%d lists are left, %v", n, err)
	}
}
