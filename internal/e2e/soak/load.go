package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// load is the client: it keeps the processes busy, repeats what was not acknowledged under the same key until it is, and
// writes down what was.
type load struct {
	clients []*client.Client
	ledger  *ledger
	hooks   string
	target  int // memories that are to be open at any time
	next    atomic.Int64
	repeats atomic.Int64
	open    atomic.Int64 // queued and processing, as last heard
	// answered hears of acknowledgements while somebody listens: which client got it.
	answered chan int
	eager    atomic.Bool // post, however many are open
	mu       sync.Mutex
	wrong    []string // answers that no crash excuses
}

// writers is how many requests are on their way at once.
const writers = 12

// run posts until ctx ends; then what is on its way is acknowledged before it returns.
func (l *load) run(ctx context.Context) error {
	finish := context.WithoutCancel(ctx)
	var all sync.WaitGroup
	errs := make(chan error, writers)
	for range writers {
		all.Go(func() {
			for ctx.Err() == nil {
				if int(l.open.Load()) >= l.target && !l.eager.Load() {
					sleep(ctx, 100*time.Millisecond)
					continue
				}
				if err := l.post(finish); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	all.Go(func() { l.watch(ctx) })
	all.Wait()
	close(errs)
	return <-errs
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// watch keeps open up to date.
func (l *load) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if queued, processing, err := l.state(ctx); err == nil {
			l.open.Store(int64(queued + processing))
		}
		sleep(ctx, 250*time.Millisecond)
	}
}

// state is how many memories are queued and processing, as whichever API answers says.
func (l *load) state(ctx context.Context) (queued, processing int, err error) {
	for _, c := range l.clients {
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		var w client.Workspace
		w, err = c.Workspace(limited)
		cancel()
		if err == nil {
			return w.Memories.ByStatus[string(memory.StatusQueued)], w.Memories.ByStatus[string(memory.StatusProcessing)], nil
		}
	}
	return 0, 0, err
}

// post sends a memory, or now and then a batch.
func (l *load) post(ctx context.Context) error {
	n := l.next.Add(1)
	e := entry{Key: fmt.Sprintf("k%d", n), Hook: n%3 != 0}
	hook := ""
	if e.Hook {
		hook = l.hooks
	}
	if n%40 == 0 && int(l.open.Load()) < l.target { // eager ones are single
		e.Lines = 20 + int(n%100)
		return l.acknowledged(ctx, e, func(ctx context.Context, c *client.Client) (string, error) {
			b, err := c.UploadBatch(ctx, strings.NewReader(lines(e)), client.BatchOptions{WebhookURL: hook}, client.IdempotencyKey(e.Key))
			return b.ID, err
		})
	}
	in := memory.Input{Content: content(e.Key), Metadata: memory.Metadata{"key": e.Key}, WebhookURL: hook}
	if n%5 == 0 {
		in.Track = memory.TrackDurable
	}
	return l.acknowledged(ctx, e, func(ctx context.Context, c *client.Client) (string, error) {
		m, err := c.AddMemory(ctx, in, client.IdempotencyKey(e.Key))
		return m.ID, err
	})
}

func lines(e entry) string {
	var b strings.Builder
	for i := range e.Lines {
		k := lineKey(e.Key, i)
		fmt.Fprintf(&b, "{\"content\": %q, \"metadata\": {\"key\": %q}}\n", content(k), k)
	}
	return b.String()
}

func lineKey(key string, line int) string { return fmt.Sprintf("%s.%d", key, line) }

// content is a text of its own for each key, about people who are in many.
func content(key string) string {
	h := 0
	for _, c := range key {
		h = h*31 + int(c)
	}
	h &= 0xffff
	return fmt.Sprintf("In the story %s the wizard Oz%d met Dorothy%d near Emerald%d and gave her a letter.", key, h%97, h%211, h%53)
}

// acknowledged sends under one key until it is acknowledged, at whichever API, and writes that down.
func (l *load) acknowledged(ctx context.Context, e entry, send func(context.Context, *client.Client) (string, error)) error {
	for try := 0; ; try++ {
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		which := rand.IntN(len(l.clients))
		id, err := send(limited, l.clients[which])
		cancel()
		if err == nil {
			select {
			case l.answered <- which:
			default:
			}
			e.ID = id
			l.open.Add(int64(max(e.Lines, 1))) // until the next look, which may take a while where an API is frozen
			return l.ledger.write(e)
		}
		if try > 0 {
			l.repeats.Add(1)
		}
		var answer *client.Error
		if errors.As(err, &answer) && answer.Status >= 400 && answer.Status < 500 && answer.Code != memory.CodeInProgress && answer.Code != memory.CodeRateLimited {
			l.refused(e, answer)
			return nil
		}
		if try > 2_000 {
			return fmt.Errorf("%s was never acknowledged: %w", e.Key, err)
		}
		sleep(ctx, 150*time.Millisecond)
	}
}

// refused notes an answer that says that the request is wrong, which it is not.
func (l *load) refused(e entry, answer *client.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf("%s: %v", e.Key, answer))
}
