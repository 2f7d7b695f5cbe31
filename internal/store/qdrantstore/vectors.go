package qdrantstore

import (
	"context"
	"maps"
	"slices"

	"github.com/qdrant/go-client/qdrant"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

type vectors struct{ s *Store }

var _ store.Vectors = vectors{}

// Upsert implements [store.Vectors].
func (v vectors) Upsert(ctx context.Context, m store.Model, points []store.Point) error {
	if len(points) == 0 {
		return nil
	}
	if err := fit(m, points); err != nil {
		return err
	}
	if err := v.s.settle(ctx, m); err != nil {
		return err
	}
	if err := v.s.put(ctx, v.s.nameOf(m), points); err != nil {
		return err
	}
	// The state that was in force may be old. What was written while another model took over counts as not written: who
	// moves what this model had looks for the last time after that.
	st, err := v.s.readState(ctx)
	if err != nil {
		return err
	}
	return st.Current.Same(m)
}

func fit(m store.Model, points []store.Point) error {
	for i := range points {
		if err := m.Fits(points[i].Vector); err != nil {
			return err
		}
	}
	return nil
}

// put writes points in place of those of the same memories, unless these are of a later version.
//
// Qdrant changes many points at once, but not on condition of others. So what is there is looked at before, lest an old
// version be seen for a moment, and again after: of two that write versions of a memory at the same time, the one that ends
// later sees both, and removes all but the latest.
func (s *Store) put(ctx context.Context, collection string, points []store.Point) error {
	memories := store.Latest(points)
	there, err := s.stored(ctx, collection, memories)
	if err != nil {
		return err
	}
	latest := latestOf(there)
	memories = slices.DeleteFunc(memories, func(ps []store.Point) bool { return ps[0].Version < latest[keyOf(ps[0])] })
	if len(memories) == 0 {
		return nil
	}
	fresh := slices.Concat(memories...)
	if err := s.upsert(ctx, collection, fresh); err != nil {
		return err
	}
	if there, err = s.stored(ctx, collection, memories); err != nil {
		return err
	}
	return s.remove(ctx, collection, obsolete(there, fresh))
}

// upsertSize is how many points one call carries: some megabytes.
const upsertSize = 400

func (s *Store) upsert(ctx context.Context, collection string, points []store.Point) error {
	for chunk := range slices.Chunk(points, upsertSize) {
		structs := make([]*qdrant.PointStruct, len(chunk))
		for i, p := range chunk {
			structs[i] = pointOf(p)
		}
		_, err := s.client.Upsert(ctx, &qdrant.UpsertPoints{CollectionName: collection, Wait: new(true), Points: structs})
		if err != nil {
			return wrap(err)
		}
	}
	return nil
}

// memoryKey names a memory among those of all workspaces.
type memoryKey struct{ workspace, id string }

func keyOf(p store.Point) memoryKey { return memoryKey{p.Workspace, p.MemoryID} }

// storedPoint is a point as far as versions go.
type storedPoint struct {
	id      string
	key     memoryKey
	version int
}

// scrollSize is how many points a page of a list has.
const scrollSize = 1000

// stored lists the points of memories.
func (s *Store) stored(ctx context.Context, collection string, memories [][]store.Point) ([]storedPoint, error) {
	ids := map[string][]string{} // by workspace
	for _, ps := range memories {
		ids[ps[0].Workspace] = append(ids[ps[0].Workspace], ps[0].MemoryID)
	}
	var out []storedPoint
	for _, workspace := range slices.Sorted(maps.Keys(ids)) {
		var offset *qdrant.PointId
		for {
			page, next, err := s.scroll(ctx, collection, workspace, ids[workspace], scrollSize, offset)
			if err != nil {
				return nil, err
			}
			out = append(out, page...)
			if next == nil {
				break
			}
			offset = next
		}
	}
	return out, nil
}

// scroll lists points of a workspace, of these memories where there are any, from a point on.
func (s *Store) scroll(ctx context.Context, collection, workspace string, memoryIDs []string, limit int, offset *qdrant.PointId) ([]storedPoint, *qdrant.PointId, error) {
	points, next, err := s.client.ScrollAndOffset(ctx, &qdrant.ScrollPoints{
		CollectionName: collection, Filter: of(workspace, memoryIDs), Offset: offset, Limit: new(uint32(min(limit, scrollSize))), //nolint:gosec // at most 1,000
		WithPayload: qdrant.NewWithPayloadInclude(fieldMemory, fieldVersion),
	})
	out := make([]storedPoint, len(points))
	for i, p := range points {
		out[i] = storedPoint{
			id: p.GetId().GetUuid(), version: int(p.GetPayload()[fieldVersion].GetIntegerValue()),
			key: memoryKey{workspace, p.GetPayload()[fieldMemory].GetStringValue()},
		}
	}
	return out, next, wrap(err)
}

// of is met by the points of a workspace, of these memories where there are any.
func of(workspace string, memoryIDs []string) *qdrant.Filter {
	f := &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatchKeyword(fieldWorkspace, workspace)}}
	if len(memoryIDs) > 0 {
		f.Must = append(f.Must, qdrant.NewMatchKeywords(fieldMemory, memoryIDs...))
	}
	return f
}

