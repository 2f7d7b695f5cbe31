package sqlitestore

import (
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store/storetest"
)

// documents are the ports to the documents of a store.
func documents(s *Store) storetest.Ports {
	return storetest.Ports{Memories: s.Memories(), Runs: s.Runs(), Leases: s.Leases(), Outbox: s.Outbox(), Batches: s.Batches(), BatchRuns: s.BatchRuns()}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	storetest.Documents(t, func(tb testing.TB) storetest.Ports { return documents(openNew(tb)) })
}
