//go:build failpoints

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// The planted bugs: each breaks one promise in the way in which it is most likely to be broken by accident.
const (
	AnswerBeforeWrite  = "answer-before-write"  // a memory is acknowledged, and stored a moment later
	NoCheckpoint       = "no-checkpoint"        // what a step achieved is kept in the process until the run ends
	RandomIDs          = "random-ids"           // every attempt writes points of its own
	NoFence            = "no-fence"             // a write is taken under any fence
	NoRenewal          = "no-renewal"           // the lease of what is in flight is never renewed
	LateEvent          = "late-event"           // the event is owed in a second write, after the one that made it true
	CountedRateLimit   = "counted-rate-limit"   // the breaker takes a 429 for a failure
	DeleteWithoutFence = "delete-without-fence" // a run does not notice that its memory was deleted
	ForgetfulRequests  = "forgetful-requests"   // an Idempotency-Key is forgotten at once
	UntrueCounts       = "untrue-counts"        // the last item of a page that is over is not counted
	EraseWithoutNote   = "erase-without-note"   // nobody knows of an erasure but who carries it out
)

var bugs = func() map[string]bool { //nolint:gochecknoglobals // a constant
	all := map[string]bool{}
	for _, name := range Bugs() {
		all[name] = true
	}
	return all
}()

// Bugs names the bugs that can be planted.
func Bugs() []string {
	return []string{
		AnswerBeforeWrite, NoCheckpoint, RandomIDs, NoFence, NoRenewal, LateEvent, CountedRateLimit, DeleteWithoutFence,
		ForgetfulRequests, UntrueCounts, EraseWithoutNote,
	}
}

// AroundMemories puts faults, the planted bug and the witness around a port; so do the others.
func (m *Machine) AroundMemories(p store.Memories) store.Memories {
	faulty := m.Memories(p)
	if m.has(AnswerBeforeWrite) {
		faulty = hastyMemories{faulty}
	}
	return witnessMemories{faulty, m}
}

// AroundRuns needs what only a store that was built for this tag can do.
func (m *Machine) AroundRuns(p store.Runs, memories store.Memories) store.Runs {
	faulty := m.Runs(p)
	raw, _ := p.(leaky)
	switch {
	case m.has(NoCheckpoint):
		faulty = &forgetfulRuns{Runs: faulty, held: map[memory.Ref][]store.Checkpoint{}}
	case m.has(NoFence):
		faulty = unfencedRuns{faulty, raw}
	case m.has(LateEvent):
		faulty = lateRuns{faulty, raw}
	case m.has(DeleteWithoutFence):
		faulty = deafRuns{faulty, memories}
	}
	return witnessRuns{faulty, m}
}

// AroundLeases is the same for leases.
func (m *Machine) AroundLeases(p store.Leases) store.Leases {
	faulty := m.Leases(p)
	if m.has(NoRenewal) {
		faulty = deadLeases{faulty}
	}
	return witnessLeases{faulty, m}
}

// AroundVectors is the same for vectors.
func (m *Machine) AroundVectors(p store.Vectors) store.Vectors {
	if m.has(RandomIDs) {
		return randomVectors{m.Vectors(p)}
	}
	return m.Vectors(p)
}

// AroundRequests is the same for requests.
func (m *Machine) AroundRequests(p store.Requests) store.Requests {
	if m.has(ForgetfulRequests) {
		return forgetfulRequests{m.Requests(p)}
	}
	return m.Requests(p)
}

// AroundBatchRuns is the same for the runs of batches.
func (m *Machine) AroundBatchRuns(p store.BatchRuns) store.BatchRuns {
	if m.has(UntrueCounts) {
		return untrueBatchRuns{m.BatchRuns(p)}
	}
	return m.BatchRuns(p)
}

// AroundErasures is the same for erasures.
func (m *Machine) AroundErasures(p store.Erasures) store.Erasures {
	if m.has(EraseWithoutNote) {
		return silentErasures{m.Erasures(p)}
	}
	return m.Erasures(p)
}

func (m *Machine) buggyExtractor(e llm.Extractor) llm.Extractor {
	if m.has(CountedRateLimit) {
		return limitedExtractor{e}
	}
	return e
}

// leaky is a store that lets bugs happen that its port forbids.
type leaky interface {
	// FenceOf returns the fence in force; 0 where there is no such memory.
	FenceOf(ctx context.Context, ref memory.Ref) (int64, error)
	// Owe owes an event by itself.
	Owe(ctx context.Context, workspace, subject string, e *memory.Event) error
}

// moment is how much too late something is done.
const moment = 300 * time.Millisecond

type hastyMemories struct{ store.Memories }

func (h hastyMemories) Put(ctx context.Context, in []store.Intake) ([]store.Put, error) {
	if len(in) != 1 || in[0].IfVersion != 0 || in[0].Memory.ExternalID != "" {
		return h.Memories.Put(ctx, in)
	}
	later := context.WithoutCancel(ctx)
	time.AfterFunc(moment, func() { _, _ = h.Memories.Put(later, in) })
	made := in[0].Memory
	made.Version, made.Status = 1, memory.StatusQueued
	return []store.Put{{Kind: store.Created, Memory: made}}, nil
}

type forgetfulRuns struct {
	store.Runs
	mu   sync.Mutex
	held map[memory.Ref][]store.Checkpoint
}

