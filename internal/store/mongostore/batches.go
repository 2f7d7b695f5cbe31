package mongostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Batches gives batches and their items.
func (s *Store) Batches() store.Batches { return batches{s} }

type batches struct{ s *Store }

var _ store.Batches = batches{}

// batchDoc is a batch as it is stored, without what its pages add up to.
type batchDoc struct {
	ID          string             `bson:"_id"`
	Workspace   string             `bson:"workspace"`
	Name        string             `bson:"name"`
	Status      memory.BatchStatus `bson:"status"`
	Track       memory.Track       `bson:"track"`
	Reason      string             `bson:"reason"`
	Priority    memory.Priority    `bson:"priority"`
	WebhookURL  string             `bson:"webhook_url"`
	Pages       int                `bson:"pages"`
	Run         int                `bson:"run"`
	Marks       []int              `bson:"marks"` // the progress that was announced
	CreatedAt   memory.Time        `bson:"created_at"`
	StartedAt   *memory.Time       `bson:"started_at,omitempty"`
	CompletedAt *memory.Time       `bson:"completed_at,omitempty"`
	LeaseUntil  *time.Time         `bson:"lease_until,omitempty"` // there if, and only if, the batch is sealed and not over

	// Upload names the upload, and with it its pages: those of an earlier try under the same id have another name.
	Upload     string     `bson:"upload"`
	UploadedAt *time.Time `bson:"uploaded_at,omitempty"` // until it is sealed: when its latest page came; abandoned: it is being forgotten
}

// abandoned is when the latest page came of an upload that takes no more.
func abandoned() time.Time { return time.Unix(0, 0).UTC() }

func (d *batchDoc) batch(t total) memory.Batch {
	return memory.Batch{
		ID: d.ID, Workspace: d.Workspace, Name: d.Name, Status: d.Status, Track: d.Track, Reason: d.Reason, Priority: d.Priority,
		WebhookURL: d.WebhookURL, Pages: d.Pages, CreatedAt: d.CreatedAt, StartedAt: d.StartedAt, CompletedAt: d.CompletedAt,
		Counts: t.Sums.counts(), Tokens: int(t.Sums.Tokens), CostUSD: usdOf(t.Sums.Cost),
	}
}

func noBatch() error { return memory.Errorf(memory.CodeNotFound, "there is no batch of this id") }

// find returns the batch, sealed or not; an error of CodeNotFound where there is none.
func (bs batches) find(ctx context.Context, filter bson.D) (*batchDoc, error) {
	d := &batchDoc{}
	err := bs.s.batches.FindOne(ctx, filter, options.FindOne().SetProjection(doc("owed", 0))).Decode(d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, noBatch()
	}
	return d, err
}

// sealed is find for batches that exist for others than their uploader.
func (bs batches) sealed(ctx context.Context, filter bson.D) (*batchDoc, error) {
	d, err := bs.find(ctx, filter)
	if err == nil && d.Status == memory.BatchUploading {
		return nil, noBatch()
	}
	return d, err
}

// Create forgets what an earlier try left before the new one takes its place. Cut short, it has left an upload that takes
// no pages; the next Create or Sweep goes on from there.
func (bs batches) Create(ctx context.Context, b memory.Batch) error {
	for try := 0; ; try++ {
		done, err := bs.create(ctx, b)
		if done || err != nil {
			return wrap(ctx, err)
		}
		if err := pause(ctx, try); err != nil {
			return wrap(ctx, err)
		}
	}
}

// create answers false where another did the same at the same time.
func (bs batches) create(ctx context.Context, b memory.Batch) (bool, error) {
	now := time.Now()
	next := &batchDoc{
		ID: b.ID, Workspace: b.Workspace, Name: b.Name, Status: memory.BatchUploading, Track: b.Track, Reason: b.Reason, Priority: b.Priority,
		WebhookURL: b.WebhookURL, Run: 1, Marks: []int{}, CreatedAt: b.CreatedAt, Upload: id.New("upl_"), UploadedAt: &now,
	}
	old, err := bs.find(ctx, doc("_id", b.ID))
	switch {
	case memory.CodeOf(err) == memory.CodeNotFound:
		_, err := bs.s.batches.InsertOne(ctx, next)
		if mongo.IsDuplicateKeyError(err) {
			return false, nil
		}
		return true, err
	case err != nil:
		return false, err
	case old.Workspace != b.Workspace || old.Status != memory.BatchUploading:
		return false, memory.Errorf(memory.CodeConflict, "there is a batch of this id already")
	}
	if err := bs.abandon(ctx, old); err != nil {
		return false, err
	}
	res, err := bs.s.batches.ReplaceOne(ctx, old.uploading(), next)
	return err == nil && res.MatchedCount == 1, err
}

// uploading is the condition that the upload goes on.
func (d *batchDoc) uploading() bson.D {
	return doc("_id", d.ID, "status", memory.BatchUploading, "upload", d.Upload)
}

// abandon closes an upload to further pages and forgets those that it has.
func (bs batches) abandon(ctx context.Context, d *batchDoc) error {
	if _, err := bs.s.batches.UpdateOne(ctx, d.uploading(), doc("$set", doc("uploaded_at", abandoned()))); err != nil {
		return err
	}
	_, err := bs.s.pages.DeleteMany(ctx, doc("upload", d.Upload))
	return err
}

