// Package reindex moves the vectors of all memories to another embedding model while the system is in use. What a memory
// says is in its document, so vectors are made anew from there; a process that is killed goes on where it was.
package reindex

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Vectors are those that move.
type Vectors interface {
	store.Mover
	Delete(ctx context.Context, workspace string, memoryIDs ...string) error
}

// Memories are the documents, as far as they are read.
type Memories interface {
	Get(ctx context.Context, workspace string, ids ...string) ([]memory.Memory, error)
	List(ctx context.Context, q store.MemoryQuery) ([]memory.Memory, string, error)
}

// Workspaces lists the workspaces.
type Workspaces interface {
	List(ctx context.Context) ([]store.Workspace, error)
}

// Parts are what a move works with.
type Parts struct {
	Vectors    Vectors
	Memories   Memories
	Workspaces Workspaces
	Embedder   llm.Embedder
	// Points makes the points of a page of memories, with the vectors of the embedder.
	Points func(ctx context.Context, ms []memory.Memory) ([]store.Point, error)
	Log    *slog.Logger // nil: slog.Default
}

// Config tunes a move. Its zero value works.
type Config struct {
	// Few is how many memories may be left for after the switch: until a pass through all documents finds no more than
	// that to move, or no fewer than half of what the pass before found, another one follows. Default 64.
	Few int
	// Attempts is how often a page is tried in a row. Default 8.
	Attempts int
	// Backoff is the wait before the second attempt; it doubles for each further one, up to a minute. Default 1s.
	Backoff time.Duration
}

// Reindexer moves vectors.
type Reindexer struct {
	parts Parts
	cfg   Config
}

// New makes a reindexer of the parts.
func New(parts Parts, cfg Config) *Reindexer {
	if parts.Log == nil {
		parts.Log = slog.Default()
	}
	cfg.Few, cfg.Attempts, cfg.Backoff = orElse(cfg.Few, store.PageSize), orElse(cfg.Attempts, 8), orElse(cfg.Backoff, time.Second)
	return &Reindexer{parts: parts, cfg: cfg}
}