func (f *forgetfulRuns) Checkpoint(ctx context.Context, cs []store.Checkpoint) ([]bool, error) {
	c := cs[0]
	if c.Receipt.Track != memory.TrackRealtime || c.Receipt.Status != memory.StepCompleted {
		return f.Runs.Checkpoint(ctx, cs)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[c.Ref] = append(f.held[c.Ref], c)
	return []bool{true}, nil
}

func (f *forgetfulRuns) Finish(ctx context.Context, fs []store.Finish) ([]bool, error) {
	f.mu.Lock()
	var all []store.Checkpoint
	for _, end := range fs {
		all = append(all, f.held[end.Ref]...)
		delete(f.held, end.Ref)
	}
	f.mu.Unlock()
	for _, c := range all {
		if _, err := f.Runs.Checkpoint(ctx, []store.Checkpoint{c}); err != nil {
			return nil, err
		}
	}
	return f.Runs.Finish(ctx, fs)
}

type unfencedRuns struct {
	store.Runs
	raw leaky
}

// now is the fence in force, whatever the writer knows.
func (u unfencedRuns) now(ctx context.Context, ref memory.Ref, fence int64) int64 {
	if f, err := u.raw.FenceOf(ctx, ref); err == nil && f != 0 {
		return f
	}
	return fence
}

func (u unfencedRuns) Checkpoint(ctx context.Context, cs []store.Checkpoint) ([]bool, error) {
	cs = slices.Clone(cs)
	for i := range cs {
		cs[i].Fence = u.now(ctx, cs[i].Ref, cs[i].Fence)
	}
	return u.Runs.Checkpoint(ctx, cs)
}

func (u unfencedRuns) Finish(ctx context.Context, fs []store.Finish) ([]bool, error) {
	fs = slices.Clone(fs)
	for i := range fs {
		fs[i].Fence = u.now(ctx, fs[i].Ref, fs[i].Fence)
	}
	return u.Runs.Finish(ctx, fs)
}

type lateRuns struct {
	store.Runs
	raw leaky
}

func (l lateRuns) Finish(ctx context.Context, fs []store.Finish) ([]bool, error) {
	bare := slices.Clone(fs)
	for i := range bare {
		bare[i].Event = nil
	}
	oks, err := l.Runs.Finish(ctx, bare)
	if err != nil {
		return oks, err
	}
	for i, f := range fs {
		if oks[i] && f.Event != nil {
			err = errors.Join(err, l.raw.Owe(ctx, f.Ref.Workspace, f.Ref.ID, f.Event))
		}
	}
	return oks, err
}

type deafRuns struct {
	store.Runs
	memories store.Memories
}

// gone reports whether the memory was deleted.
func (d deafRuns) gone(ctx context.Context, ref memory.Ref) bool {
	found, err := d.memories.Get(ctx, ref.Workspace, ref.ID)
	return err == nil && len(found) == 0
}

func (d deafRuns) Checkpoint(ctx context.Context, cs []store.Checkpoint) ([]bool, error) {
	oks, err := d.Runs.Checkpoint(ctx, cs)
	for i, ok := range oks {
		oks[i] = ok || d.gone(ctx, cs[i].Ref)
	}
	return oks, err
}

type deadLeases struct{ store.Leases }

func (deadLeases) Renew(context.Context, string, time.Time) (int, error) { return 0, nil }

type randomVectors struct{ store.Vectors }

func (r randomVectors) Upsert(ctx context.Context, model store.Model, points []store.Point) error {
	points = slices.Clone(points)
	for i := range points {
		points[i].MemoryID += fmt.Sprintf("-%d", rand.Int()) //nolint:gosec // no secret
	}
	return r.Vectors.Upsert(ctx, model, points)
}

type forgetfulRequests struct{ store.Requests }

func (f forgetfulRequests) Begin(ctx context.Context, r store.Request, now time.Time) (store.Request, bool, error) {
	if _, _, err := f.Requests.Begin(ctx, r, now); err != nil {
		return r, false, err
	}
	return r, true, nil
}

type untrueBatchRuns struct{ store.BatchRuns }

func (u untrueBatchRuns) SetItems(ctx context.Context, batchID string, number int, items []memory.Item) error {
	if n := len(items); n > 0 && items[n-1].Status.Final() {
		items = items[:n-1]
	}
	return u.BatchRuns.SetItems(ctx, batchID, number, items)
}

type silentErasures struct{ store.Erasures }

func (silentErasures) Note(context.Context, string, time.Time, ...string) error { return nil }

type limitedExtractor struct{ llm.Extractor }

// failing makes a 429 what a server that fails answers.
func failing(err error) error {
	if memory.CodeOf(err) == memory.CodeRateLimited {
		return &memory.Error{Code: memory.CodeUnavailable, Err: err, Message: "the model failed", RetryAfter: memory.RetryAfter(err)}
	}
	return err
}

func (l limitedExtractor) UseCases(ctx context.Context, q llm.Question) (llm.UseCases, error) {
	a, err := l.Extractor.UseCases(ctx, q)
	return a, failing(err)
}

func (l limitedExtractor) Graph(ctx context.Context, q llm.Question) (llm.Graph, error) {
	g, err := l.Extractor.Graph(ctx, q)
	return g, failing(err)
}
