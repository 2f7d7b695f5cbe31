package mongostore

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Memories gives the documents of memories.
func (s *Store) Memories() store.Memories { return memories{s} }

type memories struct{ s *Store }

var _ store.Memories = memories{}

// Put inserts a page in one call. What is there already is read, and changed if it is still as it was read; what
// another has changed meanwhile is read again. Two of the same id or external id in one call take their turns.
func (ms memories) Put(ctx context.Context, in []store.Intake) ([]store.Put, error) {
	left := make([]*putting, len(in))
	for i := range in {
		left[i] = newPutting(in[i])
	}
	all := slices.Clone(left)
	for len(left) > 0 {
		var turn []*putting
		turn, left = apart(left)
		if err := ms.settle(ctx, turn); err != nil {
			return nil, wrap(ctx, err)
		}
	}
	out := make([]store.Put, len(in))
	for i, p := range all {
		out[i] = p.put
	}
	return out, nil
}

// putting is an intake on its way into the store.
type putting struct {
	store.Intake
	put    store.Put // what became of it; its kind is "" until then
	insert bool      // it is tried as a new document next
}

func newPutting(in store.Intake) *putting {
	m := &in.Memory
	m.Version, m.Status = 1, memory.StatusQueued
	m.UseCases, m.Related, m.Graph, m.Steps, m.Error, m.StartedAt, m.CompletedAt = nil, nil, memory.Graph{}, nil, nil, nil, nil
	m.Metadata = store.Plain(m.Metadata)
	if m.CreatedAt.IsZero() {
		m.CreatedAt = memory.Now()
	}
	if m.UpdatedAt.IsZero() {
		m.UpdatedAt = m.CreatedAt
	}
	return &putting{Intake: in, insert: in.IfVersion == 0}
}

// apart splits off those whose ids and external ids no earlier one has.
func apart(ps []*putting) (now, later []*putting) {
	ids, externals := map[string]bool{}, map[string]bool{}
	for _, p := range ps {
		id, external := key(p.Memory.Workspace, p.Memory.ID), externalKey(&p.Memory)
		if ids[id] || externals[external] {
			later = append(later, p)
		} else {
			now = append(now, p)
		}
		ids[id], externals[external] = true, external != ""
	}
	return now, later
}

