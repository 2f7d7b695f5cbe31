package realtime

import (
	"context"
	"sync"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// hand is what the executor has in hand: what is queued or at work. The zero value is empty.
type hand struct {
	mu   sync.Mutex
	refs map[memory.Ref]int
}

func (h *hand) take(ref memory.Ref) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refs == nil {
		h.refs = map[memory.Ref]int{}
	}
	h.refs[ref]++
}

func (h *hand) leave(ref memory.Ref) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refs[ref]--; h.refs[ref] <= 0 {
		delete(h.refs, ref)
	}
}

func (h *hand) has(ref memory.Ref) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refs[ref] > 0
}

func (h *hand) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.refs)
}

// strays gives up memories that the store says are this process's and that it does not have in hand: the answer to the
// write that gave it one was lost, or one could not be claimed, ended or released when that was tried. Nobody would ever
// find them, since their lease is renewed with the others. One is a stray that was seen at two beats in a row: a memory
// that is being taken in is stored a moment before it is in hand. It returns the suspects for the next beat.
func (e *Executor) strays(ctx context.Context, renewed int, suspects map[memory.Ref]bool) (map[memory.Ref]bool, error) {
	if renewed <= e.hand.size() {
		return nil, nil //nolint:nilnil // no suspects
	}
	owned, err := e.parts.Leases.Owned(ctx, e.owner)
	if err != nil {
		return suspects, err
	}
	next := map[memory.Ref]bool{}
	for _, ref := range owned {
		switch {
		case e.hand.has(ref):
		case suspects[ref]:
			e.HandOver(ctx, "realtime lost hold of it", ref)
		default:
			next[ref] = true
		}
	}
	return next, nil
}
