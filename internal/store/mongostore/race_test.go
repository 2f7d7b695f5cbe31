//go:build e2e

package mongostore

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// two opens one database twice, as two processes would: each with its own connections.
func two(t *testing.T) [2]*Store {
	t.Helper()
	first := openNew(t)
	second, err := Open(t.Context(), Config{URI: testservers.Mongo(t), Database: first.db.Name(), Pool: 200})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	})
	return [2]*Store{first, second}
}

// race runs fn n times at the same moment, on the two stores in turn, and counts the answers.
func race(t *testing.T, stores [2]*Store, n int, fn func(s *Store, i int) (string, error)) map[string]int {
	t.Helper()
	start := make(chan struct{})
	got := map[string]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			answer, err := fn(stores[i%2], i)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			got[answer]++
		})
	}
	close(start)
	wg.Wait()
	return got
}

func known(external, content string) store.Intake {
	return store.Intake{Memory: memory.Memory{ID: id.New(id.Memory), Workspace: "wsp_1", ExternalID: external, Content: content, Track: memory.TrackRealtime}}
}

func put(t *testing.T, s *Store, in store.Intake) (store.Put, error) {
	t.Helper()
	ps, err := s.Memories().Put(t.Context(), []store.Intake{in})
	if err != nil {
		return store.Put{}, err
	}
	return ps[0], nil
}

func TestAnExternalIDIsTakenOnceByTwoClients(t *testing.T) {
	t.Parallel()
	stores := two(t)
	for round := range 10 {
		external, seen := fmt.Sprint("x", round), sync.Map{}
		got := race(t, stores, 60, func(s *Store, _ int) (string, error) {
			p, err := put(t, s, known(external, "the same"))
			seen.Store(p.Memory.ID, true)
			return string(p.Kind), err
		})
		ids := 0
		seen.Range(func(any, any) bool { ids++; return true })
		if got["created"] != 1 || got["unchanged"] != 59 || ids != 1 {
			t.Errorf("%v, and %d ids; want one created, 59 unchanged, one id", got, ids)
		}
	}
}

func TestVersionsOfAnExternalIDFollowEachOtherThroughTwoClients(t *testing.T) {
	t.Parallel()
	stores := two(t)
	got := race(t, stores, 60, func(s *Store, i int) (string, error) {
		p, err := put(t, s, known("x", fmt.Sprint("content ", i)))
		return fmt.Sprintf("version %d", p.Memory.Version), err
	})
	for v := range 60 {
		if n := got[fmt.Sprintf("version %d", v+1)]; n != 1 {
			t.Errorf("%d callers made version %d, want 1", n, v+1)
		}
	}
}

func TestAnIdempotencyKeyIsGivenOnceByTwoClients(t *testing.T) {
	t.Parallel()
	stores, now := two(t), time.Now()
	for round := range 10 {
		r := store.Request{Workspace: "wsp_1", Key: fmt.Sprint("key", round), CreatedAt: now, Until: now.Add(time.Minute)}
		for _, at := range []time.Time{now, now.Add(time.Hour)} { // new, and then expired
			r.Until = at.Add(time.Minute)
			got := race(t, stores, 60, func(s *Store, i int) (string, error) {
				mine := r
				mine.ResourceID = fmt.Sprint("mem_", i)
				_, ok, err := s.Requests().Begin(t.Context(), mine, at)
				return fmt.Sprint(ok), err
			})
			if got["true"] != 1 {
				t.Errorf("%d callers got the request, want 1", got["true"])
			}
		}
	}
}

func TestAMemoryIsClaimedOnceByTwoClients(t *testing.T) {
	t.Parallel()
	stores := two(t)
	for range 10 {
		p, err := put(t, stores[0], known("", "text"))
		if err != nil {
			t.Fatal(err)
		}
		got := race(t, stores, 60, func(s *Store, i int) (string, error) {
			ds, err := s.Runs().Claim(t.Context(), store.Claim{Refs: []memory.Ref{p.Memory.Ref()}, Owner: fmt.Sprint("p", i), Until: time.Now().Add(time.Minute)})
			return fmt.Sprint(len(ds)), err
		})
		if got["1"] != 1 {
			t.Errorf("%d callers got the memory, want 1", got["1"])
		}
	}
}
