package store

import (
	"context"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// PageSize is how many items a page of a batch has at most.
const PageSize = 64

// Batches keeps batches and their items. Items live in pages, up to [PageSize] in a document: a batch of a million
// lines is 15,625 documents. A page holds the content of its items only until they are admitted as memories.
type Batches interface {
	// Create starts an upload. The batch is invisible, and nothing of it is processed, until it is sealed. Creating one
	// of the same id again begins the upload anew: pages of the earlier try are gone.
	Create(ctx context.Context, b memory.Batch) error
	// AddPage stores the next page of an upload.
	AddPage(ctx context.Context, p Page) error
	// Seal completes the upload of b.Pages pages: the batch exists from here on, queued, with an expired lease. Name,
	// priority and webhook URL are those of b, since a body may name them after its memories. Sealing a sealed batch
	// changes nothing.
	Seal(ctx context.Context, b memory.Batch) (memory.Batch, error)
	// Get returns a sealed batch with its counts; CodeNotFound where there is none.
	Get(ctx context.Context, workspace, id string) (memory.Batch, error)
	// List returns sealed batches, newest first, and the cursor of the next page ("" at the end).
	List(ctx context.Context, workspace string, limit int, cursor string) ([]memory.Batch, string, error)
	// Items returns items in the order of their index, those of the statuses only where any are given.
	Items(ctx context.Context, q ItemQuery) ([]memory.Item, string, error)
	// Count returns how many sealed batches the workspace has, by status.
	Count(ctx context.Context, workspace string) (map[memory.BatchStatus]int, error)
	// Sweep forgets uploads that got their last page before the given time and were never sealed; it returns how many.
	Sweep(ctx context.Context, before time.Time) (int, error)
}

// BatchRuns keeps how far batches are.
type BatchRuns interface {
	// Current names the latest run of a sealed batch; CodeNotFound where the workspace has none of that id.
	Current(ctx context.Context, workspace, batchID string) (BatchRef, error)
	// Page returns a page of a sealed batch with what is stored of its items.
	Page(ctx context.Context, batchID string, number int) (Page, error)
	// SetItems writes what became of items of a page, by index: memory id, version, status and error. An item that is
	// over stays as it is. Admitted items lose their content.
	SetItems(ctx context.Context, batchID string, number int, items []memory.Item) error
	// Reopen queues the failed (and degraded) items of a batch that is over again and the batch itself: its lease
	// expires, its run number grows by one. It returns the new run and how many items there are to do; where there are
	// none (0), nothing was changed. CodeNotFound where there is no such batch, CodeConflict while it is not over.
	Reopen(ctx context.Context, workspace, batchID string) (BatchRef, int, error)
	// Advance sets the status of an open batch (processing, paused, or back) and, the first time, started_at. It
	// answers false where the batch is over.
	Advance(ctx context.Context, batchID string, s memory.BatchStatus) (bool, error)
	// Finish ends the batch: status, completed_at and the owed event in one write. It answers false where the batch is
	// over already. Items that are still open become cancelled if, and only if, the status is cancelled.
	Finish(ctx context.Context, batchID string, s memory.BatchStatus, owed *memory.Event) (bool, error)
	// Announce owes a progress event of an open batch, once for each mark (25, 50, 75); false where it was owed before.
	Announce(ctx context.Context, batchID string, mark int, owed *memory.Event) (bool, error)
	// Adrift returns up to limit open batches whose lease expired before now, oldest first.
	Adrift(ctx context.Context, now time.Time, limit int) ([]BatchRef, error)
	// Entrust sets the end of the lease of an open batch.
	Entrust(ctx context.Context, batchID string, until time.Time) error
	// Recount makes the counts, tokens and cost of a sealed batch anew from its items and answers whether they were
	// wrong. CodeNotFound where there is no such batch.
	Recount(ctx context.Context, batchID string) (bool, error)
}

// BatchRef names a run of a batch. Run is 1, and one more for each retry.
type BatchRef struct {
	Workspace string          `json:"workspace"`
	ID        string          `json:"id"`
	Run       int             `json:"run"`
	Pages     int             `json:"pages"`
	Priority  memory.Priority `json:"priority,omitempty"`
}

// Page is up to [PageSize] items of a batch, and for those that are not admitted yet what was uploaded. Entries are in
// the order of their index.
type Page struct {
	Workspace string
	BatchID   string
	Number    int // from 0
	Entries   []Entry
}

// Entry is an item with what was uploaded for it: Input is nil for rejected and for admitted items. What was uploaded for
// a rejected one is its Item.Sent, which is kept, byte for byte, as long as the batch is.
type Entry struct {
	Item  memory.Item
	Input *memory.Input
}

// ItemQuery selects items of a batch.
type ItemQuery struct {
	Workspace string
	BatchID   string
	Statuses  []memory.Status
	Limit     int
	Cursor    string
}
