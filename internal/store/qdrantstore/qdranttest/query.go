package qdranttest

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// scored is a point with its score.
type scored struct {
	key   string
	point *point
	score float32
}

// Query implements the service.
func (ps pointsService) Query(_ context.Context, r *qdrant.QueryPoints) (*qdrant.QueryResponse, error) {
	out := &qdrant.QueryResponse{}
	err := ps.s.read(r.GetCollectionName(), func(c *collection) (err error) {
		out.Result, err = c.answer(r)
		return err
	})
	return out, err
}

// QueryBatch implements the service.
func (ps pointsService) QueryBatch(_ context.Context, r *qdrant.QueryBatchPoints) (*qdrant.QueryBatchResponse, error) {
	out := &qdrant.QueryBatchResponse{}
	err := ps.s.read(r.GetCollectionName(), func(c *collection) error {
		for _, q := range r.GetQueryPoints() {
			result, err := c.answer(q)
			if err != nil {
				return err
			}
			out.Result = append(out.Result, &qdrant.BatchResult{Result: result})
		}
		return nil
	})
	return out, err
}

// QueryGroups implements the service.
func (ps pointsService) QueryGroups(_ context.Context, r *qdrant.QueryPointGroups) (*qdrant.QueryGroupsResponse, error) {
	out := &qdrant.QueryGroupsResponse{Result: &qdrant.GroupsResult{}}
	err := ps.s.read(r.GetCollectionName(), func(c *collection) error {
		all := uint64(len(c.points)) + 1
		result, err := c.answer(&qdrant.QueryPoints{
			Prefetch: r.GetPrefetch(), Query: r.GetQuery(), Using: r.Using, Filter: r.GetFilter(), Limit: &all,
			ScoreThreshold: r.ScoreThreshold, Params: r.GetParams(), WithPayload: qdrant.NewWithPayload(true),
		})
		out.Result.Groups = grouped(result, r)
		return err
	})
	return out, err
}

func grouped(found []*qdrant.ScoredPoint, r *qdrant.QueryPointGroups) []*qdrant.PointGroup {
	limit, size := int(cmp.Or(r.GetLimit(), 3)), int(cmp.Or(r.GetGroupSize(), 10)) //nolint:gosec // small
	var out []*qdrant.PointGroup
	place := map[string]int{}
	for _, p := range found {
		name := p.GetPayload()[r.GetGroupBy()].GetStringValue()
		i, ok := place[name]
		if !ok {
			if len(out) == limit {
				continue
			}
			i = len(out)
			place[name] = i
			out = append(out, &qdrant.PointGroup{Id: qdrant.NewGroupIDString(name)})
		}
		if len(out[i].GetHits()) < size {
			p.Payload = copyPayload(p.GetPayload(), r.GetWithPayload())
			out[i].Hits = append(out[i].GetHits(), p)
		}
	}
	return out
}

// answer runs a query and shows what it found.
func (c *collection) answer(r *qdrant.QueryPoints) ([]*qdrant.ScoredPoint, error) {
	limit := uint64(10)
	if r.Limit != nil {
		limit = r.GetLimit()
	}
	if limit < 1 {
		return nil, status.Error(codes.InvalidArgument, "Validation error in body: [limit: value 0 invalid, must be 1 or larger]")
	}
	if r.GetOffset() > 0 || r.GetLookupFrom() != nil {
		return nil, unknown("offset or lookup_from")
	}
	found, err := c.query(&qdrant.PrefetchQuery{
		Prefetch: r.GetPrefetch(), Query: r.GetQuery(), Using: r.Using, Filter: r.GetFilter(), Limit: &limit, ScoreThreshold: r.ScoreThreshold,
		Params: r.GetParams(),
	})
	out := make([]*qdrant.ScoredPoint, len(found))
	for i, f := range found {
		out[i] = &qdrant.ScoredPoint{Id: f.point.id, Score: f.score, Payload: copyPayload(f.point.payload, r.GetWithPayload())}
	}
	return out, err
}

func (c *collection) query(q *qdrant.PrefetchQuery) (found []scored, err error) {
	if err := c.strictRead(q.GetFilter()); err != nil {
		return nil, err
	}
	switch v := q.GetQuery().GetVariant().(type) {
	case *qdrant.Query_Nearest:
		if len(q.GetPrefetch()) > 0 {
			return nil, unknown("a search within prefetched points")
		}
		found, err = c.nearest(q, v.Nearest)
	case *qdrant.Query_Rrf:
		k := uint32(2)
		if v.Rrf.K != nil {
			k = v.Rrf.GetK()
		}
		found, err = c.fuse(q, k, v.Rrf.GetWeights())
	case *qdrant.Query_Fusion:
		if v.Fusion != qdrant.Fusion_RRF {
			return nil, unknown("fusion " + v.Fusion.String())
		}
		found, err = c.fuse(q, 2, nil)
	default:
		return nil, unknown("this kind of query")
	}
	if err != nil {
		return nil, err
	}
	best(found)
	if q.ScoreThreshold != nil {
		found = slices.DeleteFunc(found, func(s scored) bool { return s.score < q.GetScoreThreshold() })
	}
	limit := uint64(10)
	if q.Limit != nil {
		limit = q.GetLimit()
	}
	return found[:min(uint64(len(found)), limit)], nil
}

