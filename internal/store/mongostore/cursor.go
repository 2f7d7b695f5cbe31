package mongostore

import (
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// place is where a page of a list begins, newest first: behind the row of the cursor.
type place struct {
	at  time.Time
	key string // of the row
}

// placeOf reads the place from a cursor; nil at the start. key makes the key of a row from what the cursor holds.
func placeOf(cursor string, key func(id string) string) (*place, error) {
	if cursor == "" {
		return nil, nil
	}
	var at int64
	var id string
	if err := store.DecodeCursor(cursor, &at, &id); err != nil {
		return nil, err
	}
	return &place{time.UnixMilli(at).UTC(), key(id)}, nil
}

// newestFirst is the order of lists.
func newestFirst() bson.D { return doc("created_at", -1, "_id", -1) }

// oldestFirst is the order of those that are returned whole.
func oldestFirst() bson.D { return doc("created_at", 1, "_id", 1) }

// behind adds the condition that rows come behind the place. Its first half gives the index its bounds.
func (p *place) behind(created, filter bson.D) bson.D {
	if p != nil {
		created = append(created, doc("$lte", p.at)...)
		filter = append(filter, doc("$or", bson.A{doc("created_at", doc("$lt", p.at)), doc("_id", doc("$lt", p.key))})...)
	}
	if len(created) > 0 {
		filter = append(filter, doc("created_at", created)...)
	}
	return filter
}

// pageOf cuts a list to the limit; next is the cursor of the row that key tells of, "" at the end.
func pageOf[T any](found []T, limit int, key func(T) (at memory.Time, id string)) ([]T, string) {
	if len(found) <= limit {
		return found, ""
	}
	at, id := key(found[limit-1])
	return found[:limit], store.EncodeCursor(at.UnixMilli(), id)
}
