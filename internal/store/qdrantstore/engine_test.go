//go:build e2e

package qdrantstore

import (
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
	"github.com/switchyard-ai/switchyard/internal/testservers"
)

// TestVectorsOnTheEngine runs the suite against Qdrant's own engine: its filters, searches, fusion, IDF and conditional
// upserts rather than ours.
func TestVectorsOnTheEngine(t *testing.T) {
	t.Parallel()
	address := testservers.QdrantEngine(t)
	storetest.Vectors(t, func(tb testing.TB) store.Vectors { return openNew(tb, address).Vectors() })
}
