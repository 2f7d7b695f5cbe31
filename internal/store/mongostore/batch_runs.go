package mongostore

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// BatchRuns gives how far batches are.
func (s *Store) BatchRuns() store.BatchRuns { return batchRuns{s} }

type batchRuns struct{ s *Store }

var _ store.BatchRuns = batchRuns{}

func (d *batchDoc) ref() store.BatchRef {
	return store.BatchRef{Workspace: d.Workspace, ID: d.ID, Run: d.Run, Pages: d.Pages, Priority: d.Priority}
}

func (br batchRuns) Current(ctx context.Context, workspace, batchID string) (store.BatchRef, error) {
	d, err := batches(br).sealed(ctx, doc("_id", batchID, "workspace", workspace))
	if err != nil {
		return store.BatchRef{}, wrap(ctx, err)
	}
	return d.ref(), nil
}

// sweepSize is how many pages of a batch are rewritten in one call where the whole batch changes.
const sweepSize = 32

// sweep rewrites pages of a batch, some at a time, in the order of their number: those for which the condition holds. The
// batch is looked at between reading pages and writing them, by still: a page that is then still as it was read was so in
// that state of the batch.
func (br batchRuns) sweep(ctx context.Context, upload string, condition bson.D, change func(*memory.Item), still func() (bool, error)) error {
	for after, try := -1, 0; ; {
		filter := append(doc("upload", upload, "number", doc("$gt", after)), condition...)
		cursor, err := br.s.pages.Find(ctx, filter, options.Find().SetProjection(doc("inputs", 0)).SetSort(doc("number", 1)).SetLimit(sweepSize))
		pages, err := all[*pageDoc](ctx, cursor, err)
		if err != nil || len(pages) == 0 {
			return err
		}
		if ok, err := still(); !ok || err != nil {
			return err
		}
		var models []mongo.WriteModel
		for _, p := range pages {
			models = append(models, p.rewrite(change)...)
		}
		matched, err := bulk(ctx, br.s.pages, models)
		if err != nil {
			return err
		}
		if matched == len(models) {
			after, try = pages[len(pages)-1].Number, 0
			continue
		}
		if err := pause(ctx, try); err != nil { // some were changed meanwhile: once more
			return err
		}
		try++
	}
}

// open is the condition that a batch is sealed and not over.
func open(batchID string) bson.D { return doc("_id", batchID, "lease_until", exists()) }

// Reopen queues the items of a batch in several writes and the batch itself in the last one. Cut short, it has left
// items queued in a batch that is over; the next Reopen goes on from there.
func (br batchRuns) Reopen(ctx context.Context, workspace, batchID string) (store.BatchRef, int, error) {
	d, err := br.over(ctx, workspace, batchID)
	if err != nil {
		return store.BatchRef{}, 0, wrap(ctx, err)
	}
	still := func() (bool, error) {
		now, err := br.over(ctx, workspace, batchID)
		return err == nil && now.Run == d.Run, err
	}
	failed := doc("$or", bson.A{doc("failed", doc("$gt", 0)), doc("degraded", doc("$gt", 0))})
	if err := br.sweep(ctx, d.Upload, failed, store.Requeue, still); err != nil {
		return store.BatchRef{}, 0, wrap(ctx, err)
	}
	totals, err := br.s.totals(ctx, d.Upload)
	todo := totals[d.Upload].Sums.counts().Open()
	if err != nil || todo == 0 {
		return d.ref(), 0, wrap(ctx, err)
	}
	res, err := br.s.batches.UpdateOne(ctx, doc("_id", batchID, "run", d.Run, "lease_until", doc("$exists", false)), doc(
		"$set", doc("status", memory.BatchQueued, "lease_until", leaseEnd(time.Time{})), "$unset", doc("completed_at", ""), "$inc", doc("run", 1)))
	if err != nil {
		return store.BatchRef{}, 0, wrap(ctx, err)
	}
	if res.MatchedCount == 0 {
		return store.BatchRef{}, 0, notOver()
	}
	d.Run++
	return d.ref(), todo, nil
}

// over returns a batch that is over.
func (br batchRuns) over(ctx context.Context, workspace, batchID string) (*batchDoc, error) {
	d, err := batches(br).sealed(ctx, doc("_id", batchID, "workspace", workspace))
	if err == nil && d.LeaseUntil != nil {
		return nil, notOver()
	}
	return d, err
}

func notOver() error { return memory.Errorf(memory.CodeConflict, "the batch is not over") }

