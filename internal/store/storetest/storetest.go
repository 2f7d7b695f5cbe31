// Package storetest holds one suite a port of package store: what the port's comments promise, as tests that every
// adapter runs.
package storetest

import (
	"github.com/switchyard-ai/switchyard/internal/store"
)

// Ports are the ports of an adapter under test. Those that it does not have are nil.
type Ports struct {
	Memories   store.Memories
	Runs       store.Runs
	Leases     store.Leases
	Outbox     store.Outbox
	Erasures   store.Erasures
	Batches    store.Batches
	BatchRuns  store.BatchRuns
	Vectors    store.Vectors
	Graph      store.Graph
	Keys       store.Keys
	Workspaces store.Workspaces
	Requests   store.Requests
	Endpoints  store.Endpoints
	Deliveries store.Deliveries
}
