package batch

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// refs names the memories of the page that are not over as far as the page knows.
func (a *Activities) refs(ctx context.Context, page PageRef) ([]memory.Ref, error) {
	if page.BatchID == "" {
		return []memory.Ref{page.ref()}, nil
	}
	p, err := a.parts.BatchRuns.Page(ctx, page.BatchID, page.Page)
	if err != nil {
		return nil, err
	}
	var refs []memory.Ref
	for _, item := range openItems(p) {
		refs = append(refs, memory.Ref{Workspace: page.Workspace, ID: item.MemoryID, Version: item.Version})
	}
	return refs, nil
}

// openItems are those that became memories and are not over.
func openItems(p store.Page) []memory.Item {
	var open []memory.Item
	for _, e := range p.Entries {
		if e.Item.MemoryID != "" && !e.Item.Status.Final() {
			open = append(open, e.Item)
		}
	}
	return open
}

// admit makes memories of the page's items. What was admitted stays so: ids come from batch and index, content that is
// known already changes nothing, and what was said or erased since the upload is left alone. So it may be done again by
// who does not know whether it was done.
func (a *Activities) admit(ctx context.Context, page PageRef) error {
	p, err := a.parts.BatchRuns.Page(ctx, page.BatchID, page.Page)
	if err != nil {
		return err
	}
	var (
		intakes []store.Intake
		items   []memory.Item
	)
	for _, e := range p.Entries {
		if e.Input != nil && e.Item.MemoryID == "" && !e.Item.Status.Final() {
			intakes = append(intakes, intake(page, e))
			items = append(items, e.Item)
		}
	}
	again, err := a.requeued(ctx, page, p)
	if err != nil {
		return err
	}
	for _, r := range again {
		intakes, items = append(intakes, r.intake), append(items, r.item)
	}
	if len(items) == 0 {
		return nil
	}
	puts, err := a.parts.Memories.Put(ctx, intakes)
	if err != nil {
		return fmt.Errorf("admit a page of %d: %w", len(intakes), err)
	}
	for i, put := range puts {
		items[i] = admitted(items[i], put)
	}
	return a.parts.BatchRuns.SetItems(ctx, page.BatchID, page.Page, items)
}

// retried is an item that a retry of the batch queued again, and the intake that resumes its memory.
type retried struct {
	item   memory.Item
	intake store.Intake
}

