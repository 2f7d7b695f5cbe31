package mongostore

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Deliveries gives deliveries and their attempts.
func (s *Store) Deliveries() store.Deliveries { return deliveries{s} }

type deliveries struct{ s *Store }

var _ store.Deliveries = deliveries{}

// deliveryDoc is a delivery as it is stored.
type deliveryDoc struct {
	ID         string               `bson:"_id"`
	Workspace  string               `bson:"workspace"`
	EndpointID string               `bson:"endpoint_id"`
	URL        string               `bson:"url"`
	EventID    string               `bson:"event_id"`
	EventType  string               `bson:"event_type"`
	Body       []byte               `bson:"body"`
	Status     store.DeliveryStatus `bson:"status"`
	Round      int                  `bson:"round"`
	Attempts   []attemptDoc         `bson:"attempts"`
	Owner      string               `bson:"owner"`
	LeaseUntil time.Time            `bson:"lease_until"`
	Fence      int64                `bson:"fence"`
	CreatedAt  memory.Time          `bson:"created_at"`
	UpdatedAt  memory.Time          `bson:"updated_at"`
}

// attemptDoc is an attempt with the name of the call that recorded it.
type attemptDoc struct {
	Attempt store.Attempt `bson:",inline"`
	Call    string        `bson:"call,omitempty"`
}

func newDeliveryDoc(d store.Delivery) *deliveryDoc {
	attempts := make([]attemptDoc, len(d.Attempts)) // never null: $push wants a list
	for i, a := range d.Attempts {
		attempts[i].Attempt = a
	}
	return &deliveryDoc{
		ID: d.ID, Workspace: d.Workspace, EndpointID: d.EndpointID, URL: d.URL, EventID: d.EventID, EventType: d.EventType, Body: d.Body,
		Status: d.Status, Round: d.Round, Attempts: attempts, Owner: d.Lease.Owner, LeaseUntil: ceil(d.Lease.Until), Fence: d.Lease.Fence,
		CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
	}
}

func (d *deliveryDoc) delivery() store.Delivery {
	var attempts []store.Attempt
	for _, a := range d.Attempts {
		attempts = append(attempts, a.Attempt)
	}
	return store.Delivery{
		ID: d.ID, Workspace: d.Workspace, EndpointID: d.EndpointID, URL: d.URL, EventID: d.EventID, EventType: d.EventType, Body: d.Body,
		Status: d.Status, Round: d.Round, Attempts: attempts, Lease: store.Lease{Owner: d.Owner, Until: d.LeaseUntil.UTC(), Fence: d.Fence},
		CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
	}
}

// Create implements [store.Deliveries].
func (d deliveries) Create(ctx context.Context, ds []store.Delivery) ([]bool, error) {
	created := make([]bool, len(ds))
	if len(ds) == 0 {
		return created, nil
	}
	docs := make([]*deliveryDoc, len(ds))
	for i := range ds {
		docs[i] = newDeliveryDoc(ds[i])
	}
	_, err := d.s.deliveries.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	there, ok := duplicates(err)
	if !ok {
		return nil, wrap(ctx, err)
	}
	for i := range created {
		created[i] = !slices.Contains(there, i)
	}
	return created, nil
}

// Get implements [store.Deliveries].
func (d deliveries) Get(ctx context.Context, workspace, id string) (store.Delivery, error) {
	var out deliveryDoc
	if err := d.s.deliveries.FindOne(ctx, doc("_id", id, "workspace", workspace)).Decode(&out); err != nil {
		return store.Delivery{}, wrap(ctx, err)
	}
	return out.delivery(), nil
}

// List implements [store.Deliveries].
func (d deliveries) List(ctx context.Context, q store.DeliveryQuery) ([]store.Delivery, string, error) {
	place, err := placeOf(q.Cursor, func(id string) string { return id })
	if err != nil {
		return nil, "", err
	}
	filter := doc("workspace", q.Workspace)
	if q.EndpointID != "" {
		filter = append(filter, bson.E{Key: "endpoint_id", Value: q.EndpointID})
	}
	if len(q.Statuses) > 0 {
		filter = append(filter, bson.E{Key: "status", Value: doc("$in", q.Statuses)})
	}
	var created bson.D
	if !q.Since.IsZero() {
		created = doc("$gte", ceil(q.Since))
	}
	cursor, err := d.s.deliveries.Find(ctx, place.behind(created, filter),
		options.Find().SetProjection(doc("body", 0)).SetSort(newestFirst()).SetLimit(int64(q.Limit)+1))
	found, err := each(ctx, cursor, err, (*deliveryDoc).delivery)
	if err != nil {
		return nil, "", err
	}
	found, next := pageOf(found, q.Limit, func(d store.Delivery) (memory.Time, string) { return d.CreatedAt, d.ID })
	return found, next, nil
}

