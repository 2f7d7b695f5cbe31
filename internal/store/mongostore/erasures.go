package mongostore

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Erasures gives which memories are to be erased.
//
// An erasure is in the document of its memory, or in its place: so the key, of which there is one, decides between an
// erasure and a memory that is taken in at the same moment.
func (s *Store) Erasures() store.Erasures { return erasures{s} }

type erasures struct{ s *Store }

var _ store.Erasures = erasures{}

// erasureDoc is an erasure as it is stored.
type erasureDoc struct {
	Workspace string       `bson:"workspace"`
	NotedAt   memory.Time  `bson:"noted_at"`
	Checks    int          `bson:"checks"`
	DueAt     *memory.Time `bson:"due_at,omitempty"`
}

func (es erasures) Note(ctx context.Context, workspace string, at time.Time, ids ...string) error {
	update := doc(
		"$set", doc("erasure.workspace", workspace, "erasure.due_at", memory.At(at)),
		"$min", doc("erasure.noted_at", memory.At(at)), // noted before, it stays so
		"$max", doc("erasure.checks", 0),
	)
	models := make([]mongo.WriteModel, len(ids))
	for i, id := range ids {
		models[i] = mongo.NewUpdateOneModel().SetFilter(doc("_id", key(workspace, id))).SetUpdate(update).SetUpsert(true)
	}
	for try := 0; ; try++ {
		_, err := bulk(ctx, es.s.memories, models)
		if err == nil || !mongo.IsDuplicateKeyError(err) {
			return wrap(ctx, err)
		}
		if err := pause(ctx, try); err != nil { // another has made the document meanwhile
			return wrap(ctx, err)
		}
	}
}

func (es erasures) Due(ctx context.Context, now time.Time, limit int) ([]store.Erasure, error) {
	cursor, err := es.s.memories.Find(ctx, doc("erasure.due_at", doc("$lt", ceil(now))),
		options.Find().SetProjection(doc("erasure", 1)).SetSort(doc("erasure.due_at", 1)).SetLimit(int64(limit)))
	docs, err := all[*memoryDoc](ctx, cursor, err)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	out := make([]store.Erasure, len(docs))
	for i, d := range docs {
		e := d.Erasure
		out[i] = store.Erasure{Workspace: e.Workspace, MemoryID: idOf(e.Workspace, d.Key), NotedAt: e.NotedAt.Time, Checks: e.Checks, DueAt: e.DueAt.Time}
	}
	return out, nil
}

func (es erasures) Checked(ctx context.Context, checked []store.Erasure) error {
	models := make([]mongo.WriteModel, len(checked))
	for i, e := range checked {
		set, unset := doc("erasure.checks", e.Checks), bson.D{}
		if e.DueAt.IsZero() {
			unset = doc("$unset", doc("erasure.due_at", ""))
		} else {
			set = append(set, bson.E{Key: "erasure.due_at", Value: memory.At(e.DueAt)})
		}
		models[i] = mongo.NewUpdateOneModel().SetFilter(doc("_id", key(e.Workspace, e.MemoryID), "erasure", exists())).SetUpdate(append(doc("$set", set), unset...))
	}
	_, err := bulk(ctx, es.s.memories, models)
	return wrap(ctx, err)
}

// Sweep leaves the memories where there are any: their erasures are over, but they were never deleted.
func (es erasures) Sweep(ctx context.Context, before time.Time) (int, error) {
	old := func(there bool) bson.D {
		return doc("erasure.noted_at", doc("$lt", ceil(before)), "erasure.due_at", doc("$exists", false), "status", doc("$exists", there))
	}
	gone, err := es.s.memories.DeleteMany(ctx, old(false))
	if err != nil {
		return 0, wrap(ctx, err)
	}
	left, err := es.s.memories.UpdateMany(ctx, old(true), doc("$unset", doc("erasure", "")))
	if err != nil {
		return int(gone.DeletedCount), wrap(ctx, err)
	}
	return int(gone.DeletedCount + left.ModifiedCount), nil
}