// AddPage stores the page and then looks whether the upload still takes pages: one that came too late is taken back.
func (bs batches) AddPage(ctx context.Context, p store.Page) error {
	d, err := bs.taking(ctx, p.Workspace, p.BatchID)
	if err != nil {
		return wrap(ctx, err)
	}
	page := newPageDoc(d.Upload, p)
	if _, err := bs.s.pages.InsertOne(ctx, page); err != nil {
		return wrap(ctx, err)
	}
	takes := append(d.uploading(), bson.E{Key: "uploaded_at", Value: doc("$gt", abandoned())})
	res, err := bs.s.batches.UpdateOne(ctx, takes, doc("$set", doc("uploaded_at", time.Now())))
	if err != nil || res.MatchedCount == 1 {
		return wrap(ctx, err)
	}
	if _, err := bs.s.pages.DeleteOne(ctx, doc("_id", page.Key)); err != nil {
		return wrap(ctx, err)
	}
	return noBatch()
}

// taking returns a batch that takes pages.
func (bs batches) taking(ctx context.Context, workspace, id string) (*batchDoc, error) {
	d, err := bs.find(ctx, doc("_id", id, "workspace", workspace))
	switch {
	case err != nil:
		return nil, err
	case d.Status != memory.BatchUploading:
		return nil, memory.Errorf(memory.CodeConflict, "the batch is complete already")
	case !d.UploadedAt.After(abandoned()):
		return nil, noBatch()
	}
	return d, nil
}

func (bs batches) Seal(ctx context.Context, b memory.Batch) (memory.Batch, error) {
	d, err := bs.taking(ctx, b.Workspace, b.ID)
	if err == nil {
		err = bs.seal(ctx, d, b)
	}
	if err != nil && memory.CodeOf(err) != memory.CodeConflict {
		return memory.Batch{}, wrap(ctx, err)
	}
	sealed, missing := bs.Get(ctx, b.Workspace, b.ID)
	if missing != nil && err != nil { // a conflict, and not since it was sealed before
		return memory.Batch{}, err
	}
	return sealed, missing
}

func (bs batches) seal(ctx context.Context, d *batchDoc, b memory.Batch) error {
	totals, err := bs.s.totals(ctx, d.Upload)
	if err != nil {
		return err
	}
	if t := totals[d.Upload]; t.Pages != b.Pages || t.Pages > 0 && t.Last != t.Pages-1 {
		return memory.Errorf(memory.CodeConflict, "pages of the upload are missing")
	}
	_, err = bs.s.batches.UpdateOne(ctx, append(d.uploading(), bson.E{Key: "uploaded_at", Value: doc("$gt", abandoned())}), doc(
		"$set", doc("status", memory.BatchQueued, "name", b.Name, "priority", b.Priority, "webhook_url", b.WebhookURL, "pages", b.Pages,
			"lease_until", leaseEnd(time.Time{})),
		"$unset", doc("uploaded_at", "")))
	return err // where another sealed it, that is as good
}

func (bs batches) Get(ctx context.Context, workspace, id string) (memory.Batch, error) {
	d, err := bs.sealed(ctx, doc("_id", id, "workspace", workspace))
	if err != nil {
		return memory.Batch{}, wrap(ctx, err)
	}
	totals, err := bs.s.totals(ctx, d.Upload)
	return d.batch(totals[d.Upload]), wrap(ctx, err)
}

// The statuses of batches that are sealed.
//
//nolint:gochecknoglobals // a constant list
var sealedStatuses = []memory.BatchStatus{memory.BatchQueued, memory.BatchProcessing, memory.BatchPaused, memory.BatchCompleted,
	memory.BatchCompletedWithErrors, memory.BatchFailed, memory.BatchCancelled}

func (bs batches) List(ctx context.Context, workspace string, limit int, cursor string) ([]memory.Batch, string, error) {
	place, err := placeOf(cursor, func(id string) string { return id })
	if err != nil {
		return nil, "", err
	}
	filter := place.behind(nil, doc("workspace", workspace, "status", doc("$in", sealedStatuses)))
	found, err := bs.s.batches.Find(ctx, filter, options.Find().SetProjection(doc("owed", 0)).SetSort(newestFirst()).SetLimit(int64(limit)+1))
	docs, err := all[*batchDoc](ctx, found, err)
	if err != nil {
		return nil, "", wrap(ctx, err)
	}
	docs, next := pageOf(docs, limit, func(d *batchDoc) (memory.Time, string) { return d.CreatedAt, d.ID })
	uploads := make([]string, len(docs))
	for i, d := range docs {
		uploads[i] = d.Upload
	}
	totals, err := bs.s.totals(ctx, uploads...)
	if err != nil {
		return nil, "", wrap(ctx, err)
	}
	out := make([]memory.Batch, len(docs))
	for i, d := range docs {
		out[i] = d.batch(totals[d.Upload])
	}
	return out, next, nil
}

// Count reads an index and no document.
func (bs batches) Count(ctx context.Context, workspace string) (map[memory.BatchStatus]int, error) {
	return counts[memory.BatchStatus](ctx, bs.s.batches, doc("workspace", workspace, "status", doc("$in", sealedStatuses)), "status")
}

// Sweep also finishes what a Create or Sweep that was cut short has left.
func (bs batches) Sweep(ctx context.Context, before time.Time) (int, error) {
	left, err := bs.s.batches.Find(ctx, doc("uploaded_at", doc("$lt", ceil(before))), options.Find().SetProjection(doc("upload", 1)))
	docs, err := all[*batchDoc](ctx, left, err)
	if err != nil {
		return 0, wrap(ctx, err)
	}
	swept := 0
	for _, d := range docs {
		if err := bs.abandon(ctx, d); err != nil {
			return swept, wrap(ctx, fmt.Errorf("forget upload %s: %w", d.Upload, err))
		}
		res, err := bs.s.batches.DeleteOne(ctx, d.uploading())
		if err != nil {
			return swept, wrap(ctx, err)
		}
		swept += int(res.DeletedCount)
	}
	return swept, nil
}