// best orders by score. Equals come in the order of a digest of their ids: Qdrant promises none.
func best(found []scored) {
	slices.SortFunc(found, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(scramble(a.key), scramble(b.key)), cmp.Compare(a.key, b.key))
	})
}

func scramble(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h ^ h>>29
}

func (c *collection) nearest(q *qdrant.PrefetchQuery, v *qdrant.VectorInput) ([]scored, error) {
	using, f := q.GetUsing(), q.GetFilter()
	if params, ok := denseParams(c.config)[using]; ok {
		if v.GetDense() == nil {
			return nil, wrong("Conversion between sparse and regular vectors failed")
		}
		return c.denseNearest(using, params, v.GetDense().GetData(), f)
	}
	params, ok := c.sparseParams()[using]
	if !ok {
		return nil, wrong("Not existing vector name error: %s", using)
	}
	if v.GetSparse() == nil {
		return nil, wrong("Conversion between sparse and regular vectors failed")
	}
	corpus, err := corpusOf(q.GetParams())
	if err != nil {
		return nil, err
	}
	return c.sparseNearest(using, params, v.GetSparse(), f, corpus)
}

func (c *collection) denseNearest(using string, params *qdrant.VectorParams, query []float32, f *qdrant.Filter) ([]scored, error) {
	if params.GetDistance() != qdrant.Distance_Cosine {
		return nil, unknown("distance " + params.GetDistance().String())
	}
	if err := fits(params, query); err != nil {
		return nil, err
	}
	query = prepared(params, query)
	var out []scored
	for key, p := range c.points {
		v, ok := p.dense[using]
		if !ok || !met(f, p) {
			continue
		}
		var dot float32
		for i := range v {
			dot += v[i] * query[i]
		}
		out = append(out, scored{key, p, dot})
	}
	return out, nil
}

// corpusOf is the filter that says among which points terms are counted; nil for all. The client for Go does not know the
// field yet.
func corpusOf(params *qdrant.SearchParams) (*qdrant.Filter, error) {
	content := params.ProtoReflect().GetUnknown()
	for _, number := range []protowire.Number{6, 1} {
		got, _, n := protowire.ConsumeTag(content)
		if n < 0 || got != number {
			return nil, nil
		}
		content, _ = protowire.ConsumeBytes(content[n:])
	}
	f := &qdrant.Filter{}
	if err := proto.Unmarshal(content, f); err != nil {
		return nil, status.Error(codes.Internal, "failed to decode Protobuf message")
	}
	return f, validFilter(f, "")
}

// sparseNearest finds the points that have one of the indices. With the modifier idf each index counts by how rare it is
// in the corpus.
func (c *collection) sparseNearest(using string, params *qdrant.SparseVectorParams, query *qdrant.SparseVector, f, corpus *qdrant.Filter) ([]scored, error) {
	weights, err := parseSparse(query)
	if err != nil {
		return nil, err
	}
	if params.GetModifier() == qdrant.Modifier_Idf {
		n, df := c.count(using, query.GetIndices(), corpus)
		for index, w := range weights {
			weights[index] = w * float32(math.Log((n-df[index]+0.5)/(df[index]+0.5)+1))
		}
	}
	indices := slices.Sorted(slices.Values(query.GetIndices()))
	var out []scored
	for key, p := range c.points {
		var score float32
		hit := false
		for _, index := range indices {
			if v, ok := p.sparse[using][index]; ok {
				score += v * weights[index]
				hit = true
			}
		}
		if hit && met(f, p) {
			out = append(out, scored{key, p, score})
		}
	}
	return out, nil
}

// count says how many points of the corpus there are, and how many have each index.
func (c *collection) count(using string, indices []uint32, corpus *qdrant.Filter) (n float64, df map[uint32]float64) {
	df = map[uint32]float64{}
	for _, p := range c.points {
		v, ok := p.sparse[using]
		if !ok || !met(corpus, p) {
			continue
		}
		n++
		for _, index := range indices {
			if _, ok := v[index]; ok {
				df[index]++
			}
		}
	}
	return n, df
}

// fuse is reciprocal rank fusion as Qdrant has it: ranks count from 0, and a weight divides the place.
func (c *collection) fuse(q *qdrant.PrefetchQuery, k uint32, weights []float32) ([]scored, error) {
	if len(q.GetPrefetch()) == 0 {
		return nil, status.Error(codes.InvalidArgument, "Bad request: cannot apply Fusion without prefetches")
	}
	if q.Using != nil {
		return nil, status.Error(codes.InvalidArgument, "Bad request: Fusion queries cannot be combined with the 'using' field.")
	}
	if len(weights) > 0 && len(weights) != len(q.GetPrefetch()) {
		return nil, wrong("Number of weights in RRF should match number of pre-fetches: got %d, expected %d", len(weights), len(q.GetPrefetch()))
	}
	sum := map[string]scored{}
	for i, pre := range q.GetPrefetch() {
		found, err := c.query(pre)
		if err != nil {
			return nil, err
		}
		weight := float32(1)
		if len(weights) > 0 {
			weight = weights[i]
		}
		for place, f := range found {
			f.score = sum[f.key].score + share(place, k, weight)
			sum[f.key] = f
		}
	}
	var out []scored
	for _, s := range sum {
		if met(q.GetFilter(), s.point) {
			out = append(out, s)
		}
	}
	return out, nil
}

func share(place int, k uint32, weight float32) float32 {
	if weight <= 0 {
		return 0
	}
	return 1 / (float32(place+1)/weight + float32(k) - 1)
}