func (br batchRuns) Advance(ctx context.Context, batchID string, s memory.BatchStatus) (bool, error) {
	if s.Final() || s == memory.BatchUploading {
		return false, memory.Errorf(memory.CodeInternal, "a batch does not advance to %q", s)
	}
	return br.one(ctx, open(batchID), doc("$set", doc("status", s), "$min", doc("started_at", memory.Now()))) // the first time's stays
}

// one makes a change and reports whether it found its document.
func (br batchRuns) one(ctx context.Context, filter, update bson.D) (bool, error) {
	res, err := br.s.batches.UpdateOne(ctx, filter, update)
	if err != nil {
		return false, wrap(ctx, err)
	}
	return res.MatchedCount == 1, nil
}

// Finish cancels the items of a batch in several writes; the last of them ends the batch.
func (br batchRuns) Finish(ctx context.Context, batchID string, s memory.BatchStatus, owed *memory.Event) (bool, error) {
	if !s.Final() {
		return false, memory.Errorf(memory.CodeInternal, "a batch cannot end as %q", s)
	}
	if s == memory.BatchCancelled {
		if err := br.cancel(ctx, batchID); err != nil {
			return false, wrap(ctx, err)
		}
	}
	update := doc("$set", doc("status", s, "completed_at", memory.Now()), "$unset", doc("lease_until", ""))
	return br.one(ctx, open(batchID), owe(update, owed))
}

// owe adds the event to a change.
func owe(update bson.D, e *memory.Event) bson.D {
	if e == nil {
		return update
	}
	return append(update, bson.E{Key: "$push", Value: doc("owed", e)})
}

// cancel ends the open items of a batch, as long as it is in the run that it is in.
func (br batchRuns) cancel(ctx context.Context, batchID string) error {
	d, err := batches(br).find(ctx, open(batchID))
	if memory.CodeOf(err) == memory.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	still := func() (bool, error) {
		now, err := batches(br).find(ctx, open(batchID))
		if memory.CodeOf(err) == memory.CodeNotFound {
			return false, nil
		}
		return err == nil && now.Run == d.Run, err
	}
	some := doc("$or", bson.A{doc("queued", doc("$gt", 0)), doc("processing", doc("$gt", 0))})
	return br.sweep(ctx, d.Upload, some, store.Cancel, still)
}

func (br batchRuns) Announce(ctx context.Context, batchID string, mark int, owed *memory.Event) (bool, error) {
	push := doc("marks", mark)
	if owed != nil {
		push = append(push, bson.E{Key: "owed", Value: owed})
	}
	return br.one(ctx, append(open(batchID), bson.E{Key: "marks", Value: doc("$ne", mark)}), doc("$push", push))
}

func (br batchRuns) Adrift(ctx context.Context, now time.Time, limit int) ([]store.BatchRef, error) {
	cursor, err := br.s.batches.Find(ctx, doc("lease_until", doc("$lt", ceil(now))), options.Find().
		SetProjection(doc("owed", 0)).SetSort(oldestFirst()).SetLimit(int64(limit)))
	docs, err := all[*batchDoc](ctx, cursor, err)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	out := make([]store.BatchRef, len(docs))
	for i, d := range docs {
		out[i] = d.ref()
	}
	return out, nil
}

func (br batchRuns) Entrust(ctx context.Context, batchID string, until time.Time) error {
	_, err := br.one(ctx, open(batchID), doc("$set", doc("lease_until", leaseEnd(until))))
	return err
}

// Recount reads all pages of the batch, each by itself: it is a repair, not everyday work. The batch has no counts of its
// own that could be wrong.
func (br batchRuns) Recount(ctx context.Context, batchID string) (wrong bool, err error) {
	d, err := batches(br).sealed(ctx, doc("_id", batchID))
	if err != nil {
		return false, wrap(ctx, err)
	}
	for number := 0; number < d.Pages; {
		_, p, err := br.page(ctx, batchID, number, "inputs")
		if memory.CodeOf(err) == memory.CodeNotFound {
			return wrong, errors.Join(memory.Errorf(memory.CodeInternal, "page %d of batch %s is gone", number, batchID), err)
		}
		if err != nil {
			return wrong, wrap(ctx, err)
		}
		model := p.rewrite(func(*memory.Item) {})
		matched, err := bulk(ctx, br.s.pages, model)
		if err != nil {
			return wrong, wrap(ctx, err)
		}
		if matched == len(model) {
			wrong = wrong || matched > 0
			number++
		}
	}
	return wrong, nil
}