func latestOf(points []storedPoint) map[memoryKey]int {
	out := map[memoryKey]int{}
	for _, p := range points {
		out[p.key] = max(out[p.key], p.version)
	}
	return out
}

// obsolete are the points of versions that are not the latest of their memory, and of the version just written those that
// it does not have (any more).
func obsolete(there []storedPoint, fresh []store.Point) []*qdrant.PointId {
	latest, written := latestOf(there), map[memoryKey]int{}
	kept := make(map[string]bool, len(fresh))
	for _, p := range fresh {
		kept[pointID(p).GetUuid()], written[keyOf(p)] = true, p.Version
	}
	var out []*qdrant.PointId
	for _, p := range there {
		if p.version < latest[p.key] || p.version == written[p.key] && !kept[p.id] {
			out = append(out, qdrant.NewIDUUID(p.id))
		}
	}
	return out
}

func (s *Store) remove(ctx context.Context, collection string, ids []*qdrant.PointId) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := s.client.Delete(ctx, &qdrant.DeletePoints{CollectionName: collection, Wait: new(true), Points: qdrant.NewPointsSelectorIDs(ids)})
	return wrap(err)
}

// Delete implements [store.Vectors]. It forgets in all collections: also in the one that is being moved to, and in the one
// that was moved from.
func (v vectors) Delete(ctx context.Context, workspace string, memoryIDs ...string) error {
	if len(memoryIDs) == 0 {
		return nil
	}
	names, err := v.s.collections(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		_, err := v.s.client.Delete(ctx, &qdrant.DeletePoints{
			CollectionName: name, Wait: new(true), Points: qdrant.NewPointsSelectorFilter(of(workspace, memoryIDs)),
		})
		if err != nil && !isNotFound(err) { // dropped meanwhile
			return wrap(err)
		}
	}
	return nil
}

// Model implements [store.Vectors].
func (v vectors) Model(ctx context.Context) (store.Model, error) {
	st, err := v.s.readState(ctx)
	return st.Current, err
}

// Held implements [store.Vectors]. The cursor is the id of a point.
func (v vectors) Held(ctx context.Context, q store.HeldQuery) ([]store.Holding, string, error) {
	if q.Limit < 1 {
		return nil, "", memory.Errorf(memory.CodeInvalid, "the limit must be at least 1")
	}
	st, err := v.s.readState(ctx)
	if err != nil || st.Current == (store.Model{}) {
		return nil, "", err
	}
	var offset *qdrant.PointId
	if q.Cursor != "" {
		offset = qdrant.NewIDUUID(q.Cursor)
	}
	points, next, err := v.s.scroll(ctx, v.s.nameOf(st.Current), q.Workspace, q.MemoryIDs, q.Limit, offset)
	out := make([]store.Holding, len(points))
	for i, p := range points {
		out[i] = store.Holding{MemoryID: p.key.id, Version: p.version, Parts: 1}
	}
	return out, next.GetUuid(), err
}
