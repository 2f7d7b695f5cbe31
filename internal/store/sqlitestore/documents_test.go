package sqlitestore

import (
	"sync"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store/storetest"
)

// documents are the ports to the documents of a store.
func documents(s *Store) storetest.Ports {
	return storetest.Ports{Memories: s.Memories(), Runs: s.Runs(), Leases: s.Leases(), Outbox: s.Outbox(), Erasures: s.Erasures(), Batches: s.Batches(), BatchRuns: s.BatchRuns()}
}

// TestDocuments runs the suite, and then looks at the plan of every statement that it used.
func TestDocuments(t *testing.T) {
	t.Parallel()
	var plans sync.Map // by text
	t.Run("Suite", func(t *testing.T) {
		storetest.Documents(t, func(tb testing.TB) storetest.Ports {
			s := openNew(tb)
			tb.Cleanup(func() { explainAll(tb, s, &plans) }) // before it is closed
			return documents(s)
		})
	})
	t.Run("NoQueryScansATable", func(t *testing.T) { checkPlans(t, &plans, 50) })
}