// requeued finds the items that were queued again and whose memories have ended without success: these are resumed, from
// their first unfinished step. A memory that is completed, in other hands or gone by now is left alone; its item follows it.
func (a *Activities) requeued(ctx context.Context, page PageRef, p store.Page) ([]retried, error) {
	byID := map[string]memory.Item{}
	var ids []string
	for _, e := range p.Entries {
		if e.Item.MemoryID != "" && e.Item.Status == memory.StatusQueued {
			byID[e.Item.MemoryID] = e.Item
			ids = append(ids, e.Item.MemoryID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := a.parts.Memories.Get(ctx, page.Workspace, ids...)
	var out []retried
	for _, m := range found {
		item := byID[m.ID]
		if m.Version != item.Version || !m.Status.Final() || m.Status == memory.StatusCompleted {
			continue
		}
		m.Track, m.Reason, m.BatchID = memory.TrackDurable, "batch", page.BatchID
		out = append(out, retried{item, store.Intake{Memory: m, IfVersion: m.Version, Lease: store.Lease{Owner: page.Owner, Until: store.Forever}}})
	}
	return out, err
}

// admitted is the item in the light of what became of its intake.
func admitted(item memory.Item, put store.Put) memory.Item {
	item.MemoryID, item.Version, item.Status = put.Memory.ID, put.Memory.Version, memory.StatusProcessing
	switch put.Kind {
	case store.Stale:
		if put.Memory.ID == "" {
			return deleted(item)
		}
		item.Status = memory.StatusCancelled
		item.Error = &memory.Fault{Code: memory.CodeSuperseded, Detail: fmt.Sprintf("version %d of the memory says something newer than the batch", put.Memory.Version)}
	case store.Erased:
		return deleted(item)
	case store.Created, store.Updated, store.Resumed, store.Unchanged:
	}
	return item
}

func deleted(item memory.Item) memory.Item {
	item.Status = memory.StatusCancelled
	item.Error = &memory.Fault{Code: memory.CodeSuperseded, Detail: "the memory was deleted before it was finished"}
	return item
}

func intake(page PageRef, e store.Entry) store.Intake {
	made, ok := id.Time(page.BatchID)
	if !ok {
		made = time.UnixMilli(0)
	}
	now, in := memory.Now(), e.Input
	return store.Intake{
		Lease: store.Lease{Owner: page.Owner, Until: store.Forever}, AskedAt: made,
		Memory: memory.Memory{
			ID: id.From(id.Memory, made, page.BatchID, fmt.Sprint(e.Item.Index)), Workspace: page.Workspace, BatchID: page.BatchID,
			ExternalID: in.ExternalID, Content: in.Content, Metadata: in.Metadata, OccurredAt: in.OccurredAt, WebhookURL: in.WebhookURL,
			Status: memory.StatusQueued, Track: memory.TrackDurable, Reason: "batch", Priority: in.Priority, CreatedAt: now, UpdatedAt: now,
		},
	}
}

// follow writes what became of the page's memories into its items, and returns how many are still open. A memory may be
// in other hands: then its end is theirs to bring about, and the item follows it.
func (a *Activities) follow(ctx context.Context, page PageRef) (int, error) {
	p, err := a.parts.BatchRuns.Page(ctx, page.BatchID, page.Page)
	if err != nil {
		return 0, err
	}
	items := openItems(p)
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = item.MemoryID
	}
	found, err := a.parts.Memories.Get(ctx, page.Workspace, ids...)
	if err != nil {
		return 0, err
	}
	byID := map[string]memory.Memory{}
	for _, m := range found {
		byID[m.ID] = m
	}
	var over []memory.Item
	for _, item := range items {
		if item = outcome(item, byID[item.MemoryID], page.BatchID); item.Status.Final() {
			over = append(over, item)
		}
	}
	if len(over) == 0 {
		return len(items), nil
	}
	return len(items) - len(over), a.parts.BatchRuns.SetItems(ctx, page.BatchID, page.Page, over)
}

// outcome is the item in the light of its memory as it is now.
func outcome(item memory.Item, m memory.Memory, batchID string) memory.Item {
	switch {
	case m.ID == "":
		return deleted(item)
	case m.Version > item.Version:
		item.Status = memory.StatusCancelled
		item.Error = &memory.Fault{Code: memory.CodeSuperseded, Detail: fmt.Sprintf("version %d of the memory took its place before it was finished", m.Version)}
	case m.Status.Final():
		item.Status, item.Error = m.Status, m.Error
		if m.BatchID == batchID { // else another run paid for it
			item.Tokens, item.CostUSD = spent(m)
		}
	}
	return item
}

func spent(m memory.Memory) (tokens int, cost float64) {
	for _, r := range m.Steps {
		tokens += r.Tokens
		cost += r.CostUSD
	}
	return tokens, cost
}

// cancelPages ends the memories that the batch holds, page by page, so that nobody takes them up.
func (a *Activities) cancelPages(ctx context.Context, b store.BatchRef) error {
	owner := activity.GetInfo(ctx).WorkflowExecution.ID
	for n := range b.Pages {
		page := PageRef{Workspace: b.Workspace, Owner: owner, BatchID: b.ID, Page: n}
		refs, err := a.refs(ctx, page)
		if err != nil {
			return err
		}
		if len(refs) == 0 {
			continue
		}
		if err := a.cancel(ctx, page, refs); err != nil {
			return fmt.Errorf("cancel page %d: %w", n, err)
		}
	}
	return nil
}

func (a *Activities) cancel(ctx context.Context, page PageRef, refs []memory.Ref) error {
	drafts, err := a.parts.Runs.Drafts(ctx, page.Owner, refs)
	if err != nil {
		return err
	}
	ends := make([]store.Finish, len(drafts))
	for i, d := range drafts {
		ends[i] = store.Finish{Ref: d.Memory.Ref(), Fence: d.Fence, Status: memory.StatusCancelled}
	}
	if _, err := a.parts.Runs.Finish(ctx, ends); err != nil {
		return err
	}
	_, err = a.follow(ctx, page)
	return err
}
