//go:build failpoints

package main

import (
	"net/http"
	"os"
	"sync"

	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/internal/faults"
	"github.com/switchyard-ai/switchyard/webhooks"
)

// machine is the process's own.
var machine = sync.OnceValues(func() (*faults.Machine, error) { return faults.Load(os.Getenv) }) //nolint:gochecknoglobals // see faults_off.go

// around is the machine after it was loaded by faultyStores, which reports what is wrong.
func around() *faults.Machine {
	m, _ := machine()
	return m
}

func faultyStores(s *stores) error {
	m, err := machine()
	if err != nil {
		return err
	}
	s.Runs = m.AroundRuns(s.Runs, s.Memories)
	s.Memories, s.Leases, s.Outbox, s.Erasures = m.AroundMemories(s.Memories), m.AroundLeases(s.Leases), m.Outbox(s.Outbox), m.AroundErasures(s.Erasures)
	s.Batches, s.BatchRuns = m.Batches(s.Batches), m.AroundBatchRuns(s.BatchRuns)
	s.Vectors, s.Graph = m.AroundVectors(s.Vectors), m.Graph(s.Graph)
	s.Keys, s.Workspaces, s.Requests = m.Keys(s.Keys), m.Workspaces(s.Workspaces), m.AroundRequests(s.Requests)
	s.Endpoints, s.Deliveries = m.Endpoints(s.Endpoints), m.Deliveries(s.Deliveries)
	return nil
}

func faultyModels(md models) models {
	return models{Extractor: around().Extractor(md.Extractor), Embedder: around().Embedder(md.Embedder)}
}

func faultyTransport(g *webhooks.Guard) http.RoundTripper { return around().Transport(g.Transport()) }
func faultyAnswers(h http.Handler) http.Handler           { return around().Answers(h) }
func faultyDials() []grpc.DialOption                      { return around().Dials() }
