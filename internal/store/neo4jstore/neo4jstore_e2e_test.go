//go:build e2e

package neo4jstore

import (
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
	"github.com/switchyard-ai/switchyard/internal/testservers"
)

// openShared opens the database that all tests share: each has a workspace of its own.
func openShared(tb testing.TB) *Store {
	tb.Helper()
	return openAt(tb, Config{URI: testservers.Neo4j(tb)})
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

func TestGraph(t *testing.T) {
	t.Parallel()
	s := openShared(t)
	storetest.Graph(t, func(testing.TB) store.Graph { return s.Graph() })
}
