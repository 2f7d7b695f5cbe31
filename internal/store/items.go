package store

import "github.com/switchyard-ai/switchyard/pkg/memory"

// What adapters do to the items of a page. Each of these is a change of one item.

// Became writes what became of an item: see [BatchRuns.SetItems].
func Became(item *memory.Item, became memory.Item) {
	if item.Status.Final() {
		return
	}
	item.MemoryID, item.Version, item.Status, item.Error = became.MemoryID, became.Version, became.Status, became.Error
	item.Tokens, item.CostUSD = became.Tokens, became.CostUSD
}

// Cancel ends an item that is open.
func Cancel(item *memory.Item) {
	if !item.Status.Final() {
		item.Status, item.Error = memory.StatusCancelled, nil
	}
}

// Requeue queues an item again that failed or is degraded.
func Requeue(item *memory.Item) {
	if item.Status == memory.StatusFailed || item.Status == memory.StatusDegraded {
		item.Status, item.Error = memory.StatusQueued, nil
	}
}

// NeedsInput says whether what was uploaded for an item must be kept: until it is admitted, or over. One that failed
// before it was admitted may be tried again.
func NeedsInput(item memory.Item) bool {
	if item.MemoryID == "" {
		return !item.Status.Final() || item.Status == memory.StatusFailed
	}
	return item.Status == memory.StatusQueued
}
