package mongostore

import (
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Leases gives who answers for open memories.
func (s *Store) Leases() store.Leases { return leases{s} }

type leases struct{ s *Store }

var _ store.Leases = leases{}

func (ls leases) Renew(ctx context.Context, owner string, until time.Time) (int, error) {
	if owner == "" {
		return 0, nil
	}
	res, err := ls.s.memories.UpdateMany(ctx, doc("owner", owner, "lease_until", exists()), doc("$set", doc("lease_until", leaseEnd(until))))
	if err != nil {
		return 0, wrap(ctx, err)
	}
	return int(res.MatchedCount), nil
}

func (ls leases) Owned(ctx context.Context, owner string) ([]memory.Ref, error) {
	if owner == "" {
		return nil, nil
	}
	cursor, err := ls.s.memories.Find(ctx, doc("owner", owner, "lease_until", exists()), options.Find().SetProjection(doc("workspace", 1, "version", 1)))
	docs, err := all[*memoryDoc](ctx, cursor, err)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	out := make([]memory.Ref, len(docs))
	for i, d := range docs {
		out[i] = memory.Ref{Workspace: d.Workspace, ID: idOf(d.Workspace, d.Key), Version: d.Version}
	}
	return out, nil
}

func (ls leases) Orphans(ctx context.Context, now time.Time, limit int) ([]store.Orphan, error) {
	cursor, err := ls.s.memories.Find(ctx, doc("lease_until", doc("$lt", ceil(now))), options.Find().
		SetProjection(doc("workspace", 1, "version", 1, "track", 1, "last_owner", 1)).SetSort(doc("lease_until", 1)).SetLimit(int64(limit)))
	docs, err := all[*memoryDoc](ctx, cursor, err)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	out := make([]store.Orphan, len(docs))
	for i, d := range docs {
		out[i] = store.Orphan{Ref: memory.Ref{Workspace: d.Workspace, ID: idOf(d.Workspace, d.Key), Version: d.Version}, Track: d.Track, Owner: d.LastOwner}
	}
	return out, nil
}

// Entrust marks what it gives, as Claim does, and looks for the mark where not all were to be had.
func (ls leases) Entrust(ctx context.Context, ts []store.Trust, until time.Time) ([]bool, error) {
	ok, now, claim := make([]bool, len(ts)), time.Now(), id.New("clm_")
	models, keys := make([]mongo.WriteModel, len(ts)), make([]string, len(ts))
	for i, t := range ts {
		set := doc("owner", t.Owner, "last_owner", t.Owner, "lease_until", leaseEnd(until), "track", memory.TrackDurable, "claim", claim, "updated_at", memory.At(now))
		if t.Reason != "" {
			set = append(set, bson.E{Key: "reason", Value: t.Reason})
		}
		keys[i] = key(t.Ref.Workspace, t.Ref.ID)
		models[i] = mongo.NewUpdateOneModel().SetUpdate(doc("$set", set)).
			SetFilter(doc("_id", keys[i], "version", t.Ref.Version, "lease_until", doc("$lte", now)))
	}
	matched, err := bulk(ctx, ls.s.memories, models)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	if matched == len(ts) {
		return allTrue(ok), nil
	}
	if matched == 0 {
		return ok, nil
	}
	cursor, err := ls.s.memories.Find(ctx, doc("_id", doc("$in", keys), "claim", claim), options.Find().SetProjection(doc("version", 1)))
	docs, err := all[*memoryDoc](ctx, cursor, err)
	for i, t := range ts {
		ok[i] = slices.ContainsFunc(docs, func(d *memoryDoc) bool { return d.Key == keys[i] && d.Version == t.Ref.Version })
	}
	return ok, wrap(ctx, err)
}

// Load reads an index and no document.
func (ls leases) Load(ctx context.Context) (map[memory.Track]int, error) {
	return counts[memory.Track](ctx, ls.s.memories, doc("lease_until", exists()), "track")
}