func orElse[T int | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// Report says what was done.
type Report struct {
	From    store.Model `json:"from"` // the zero Model: there was none
	To      store.Model `json:"to"`
	Moved   int         `json:"moved"` // memories, by this run
	Passes  int         `json:"passes"`
	Dropped bool        `json:"dropped"` // what the model before had
}

// Run moves everything to the model of the embedder, and puts it in force. Passes through all documents make its vectors,
// until one finds next to nothing; then the model is put in force; then one more pass moves what the model before was still
// given meanwhile. From the switch on that one is given nothing more, so after it nothing is missing.
func (r *Reindexer) Run(ctx context.Context) (report Report, err error) {
	m, move, err := r.begin(ctx)
	report = Report{From: move.From, To: m}
	if err != nil {
		return report, err
	}
	at := position{}
	if move.Progress != "" {
		if err := json.Unmarshal([]byte(move.Progress), &at); err != nil {
			return report, fmt.Errorf("the progress that was saved cannot be read: %w", err)
		}
		r.parts.Log.InfoContext(ctx, "going on with a move", "workspace", at.Workspace)
	}
	before := math.MaxInt
	for switched := move.Switched; ; {
		whole := at == position{}
		moved, err := r.pass(ctx, m, at)
		report.Moved, report.Passes, at = report.Moved+moved, report.Passes+1, position{}
		switch {
		case err != nil:
			return report, err
		case !whole:
			continue
		case switched:
			return report, r.parts.Vectors.Save(ctx, m, "")
		case moved > r.cfg.Few && moved < before/2: // it pays: less is left each time
			before = moved
			continue
		}
		if err := r.parts.Vectors.Switch(ctx, m); err != nil {
			return report, fmt.Errorf("put the model in force: %w", err)
		}
		switched = true
		r.parts.Log.InfoContext(ctx, "the model is in force", "model", m.ID)
	}
}

// Finish moves what is still missing, and drops what the model before had. It is for when no process works with that any
// more.
func (r *Reindexer) Finish(ctx context.Context) (Report, error) {
	m, move, err := r.begin(ctx)
	report := Report{From: move.From, To: m}
	switch {
	case err != nil:
		return report, err
	case !move.Switched:
		return report, memory.Errorf(memory.CodeConflict, "the model %q is not in force yet: run the move to its end first", m.ID)
	}
	if report.Moved, err = r.pass(ctx, m, position{}); err != nil {
		return report, err
	}
	report.Passes, report.Dropped = 1, true
	return report, r.parts.Vectors.Finish(ctx, m)
}

// begin finds out how many dimensions the model has, and begins the move.
func (r *Reindexer) begin(ctx context.Context) (m store.Model, move store.Move, err error) {
	err = r.patiently(ctx, func() error {
		answer, err := r.parts.Embedder.Embed(ctx, []string{"How many dimensions are there?"})
		if err != nil {
			return fmt.Errorf("ask the embedding model: %w", err)
		}
		m = store.Model{ID: r.parts.Embedder.Model(), Dimensions: len(answer.Vectors[0])}
		return nil
	})
	if err != nil {
		return m, move, err
	}
	move, err = r.parts.Vectors.Begin(ctx, m)
	return m, move, err
}

// position is where a pass is: it goes through workspaces, oldest first, and their memories, newest first. What is written
// behind it is the next pass's.
type position struct {
	Workspace string `json:"workspace"`
	Cursor    string `json:"cursor"`
}

// pass moves what is missing, from a position on, and says how many memories that were.
func (r *Reindexer) pass(ctx context.Context, m store.Model, from position) (moved int, err error) {
	workspaces, err := r.parts.Workspaces.List(ctx)
	if err != nil {
		return 0, fmt.Errorf("list workspaces: %w", err)
	}
	start := slices.IndexFunc(workspaces, func(w store.Workspace) bool { return w.ID == from.Workspace })
	if start < 0 {
		start, from = 0, position{}
	}
	for _, w := range workspaces[start:] {
		at := position{Workspace: w.ID}
		if w.ID == from.Workspace {
			at = from
		}
		n, err := r.workspace(ctx, m, at)
		moved += n
		if err != nil {
			return moved, fmt.Errorf("workspace %s: %w", w.ID, err)
		}
	}
	return moved, nil
}

func (r *Reindexer) workspace(ctx context.Context, m store.Model, at position) (moved int, err error) {
	for {
		var page []memory.Memory
		var next string
		err := r.patiently(ctx, func() (err error) {
			page, next, err = r.parts.Memories.List(ctx, store.MemoryQuery{Workspace: at.Workspace, Limit: store.PageSize, Cursor: at.Cursor})
			return err
		})
		if err != nil {
			return moved, err
		}
		n := 0
		err = r.patiently(ctx, func() (err error) {
			n, err = r.page(ctx, m, page)
			return err
		})
		if moved += n; err != nil || next == "" {
			return moved, err
		}
		at.Cursor = next
		if n > 0 {
			r.parts.Log.InfoContext(ctx, "moved a page", "workspace", at.Workspace, "memories", n)
		}
		if err := r.save(ctx, m, at); err != nil {
			return moved, err
		}
	}
}

func (r *Reindexer) save(ctx context.Context, m store.Model, at position) error {
	text, err := json.Marshal(at)
	if err != nil {
		return fmt.Errorf("encode the progress: %w", err)
	}
	return r.patiently(ctx, func() error { return r.parts.Vectors.Save(ctx, m, string(text)) })
}

// page moves what is missing of a page of memories.
func (r *Reindexer) page(ctx context.Context, m store.Model, page []memory.Memory) (int, error) {
	page = slices.DeleteFunc(slices.Clone(page), func(m memory.Memory) bool { return !belongs(m) })
	refs := make([]memory.Ref, len(page))
	for i := range page {
		refs[i] = page[i].Ref()
	}
	missing, err := r.parts.Vectors.Missing(ctx, m, refs)
	if err != nil || len(missing) == 0 {
		return 0, err
	}
	page = slices.DeleteFunc(page, func(m memory.Memory) bool { return !slices.Contains(missing, m.Ref()) })
	points, err := r.parts.Points(ctx, page)
	if err != nil {
		return 0, fmt.Errorf("embed a page of %d: %w", len(page), err)
	}
	if err := r.parts.Vectors.Move(ctx, m, points); err != nil {
		return 0, fmt.Errorf("move a page of %d: %w", len(page), err)
	}
	return len(page), r.forget(ctx, missing)
}

// belongs reports whether the vectors of a memory are to be there: it has been indexed, or may be so any moment.
func belongs(m memory.Memory) bool {
	index, _ := m.Receipt(memory.StepIndex)
	return index.Status == memory.StepCompleted || !m.Status.Final()
}

// forget takes back what was moved of memories that were deleted meanwhile.
func (r *Reindexer) forget(ctx context.Context, moved []memory.Ref) error {
	ids := make([]string, len(moved))
	for i, ref := range moved {
		ids[i] = ref.ID
	}
	there, err := r.parts.Memories.Get(ctx, moved[0].Workspace, ids...)
	if err != nil {
		return err
	}
	gone := slices.DeleteFunc(ids, func(id string) bool {
		return slices.ContainsFunc(there, func(m memory.Memory) bool { return m.ID == id })
	})
	if len(gone) == 0 {
		return nil
	}
	return r.parts.Vectors.Delete(ctx, moved[0].Workspace, gone...)
}

const maxBackoff = time.Minute

// patiently tries again what may succeed later.
func (r *Reindexer) patiently(ctx context.Context, do func() error) error {
	wait := r.cfg.Backoff
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || attempt == r.cfg.Attempts || !memory.Retryable(err) || ctx.Err() != nil {
			return err
		}
		pause := max(wait, memory.RetryAfter(err))
		r.parts.Log.WarnContext(ctx, "trying again", "in", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, maxBackoff)
	}
}
