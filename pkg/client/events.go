package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// MemoryEvent is news of a memory: a step that got on, or the memory itself, which changed its status. One of the two is
// set.
type MemoryEvent struct {
	Step   *memory.Receipt
	Memory *memory.Memory // without its content
}

// WatchMemory gives what happens to a memory as it happens, from what has happened so far to its end. A connection that
// breaks is made again, and nothing is missed or given twice. An error ends it.
func (c *Client) WatchMemory(ctx context.Context, id string) iter.Seq2[MemoryEvent, error] {
	return watch(ctx, c, func(e event) (v MemoryEvent, err error) {
		switch e.kind {
		case "step":
			v.Step = &memory.Receipt{}
			return v, json.Unmarshal(e.data, v.Step)
		case "memory":
			v.Memory = &memory.Memory{}
			return v, json.Unmarshal(e.data, v.Memory)
		}
		return v, errUnknownEvent
	}, "memories", id, "events")
}

// WatchBatch gives the states of a batch as they change, at most two a second, the final one last. A connection that
// breaks is made again. An error ends it. [Client.WaitForBatch] does the same by asking again and again.
func (c *Client) WatchBatch(ctx context.Context, id string) iter.Seq2[memory.Batch, error] {
	return watch(ctx, c, func(e event) (b memory.Batch, err error) {
		if e.kind != "batch" {
			return b, errUnknownEvent
		}
		return b, json.Unmarshal(e.data, &b)
	}, "batches", id, "events")
}

// Ready returns nil where the server and all that it cannot do without are there.
func (c *Client) Ready(ctx context.Context) error {
	return c.do(ctx, &request{method: http.MethodGet, path: "/readyz", repeatable: true}, nil)
}

// errUnknownEvent is an event of a kind that this version of the client does not know: it is passed over.
var errUnknownEvent = fmt.Errorf("unknown kind of event")

// event is one server-sent event.
type event struct {
	id, kind string
	data     []byte
}

// watch follows an event stream to its end, over as many connections as that takes.
func watch[T any](ctx context.Context, c *Client, read func(event) (T, error), path ...string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		f := follower{c: c, path: join(path)}
		for tries := 0; ; tries++ {
			heard := false
			over, err := f.connect(ctx, func(e event) bool {
				heard = true
				v, err := read(e)
				return err == errUnknownEvent || yield(v, err) && err == nil //nolint:errorlint // ours, as it is
			})
			if heard {
				tries = 0
			}
			switch {
			case over:
				return
			case ctx.Err() != nil, err != nil && !passing(err), tries >= c.config.Retries:
				yield(none, fmt.Errorf("%s %s: %w", http.MethodGet, f.path, orEnded(err)))
				return
			}
			if err := sleep(ctx, c.pause(err, tries)); err != nil {
				yield(none, err)
				return
			}
		}
	}
}

func orEnded(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// follower holds the place in a stream.
type follower struct {
	c    *Client
	path string
	last string // id of the last event
}

// connect reads the stream until it breaks off. It is over where the server says that there will be no more, or take says
// that it wants no more.
func (f *follower) connect(ctx context.Context, take func(event) bool) (over bool, err error) {
	r := &request{method: http.MethodGet, path: f.path}
	req, err := f.c.build(ctx, r)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "text/event-stream, application/problem+json")
	if f.last != "" {
		req.Header.Set("Last-Event-ID", f.last)
	}
	res, err := f.c.config.HTTPClient.Do(req)
	if err != nil {
		return false, reason(err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNoContent:
		return true, nil
	case res.StatusCode != http.StatusOK:
		return false, problemOf(res)
	}
	return f.read(res.Body, take)
}

// maxEventBytes bounds one line of a stream: a memory without content is far smaller.
const maxEventBytes = 4 << 20

func (f *follower) read(body io.Reader, take func(event) bool) (over bool, err error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxEventBytes)
	var e event
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = append(e.data, value...)
		case "": // a blank line ends an event; a comment has no name either
			if lines.Text() != "" || e.data == nil {
				continue
			}
			f.last = e.id
			if !take(e) {
				return true, nil
			}
			e = event{}
		}
	}
	return false, lines.Err()
}
