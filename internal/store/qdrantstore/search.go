package qdrantstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/qdrant/go-client/qdrant"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Search implements [store.Vectors]. In the common case it is one call, whatever the mode: a batch of a query for each list
// and, for a hybrid search, one that fuses the two on the server.
//
// What the server fuses are passages, and it breaks ties as it likes. So its order is taken where that makes no
// difference: where no memory has two passages in the lists and no two neighbours in a list are equal. Elsewhere
// [store.Fusion] fuses the lists of memories, which are at hand in any case for the parts of the scores.
func (v vectors) Search(ctx context.Context, q store.VectorQuery) ([]store.Hit, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	filter, err := within(q)
	if err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		name, err := v.s.searched(ctx, q)
		if err != nil || name == "" {
			return nil, err
		}
		hits, err := search{s: v.s, collection: name, filter: filter, q: q}.run(ctx)
		if again || !isNotFound(err) {
			return hits, err
		}
		// Another model may have taken over, and this one's collection be gone.
		if _, err := v.s.readState(ctx); err != nil {
			return nil, err
		}
	}
}

// parallel is how many queries of a page are asked at the same time.
const parallel = 8

// Nearest implements [store.Vectors].
func (v vectors) Nearest(ctx context.Context, qs []store.VectorQuery) ([][]store.Hit, error) {
	out := make([][]store.Hit, len(qs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, q := range qs {
		q.Mode = store.Vector
		g.Go(func() (err error) {
			out[i], err = v.Search(ctx, q)
			return err
		})
	}
	return out, g.Wait()
}

// searched names the collection that answers the query; "" where nothing is stored. Vectors of the model before are
// answered as long as its collection is kept: processes that have not been told of the new one go on.
func (s *Store) searched(ctx context.Context, q store.VectorQuery) (string, error) {
	st, err := s.inForce(ctx)
	if err == nil && q.Mode != store.Lexical && st.Current != q.Model {
		st, err = s.readState(ctx)
	}
	switch {
	case err != nil || st.Current == (store.Model{}):
		return "", err
	case q.Mode == store.Lexical || st.Current == q.Model:
		return s.nameOf(st.Current), nil
	case st.Previous == q.Model:
		return s.nameOf(st.Previous), nil
	}
	return "", st.Current.Same(q.Model)
}

// within is what of the collection a query is about.
func within(q store.VectorQuery) (*qdrant.Filter, error) {
	f := of(q.Workspace, nil)
	if q.Filter != nil {
		c, err := conditionOf(*q.Filter)
		if err != nil {
			return nil, err
		}
		f.Must = append(f.Must, c)
	}
	if len(q.Exclude) > 0 {
		f.MustNot = []*qdrant.Condition{qdrant.NewMatchKeywords(fieldMemory, q.Exclude...)}
	}
	return f, nil
}

// search is one query on its way.
type search struct {
	s          *Store
	collection string
	filter     *qdrant.Filter
	q          store.VectorQuery
}

func (sr search) run(ctx context.Context) ([]store.Hit, error) {
	var fusion store.Fusion
	want := sr.q.Limit
	if sr.q.Mode == store.Hybrid {
		want = fusion.Depth(want)
	}
	near, match := sr.near(want), sr.match(want)
	lists := slices.DeleteFunc([]*list{near, match}, func(l *list) bool { return l == nil })
	if len(lists) == 0 {
		return nil, nil
	}
	fused, err := sr.fetch(ctx, lists)
	if err != nil {
		return nil, err
	}
	switch sr.q.Mode {
	case store.Vector:
		return cosines(near.hits()), nil
	case store.Lexical:
		return relative(match.hits()), nil
	}
	vector, lexical := cosines(near.hits()), relative(match.hits())
	if hits, ok := served(fused, near, match, vector, lexical, sr.q.Limit); ok {
		return hits, nil
	}
	return fusion.Fuse(vector, lexical, sr.q.Limit), nil
}

// near is the list of the best memories by vector; nil where the query has none.
func (sr search) near(want int) *list {
	unit := store.Direction(sr.q.Vector)
	if sr.q.Mode == store.Lexical || unit == nil {
		return nil
	}
	return &list{using: dense, query: qdrant.NewQueryDense(unit), params: sr.params(), want: want}
}

// match is the list of the best memories by words; nil where the query has none.
func (sr search) match(want int) *list {
	if sr.q.Mode == store.Vector {
		return nil
	}
	var indices []uint32
	var ones []float32
	for _, t := range store.QueryTerms(sr.q.Text) {
		indices, ones = append(indices, uint32(t)), append(ones, 1)
	}
	if len(indices) == 0 {
		return nil
	}
	return &list{using: sparse, query: qdrant.NewQuerySparse(indices, ones), params: countedIn(sr.q.Workspace), want: want}
}

// fetch completes the lists, all of them in one call, and again where many passages of a memory or many that are equal
// fill the first page of one. Of two lists it also returns what the server makes of them together.
func (sr search) fetch(ctx context.Context, lists []*list) (fused []*qdrant.ScoredPoint, err error) {
	open := slices.Clone(lists)
	for round := 0; len(open) > 0; round++ {
		batch := &qdrant.QueryBatchPoints{CollectionName: sr.collection}
		for _, l := range open {
			batch.QueryPoints = append(batch.QueryPoints, sr.page(l))
		}
		if round == 0 && len(lists) == 2 {
			batch.QueryPoints = append(batch.QueryPoints, sr.fusion(lists))
		}
		answers, err := sr.s.client.QueryBatch(ctx, batch)
		if err != nil {
			return nil, wrap(err)
		}
		for i, l := range open {
			l.add(answers[i].GetResult())
		}
		if len(answers) > len(open) {
			fused = answers[len(open)].GetResult()
		}
		open = slices.DeleteFunc(open, func(l *list) bool { return l.done })
	}
	return fused, nil
}

// page asks for the next best passages of a list, of memories that are not in it yet.
func (sr search) page(l *list) *qdrant.QueryPoints {
	filter := &qdrant.Filter{Must: sr.filter.GetMust(), MustNot: sr.filter.GetMustNot()}
	if ids := l.memories(); len(ids) > 0 {
		filter.MustNot = append(slices.Clone(filter.GetMustNot()), qdrant.NewMatchKeywords(fieldMemory, ids...))
	}
	return &qdrant.QueryPoints{
		CollectionName: sr.collection, Query: l.query, Using: &l.using, Filter: filter, Params: l.params,
		Limit: new(uint64(l.limit())), WithPayload: shown(), //nolint:gosec // at least 1
	}
}

func (sr search) params() *qdrant.SearchParams {
	if !sr.s.cfg.Exact {
		return nil
	}
	return &qdrant.SearchParams{Exact: new(true)}
}

// countedIn makes how rare a term is a matter of the workspace alone. That is the field idf of the parameters (6), and in
// it the filter that says what is counted (1), which Qdrant has since 1.19 and its client for Go has not: so they are
// written out here. An older server would leave them out and count in all workspaces.
func countedIn(workspace string) *qdrant.SearchParams {
	corpus, err := proto.Marshal(of(workspace, nil))
	if err != nil { // a workspace that is no UTF-8 has no points either
		return nil
	}
	field := func(number protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
	}
	p := &qdrant.SearchParams{}
	p.ProtoReflect().SetUnknown(field(6, field(1, corpus)))
	return p
}

// rrfK is the k of the server's fusion. It counts ranks from 0, as 1 / (k + rank), where [store.Fusion] counts them from 1
// with a k of 5.
const rrfK = 6

// fusedMargin is how many more than wanted are fetched of the fused list, for those that are as good as the last.
const fusedMargin = 16

func (sr search) fusion(lists []*list) *qdrant.QueryPoints {
	out := &qdrant.QueryPoints{
		CollectionName: sr.collection, Query: qdrant.NewQueryRRF(&qdrant.Rrf{K: new(uint32(rrfK))}),
		Limit: new(uint64(sr.q.Limit + fusedMargin)), WithPayload: shown(), //nolint:gosec // at least 1
	}
	for _, l := range lists {
		out.Prefetch = append(out.Prefetch, &qdrant.PrefetchQuery{
			Query: l.query, Using: &l.using, Filter: sr.filter, Params: l.params, Limit: new(uint64(l.want - 1)), //nolint:gosec // the last one is not fused: see store.Fusion
		})
	}
	return out
}

// served takes the order of the server, with the parts of the scores from the lists; false where it is not the one that
// [store.Fusion] would make.
func served(fused []*qdrant.ScoredPoint, near, match *list, vector, lexical []store.Hit, limit int) ([]store.Hit, bool) {
	if len(fused) == 0 || !near.plain() || !match.plain() || !near.agrees(match) {
		return nil, false
	}
	parts := make(map[string]store.Hit, len(vector)+len(lexical))
	for _, h := range vector {
		parts[h.MemoryID] = h
	}
	for _, h := range lexical {
		both, ok := parts[h.MemoryID]
		if ok {
			h.Vector = both.Vector
		}
		parts[h.MemoryID] = h
	}
	hits := make([]store.Hit, 0, len(fused))
	for _, p := range fused {
		h, ok := parts[passageOf(p).MemoryID]
		if !ok { // stored between the queries of the batch
			return nil, false
		}
		h.Score = min(1, float64(p.GetScore())*rrfK/2) // the first place in both lists gives 2/k
		hits = append(hits, h)
	}
	slices.SortFunc(hits, store.BestFirst)
	if len(fused) == limit+fusedMargin && hits[len(hits)-1].Score == hits[limit-1].Score {
		return nil, false
	}
	return hits[:min(limit, len(hits))], true
}

// cosines are the hits of a vector search.
func cosines(hits []store.Hit) []store.Hit {
	for i := range hits {
		cosine := clamp(hits[i].Score)
		hits[i].Vector, hits[i].Score = &cosine, max(0, cosine)
	}
	return hits
}

// relative are the hits of a search by words, with scores relative to the best.
func relative(hits []store.Hit) []store.Hit {
	for i := len(hits) - 1; i >= 0; i-- {
		hits[i].Score /= hits[0].Score
		hits[i].Lexical = new(hits[i].Score)
	}
	return hits
}

// list is a ranking of memories in the making.
type list struct {
	using  string
	query  *qdrant.Query
	params *qdrant.SearchParams
	want   int

	found []passage // best first
	pages int
	done  bool
}

// maxFound bounds how many passages are looked through where more than that are equally good.
const maxFound = 10_000

// limit is how many passages the next page has: somewhat more than are wanted, as a memory may have several; then four
// times as many each time.
func (l *list) limit() int {
	return min((l.want+l.want/2+4)<<(2*l.pages), maxFound)
}

// memories are those that are in the list already, with their best passage.
func (l *list) memories() []string {
	var ids []string
	for _, h := range firsts(l.found) {
		ids = append(ids, h.MemoryID)
	}
	return ids
}

// add takes a page in. What was not fetched is no better than the last of the page. If it is as good as the last wanted
// memory, it may come before that by its id.
func (l *list) add(page []*qdrant.ScoredPoint) {
	limit := l.limit()
	l.pages++
	for _, p := range page {
		l.found = append(l.found, passageOf(p))
	}
	slices.SortFunc(l.found, func(a, b passage) int {
		return cmp.Or(store.BestFirst(a.Hit, b.Hit), cmp.Compare(a.number, b.number))
	})
	hits := firsts(l.found)
	last := func() float64 { return float64(page[len(page)-1].GetScore()) }
	l.done = len(page) < limit || len(l.found) >= maxFound || len(hits) >= l.want && last() < hits[l.want-1].Score
}

// hits are the wanted memories, each by its best passage.
func (l *list) hits() []store.Hit {
	if l == nil {
		return nil
	}
	hits := firsts(l.found)
	return hits[:min(l.want, len(hits))]
}

// plain reports whether the server cannot but rank these memories as they are ranked here: each has one passage among those
// that the server looks at, and no two are equally good, nor is the first that it does not look at as good as the last that
// it does.
func (l *list) plain() bool {
	if l == nil || l.pages > 1 {
		return false
	}
	looked := l.found[:min(l.want, len(l.found))]
	seen := make(map[string]bool, len(looked))
	for i, p := range looked {
		if seen[p.MemoryID] || i > 0 && store.Alike(l.share(p), l.share(looked[i-1])) {
			return false
		}
		seen[p.MemoryID] = true
	}
	return true
}

// share is the score of a passage as a share of the best possible: of the best one there is, for words.
func (l *list) share(p passage) float64 {
	if l.using == sparse {
		return p.Score / l.found[0].Score
	}
	return p.Score
}

// agrees reports whether both lists know the memories that they have in common by the same passage.
func (l *list) agrees(other *list) bool {
	looked := func(l *list) []passage { return l.found[:min(l.want-1, len(l.found))] }
	ids := make(map[string]string, l.want)
	for _, p := range looked(l) {
		ids[p.MemoryID] = p.id
	}
	return !slices.ContainsFunc(looked(other), func(p passage) bool {
		id, both := ids[p.MemoryID]
		return both && id != p.id
	})
}

// firsts returns the first passage of each memory.
func firsts(found []passage) []store.Hit {
	var hits []store.Hit
	seen := make(map[string]bool, len(found))
	for _, p := range found {
		if !seen[p.MemoryID] {
			seen[p.MemoryID] = true
			hits = append(hits, p.Hit)
		}
	}
	return hits
}
