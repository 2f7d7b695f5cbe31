package sqlitestore

import (
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
)

func TestVectors(t *testing.T) {
	t.Parallel()
	storetest.Vectors(t, func(tb testing.TB) store.Vectors { return openNew(tb).Vectors() })
}
