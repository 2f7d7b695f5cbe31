package census

import (
	"context"
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Tools are what mending takes beside the stores.
type Tools struct {
	Runs    store.Runs
	Vectors Eraser
	Graph   Eraser
	// Restore writes the points and the graph of finished memories again.
	Restore func(ctx context.Context, ms []memory.Memory) error
	// Tell makes deliveries of events.
	Tell func(ctx context.Context, events []memory.Event) error
	// Events says what is to be told.
	Events Events
	// Deliver has somebody look after a delivery.
	Deliver func(ctx context.Context, d store.Delivery) error
	Starter Starter
	// Erase carries an erasure out in every store.
	Erase func(ctx context.Context, workspace string, memoryIDs ...string) error
	// Owner names who holds the memories of a run of a batch.
	Owner func(b store.BatchRef) string
}

// Eraser forgets what a store holds of memories.
type Eraser interface {
	Delete(ctx context.Context, workspace string, memoryIDs ...string) error
}

// Events says what is to be told of what ended; nil where nobody wants to know.
type Events interface {
	MemoryEvent(ctx context.Context, m memory.Memory) (*memory.Event, error)
	BatchEvent(ctx context.Context, b memory.Batch, eventType string) (*memory.Event, error)
}

// Starter starts durable runs; starting what runs changes nothing.
type Starter interface {
	StartMemory(ctx context.Context, ref memory.Ref) error
	StartBatch(ctx context.Context, b store.BatchRef) error
}

// Recounter is a store of memories that counts them in advance. One that does not has nothing to count again.
type Recounter interface {
	Recount(ctx context.Context, workspace string) error
}

// Remedy says in words what [Census.Mend] does about drift of the kind; "" where it can do nothing. [Kind.Reason] says why.
func (k Kind) Remedy() string {
	switch k {
	case PointsMissing, GraphMissing:
		return "write its points and its graph again, from its document"
	case PointsOrphaned:
		return "delete the points"
	case GraphOrphaned:
		return "delete the nodes and relationships that only it supports"
	case MemoryStuck:
		return "give it to a durable run"
	case BatchStuck:
		return "start its run"
	case CountsUntrue:
		return "count again"
	case ItemUntrue:
		return "write what became of the memory into the item; where there is none, queue the item again"
	case EventStuck, EventMissing:
		return "make a delivery of it"
	case DeliveryStuck:
		return "give it to a durable run"
	case ErasureStuck:
		return "erase it from every store once more"
	case StepsUntrue, DeliveryTwice: // see Reason
	}
	return ""
}

// Reason says why drift of a kind without a remedy is for a human to decide; "" where there is one.
func (k Kind) Reason() string {
	switch k {
	case StepsUntrue:
		return "the memory was told of as done, and running it again would pay the LLM and tell everybody again: look at it " +
			"(GET /v1/memories/{id}/explain), and send its content again (PATCH) if it is to be processed anew"
	case DeliveryTwice:
		return "what was sent cannot be taken back; both carry the same webhook-id, by which receivers know the second one"
	default:
		return ""
	}
}

// Mended is what became of one drift.
type Mended struct {
	Drift
	Done bool
	Err  error // why not; nil with Done false: there is no remedy
}

// Mend mends what [Census.Take] found, one after the other: what fails does not stop the rest. It is safe beside running
// work, and to repeat.
func (c *Census) Mend(ctx context.Context, tools Tools, drift []Drift) []Mended {
	m := mender{c.parts, tools}
	out := make([]Mended, len(drift))
	for i, d := range drift {
		out[i] = Mended{Drift: d}
		if d.Kind.Remedy() == "" {
			continue
		}
		out[i].Err = m.mend(ctx, d)
		out[i].Done = out[i].Err == nil
	}
	return out
}

type mender struct {
	parts Parts
	tools Tools
}

func (m mender) mend(ctx context.Context, d Drift) error {
	switch d.Kind {
	case PointsMissing, GraphMissing:
		return m.restore(ctx, d.Workspace, d.ID)
	case PointsOrphaned, GraphOrphaned:
		return m.erase(ctx, d)
	case MemoryStuck:
		return m.runMemory(ctx, d)
	case BatchStuck:
		return m.runBatch(ctx, d)
	case CountsUntrue:
		return m.recount(ctx, d)
	case ItemUntrue:
		return m.item(ctx, d)
	case EventStuck:
		return m.tellOwed(ctx, d)
	case EventMissing:
		return m.tellMissing(ctx, d)
	case DeliveryStuck:
		return m.deliver(ctx, d)
	case ErasureStuck:
		return m.tools.Erase(ctx, d.Workspace, d.ID)
	case StepsUntrue, DeliveryTwice: // no remedy
	}
	return memory.Errorf(memory.CodeInternal, "there is no remedy for %s", d.Kind)
}

// recount counts a batch's items, or the memories of the workspace, again.
func (m mender) recount(ctx context.Context, d Drift) error {
	if d.ID != "" {
		_, err := m.parts.BatchRuns.Recount(ctx, d.ID)
		return err
	}
	if r, ok := m.parts.Memories.(Recounter); ok {
		return r.Recount(ctx, d.Workspace)
	}
	return memory.Errorf(memory.CodeConflict, "this store counts memories when it is asked, so an index of it is broken: have the database check itself")
}

// restore writes again what a finished memory has elsewhere. Should it be deleted meanwhile, what was written goes too.
func (m mender) restore(ctx context.Context, ws, id string) error {
	found, err := m.parts.Memories.Get(ctx, ws, id)
	if err != nil || len(found) == 0 || !found[0].Status.Final() {
		return err
	}
	if err := m.tools.Restore(ctx, found); err != nil {
		return fmt.Errorf("write memory %s again: %w", id, err)
	}
	if found, err = m.parts.Memories.Get(ctx, ws, id); err != nil || len(found) > 0 {
		return err
	}
	return m.eraseBoth(ctx, ws, id)
}

func (m mender) eraseBoth(ctx context.Context, ws, id string) error {
	if err := m.tools.Vectors.Delete(ctx, ws, id); err != nil {
		return err
	}
	return m.tools.Graph.Delete(ctx, ws, id)
}

// erase deletes what is orphaned; of a memory that has another version by now, that one is written again.
func (m mender) erase(ctx context.Context, d Drift) error {
	eraser := m.tools.Vectors
	if d.Kind == GraphOrphaned {
		eraser = m.tools.Graph
	}
	if err := eraser.Delete(ctx, d.Workspace, d.ID); err != nil {
		return err
	}
	found, err := m.parts.Memories.Get(ctx, d.Workspace, d.ID)
	if err != nil || len(found) == 0 || owes(&found[0], PointsMissing)+owes(&found[0], GraphMissing) == 0 {
		return err
	}
	return m.restore(ctx, d.Workspace, d.ID)
}

// runLease is how long a run that was just started has to claim what is entrusted to it.
const runLease = time.Minute

// runMemory frees a memory from a batch that is over, if need be, and sees that a durable run takes it: the next sweep of
// any worker entrusts it.
func (m mender) runMemory(ctx context.Context, d Drift) error {
	found, err := m.parts.Memories.Get(ctx, d.Workspace, d.ID)
	if err != nil || len(found) == 0 || found[0].Status.Final() {
		return err
	}
	ref := found[0].Ref()
	if found[0].BatchID != "" {
		if err := m.release(ctx, found[0].BatchID, ref); err != nil {
			return err
		}
	}
	return m.tools.Starter.StartMemory(ctx, ref)
}

// release claims the memory in the name of the batch's latest runs, and lets it go.
func (m mender) release(ctx context.Context, batchID string, ref memory.Ref) error {
	b, err := m.parts.BatchRuns.Current(ctx, ref.Workspace, batchID)
	if err != nil {
		return err
	}
	for ; b.Run > 0; b.Run-- {
		drafts, err := m.tools.Runs.Claim(ctx, store.Claim{Refs: []memory.Ref{ref}, Owner: m.tools.Owner(b), Track: memory.TrackDurable, Until: time.Now().Add(runLease)})
		if err != nil {
			return err
		}
		if len(drafts) > 0 {
			_, err = m.tools.Runs.Release(ctx, []store.Release{{Ref: ref, Fence: drafts[0].Fence, Track: memory.TrackDurable, Reason: "the batch ended without it"}})
			return err
		}
	}
	return memory.Errorf(memory.CodeConflict, "the memory is in other hands")
}

func (m mender) runBatch(ctx context.Context, d Drift) error {
	b, err := m.parts.BatchRuns.Current(ctx, d.Workspace, d.ID)
	if err != nil {
		return err
	}
	if err := m.tools.Starter.StartBatch(ctx, b); err != nil {
		return err
	}
	return m.parts.BatchRuns.Entrust(ctx, d.ID, time.Now().Add(runLease))
}

// item writes what became of an item's memory, or queues what never became one again. An item that is over stays as it is.
func (m mender) item(ctx context.Context, d Drift) error {
	number := d.Version / store.PageSize
	page, err := m.parts.BatchRuns.Page(ctx, d.ID, number)
	if err != nil {
		return err
	}
	for _, e := range page.Entries {
		if e.Item.Index != d.Version || e.Item.Status.Final() {
			continue
		}
		found, err := m.parts.Memories.Get(ctx, d.Workspace, e.Item.MemoryID)
		if err != nil {
			return err
		}
		if len(found) == 1 && found[0].Version == e.Item.Version && found[0].Status.Final() {
			e.Item.Status, e.Item.Error = found[0].Status, found[0].Error
			return m.parts.BatchRuns.SetItems(ctx, d.ID, number, []memory.Item{e.Item})
		}
		return m.reopen(ctx, d)
	}
	return memory.Errorf(memory.CodeConflict, "an item that is over is not changed: its memory is what counts")
}

func (m mender) reopen(ctx context.Context, d Drift) error {
	ref, _, err := m.parts.BatchRuns.Reopen(ctx, d.Workspace, d.ID)
	if memory.CodeOf(err) == memory.CodeConflict { // it is open again: the run sees to the item
		return nil
	}
	if err != nil {
		return err
	}
	return m.tools.Starter.StartBatch(ctx, ref)
}

func (m mender) tellOwed(ctx context.Context, d Drift) error {
	events, err := m.parts.Outbox.Owed(ctx, limit)
	if err != nil {
		return err
	}
	for _, e := range events {
		if e.ID != d.ID {
			continue
		}
		if err := m.tools.Tell(ctx, []memory.Event{e}); err != nil {
			return err
		}
		return m.parts.Outbox.Settle(ctx, []memory.Event{e})
	}
	return nil // a relay was faster
}

func (m mender) tellMissing(ctx context.Context, d Drift) error {
	event, err := m.event(ctx, d)
	if err != nil || event == nil {
		return err
	}
	return m.tools.Tell(ctx, []memory.Event{*event})
}

func (m mender) event(ctx context.Context, d Drift) (*memory.Event, error) {
	found, err := m.parts.Memories.Get(ctx, d.Workspace, d.ID)
	if err != nil {
		return nil, err
	}
	if len(found) == 1 {
		return m.tools.Events.MemoryEvent(ctx, found[0])
	}
	b, err := m.parts.Batches.Get(ctx, d.Workspace, d.ID)
	if err != nil {
		return nil, err
	}
	return m.tools.Events.BatchEvent(ctx, b, "batch."+string(b.Status))
}

func (m mender) deliver(ctx context.Context, d Drift) error {
	found, err := m.parts.Deliveries.Get(ctx, d.Workspace, d.ID)
	if err != nil || found.Status != store.DeliveryPending {
		return err
	}
	return m.tools.Deliver(ctx, found)
}
