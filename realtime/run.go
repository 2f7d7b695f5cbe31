package realtime

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// run takes one memory through the pipeline, from claim to end or hand-over.
func (e *Executor) run(ctx context.Context, ref memory.Ref) {
	log := e.parts.Log.With("memory_id", ref.ID, "version", ref.Version)
	drafts, err := e.parts.Runs.Claim(ctx, e.claim(ref))
	if err != nil {
		log.Warn("the memory could not be claimed; the durable track will take it up", "error", err)
		return
	}
	if len(drafts) == 0 {
		return // deleted, replaced by a newer version, or taken over by now
	}
	page := pipeline.NewPage(drafts)
	why := e.steps(ctx, page)
	open, err := e.parts.Pipeline.Settle(context.WithoutCancel(ctx), page, false)
	switch {
	case err != nil:
		log.Warn("the end of the memory could not be stored; the durable track will take it up", "error", err)
	case open > 0:
		e.giveUp(context.WithoutCancel(ctx), drafts, reason(why))
	}
}

func (e *Executor) claim(refs ...memory.Ref) store.Claim {
	return store.Claim{Refs: refs, Owner: e.owner, Track: memory.TrackRealtime, Until: time.Now().Add(e.cfg.Lease)}
}

// steps runs the pipeline's graph: each step begins when those that it builds on are through. It returns why something
// was left, of the first step that left it.
func (e *Executor) steps(ctx context.Context, page *pipeline.Page) error {
	limit := timeout.New[any](e.cfg.MaxRun)
	var (
		mu   sync.Mutex
		left error
	)
	_ = failsafe.With[any](limit).WithContext(ctx).RunWithExecution(func(exec failsafe.Execution[any]) error {
		var all sync.WaitGroup
		through := map[string]chan struct{}{}
		for _, step := range e.parts.Pipeline.Steps() {
			done := make(chan struct{})
			before := make([]chan struct{}, len(step.After))
			for i, name := range step.After {
				before[i] = through[name]
			}
			through[step.Name] = done
			all.Go(func() {
				defer close(done)
				for _, b := range before {
					<-b
				}
				if t := e.try(exec.Context(), step, page); t.Left > 0 {
					mu.Lock()
					defer mu.Unlock()
					if left == nil {
						left = fmt.Errorf("%s: %w", step.Name, t.Err)
					}
				}
			})
		}
		all.Wait()
		return nil
	})
	return left
}

// try makes the attempts that the step's patience allows, for as long as what is wrong may pass and the wait is short
// enough to keep the place.
func (e *Executor) try(ctx context.Context, step pipeline.Step, page *pipeline.Page) pipeline.Tally {
	again := func(t pipeline.Tally, _ error) bool {
		return t.Left > 0 && memory.Retryable(t.Err) && memory.RetryAfter(t.Err) <= e.cfg.MaxHold
	}
	retry := retrypolicy.NewBuilder[pipeline.Tally]().
		HandleIf(again).
		WithMaxAttempts(step.Attempts).
		WithDelayFunc(func(x failsafe.ExecutionAttempt[pipeline.Tally]) time.Duration {
			return scattered(step.Delay(x.Attempts(), x.LastResult().Err))
		}).
		ReturnLastFailure().
		Build()
	t, err := failsafe.With[pipeline.Tally](retry).WithContext(ctx).GetWithExecution(func(x failsafe.Execution[pipeline.Tally]) (pipeline.Tally, error) {
		return e.parts.Pipeline.Attempt(x.Context(), step, page, memory.TrackRealtime), nil
	})
	if err != nil { // stopped between two attempts
		return pipeline.Tally{Left: 1, Err: err}
	}
	return t
}

// scattered makes a wait longer by up to a tenth, so that not all who wait come at once. Never shorter: who comes before the
// time that a model asked for is refused again, and has lost an attempt.
func scattered(wait time.Duration) time.Duration {
	return wait + time.Duration(rand.Float64()*float64(wait)/10) //nolint:gosec // spreading needs no secrets
}

// reason says in words why a memory falls off the realtime track.
func reason(err error) string {
	if err == nil {
		return "realtime could not finish it"
	}
	fault := memory.FaultOf(err, "")
	return fmt.Sprintf("realtime gave it up: %s (%s)", fault.Detail, fault.Code)
}

// HandOver gives memories of this process, which it has not begun, to the durable track.
func (e *Executor) HandOver(ctx context.Context, why string, refs ...memory.Ref) {
	drafts, err := e.parts.Runs.Claim(ctx, e.claim(refs...))
	if err != nil {
		e.parts.Log.Warn("memories could not be handed over; the durable track will take them up", "memories", len(refs), "error", err)
		return
	}
	e.giveUp(ctx, drafts, why)
}

// giveUp releases what is still open of the drafts and asks for durable runs. Where that fails nothing is lost: the
// leases run out, and recovery starts the runs.
func (e *Executor) giveUp(ctx context.Context, drafts []memory.Draft, why string) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Grace)
	defer cancel()
	releases := make([]store.Release, len(drafts))
	for i, d := range drafts {
		releases[i] = store.Release{Ref: d.Memory.Ref(), Fence: d.Fence, Track: memory.TrackDurable, Reason: why}
	}
	released, err := e.parts.Runs.Release(ctx, releases)
	if err != nil {
		e.parts.Log.Warn("memories could not be released; the durable track will take them up", "memories", len(drafts), "error", err)
		return
	}
	for i, ok := range released {
		if !ok {
			continue
		}
		ref := releases[i].Ref
		if err := e.parts.Durable.StartMemory(ctx, ref); err != nil {
			e.parts.Log.Info("the durable run waits for recovery", "memory_id", ref.ID, "error", err)
		}
	}
}

// handOverQueue gives everything that waits to the durable track, a page at a time.
func (e *Executor) handOverQueue(ctx context.Context) {
	for {
		refs := e.takeQueued(store.PageSize)
		if len(refs) == 0 {
			return
		}
		e.HandOver(ctx, "the process stopped before its turn came", refs...)
	}
}

func (e *Executor) takeQueued(most int) []memory.Ref {
	var refs []memory.Ref
	for len(refs) < most {
		select {
		case ref := <-e.urgent:
			refs = append(refs, ref)
		case ref := <-e.rest:
			refs = append(refs, ref)
		default:
			return refs
		}
	}
	return refs
}