// settle goes on until it is known what became of each.
func (ms memories) settle(ctx context.Context, ps []*putting) error {
	for try := 0; ; try++ {
		if err := ms.insert(ctx, ps); err != nil {
			return err
		}
		ps = slices.DeleteFunc(ps, func(p *putting) bool { return p.put.Kind != "" })
		if len(ps) == 0 {
			return nil
		}
		if err := ms.merge(ctx, ps); err != nil {
			return err
		}
		ps = slices.DeleteFunc(ps, func(p *putting) bool { return p.put.Kind != "" })
		if len(ps) == 0 {
			return nil
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// pause lets those go first who were faster, a little longer with each try.
func pause(ctx context.Context, try int) error {
	longest := min(time.Millisecond<<min(try, 6), 50*time.Millisecond)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rand.N(longest)): //nolint:gosec // spread, not secrecy
		return nil
	}
}

// insert stores new memories. Those whose id or external id exists are left for merge.
func (ms memories) insert(ctx context.Context, ps []*putting) error {
	var tried []*putting
	var docs []*memoryDoc
	for _, p := range ps {
		if p.insert {
			p.insert = false
			tried, docs = append(tried, p), append(docs, newMemoryDoc(&p.Intake))
		}
	}
	if len(docs) == 0 {
		return nil
	}
	_, err := ms.s.memories.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
	taken, ok := duplicates(err)
	if !ok {
		return err
	}
	for i, p := range tried {
		if !slices.Contains(taken, i) {
			p.put = store.Put{Kind: store.Created, Memory: p.Memory, Fence: docs[i].Fence}
		}
	}
	return nil
}

// merge reads what stands in the way of the intakes and makes of it what each asks for. What cannot be settled, since it
// was changed after it was read, is left for the next try.
func (ms memories) merge(ctx context.Context, ps []*putting) error {
	byKey, byExternal, err := ms.find(ctx, ps)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for _, p := range ps {
		old := byExternal[externalKey(&p.Memory)]
		if old == nil || p.IfVersion != 0 {
			old = byKey[key(p.Memory.Workspace, p.Memory.ID)]
		}
		c := p.over(old)
		if c == nil {
			continue
		}
		g.Go(func() error { // each by itself: a bulk of changes does not say which of them found their document
			res, err := ms.s.memories.UpdateOne(ctx, c.filter, c.update)
			if err == nil && res.MatchedCount == 1 {
				p.put = c.put
			}
			return err
		})
	}
	return g.Wait()
}

// find returns the stored memories that stand in the way.
func (ms memories) find(ctx context.Context, ps []*putting) (byKey, byExternal map[string]*memoryDoc, err error) {
	var keys, externals []string
	for _, p := range ps {
		keys = append(keys, key(p.Memory.Workspace, p.Memory.ID))
		if e := externalKey(&p.Memory); e != "" {
			externals = append(externals, e)
		}
	}
	filter := doc("_id", doc("$in", keys))
	if len(externals) > 0 {
		filter = doc("$or", bson.A{filter, doc("external", doc("$in", externals))})
	}
	cursor, err := ms.s.memories.Find(ctx, filter, options.Find().SetProjection(light()))
	docs, err := all[*memoryDoc](ctx, cursor, err)
	byKey, byExternal = map[string]*memoryDoc{}, map[string]*memoryDoc{}
	for _, d := range docs {
		byKey[d.Key] = d
		if d.External != "" {
			byExternal[d.External] = d
		}
	}
	return byKey, byExternal, err
}

// change is a change of one stored memory, and what is answered where it was made.
type change struct {
	filter, update bson.D
	put            store.Put
}

// over decides what the intake does to the stored memory. It returns nil where nothing is to be written: then it is known
// what became of the intake, or it is to be tried as a new document.
func (p *putting) over(old *memoryDoc) *change {
	switch {
	case p.IfVersion != 0 && (old == nil || old.gone()):
		p.put = store.Put{Kind: store.Stale}
	case old == nil:
		p.insert = true
	case old.gone():
		p.put = store.Put{Kind: store.Erased}
	case p.IfVersion != 0 && old.Version != p.IfVersion:
		p.put = store.Put{Kind: store.Stale, Memory: old.memory(), Fence: old.Fence}
	case sameMemory(old, &p.Memory):
		return p.again(old)
	case !p.AskedAt.IsZero() && memory.At(p.AskedAt).Before(old.AskedAt.Time):
		p.put = store.Put{Kind: store.Stale, Memory: old.memory(), Fence: old.Fence}
	default:
		return p.update(old)
	}
	return nil
}

// again decides what an intake does to a memory that says the same.
func (p *putting) again(old *memoryDoc) *change {
	switch old.Status {
	case memory.StatusFailed, memory.StatusDegraded, memory.StatusCancelled:
		return p.resume(old)
	}
	p.put = store.Put{Kind: store.Unchanged, Memory: old.memory(), Fence: old.Fence}
	return nil
}

func sameMemory(old *memoryDoc, m *memory.Memory) bool {
	at, was := m.OccurredAt, old.OccurredAt
	return old.Content == m.Content && sameMetadata(old.Metadata, m.Metadata) && (at == nil) == (was == nil) && (at == nil || at.Equal(was.Time))
}

func sameMetadata(a, b memory.Metadata) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// asRead is the condition that a memory is as it was read. Each change of it that matters here raises one of these.
func asRead(old *memoryDoc) bson.D {
	return doc("_id", old.Key, "version", old.Version, "fence", old.Fence)
}

// update makes the intake the next version of a stored memory. What it owes it goes on owing.
func (p *putting) update(old *memoryDoc) *change {
	m := p.Memory
	m.ID, m.Version, m.CreatedAt, m.UpdatedAt = idOf(old.Workspace, old.Key), old.Version+1, old.CreatedAt, memory.Now()
	if m.ExternalID == "" {
		m.ExternalID = idOf(old.Workspace, old.External)
	}
	in := p.Intake
	in.Memory = m
	next := newMemoryDoc(&in)
	set := doc("version", next.Version, "status", next.Status, "track", next.Track, "reason", next.Reason, "content", next.Content,
		"updated_at", next.UpdatedAt, "asked_at", next.AskedAt, "owner", next.Owner, "last_owner", next.LastOwner, "lease_until", next.LeaseUntil, "writes", 0)
	var unset bson.D
	for _, f := range []struct {
		name  string
		value any
		none  bool
	}{
		{"external", next.External, next.External == ""}, {"priority", next.Priority, next.Priority == ""},
		{"batch_id", next.BatchID, next.BatchID == ""}, {"webhook_url", next.WebhookURL, next.WebhookURL == ""},
		{"metadata", next.Metadata, next.Metadata == nil}, {"labels", next.Labels, next.Labels == nil},
		{"occurred_at", next.OccurredAt, next.OccurredAt == nil},
		{"started_at", nil, true}, {"completed_at", nil, true}, {"error", nil, true}, {"steps", nil, true}, {"embedding", nil, true},
		{"tokens", nil, true}, {"cost", nil, true}, {"claim", nil, true},
	} {
		if f.none {
			unset = append(unset, bson.E{Key: f.name, Value: ""})
		} else {
			set = append(set, bson.E{Key: f.name, Value: f.value})
		}
	}
	return &change{asRead(old), doc("$set", set, "$unset", unset, "$inc", doc("fence", 1)), store.Put{Kind: store.Updated, Memory: m, Fence: old.Fence + 1}}
}

// resume queues a memory again that had ended without success. What its unfinished steps took is taken off its sums.
func (p *putting) resume(old *memoryDoc) *change {
	m, until := old.memory(), leaseEnd(p.Lease.Until)
	m.Status, m.Track, m.Reason, m.BatchID = memory.StatusQueued, p.Memory.Track, p.Memory.Reason, p.Memory.BatchID
	m.Error, m.CompletedAt, m.UpdatedAt = nil, nil, memory.Now()
	m.Steps = slices.DeleteFunc(m.Steps, func(r memory.Receipt) bool { return r.Status != memory.StepCompleted })
	kept, tokens, cost := completed(old.Steps)
	set := doc("status", m.Status, "track", m.Track, "reason", m.Reason, "updated_at", m.UpdatedAt, "steps", kept,
		"owner", p.Lease.Owner, "last_owner", p.Lease.Owner, "lease_until", until)
	if old.Tokens != 0 || old.Cost != 0 {
		set = append(set, doc("tokens", tokens, "cost", cost)...)
	}
	unset := doc("error", "", "completed_at", "", "claim", "")
	if m.BatchID != "" {
		set = append(set, bson.E{Key: "batch_id", Value: m.BatchID})
	} else {
		unset = append(unset, bson.E{Key: "batch_id", Value: ""})
	}
	return &change{asRead(old), doc("$set", set, "$unset", unset, "$inc", doc("fence", 1, "writes", 1)), store.Put{Kind: store.Resumed, Memory: m, Fence: old.Fence + 1}}
}

// completed are the steps that are done, and what they took.
func completed(steps []step) (kept []step, tokens, cost int64) {
	kept = []step{}
	for _, s := range steps {
		if s.Receipt.Status == memory.StepCompleted {
			kept = append(kept, s)
			tokens += int64(s.Receipt.Tokens)
			cost += costOf(s.Receipt.CostUSD)
		}
	}
	return kept, tokens, cost
}

func (ms memories) Get(ctx context.Context, workspace string, ids ...string) ([]memory.Memory, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	keys := keysOf(workspace, ids)
	cursor, err := ms.s.memories.Find(ctx, doc("_id", doc("$in", keys)), options.Find().SetProjection(light()))
	docs, err := all[*memoryDoc](ctx, cursor, err)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	found := map[string]*memoryDoc{}
	for _, d := range docs {
		found[d.Key] = d
	}
	var out []memory.Memory
	for _, k := range keys {
		if d := found[k]; d != nil && !d.gone() {
			out = append(out, d.memory())
		}
	}
	return out, nil
}

func keysOf(workspace string, ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = key(workspace, id)
	}
	return out
}

