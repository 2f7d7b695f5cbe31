//go:build e2e

package mongostore

import (
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	storetest.Keys(t, func(tb testing.TB) store.Keys { return openNew(tb).Keys() })
}

func TestWorkspaces(t *testing.T) {
	t.Parallel()
	storetest.Workspaces(t, func(tb testing.TB) store.Workspaces { return openNew(tb).Workspaces() })
}

func TestRequests(t *testing.T) {
	t.Parallel()
	storetest.Requests(t, func(tb testing.TB) store.Requests { return openNew(tb).Requests() })
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	storetest.Endpoints(t, func(tb testing.TB) store.Endpoints { return openNew(tb).Endpoints() })
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	storetest.Deliveries(t, func(tb testing.TB) store.Deliveries { return openNew(tb).Deliveries() })
}
