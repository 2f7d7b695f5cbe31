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

func (o outbox) Settle(ctx context.Context, events []memory.Event) error {
	if len(events) == 0 {
		return nil
	}
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	for _, c := range o.collections() {
		_, err := c.UpdateMany(ctx, doc("owed.id", doc("$in", ids)), doc("$pull", doc("owed", doc("id", doc("$in", ids)))))
		if err != nil {
			return wrap(ctx, err)
		}
	}
	return nil
}
