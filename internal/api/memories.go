package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func (a *API) memoryRoutes() {
	serve(a, route{
		id: "create-memory", method: http.MethodPost, path: "/v1/memories", tag: "Memories", scope: store.ScopeWrite,
		status: http.StatusAccepted, creates: id.Memory,
		summary: "Hand in a memory",
		about: "The memory is stored durably before the answer, and will be finished whatever happens. The answer says on which track it runs and why. " +
			"With an `external_id` that exists it is an upsert: other content is the next version, the same content changes nothing.",
		request: exampleInput, answer: exampleAccepted,
	}, a.createMemory)
	serve(a, route{
		id: "list-memories", method: http.MethodGet, path: "/v1/memories", tag: "Memories", scope: store.ScopeRead, loose: true,
		summary: "List memories, newest first",
		errors:  []int{http.StatusUnprocessableEntity}, answer: `{"items":[` + exampleMemory + `],"next_cursor":null}`,
	}, a.listMemories)
	serve(a, route{
		id: "get-memory", method: http.MethodGet, path: "/v1/memories/{id}", tag: "Memories", scope: store.ScopeRead,
		summary: "Read a memory", about: "With its results and the receipts of its steps, as they come.", answer: exampleMemory,
	}, a.getMemory)
	serve(a, route{
		id: "update-memory", method: http.MethodPatch, path: "/v1/memories/{id}", tag: "Memories", scope: store.ScopeWrite,
		status: http.StatusAccepted, errors: []int{http.StatusConflict},
		summary: "Change a memory",
		about: "A change is the next version and is processed again; until that is indexed, searches find the memory by what it said before. " +
			"`metadata` take the place of all there were.",
		request: `{"content":"Dorothy lives in Kansas again."}`, answer: exampleAccepted,
	}, a.updateMemory)
	serve(a, route{
		id: "delete-memory", method: http.MethodDelete, path: "/v1/memories/{id}", tag: "Memories", scope: store.ScopeWrite, status: http.StatusAccepted,
		summary: "Erase a memory", about: "From every store. A run in flight is stopped, and what it wrote until then is erased too. The answer is the receipt. It cannot be lost any more: " +
			"a store that cannot be reached is named under `pending`, and erased as soon as it can be.",
		answer: `{"id":"mem_01K5A0QZ5T8VJ4M3N2P1R0S9W7","erased":["documents","vectors","graph"],"erased_at":"2025-09-16T10:00:00.000Z"}`,
	}, a.deleteMemory)
	serve(a, route{
		id: "retry-memory", method: http.MethodPost, path: "/v1/memories/{id}/retry", tag: "Memories", scope: store.ScopeWrite,
		status: http.StatusAccepted, errors: []int{http.StatusConflict},
		summary: "Run a memory again that failed", about: "From its first unfinished step: what was done is not done, nor paid for, again. Also for degraded and cancelled ones.",
		answer: exampleAccepted,
	}, a.retryMemory)
	serve(a, route{
		id: "explain-memory", method: http.MethodGet, path: "/v1/memories/{id}/explain", tag: "Memories", scope: store.ScopeRead,
		summary: "Explain a memory", about: "Why it ran on this track, which attempts were made by which models, what they took, and what was written where.",
		answer: exampleExplanation,
	}, a.explainMemory)
	a.memoryEventRoute()
}

// Accepted is the answer to work that was taken on.
type Accepted struct {
	ID         string        `json:"id"`
	ExternalID string        `json:"external_id,omitempty"`
	Status     memory.Status `json:"status"`
	Track      memory.Track  `json:"track"`
	Reason     string        `json:"track_reason"`
	Version    int           `json:"version"`
	CreatedAt  memory.Time   `json:"created_at"`
}

// memoryAnswer is a memory that is finished (200), or one that was accepted (202).
type memoryAnswer struct {
	Status     int
	Location   string `header:"Location" doc:"Where to read the memory."`
	RetryAfter string `header:"Retry-After" doc:"When to look again, in seconds; of 202."`
	Applied    string `header:"Preference-Applied" doc:"What of Prefer was obeyed."`
	Body       any
}

type createMemoryInput struct {
	Prefer string `header:"Prefer" doc:"wait=N holds the answer until the memory is finished, or N seconds (60 at most) passed." example:"wait=30"`
	Body   memory.Input
}

