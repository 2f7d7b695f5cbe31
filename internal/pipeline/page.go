package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Page is up to [store.PageSize] drafts on their way through the pipeline together. It is safe for concurrent use:
// steps that do not build on each other run side by side.
type Page struct {
	mu     sync.Mutex
	drafts []memory.Draft
	stale  []bool // somebody else's now: a newer version, another owner, a deletion

}

// NewPage makes a page of drafts as [store.Runs] gave them.
func NewPage(drafts []memory.Draft) *Page {
	return &Page{drafts: drafts, stale: make([]bool, len(drafts))}
}

// Memories returns the memories of the page as they are now, without those that are somebody else's.
func (p *Page) Memories() []memory.Memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []memory.Memory
	for i, d := range p.drafts {
		if !p.stale[i] {
			out = append(out, copyOf(d).Memory)
		}
	}
	return out
}

func copyOf(d memory.Draft) memory.Draft {
	d.Memory.Steps = slices.Clone(d.Memory.Steps)
	return d
}

// Tally is what one attempt at a step did for a page.
type Tally struct {
	Done int   // drafts that have the step behind them, for better or worse
	Left int   // drafts that may be tried again
	Err  error // why, of the one that asked for the longest wait; nil where none is left
}

// Attempt makes one attempt at a step for every draft of the page that is ready for it and does not have it behind
// itself. Each draft succeeds or fails alone; a panic is a failed attempt of the drafts it was for. What was achieved
// is checkpointed before it counts.
func (p *Pipeline) Attempt(ctx context.Context, step Step, page *Page, track memory.Track) Tally {
	ready := page.ready(step.Spec)
	if step.Fanout == 0 {
		return p.call(ctx, step, page, ready, track)
	}
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		sum   Tally
		slots = make(chan struct{}, step.Fanout)
	)
	for _, i := range ready {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			t := p.call(ctx, step, page, []int{i}, track)
			mu.Lock()
			defer mu.Unlock()
			sum = sum.plus(t)
		})
	}
	wg.Wait()
	return sum
}

func (t Tally) plus(u Tally) Tally {
	if t.Err == nil || memory.RetryAfter(u.Err) > memory.RetryAfter(t.Err) {
		t.Err = u.Err
	}
	t.Done += u.Done
	t.Left += u.Left
	return t
}

// ready returns the places of the drafts that the step can be tried for.
func (p *Page) ready(s Spec) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []int
	for i := range p.drafts {
		if !p.stale[i] && ready(&p.drafts[i].Memory, s) {
			out = append(out, i)
		}
	}
	return out
}

func ready(m *memory.Memory, s Spec) bool {
	if r, _ := m.Receipt(s.Name); r.Status.Final() {
		return false
	}
	return !slices.ContainsFunc(s.After, func(name string) bool {
		r, _ := m.Receipt(name)
		return r.Status != memory.StepCompleted
	})
}

// call runs the step once for the drafts at these places, and records what it did.
func (p *Pipeline) call(ctx context.Context, step Step, page *Page, places []int, track memory.Track) Tally {
	if len(places) == 0 {
		return Tally{}
	}
	if ctx.Err() != nil {
		return Tally{Left: len(places), Err: ctx.Err()}
	}
	drafts := page.at(places)
	start := time.Now()
	attempt, cancel := context.WithTimeout(ctx, step.Timeout)
	results := protect(attempt, step, drafts)
	cancel()
	if ctx.Err() != nil && !slices.ContainsFunc(results, func(r Result) bool { return r.Err == nil }) {
		return Tally{Left: len(places), Err: ctx.Err()} // stopped from outside: that was no attempt
	}
	if saidAlready(step.Name, drafts, results) {
		return Tally{Left: len(places), Err: results[0].Err}
	}
	checkpoints := make([]store.Checkpoint, len(places))
	for i, d := range drafts {
		checkpoints[i] = checkpoint(step.Spec, d, results[i], start, track)
	}
	return p.record(ctx, page, places, checkpoints, results)
}

// saidAlready reports whether no call was made for any of the drafts, and all their receipts say why: while a model has too
// many requests, nothing is written again and again.
func saidAlready(step string, drafts []memory.Draft, results []Result) bool {
	for i := range drafts {
		r, _ := drafts[i].Memory.Receipt(step)
		if !errors.Is(results[i].Err, llm.ErrHeld) || r.Error == nil || r.Error.Code != memory.CodeRateLimited {
			return false
		}
	}
	return true
}

