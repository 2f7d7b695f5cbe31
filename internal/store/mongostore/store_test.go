//go:build e2e

package mongostore

import (
	"context"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
	"github.com/switchyard-ai/switchyard/internal/testservers"
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
