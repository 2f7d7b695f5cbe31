package mongostore

import (
	"cmp"
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Outbox gives the events that memories and batches owe: each is in the document of what it tells.
func (s *Store) Outbox() store.Outbox { return outbox{s} }

type outbox struct{ s *Store }

var _ store.Outbox = outbox{}

func (o outbox) collections() []*mongo.Collection {
	return []*mongo.Collection{o.s.memories, o.s.batches}
}

// Owed reads the documents whose oldest event is the oldest: as many as there may be events.
func (o outbox) Owed(ctx context.Context, limit int) ([]memory.Event, error) {
	var found []memory.Event
	for _, c := range o.collections() {
		cursor, err := c.Find(ctx, doc("owed.timestamp", exists()), options.Find().
			SetProjection(doc("owed", 1)).SetSort(doc("owed.timestamp", 1)).SetLimit(int64(limit)))
		docs, err := all[struct {
			Owed []memory.Event `bson:"owed"`
		}](ctx, cursor, err)
		if err != nil {
			return nil, wrap(ctx, err)
		}
		for _, d := range docs {
			found = append(found, d.Owed...)
		}
	}
	slices.SortFunc(found, func(a, b memory.Event) int {
		return cmp.Or(a.Time.Compare(b.Time.Time), cmp.Compare(a.ID, b.ID))
	})
	return found[:min(limit, len(found))], nil
}

// Settle takes a document's last owed event away together with the list: an empty list would stay in the index of what is
// owed for ever, before everything that is.
func (o outbox) Settle(ctx context.Context, events []memory.Event) error {
	var models []mongo.WriteModel
	for _, e := range events {
		last := doc("owed.id", e.ID, "owed.1", doc("$exists", false))
		models = append(models,
			mongo.NewUpdateOneModel().SetFilter(last).SetUpdate(doc("$unset", doc("owed", ""))),
			mongo.NewUpdateOneModel().SetFilter(doc("owed.id", e.ID)).SetUpdate(doc("$pull", doc("owed", doc("id", e.ID)))))
	}
	for _, c := range o.collections() {
		if _, err := bulk(ctx, c, models); err != nil {
			return wrap(ctx, err)
		}
	}
	return nil
}