func (p *Page) at(places []int) []memory.Draft {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]memory.Draft, len(places))
	for i, place := range places {
		out[i] = copyOf(p.drafts[place])
	}
	return out
}

// protect runs the step; a panic is an error of the drafts it was called for.
func protect(ctx context.Context, step Step, page []memory.Draft) (out []Result) {
	defer func() {
		if v := recover(); v != nil {
			out = fail(page, memory.Wrap(memory.CodePanic, fmt.Errorf("%v\n%s", v, debug.Stack()), step.Name+" panicked on this memory"))
		}
	}()
	return step.run(ctx, page)
}

// checkpoint says what the attempt did for the draft.
func checkpoint(s Spec, d memory.Draft, res Result, start time.Time, track memory.Track) store.Checkpoint {
	r, _ := d.Memory.Receipt(s.Name)
	r.Name, r.Status, r.Track, r.Error = s.Name, memory.StepCompleted, track, nil
	if !errors.Is(res.Err, llm.ErrHeld) { // that was none
		r.Attempts++
	}
	r.StartedAt, r.DurationMS = memory.At(start).Ptr(), time.Since(start).Milliseconds()
	r.Tokens += res.Usage.Tokens
	r.CostUSD += res.Usage.CostUSD
	setIf(&r.Model, res.Usage.Model)
	setIf(&r.Notice, res.Usage.Notice)
	c := store.Checkpoint{Ref: d.Memory.Ref(), Fence: d.Fence, Output: &res.Output}
	if res.Err != nil {
		r.Status, r.Error, c.Output = memory.StepFailed, memory.FaultOf(res.Err, s.Name), nil
		if memory.Retryable(res.Err) {
			r.Status = memory.StepPending
		}
	}
	c.Receipt = r
	return c
}

func setIf(s *string, v string) {
	if v != "" {
		*s = v
	}
}

// record stores the checkpoints and brings the page up to date with what was stored.
func (p *Pipeline) record(ctx context.Context, page *Page, places []int, cs []store.Checkpoint, results []Result) Tally {
	kept, err := save(ctx, func(ctx context.Context) ([]bool, error) { return p.parts.Runs.Checkpoint(ctx, cs) })
	if err != nil {
		return Tally{Left: len(places), Err: fmt.Errorf("checkpoint %s: %w", cs[0].Receipt.Name, err)}
	}
	var t Tally
	for i, place := range places {
		switch m, ok := page.apply(place, cs[i], kept[i]); {
		case !ok:
			p.undo(ctx, cs[i].Ref)
		case cs[i].Receipt.Status == memory.StepPending:
			t = t.plus(Tally{Left: 1, Err: results[i].Err})
			p.watch(m)
		default:
			t.Done++
			p.watch(m)
		}
	}
	return t
}

func (p *Page) apply(place int, c store.Checkpoint, kept bool) (memory.Memory, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !kept {
		p.stale[place] = true
		return memory.Memory{}, false
	}
	d := &p.drafts[place]
	d.Memory.Record(c.Receipt)
	if c.Output != nil {
		d.Apply(*c.Output)
	}
	return copyOf(*d).Memory, true
}

func (p *Pipeline) watch(m memory.Memory) {
	if p.parts.Watcher != nil {
		p.parts.Watcher.Progress(m)
	}
}

// undo takes back what a run may have written for a memory that was deleted under it. Of a memory that merely has a
// newer version nothing needs to be taken back: the stores drop older versions by themselves.
func (p *Pipeline) undo(ctx context.Context, ref memory.Ref) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.cfg.StoreTimeout)
	defer cancel()
	there, err := p.parts.Memories.Get(ctx, ref.Workspace, ref.ID)
	if err != nil || len(there) > 0 {
		return
	}
	_ = p.parts.Vectors.Delete(ctx, ref.Workspace, ref.ID)
	_ = p.parts.Graph.Delete(ctx, ref.Workspace, ref.ID)
}

const (
	saveTries = 5
	saveTime  = 10 * time.Second
)

// save writes what must not be lost for a moment of trouble or because the caller is in a hurry to stop: an LLM call
// was paid for it.
func save(ctx context.Context, write func(context.Context) ([]bool, error)) (kept []bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	wait := 50 * time.Millisecond
	for range saveTries {
		if kept, err = write(ctx); err == nil || !memory.Retryable(err) {
			return kept, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(wait):
			wait *= 3
		}
	}
	return nil, err
}
