package qdrantstore

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/qdrantstore/qdranttest"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
)

// TestVectors runs the suite against the server that SWITCHYARD_TEST_QDRANT_ADDR names, or one for tests.
func TestVectors(t *testing.T) {
	t.Parallel()
	storetest.Vectors(t, func(tb testing.TB) store.Vectors { return openNew(tb, server(tb)).Vectors() })
}

// server is the address of a Qdrant.
func server(tb testing.TB) string {
	tb.Helper()
	if address := os.Getenv("SWITCHYARD_TEST_QDRANT_ADDR"); address != "" {
		return address
	}
	return serve(tb, qdranttest.Config{})
}

// serve starts a Qdrant for tests.
func serve(tb testing.TB, cfg qdranttest.Config) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		tb.Fatal(err)
	}
	qd, err := qdranttest.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- qd.Serve(tb.Context(), l) }()
	tb.Cleanup(func() {
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	return l.Addr().String()
}

var opened atomic.Int64

// openNew opens a store with collections of its own, which go with the test.
func openNew(tb testing.TB, address string) *Store {
	tb.Helper()
	return openAs(tb, Config{Address: address, Prefix: fmt.Sprintf("test-%d-%d", os.Getpid(), opened.Add(1))})
}

func openAs(tb testing.TB, cfg Config) *Store {
	tb.Helper()
	cfg.SkipCompatibilityCheck, cfg.Pool = true, 1
	s, err := Open(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if os.Getenv("SWITCHYARD_TEST_QDRANT_ADDR") != "" {
			s.drop(tb)
		}
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// drop deletes the collections of the store from a server that stays.
func (s *Store) drop(tb testing.TB) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	names, err := s.collections(ctx)
	if err != nil {
		tb.Error(err)
	}
	for _, name := range append(names, s.stateName()) {
		if err := s.client.DeleteCollection(ctx, name); err != nil {
			tb.Error(err)
		}
	}
}

// TestVectorsInStrictMode runs the suite where every filter needs its index.
func TestVectorsInStrictMode(t *testing.T) {
	t.Parallel()
	storetest.Vectors(t, func(tb testing.TB) store.Vectors {
		return openNew(tb, serve(tb, qdranttest.Config{Strict: true})).Vectors()
	})
}

// TestMover runs the suite against the same.
func TestMover(t *testing.T) {
	t.Parallel()
	storetest.Mover(t, func(tb testing.TB) storetest.Movable { return vectors{openNew(tb, server(tb))} })
}
