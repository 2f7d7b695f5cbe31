package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Event streams are made of what the store holds, not of a log of events: the id of an event says all that was shown so
// far, so a stream that is resumed with it shows the difference, wherever it is resumed, and none is missed.

const aboutEvents = "Server-sent events. With the `Last-Event-ID` of the last event seen, only what is new since then is sent. " +
	"The stream ends after the final event; resuming one that is over is answered 204."

// Resuming goes on with a stream of events where it was left.
type Resuming struct {
	LastEventID string `header:"Last-Event-ID" doc:"The id of the last event that was seen."`
}

// sse writes events to one caller. Each write has a deadline: one that stopped reading must not hold a goroutine.
type sse struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	patient time.Duration
}

func newSSE(w http.ResponseWriter, patient time.Duration) *sse {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // or proxies keep events back
	w.WriteHeader(http.StatusOK)
	return &sse{w, http.NewResponseController(w), patient}
}

func (s *sse) send(id, kind string, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return s.write(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", id, kind, b))
}

func (s *sse) write(text string) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(s.patient)) // a writer without deadlines has none to keep
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.rc.Flush()
}

// beats keeps a stream alive: it sends a comment whenever nothing was sent for the interval.
func (a *API) beats(s *sse) (beat func() error, sent func()) {
	last := time.Now()
	return func() error {
			if time.Since(last) < a.cfg.Heartbeat {
				return nil
			}
			last = time.Now()
			return s.write(": alive\n\n")
		}, func() {
			last = time.Now()
		}
}

// stream is an answer that the function writes.
func stream(fn func(w http.ResponseWriter)) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) { fn(ctx.BodyWriter().(http.ResponseWriter)) }} //nolint:forcetypeassert // Echo's is one
}

type memoryEventsInput struct {
	OfMemory
	Resuming
}

func (a *API) memoryEventRoute() {
	serve(a, route{
		id: "watch-memory", method: http.MethodGet, path: "/v1/memories/{id}/events", tag: "Memories", scope: store.ScopeRead,
		summary: "Watch a memory",
		about: aboutEvents + "\n\n`step`: the receipt of a step that changed. `memory`: the memory, without its content, when its status changed; " +
			"the last one has a final status. `deleted`: it is gone.",
	}, a.watchMemory)
}

func (a *API) watchMemory(ctx context.Context, in *memoryEventsInput) (*huma.StreamResponse, error) {
	m, err := a.named(ctx, &in.OfMemory)
	if err != nil {
		return nil, err
	}
	seen := parseSeen(in.LastEventID)
	if m.Status.Final() && seen.caughtUp(m) {
		return stream(func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }), nil
	}
	return stream(func(w http.ResponseWriter) {
		s := newSSE(w, a.cfg.Heartbeat)
		beat, sent := a.beats(s)
		err := a.follow(ctx, m.Workspace, m.ID, func() (bool, error) {
			m, err := a.memory(ctx, m.Workspace, m.ID)
			if memory.CodeOf(err) == memory.CodeNotFound {
				return false, s.send("deleted", "deleted", map[string]string{"id": in.ID})
			}
			if err != nil {
				return false, err
			}
			if !seen.caughtUp(m) {
				sent()
				return !m.Status.Final(), seen.catchUp(s, m)
			}
			return !m.Status.Final(), beat()
		})
		noteEnd(ctx, err)
	}), nil
}

// noteEnd puts the reason why a stream broke into the log line, unless its reader left.
func noteEnd(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		noteOf(ctx).err = err
	}
}

// seenMemory is how much of a memory a watcher has seen: its id as text is that of events.
type seenMemory struct {
	version int
	status  memory.Status
	steps   map[string]string // the state of each step
}

// parseSeen reads the id of an event; one that it cannot read stands for nothing seen.
func parseSeen(id string) *seenMemory {
	s := &seenMemory{steps: map[string]string{}}
	head, rest, _ := strings.Cut(id, ";")
	version, status, _ := strings.Cut(head, ":")
	if v, err := strconv.Atoi(version); err == nil {
		s.version, s.status = v, memory.Status(status)
		for part := range strings.SplitSeq(rest, ",") {
			if name, state, ok := strings.Cut(part, "="); ok {
				s.steps[name] = state
			}
		}
	}
	return s
}

func (s *seenMemory) id(m memory.Memory) string {
	var parts []string
	for _, r := range m.Steps {
		if state, ok := s.steps[r.Name]; ok {
			parts = append(parts, r.Name+"="+state)
		}
	}
	return fmt.Sprintf("%d:%s;%s", s.version, s.status, strings.Join(parts, ","))
}

func stateOf(r memory.Receipt) string { return strconv.Itoa(r.Attempts) + string(r.Status) }

func (s *seenMemory) caughtUp(m memory.Memory) bool {
	if s.version != m.Version || s.status != m.Status {
		return false
	}
	for _, r := range m.Steps {
		if s.steps[r.Name] != stateOf(r) {
			return false
		}
	}
	return true
}

// catchUp sends what changed since.
func (s *seenMemory) catchUp(w *sse, m memory.Memory) error {
	if s.version != m.Version {
		*s = seenMemory{version: m.Version, steps: map[string]string{}}
	}
	for _, r := range m.Steps {
		if s.steps[r.Name] == stateOf(r) {
			continue
		}
		s.steps[r.Name] = stateOf(r)
		if err := w.send(s.id(m), "step", r); err != nil {
			return err
		}
	}
	if s.status == m.Status {
		return nil
	}
	s.status = m.Status
	m.Content = ""
	return w.send(s.id(m), "memory", shown(m))
}
