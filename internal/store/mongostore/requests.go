package mongostore

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Requests gives the records of idempotent requests.
func (s *Store) Requests() store.Requests { return requests{s} }

type requests struct{ s *Store }

var _ store.Requests = requests{}

// requestDoc is the record of a request as it is stored.
type requestDoc struct {
	Key         string     `bson:"_id"` // workspace and idempotency key
	Workspace   string     `bson:"workspace"`
	Fingerprint string     `bson:"fingerprint"` // in hex
	ResourceID  string     `bson:"resource_id"`
	CreatedAt   time.Time  `bson:"created_at"`
	Until       time.Time  `bson:"until"`
	Answer      *answerDoc `bson:"answer,omitempty"`
}

type answerDoc struct {
	Status int               `bson:"status"`
	Header map[string]string `bson:"header"`
	Body   []byte            `bson:"body"`
}

func (d *requestDoc) request() store.Request {
	r := store.Request{
		Workspace: d.Workspace, Key: idOf(d.Workspace, d.Key), ResourceID: d.ResourceID, CreatedAt: d.CreatedAt.UTC(), Until: d.Until.UTC(),
		Fingerprint: unhex(d.Fingerprint),
	}
	if d.Answer != nil {
		r.Answer = new(store.Answer(*d.Answer))
	}
	return r
}

// Begin inserts the record; of all who do, the key lets one. Where there is one, it takes over an expired one by making it
// expire later; of all who do, one finds it expired.
func (q requests) Begin(ctx context.Context, r store.Request, now time.Time) (store.Request, bool, error) {
	next := &requestDoc{
		Key: key(r.Workspace, r.Key), Workspace: r.Workspace, Fingerprint: hex.EncodeToString(r.Fingerprint[:]), ResourceID: r.ResourceID,
		CreatedAt: r.CreatedAt, Until: ceil(r.Until),
	}
	for try := 0; ; try++ {
		_, err := q.s.requests.InsertOne(ctx, next)
		if err == nil {
			return next.request(), true, nil
		}
		if !mongo.IsDuplicateKeyError(err) {
			return store.Request{}, false, wrap(ctx, err)
		}
		d, mine, err := q.takeOver(ctx, next, now)
		if !errors.Is(err, mongo.ErrNoDocuments) {
			return d.request(), mine, wrap(ctx, err)
		}
		if err := pause(ctx, try); err != nil { // it was there, and is forgotten meanwhile, or not confirmed yet
			return store.Request{}, false, wrap(ctx, err)
		}
	}
}

// takeOver makes an expired record one's own, or reads the one that there is.
func (q requests) takeOver(ctx context.Context, next *requestDoc, now time.Time) (d requestDoc, mine bool, err error) {
	expired := append(runningRequest(next.Key), doc("fingerprint", next.Fingerprint, "until", doc("$lte", now))...)
	err = q.s.requests.FindOneAndUpdate(ctx, expired, doc("$set", doc("created_at", next.CreatedAt, "until", next.Until)),
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&d)
	if !errors.Is(err, mongo.ErrNoDocuments) {
		return d, err == nil, err
	}
	err = q.s.requests.FindOne(ctx, doc("_id", next.Key)).Decode(&d)
	return d, false, err
}

// runningRequest is the condition that a request has no answer.
func runningRequest(key string) bson.D {
	return doc("_id", key, "answer", doc("$exists", false))
}

// Extend implements [store.Requests].
func (q requests) Extend(ctx context.Context, workspace, id string, until time.Time) error {
	_, err := q.s.requests.UpdateOne(ctx, runningRequest(key(workspace, id)), doc("$set", doc("until", ceil(until))))
	return wrap(ctx, err)
}

// Complete implements [store.Requests].
func (q requests) Complete(ctx context.Context, workspace, id string, a store.Answer) error {
	_, err := q.s.requests.UpdateOne(ctx, runningRequest(key(workspace, id)), doc("$set", doc("answer", answerDoc(a))))
	return wrap(ctx, err)
}

// Abandon implements [store.Requests].
func (q requests) Abandon(ctx context.Context, workspace, id string) error {
	_, err := q.s.requests.DeleteOne(ctx, runningRequest(key(workspace, id)))
	return wrap(ctx, err)
}

// Sweep implements [store.Requests].
func (q requests) Sweep(ctx context.Context, before time.Time) (int, error) {
	return swept(ctx)(q.s.requests.DeleteMany(ctx, doc("created_at", doc("$lt", ceil(before)))))
}

// swept is how many documents were deleted.
func swept(ctx context.Context) func(*mongo.DeleteResult, error) (int, error) {
	return func(res *mongo.DeleteResult, err error) (int, error) {
		if err != nil {
			return 0, wrap(ctx, err)
		}
		return int(res.DeletedCount), nil
	}
}
