package intake

import (
	"context"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/routing"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Memory takes one memory in under the given id ("": a new one) and hands it to its track. The same external id changes
// what is stored as [store.PutKind] says. The memory is stored even if ctx ends meanwhile.
//
// The same id again is a request that was carried out and not answered: the memory is Unchanged, whatever became of it
// since. Taken in once more it would run again where it had ended without success, and its receivers be told twice.
func (in *Intake) Memory(ctx context.Context, workspace string, input memory.Input, resourceID string) (store.Put, error) {
	if err := in.check(ctx, &input); err != nil {
		return store.Put{}, err
	}
	if resourceID != "" {
		made, err := in.parts.Memories.Get(ctx, workspace, resourceID)
		if err != nil {
			return store.Put{}, err
		}
		if len(made) > 0 {
			return store.Put{Kind: store.Unchanged, Memory: made[0]}, nil
		}
	}
	return in.take(ctx, newMemory(workspace, input, resourceID), input.Track, 0)
}

// Change is what to change of a memory; nil leaves it as it is.
type Change struct {
	Content    *string
	Metadata   *memory.Metadata // all of it: what is not in here is gone
	OccurredAt *memory.Time
	Track      memory.Track // the wish for the run that follows
}

// Change stores the memory m, as it was read, with the changes as its next version, and runs that. CodeConflict where
// it has been changed or deleted meanwhile.
func (in *Intake) Change(ctx context.Context, m memory.Memory, c Change) (store.Put, error) {
	input := inputOf(m)
	if c.Content != nil {
		input.Content = *c.Content
	}
	if c.Metadata != nil {
		input.Metadata = *c.Metadata
	}
	if c.OccurredAt != nil {
		input.OccurredAt = c.OccurredAt
	}
	input.Track = c.Track
	if err := in.check(ctx, &input); err != nil {
		return store.Put{}, err
	}
	return in.again(ctx, m, input)
}

// Retry runs a memory that ended failed, degraded or cancelled again from its first unfinished step. CodeConflict
// where it did not end so.
func (in *Intake) Retry(ctx context.Context, m memory.Memory) (store.Put, error) {
	if !m.Status.Final() || m.Status == memory.StatusCompleted {
		return store.Put{}, memory.Errorf(memory.CodeConflict, "the memory is %s: there is nothing to retry", m.Status)
	}
	return in.again(ctx, m, inputOf(m))
}

func (in *Intake) again(ctx context.Context, m memory.Memory, input memory.Input) (store.Put, error) {
	next := newMemory(m.Workspace, input, m.ID)
	next.BatchID = "" // the run that follows is not the batch's
	put, err := in.take(ctx, next, input.Track, m.Version)
	switch {
	case err != nil:
		return store.Put{}, err
	case put.Kind == store.Stale:
		return store.Put{}, memory.Errorf(memory.CodeConflict, "the memory was changed or deleted meanwhile; read it again")
	}
	return put, nil
}

// check returns every rule that the input breaks, the reachability of its webhook URL included.
func (in *Intake) check(ctx context.Context, input *memory.Input) error {
	if err := input.Validate(); err != nil {
		return err
	}
	return in.checkURL(ctx, input.WebhookURL)
}

func (in *Intake) checkURL(ctx context.Context, url string) error {
	if url == "" {
		return nil
	}
	return in.parts.Guard.CheckURL(ctx, "/webhook_url", url)
}

func newMemory(workspace string, input memory.Input, resourceID string) memory.Memory {
	if resourceID == "" {
		resourceID = id.New(id.Memory)
	}
	now := memory.Now()
	return memory.Memory{
		ID: resourceID, Workspace: workspace, ExternalID: input.ExternalID, Status: memory.StatusQueued,
		Priority: input.Priority, WebhookURL: input.WebhookURL, Content: input.Content, Metadata: input.Metadata,
		OccurredAt: input.OccurredAt, CreatedAt: now, UpdatedAt: now,
	}
}

func inputOf(m memory.Memory) memory.Input {
	return memory.Input{
		Content: m.Content, ExternalID: m.ExternalID, Metadata: m.Metadata, OccurredAt: m.OccurredAt,
		Priority: m.Priority, WebhookURL: m.WebhookURL,
	}
}

// take stores the memory and hands it to its track. From here on the caller's patience does not matter: a memory that
// was stored under a lease of this process has to reach its track.
func (in *Intake) take(ctx context.Context, m memory.Memory, wish memory.Track, ifVersion int) (store.Put, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), in.cfg.WriteTimeout)
	defer cancel()
	d := routing.Decide(routing.Request{Track: wish, Bytes: len(m.Content)}, in.Load(), in.cfg.Policy)
	m.Track, m.Reason = d.Track, d.Reason
	puts, err := in.parts.Memories.Put(ctx, []store.Intake{{Memory: m, Lease: in.lease(d.Track), IfVersion: ifVersion}})
	if err != nil {
		return store.Put{}, err
	}
	put := puts[0]
	switch put.Kind {
	case store.Erased: // the id is that of a request whose memory was erased before it was answered
		return store.Put{}, memory.Errorf(memory.CodeConflict, "the memory that this request made was erased meanwhile")
	case store.Unchanged, store.Stale:
	case store.Created, store.Updated, store.Resumed:
		in.handOver(ctx, &put)
	}
	return put, nil
}

// lease is the one to store a memory of the track under: that of a durable one has expired, since its run is yet to be
// started by whoever gets to it first.
func (in *Intake) lease(t memory.Track) store.Lease {
	if t == memory.TrackRealtime {
		return in.parts.Realtime.Lease()
	}
	return store.Lease{}
}

func (in *Intake) handOver(ctx context.Context, put *store.Put) {
	ref := put.Memory.Ref()
	if put.Memory.Track == memory.TrackRealtime {
		if in.parts.Realtime.Submit(ref, urgency(put.Memory.Priority)) {
			return
		}
		in.release(ctx, put)
	}
	in.startMemory(ref)
}

// release gives a memory up that the realtime track did not take after all. If that fails, its lease runs out and
// recovery takes it.
func (in *Intake) release(ctx context.Context, put *store.Put) {
	const reason = "realtime had no room when the memory got there"
	ok, err := in.parts.Runs.Release(ctx, []store.Release{{
		Ref: put.Memory.Ref(), Fence: put.Fence, Track: memory.TrackDurable, Reason: reason,
	}})
	switch {
	case err != nil:
		in.log.WarnContext(ctx, "a memory that realtime did not take was not released; recovery will take it", "memory", put.Memory.ID, "error", err)
	case ok[0]:
		put.Memory.Track, put.Memory.Reason = memory.TrackDurable, reason
	}
}

func urgency(p memory.Priority) memory.Priority {
	if p == "" {
		return memory.PriorityInteractive
	}
	return p
}
