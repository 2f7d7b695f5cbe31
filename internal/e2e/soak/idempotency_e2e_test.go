//go:build e2e

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestAKeyMakesOneMemory sends each of some keys a hundred times at once, with two bodies, to two processes, one of which is
// killed meanwhile. What broke off is sent again. Whatever the order, each key must have made one memory, and every
// answer must be one that the contract allows.
func TestAKeyMakesOneMemory(t *testing.T) {
	t.Run("InTheEmbeddedStore", func(t *testing.T) { oneMemory(t, split) })
	t.Run("InTheStoresOfProduction", func(t *testing.T) {
		t.Setenv("SWITCHYARD_TEST_MONGO_URI", testservers.Mongo(t))
		t.Setenv("SWITCHYARD_TEST_QDRANT_ADDR", testservers.Qdrant(t))
		t.Setenv("SWITCHYARD_TEST_NEO4J_URI", testservers.Neo4j(t))
		t.Setenv("SWITCHYARD_TEST_REDIS_URL", testservers.Redis(t))
		t.Setenv("SWITCHYARD_TEST_TEMPORAL_ADDRESS", testservers.Temporal(t))
		oneMemory(t, servers)
	})
}

func oneMemory(t *testing.T, topology string) {
	t.Helper()
	o := &options{binary: binary(t), dir: t.TempDir()}
	m, err := newModel(plan{}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.server.Close() })
	c, err := open(t.Context(), o, topology, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	h := &history{start: time.Now()}
	for round := range 5 {
		h.storm(t, c, fmt.Sprintf("r%d", round), func() {
			if round%2 == 1 {
				c.kill(t.Context(), c.processes[round/2%2])
			}
		})
		if err := c.heal(); err != nil {
			t.Fatal(err)
		}
	}
	result, info := porcupine.CheckOperationsVerbose(idempotency(), withoutEchoes(h.operations), 20*time.Second)
	if result != porcupine.Ok {
		t.Errorf("the answers are %s: no order explains them; %s", result, visualized(t, info))
	}
	if result != porcupine.Ok {
		h.explain(t)
	}
	h.onePerKey(t, c)
	t.Logf("%d requests, answers %v", len(h.operations), h.statuses)
}

// withoutEchoes keeps one of all requests with the same key and body of which nobody knows what became, the first: it may
// have had its effect whenever one of the others may. With all of them there would be too many orders to look through.
func withoutEchoes(all []porcupine.Operation) (out []porcupine.Operation) {
	first := map[posted]int{}
	for _, op := range all {
		in, unknown := op.Input.(posted), op.Output.(told).status == 0 //nolint:forcetypeassert // they are all ours
		at, seen := first[in]
		switch {
		case unknown && seen:
			out[at].Call = min(out[at].Call, op.Call)
			continue
		case unknown:
			first[in] = len(out)
		}
		out = append(out, op)
	}
	return out
}

// explain prints the keys whose answers do not fit, each by itself.
func (h *history) explain(t *testing.T) {
	t.Helper()
	for _, part := range byKey(withoutEchoes(h.operations)) {
		if result := porcupine.CheckOperationsTimeout(idempotency(), part, 10*time.Second); result != porcupine.Ok {
			slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
			for _, op := range part {
				t.Logf("%v %v: %v to %v: %+v", result, op.Input, time.Duration(op.Call), time.Duration(op.Return), op.Output)
			}
			return
		}
	}
}

func visualized(t *testing.T, info porcupine.LinearizationInfo) string {
	t.Helper()
	path := t.TempDir() + "/history.html"
	if err := porcupine.VisualizePath(idempotency(), info, path); err != nil {
		return err.Error()
	}
	return "see " + path
}

// history is what was asked and answered.
type history struct {
	start      time.Time
	mu         sync.Mutex
	operations []porcupine.Operation
	statuses   map[int]int
	keys       []string
}

const (
	keysAtOnce = 4
	atOnce     = 100 // requests a key
)

// storm sends all requests of some keys at once, and again until each key was answered with its memory.
func (h *history) storm(t *testing.T, c *cluster, name string, meanwhile func()) {
	t.Helper()
	apis := []string{c.processes[0].listen, c.processes[1].listen}
	var all sync.WaitGroup
	begin := make(chan struct{})
	for k := range keysAtOnce {
		key := fmt.Sprintf("%s-key-%d", name, k)
		h.keys = append(h.keys, key)
		for i := range atOnce {
			all.Go(func() {
				<-begin
				body := "a"
				if i%10 == 9 {
					body = "b"
				}
				h.post(t, apis[i%2], i, posted{key, body})
			})
		}
	}
	before := h.answered()
	close(begin)
	for h.answered() < before+atOnce/5 { // some are done, most are on their way
		time.Sleep(time.Millisecond)
	}
	meanwhile()
	all.Wait()
	if err := c.heal(); err != nil {
		t.Fatal(err)
	}
	for _, key := range h.keys[len(h.keys)-keysAtOnce:] {
		for _, body := range []string{"a", "b"} {
			h.insist(t, apis[1], posted{key, body})
		}
	}
}

func (h *history) answered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.operations)
}

// insist sends until there is an answer other than "still running".
func (h *history) insist(t *testing.T, api string, in posted) {
	t.Helper()
	for range 300 {
		if out := h.post(t, api, atOnce, in); out.status == 202 || out.status == 422 {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("%v was never answered", in)
}

func (h *history) post(t *testing.T, api string, who int, in posted) told {
	t.Helper()
	from := time.Since(h.start)
	out := send(t, api, in)
	to := time.Since(h.start)
	if out.status == 0 {
		to = math.MaxInt64 // nobody knows when it had its effect, if it had one
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.statuses == nil {
		h.statuses = map[int]int{}
	}
	h.statuses[out.status]++
	h.operations = append(h.operations, porcupine.Operation{ClientId: who, Input: in, Call: int64(from), Output: out, Return: int64(to)})
	return out
}

// send posts once; a connection that breaks and an answer of a server in trouble say nothing.
func send(t *testing.T, api string, in posted) (out told) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	body := fmt.Sprintf(`{"content": "%s %s", "metadata": {"key": "%[1]s"}}`, in.key, in.body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+api+"/v1/memories", strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return out
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json", "Idempotency-Key": in.key} {
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return out
	}
	defer res.Body.Close()
	if res.StatusCode >= 500 {
		return out
	}
	out = told{status: res.StatusCode, replayed: res.Header.Get("Idempotency-Replayed") == "true"}
	if out.status == http.StatusOK { // one that went on, and found the memory done meanwhile
		out.status = http.StatusAccepted
	}
	if out.status != http.StatusAccepted {
		return out
	}
	var m memory.Memory
	if err := json.NewDecoder(res.Body).Decode(&m); err != nil {
		return told{} // it broke off
	}
	out.id = m.ID
	return out
}

// onePerKey counts the memories that the keys made.
func (h *history) onePerKey(t *testing.T, c *cluster) {
	t.Helper()
	clients, err := c.clients()
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]int{}
	for m, err := range clients[0].ListMemories(t.Context(), client.MemoryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		k, _ := m.Metadata["key"].(string)
		made[k]++
	}
	first, unknown := firsts(h.operations)
	for _, key := range h.keys {
		if first[key] > 1+unknown[key] || first[key] == 0 && unknown[key] == 0 {
			t.Errorf("%s has %d first answers; of %d requests nobody knows", key, first[key], unknown[key])
		}
		if made[key] != 1 {
			t.Errorf("%s made %d memories", key, made[key])
		}
	}
}