func (a *API) createMemory(ctx context.Context, in *createMemoryInput) (*memoryAnswer, error) {
	put, err := a.parts.Intake.Memory(ctx, workspaceOf(ctx), in.Body, resourceID(ctx))
	if err != nil {
		return nil, err
	}
	return a.answerPut(ctx, put, in.Prefer), nil
}

// answerPut answers what became of an intake, after a while where the caller prefers to wait.
func (a *API) answerPut(ctx context.Context, put store.Put, prefer string) *memoryAnswer {
	m := put.Memory
	noteOf(ctx).memory = m.ID
	answer := &memoryAnswer{Status: http.StatusAccepted, Location: "/v1/memories/" + m.ID}
	if wait, preference := waitOf(prefer); wait > 0 {
		answer.Applied = preference
		m = a.await(ctx, m, wait)
	}
	if m.Status.Final() {
		answer.Status, answer.Body = http.StatusOK, shown(m)
		return answer
	}
	answer.RetryAfter = "1"
	answer.Body = Accepted{
		ID: m.ID, ExternalID: m.ExternalID, Status: m.Status, Track: m.Track, Reason: m.Reason, Version: m.Version, CreatedAt: m.CreatedAt,
	}
	return answer
}

// await returns the memory as it is when it is finished, or when the time is over, the caller leaves or the process
// stops.
func (a *API) await(ctx context.Context, m memory.Memory, d time.Duration) memory.Memory {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	if m.Status.Final() {
		return m
	}
	err := a.follow(ctx, m.Workspace, m.ID, func() (bool, error) {
		latest, err := a.memory(ctx, m.Workspace, m.ID)
		if err == nil {
			m = latest
		}
		return !m.Status.Final(), err
	})
	if err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "a memory could not be waited for", "memory", m.ID, "error", err)
	}
	return m
}

// shown is a memory as the API shows it: lists are never null.
func shown(m memory.Memory) memory.Memory {
	if m.UseCases == nil {
		m.UseCases = []string{}
	}
	if m.Related == nil {
		m.Related = []memory.Related{}
	}
	return m
}

// memory reads a memory; CodeNotFound where the workspace has none of that id.
func (a *API) memory(ctx context.Context, workspace, memoryID string) (memory.Memory, error) {
	found, err := a.parts.Memories.Get(ctx, workspace, memoryID)
	switch {
	case err != nil:
		return memory.Memory{}, err
	case len(found) == 0:
		return memory.Memory{}, memory.Errorf(memory.CodeNotFound, "there is no memory of that id")
	}
	return found[0], nil
}

// OfMemory names the memory that a request is about.
type OfMemory struct {
	ID string `path:"id" doc:"The memory's id." example:"mem_01K5A0QZ5T8VJ4M3N2P1R0S9W7"`
}

// named reads the memory that a request is about.
func (a *API) named(ctx context.Context, in *OfMemory) (memory.Memory, error) {
	noteOf(ctx).memory = in.ID
	return a.memory(ctx, workspaceOf(ctx), in.ID)
}

type body[T any] struct {
	Body T
}

func (a *API) getMemory(ctx context.Context, in *OfMemory) (*body[memory.Memory], error) {
	m, err := a.named(ctx, in)
	return &body[memory.Memory]{shown(m)}, err
}

// List is one page of a list.
type List[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor" doc:"The cursor of the next page; null at the end."`
}

func listOf[T any](items []T, cursor string) *body[List[T]] {
	l := List[T]{Items: items}
	if l.Items == nil {
		l.Items = []T{}
	}
	if cursor != "" {
		l.NextCursor = &cursor
	}
	return &body[List[T]]{l}
}

// Paging asks for a page of a list.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many to return at most."`
	Cursor string `query:"cursor" doc:"next_cursor of the page before."`
}

type listMemoriesInput struct {
	Paging
	Status        []memory.Status `query:"status,explode" enum:"queued,processing,completed,degraded,failed,cancelled" doc:"Only those of the status; may be repeated."`
	ExternalID    string          `query:"external_id" doc:"Only the one of that external id."`
	BatchID       string          `query:"batch_id" doc:"Only those of the batch."`
	CreatedAfter  time.Time       `query:"created_after" doc:"Only those created after that time."`
	CreatedBefore time.Time       `query:"created_before" doc:"Only those created before that time."`
	metadata      map[string]string
}

