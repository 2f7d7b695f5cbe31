package census

import (
	"context"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// batches looks at every batch of the workspace.
func (l *look) batches(ctx context.Context, ws string) error {
	for cursor := ""; ; {
		page, next, err := l.parts.Batches.List(ctx, ws, l.cfg.Page, cursor)
		if err != nil {
			return err
		}
		for _, b := range page {
			if err := l.batch(ctx, b); err != nil {
				return err
			}
		}
		l.report.Batches += len(page)
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

// batch compares a batch with its items, and those with their memories.
func (l *look) batch(ctx context.Context, b memory.Batch) error {
	var counted memory.Counts
	for cursor := ""; ; {
		items, next, err := l.parts.Batches.Items(ctx, store.ItemQuery{Workspace: b.Workspace, BatchID: b.ID, Limit: l.cfg.Page, Cursor: cursor})
		if err != nil {
			return err
		}
		for _, item := range items {
			counted.Add(item.Status, 1)
		}
		l.report.Items += len(items)
		if err := l.items(ctx, b, items); err != nil {
			return err
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	after, err := l.parts.Batches.Get(ctx, b.Workspace, b.ID)
	if err != nil {
		return err
	}
	if after.Counts == b.Counts && counted != b.Counts { // else it has moved on meanwhile
		l.foundf(CountsUntrue, b.Workspace, b.ID, 0, "the batch says %+v, its items are %+v", b.Counts, counted)
	}
	return nil
}

// items compares items of a batch with their memories.
func (l *look) items(ctx context.Context, b memory.Batch, items []memory.Item) error {
	var ids []string
	for _, item := range items {
		if item.MemoryID != "" {
			ids = append(ids, item.MemoryID)
		}
	}
	found, err := l.parts.Memories.Get(ctx, b.Workspace, ids...)
	if err != nil {
		return err
	}
	docs := make(map[string]*memory.Memory, len(found))
	for i := range found {
		docs[found[i].ID] = &found[i]
	}
	for _, item := range items {
		if why := untrue(b, item, docs[item.MemoryID]); why != "" {
			l.foundf(ItemUntrue, b.Workspace, b.ID, item.Index, "item %d (memory %s) %s", item.Index, item.MemoryID, why)
		}
	}
	return nil
}

// untrue says what is wrong with an item; "" where nothing is. The memory is nil where it was deleted. A memory may have
// moved on since: another version, another batch.
func untrue(b memory.Batch, item memory.Item, m *memory.Memory) string {
	switch {
	case b.Status.Final() && !item.Status.Final():
		return "is " + string(item.Status) + " though the batch is " + string(b.Status)
	case m == nil || m.Version != item.Version || m.BatchID != b.ID || !item.Status.Final() || item.Status == memory.StatusCancelled:
		return ""
	case !m.Status.Final():
		return "is " + string(item.Status) + " though the memory is " + string(m.Status)
	case m.Status != item.Status:
		return "is " + string(item.Status) + " though the memory ended " + string(m.Status)
	}
	return ""
}
