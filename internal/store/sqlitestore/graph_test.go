package sqlitestore

import (
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
)

func TestGraph(t *testing.T) {
	t.Parallel()
	storetest.Graph(t, func(tb testing.TB) store.Graph { return openNew(tb).Graph() })
}
