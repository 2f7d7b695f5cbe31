package mongostore

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Runs gives how far memories are.
//
// Each write of a page is one call, whose answer says only how many memories were as they had to be. Where these are all,
// as almost always, that is the answer; else what is stored now tells one from the other: see runs.state.
func (s *Store) Runs() store.Runs { return runs{s} }

type runs struct{ s *Store }

var _ store.Runs = runs{}

// Claim marks what it takes with a name of its own, and then reads what bears it. What another claim takes in between is
// not in its answer, as if that one had come first.
func (rs runs) Claim(ctx context.Context, c store.Claim) ([]memory.Draft, error) {
	if c.Owner == "" {
		return nil, memory.Errorf(memory.CodeInternal, "a claim needs an owner")
	}
	claim, now := id.New("clm_"), time.Now()
	set := doc("owner", c.Owner, "last_owner", c.Owner, "lease_until", leaseEnd(c.Until), "status", memory.StatusProcessing,
		"claim", claim, "updated_at", memory.At(now))
	if c.Track != "" {
		set = append(set, bson.E{Key: "track", Value: c.Track})
	}
	update := doc("$set", set, "$inc", doc("fence", 1), "$min", doc("started_at", memory.At(now))) // the first claim's stays
	var models []mongo.WriteModel
	seen := map[memory.Ref]bool{}
	for _, ref := range c.Refs {
		if !seen[ref] {
			seen[ref] = true
			filter := doc("_id", key(ref.Workspace, ref.ID), "version", ref.Version,
				"$or", bson.A{doc("lease_until", doc("$lte", now)), doc("owner", c.Owner)}) // who is over has no owner
			models = append(models, mongo.NewUpdateOneModel().SetFilter(filter).SetUpdate(update))
		}
	}
	taken, err := bulk(ctx, rs.s.memories, models)
	if err != nil || taken == 0 {
		return nil, wrap(ctx, err)
	}
	return rs.drafts(ctx, c.Refs, doc("claim", claim))
}

// bulk makes changes in order, in one call, and returns how many found their document.
func bulk(ctx context.Context, c *mongo.Collection, models []mongo.WriteModel) (matched int, err error) {
	if len(models) == 0 {
		return 0, nil
	}
	res, err := c.BulkWrite(ctx, models)
	if err != nil {
		return 0, err
	}
	return int(res.MatchedCount), nil
}

func (rs runs) Drafts(ctx context.Context, owner string, refs []memory.Ref) ([]memory.Draft, error) {
	if owner == "" {
		return nil, nil
	}
	return rs.drafts(ctx, refs, doc("owner", owner, "lease_until", exists()))
}

// drafts reads those of the refs that meet the condition, in the order of the refs.
func (rs runs) drafts(ctx context.Context, refs []memory.Ref, condition bson.D) ([]memory.Draft, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	keys := make([]string, len(refs))
	for i, ref := range refs {
		keys[i] = key(ref.Workspace, ref.ID)
	}
	filter := append(doc("_id", doc("$in", keys)), condition...)
	cursor, err := rs.s.memories.Find(ctx, filter, options.Find().SetProjection(doc("owed", 0, "labels", 0)))
	docs, err := all[*memoryDoc](ctx, cursor, err)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	found := map[string]*memoryDoc{}
	for _, d := range docs {
		found[d.Key] = d
	}
	var out []memory.Draft
	for i, ref := range refs {
		if d := found[keys[i]]; d != nil && d.Version == ref.Version {
			out = append(out, d.draft())
			delete(found, keys[i]) // once, should it be named twice
		}
	}
	return out, nil
}

// current is the condition of every write of a run.
func current(ref memory.Ref, fence int64) bson.D {
	return doc("_id", key(ref.Workspace, ref.ID), "version", ref.Version, "fence", fence, "lease_until", exists())
}

// runs reports whether a run is in force. Where it is, it was at every moment since its claim.
func (d *memoryDoc) runs(ref memory.Ref, fence int64) bool {
	return d != nil && d.Version == ref.Version && d.Fence == fence && d.LeaseUntil != nil
}

// state reads what tells whether writes of runs were made: the documents by key, with no more than that.
func (rs runs) state(ctx context.Context, refs []memory.Ref) (map[string]*memoryDoc, error) {
	keys := make([]string, len(refs))
	for i, ref := range refs {
		keys[i] = key(ref.Workspace, ref.ID)
	}
	projection := doc("version", 1, "fence", 1, "lease_until", 1, "writes", 1, "end", 1, "steps.receipt", 1)
	cursor, err := rs.s.memories.Find(ctx, doc("_id", doc("$in", keys)), options.Find().SetProjection(projection))
	docs, err := all[*memoryDoc](ctx, cursor, err)
	found := make(map[string]*memoryDoc, len(docs))
	for _, d := range docs {
		found[d.Key] = d
	}
	return found, err
}

// Release leaves no owner, so that a renewal by the former one does not take the memory back.
func (rs runs) Release(ctx context.Context, releases []store.Release) ([]bool, error) {
	ok := make([]bool, len(releases))
	models, refs := make([]mongo.WriteModel, len(releases)), make([]memory.Ref, len(releases))
	for i, r := range releases {
		refs[i] = r.Ref
		models[i] = mongo.NewUpdateOneModel().SetFilter(current(r.Ref, r.Fence)).SetUpdate(doc("$set",
			doc("track", r.Track, "reason", r.Reason, "owner", "", "lease_until", leaseEnd(time.Time{}), "updated_at", memory.Now())))
	}
	matched, err := bulk(ctx, rs.s.memories, models)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	if matched == len(releases) {
		return allTrue(ok), nil
	}
	found, err := rs.state(ctx, refs)
	for i, r := range releases {
		ok[i] = found[key(r.Ref.Workspace, r.Ref.ID)].runs(r.Ref, r.Fence)
	}
	return ok, wrap(ctx, err)
}

func allTrue(ok []bool) []bool {
	for i := range ok {
		ok[i] = true
	}
	return ok
}
