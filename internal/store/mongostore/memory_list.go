package mongostore

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// The statuses a memory can have.
//
//nolint:gochecknoglobals // a constant list
var memoryStatuses = []memory.Status{memory.StatusQueued, memory.StatusProcessing, memory.StatusCompleted,
	memory.StatusDegraded, memory.StatusFailed, memory.StatusCancelled}

// List goes by one index, the narrowest that the query allows: external id, label, batch, or else the statuses, of which
// the server merges the newest.
func (ms memories) List(ctx context.Context, q store.MemoryQuery) ([]memory.Memory, string, error) {
	filter, err := listFilter(q)
	if err != nil {
		return nil, "", err
	}
	cursor, err := ms.s.memories.Find(ctx, filter, options.Find().SetProjection(light()).SetSort(newestFirst()).SetLimit(int64(q.Limit)+1))
	docs, err := all[*memoryDoc](ctx, cursor, err)
	if err != nil {
		return nil, "", wrap(ctx, err)
	}
	found := make([]memory.Memory, len(docs))
	for i, d := range docs {
		found[i] = d.memory()
	}
	found, next := pageOf(found, q.Limit, func(m memory.Memory) (memory.Time, string) { return m.CreatedAt, m.ID })
	return found, next, nil
}

func listFilter(q store.MemoryQuery) (bson.D, error) {
	place, err := placeOf(q.Cursor, func(id string) string { return key(q.Workspace, id) })
	if err != nil {
		return nil, err
	}
	filter := doc("workspace", q.Workspace)
	if q.ExternalID != "" {
		filter = doc("external", key(q.Workspace, q.ExternalID))
	}
	if q.BatchID != "" {
		filter = append(filter, bson.E{Key: "batch_id", Value: q.BatchID})
	}
	var hashes []string
	for _, k := range slices.Sorted(maps.Keys(q.Metadata)) {
		hashes = append(hashes, label(k, q.Metadata[k]))
	}
	if len(hashes) > 0 {
		filter = append(filter, bson.E{Key: "labels", Value: doc("$all", hashes)})
	}
	switch {
	case len(q.Statuses) > 0:
		filter = append(filter, bson.E{Key: "status", Value: doc("$in", slices.Compact(slices.Sorted(slices.Values(q.Statuses))))})
	case len(filter) == 1 && q.ExternalID == "":
		filter = append(filter, bson.E{Key: "status", Value: doc("$in", memoryStatuses)})
	}
	return place.behind(between(q.CreatedAfter, q.CreatedBefore), filter), nil
}

// between is the condition of a time, bounds excluded; a zero time is none. Stored times are whole milliseconds.
func between(after, before time.Time) (created bson.D) {
	if !after.IsZero() {
		created = append(created, bson.E{Key: "$gt", Value: after.Truncate(time.Millisecond)})
	}
	if !before.IsZero() {
		created = append(created, bson.E{Key: "$lt", Value: ceil(before)})
	}
	return created
}

// counts returns how many documents there are by the value of a field.
func counts[K ~string](ctx context.Context, c *mongo.Collection, match bson.D, field string) (map[K]int, error) {
	cursor, err := c.Aggregate(ctx, bson.A{doc("$match", match), doc("$group", doc("_id", "$"+field, "n", doc("$sum", 1)))})
	rows, err := all[struct {
		Key K   `bson:"_id"`
		N   int `bson:"n"`
	}](ctx, cursor, err)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	out := make(map[K]int, len(rows))
	for _, r := range rows {
		out[r.Key] = r.N
	}
	return out, nil
}