// metadataParam is how a filter on metadata begins: metadata.<key>=<value>.
const metadataParam = "metadata."

// Resolve takes the filters on metadata, whose names are the caller's.
func (in *listMemoriesInput) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	in.metadata = map[string]string{}
	var errs []error
	for name, values := range u.Query() {
		key, ok := strings.CutPrefix(name, metadataParam)
		switch {
		case ok && key != "":
			in.metadata[key] = values[0]
		case !takesParam(ctx.Operation(), name):
			errs = append(errs, &huma.ErrorDetail{Location: "query." + name, Message: "unknown query parameter"})
		}
	}
	return errs
}

func takesParam(op *huma.Operation, name string) bool {
	for _, p := range op.Parameters {
		if p.In == "query" && p.Name == name {
			return true
		}
	}
	return false
}

func (a *API) listMemories(ctx context.Context, in *listMemoriesInput) (*body[List[memory.Memory]], error) {
	found, cursor, err := a.parts.Memories.List(ctx, store.MemoryQuery{
		Workspace: workspaceOf(ctx), Statuses: in.Status, ExternalID: in.ExternalID, BatchID: in.BatchID, Metadata: in.metadata,
		CreatedAfter: in.CreatedAfter, CreatedBefore: in.CreatedBefore, Limit: in.Limit, Cursor: in.Cursor,
	})
	for i := range found {
		found[i] = shown(found[i])
	}
	return listOf(found, cursor), err
}

// MemoryChange is what to change of a memory; what is absent stays.
type MemoryChange struct {
	Content    *string         `json:"content,omitempty"`
	Metadata   memory.Metadata `json:"metadata,omitempty"`
	OccurredAt *memory.Time    `json:"occurred_at,omitempty"`
	Track      memory.Track    `json:"track,omitempty" enum:"auto,realtime,durable"`
}

type updateMemoryInput struct {
	OfMemory
	Prefer string `header:"Prefer" doc:"wait=N holds the answer until the memory is finished, or N seconds (60 at most) passed."`
	Body   MemoryChange
}

func (a *API) updateMemory(ctx context.Context, in *updateMemoryInput) (*memoryAnswer, error) {
	b := in.Body
	if b.Content == nil && b.Metadata == nil && b.OccurredAt == nil {
		return nil, memory.Errorf(memory.CodeInvalid, "name something to change: content, metadata or occurred_at")
	}
	m, err := a.named(ctx, &in.OfMemory)
	if err != nil {
		return nil, err
	}
	change := intake.Change{Content: b.Content, OccurredAt: b.OccurredAt, Track: b.Track}
	if b.Metadata != nil {
		change.Metadata = &b.Metadata
	}
	put, err := a.parts.Intake.Change(ctx, m, change)
	if err != nil {
		return nil, err
	}
	return a.answerPut(ctx, put, in.Prefer), nil
}

// Erasure is the receipt of a deletion.
type Erasure struct {
	ID       string      `json:"id"`
	Erased   []string    `json:"erased" doc:"The stores that hold nothing of it any more."`
	Pending  []string    `json:"pending,omitempty" doc:"The stores that could not be reached: they are erased as soon as they can be."`
	ErasedAt memory.Time `json:"erased_at"`
}

func (a *API) deleteMemory(ctx context.Context, in *OfMemory) (*body[Erasure], error) {
	if _, err := a.named(ctx, in); err != nil {
		return nil, err
	}
	r, err := a.parts.Intake.Erase(ctx, workspaceOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return &body[Erasure]{Erasure{ID: in.ID, Erased: r.Erased, Pending: r.Pending, ErasedAt: memory.Now()}}, nil
}

type retryMemoryInput struct {
	OfMemory
	Prefer string `header:"Prefer" doc:"wait=N holds the answer until the memory is finished, or N seconds (60 at most) passed."`
}

func (a *API) retryMemory(ctx context.Context, in *retryMemoryInput) (*memoryAnswer, error) {
	m, err := a.named(ctx, &in.OfMemory)
	if err != nil {
		return nil, err
	}
	put, err := a.parts.Intake.Retry(ctx, m)
	if err != nil {
		return nil, err
	}
	return a.answerPut(ctx, put, in.Prefer), nil
}