// Delete also forgets the events that the memories owe: they tell of what is to be forgotten. What is noted for erasure
// keeps its record, and is looked for twice: it may have been noted in between.
func (ms memories) Delete(ctx context.Context, workspace string, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	these := doc("_id", doc("$in", keysOf(workspace, ids)))
	var fields bson.D
	for _, f := range memoryFields() {
		fields = append(fields, bson.E{Key: f, Value: ""})
	}
	strip := func() error {
		_, err := ms.s.memories.UpdateMany(ctx, append(these[:1:1], bson.E{Key: "erasure", Value: exists()}), doc("$unset", fields))
		return err
	}
	if err := strip(); err != nil {
		return wrap(ctx, err)
	}
	_, err := ms.s.memories.DeleteMany(ctx, append(these[:1:1], bson.E{Key: "erasure", Value: doc("$exists", false)}))
	if err == nil {
		err = strip()
	}
	return wrap(ctx, err)
}

// Count reads an index and no document.
func (ms memories) Count(ctx context.Context, workspace string) (map[memory.Status]int, error) {
	return counts[memory.Status](ctx, ms.s.memories, doc("workspace", workspace), "status")
}

// Usage reads an index and no document.
func (ms memories) Usage(ctx context.Context, workspace string) (store.Usage, error) {
	cursor, err := ms.s.memories.Aggregate(ctx, bson.A{
		doc("$match", doc("workspace", workspace, "tokens", exists())),
		doc("$group", doc("_id", nil, "tokens", doc("$sum", "$tokens"), "cost", doc("$sum", "$cost"))),
	})
	sums, err := all[struct {
		Tokens int64 `bson:"tokens"`
		Cost   int64 `bson:"cost"`
	}](ctx, cursor, err)
	if err != nil || len(sums) == 0 {
		return store.Usage{}, wrap(ctx, err)
	}
	return store.Usage{Tokens: int(sums[0].Tokens), CostUSD: usdOf(sums[0].Cost)}, nil
}