// Claim implements [store.Deliveries].
func (d deliveries) Claim(ctx context.Context, workspace, id, owner string, now, until time.Time) (store.Delivery, bool, error) {
	free := bson.A{doc("lease_until", doc("$lte", now)), doc("owner", owner)}
	return d.change(ctx, doc("_id", id, "workspace", workspace, "status", store.DeliveryPending, "$or", free),
		doc("$set", doc("owner", owner, "lease_until", ceil(until)), "$inc", doc("fence", 1)))
}

// change changes one delivery and returns what became of it, or false where it is not as the filter says.
func (d deliveries) change(ctx context.Context, filter, update bson.D) (store.Delivery, bool, error) {
	var out deliveryDoc
	err := d.s.deliveries.FindOneAndUpdate(ctx, filter, update, options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&out)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return store.Delivery{}, false, nil
	}
	if err != nil {
		return store.Delivery{}, false, wrap(ctx, err)
	}
	return out.delivery(), true, nil
}

// Requeue implements [store.Deliveries].
func (d deliveries) Requeue(ctx context.Context, workspace, id string) (store.Delivery, error) {
	out, ok, err := d.change(ctx, doc("_id", id, "workspace", workspace), doc(
		"$set", doc("status", store.DeliveryPending, "owner", "", "lease_until", time.Time{}),
		"$inc", doc("round", 1, "fence", 1), "$max", doc("updated_at", memory.Now())))
	if err == nil && !ok {
		err = memory.Errorf(memory.CodeNotFound, "%s", messages[memory.CodeNotFound])
	}
	return out, err
}

// Attempted is one call. Where its answer is that not all were taken, what is stored tells which: those that have the
// attempt, by this call.
func (d deliveries) Attempted(ctx context.Context, as []store.Attempted) ([]bool, error) {
	kept, ids := make([]bool, len(as)), make([]string, len(as))
	models, call := make([]mongo.WriteModel, len(as)), id.New("cal_")
	for i, a := range as {
		ids[i] = a.DeliveryID
		models[i] = mongo.NewUpdateOneModel().SetFilter(doc("_id", a.DeliveryID, "workspace", a.Workspace, "fence", a.Fence)).SetUpdate(doc(
			"$push", doc("attempts", attemptDoc{a.Attempt, call}), "$set", doc("status", a.Status, "lease_until", ceil(a.Until)), "$max", doc("updated_at", a.Attempt.At)))
	}
	matched, err := bulk(ctx, d.s.deliveries, models)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	if matched == len(as) {
		return allTrue(kept), nil
	}
	cursor, err := d.s.deliveries.Find(ctx, doc("_id", doc("$in", ids)), options.Find().SetProjection(doc("workspace", 1, "attempts", 1)))
	docs, err := all[*deliveryDoc](ctx, cursor, err)
	for i, a := range as {
		kept[i] = slices.ContainsFunc(docs, func(d *deliveryDoc) bool {
			return d.ID == a.DeliveryID && d.Workspace == a.Workspace &&
				slices.ContainsFunc(d.Attempts, func(b attemptDoc) bool { return b.Call == call })
		})
	}
	return kept, wrap(ctx, err)
}

// Due implements [store.Deliveries].
func (d deliveries) Due(ctx context.Context, now time.Time, limit int) ([]store.Delivery, error) {
	cursor, err := d.s.deliveries.Find(ctx, doc("status", store.DeliveryPending, "lease_until", doc("$lt", ceil(now))),
		options.Find().SetSort(doc("lease_until", 1, "_id", 1)).SetLimit(int64(limit)))
	return each(ctx, cursor, err, (*deliveryDoc).delivery)
}

// over are the statuses of deliveries that are not pending.
func over() []store.DeliveryStatus {
	return []store.DeliveryStatus{store.DeliveryDelivered, store.DeliveryFailed, store.DeliveryHeld}
}

// Stats reads an index and no document.
func (d deliveries) Stats(ctx context.Context) (map[store.DeliveryStatus]int, time.Time, error) {
	all := append(over(), store.DeliveryPending)
	stats, err := counts[store.DeliveryStatus](ctx, d.s.deliveries, doc("status", doc("$in", all)), "status")
	if err != nil {
		return nil, time.Time{}, err
	}
	var oldest deliveryDoc
	err = d.s.deliveries.FindOne(ctx, doc("status", store.DeliveryPending), options.FindOne().
		SetProjection(doc("created_at", 1)).SetSort(doc("created_at", 1))).Decode(&oldest)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return stats, time.Time{}, nil
	}
	return stats, oldest.CreatedAt.Time, wrap(ctx, err)
}

// Sweep implements [store.Deliveries].
func (d deliveries) Sweep(ctx context.Context, before time.Time) (int, error) {
	return swept(ctx)(d.s.deliveries.DeleteMany(ctx, doc("status", doc("$in", over()), "created_at", doc("$lt", ceil(before)))))
}
