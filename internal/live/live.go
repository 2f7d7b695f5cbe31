// Package live tells whoever watches a memory or a batch that it changed. The store stays the truth: an event may be
// lost with its process, so a watcher reads the store first and from time to time, and takes events as what saves it
// from asking all the time.
package live

import (
	"context"
	"sync"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Event says that a memory or a batch is now as it is in here. One of Memory and Batch is set, or neither where the event
// comes from another process: then the store knows. Neither may be changed by whoever reads it.
type Event struct {
	Workspace string
	ID        string // of the memory or the batch
	Memory    *memory.Memory
	Batch     *memory.Batch
}

// OfMemory is the event of a memory that was stored.
func OfMemory(m memory.Memory) Event { return Event{Workspace: m.Workspace, ID: m.ID, Memory: &m} }

// OfBatch is the event of a batch that was stored.
func OfBatch(b memory.Batch) Event { return Event{Workspace: b.Workspace, ID: b.ID, Batch: &b} }

// backlog is how many events a slow watcher can be behind before it loses the oldest of them.
const backlog = 16

// Hub passes events on within one process. Its zero value works; it is safe for concurrent use.
type Hub struct {
	mu       sync.RWMutex
	watchers map[topic]map[chan Event]struct{}
	watched  func(t topic, is bool) // told of the first watcher of a topic and the last; nil: nobody asks
}

type topic struct{ workspace, id string }

// Publish tells everyone who watches. It never blocks: a watcher that is slow loses the oldest events, never the latest.
func (h *Hub) Publish(e Event) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for ch := range h.watchers[topic{e.Workspace, e.ID}] {
		push(ch, e)
	}
}

// Progress publishes a memory: what the pipeline calls.
func (h *Hub) Progress(m memory.Memory) { h.Publish(OfMemory(m)) }

func push(ch chan Event, e Event) {
	for {
		select {
		case ch <- e:
			return
		default:
		}
		select {
		case <-ch: // full: the oldest makes room
		default:
		}
	}
}

// Subscribe returns the events of a memory or batch from now on, until ctx is done or stop is called. The channel is
// never closed.
func (h *Hub) Subscribe(ctx context.Context, workspace, id string) (events <-chan Event, stop func()) {
	t, ch := topic{workspace, id}, make(chan Event, backlog)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers == nil {
		h.watchers = make(map[topic]map[chan Event]struct{})
	}
	if h.watchers[t] == nil {
		h.watchers[t] = make(map[chan Event]struct{})
		h.tell(t, true)
	}
	h.watchers[t][ch] = struct{}{}
	release := sync.OnceFunc(func() { h.unsubscribe(t, ch) })
	unhook := context.AfterFunc(ctx, release)
	return ch, func() { unhook(); release() }
}

func (h *Hub) unsubscribe(t topic, ch chan Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers[t], ch)
	if len(h.watchers[t]) == 0 {
		delete(h.watchers, t)
		h.tell(t, false)
	}
}

func (h *Hub) tell(t topic, watched bool) {
	if h.watched != nil {
		h.watched(t, watched)
	}
}

// Watched is how many memories and batches somebody watches.
func (h *Hub) Watched() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return len(h.watchers)
}
