package qdranttest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// collection is what a collection holds. The lock of the server is over all of it.
type collection struct {
	config  *qdrant.CreateCollection
	schema  map[string]*qdrant.PayloadSchemaInfo
	points  map[string]*point
	pending []func() // writes that nobody waits for
}

type point struct {
	id      *qdrant.PointId
	payload map[string]*qdrant.Value
	dense   map[string][]float32
	sparse  map[string]map[uint32]float32
}

type collectionsService struct {
	qdrant.UnimplementedCollectionsServer

	s *Server
}

func done() (*qdrant.CollectionOperationResponse, error) {
	return &qdrant.CollectionOperationResponse{Result: true}, nil
}

// Create implements the service.
func (cs collectionsService) Create(_ context.Context, r *qdrant.CreateCollection) (*qdrant.CollectionOperationResponse, error) {
	cs.s.mu.Lock()
	defer cs.s.mu.Unlock()
	name := r.GetCollectionName()
	if name == "" || len(name) > 255 || strings.ContainsAny(name, "<>:\"/\\|?*\x00\x1f") {
		return nil, status.Errorf(codes.InvalidArgument, "Validation error in body: [collection_name: %q is not a valid name]", name)
	}
	if _, ok := cs.s.collections[name]; ok || cs.s.aliases[name] != "" {
		return nil, status.Errorf(codes.AlreadyExists, "Wrong input: Collection `%s` already exists!", name)
	}
	for vector, p := range denseParams(r) {
		if p.GetSize() < 1 || p.GetSize() > 65536 || p.GetDistance() == qdrant.Distance_UnknownDistance {
			return nil, wrong("vector %q has the size %d and the distance %s", vector, p.GetSize(), p.GetDistance())
		}
	}
	if err := cs.s.record(r); err != nil {
		return nil, err
	}
	if cs.s.cfg.Strict {
		r.StrictModeConfig = &qdrant.StrictModeConfig{Enabled: new(true), UnindexedFilteringRetrieve: new(false), UnindexedFilteringUpdate: new(false)}
	}
	cs.s.collections[name] = &collection{
		config: r, schema: map[string]*qdrant.PayloadSchemaInfo{}, points: map[string]*point{},
	}
	return done()
}

func denseParams(r *qdrant.CreateCollection) map[string]*qdrant.VectorParams {
	if p := r.GetVectorsConfig().GetParams(); p != nil {
		return map[string]*qdrant.VectorParams{"": p}
	}
	return r.GetVectorsConfig().GetParamsMap().GetMap()
}

func (c *collection) sparseParams() map[string]*qdrant.SparseVectorParams {
	return c.config.GetSparseVectorsConfig().GetMap()
}

// Delete implements the service. Aliases of the collection go with it.
func (cs collectionsService) Delete(_ context.Context, r *qdrant.DeleteCollection) (*qdrant.CollectionOperationResponse, error) {
	cs.s.mu.Lock()
	defer cs.s.mu.Unlock()
	if err := cs.s.record(r); err != nil {
		return nil, err
	}
	_, ok := cs.s.collections[r.GetCollectionName()]
	delete(cs.s.collections, r.GetCollectionName())
	maps.DeleteFunc(cs.s.aliases, func(_, target string) bool { return target == r.GetCollectionName() })
	return &qdrant.CollectionOperationResponse{Result: ok}, nil
}

// List implements the service.
func (cs collectionsService) List(context.Context, *qdrant.ListCollectionsRequest) (*qdrant.ListCollectionsResponse, error) {
	cs.s.mu.RLock()
	defer cs.s.mu.RUnlock()
	out := &qdrant.ListCollectionsResponse{}
	for name := range cs.s.collections { // in no order, as Qdrant does
		out.Collections = append(out.Collections, &qdrant.CollectionDescription{Name: name})
	}
	return out, nil
}

// CollectionExists implements the service.
func (cs collectionsService) CollectionExists(_ context.Context, r *qdrant.CollectionExistsRequest) (*qdrant.CollectionExistsResponse, error) {
	cs.s.mu.RLock()
	defer cs.s.mu.RUnlock()
	_, err := cs.s.resolve(r.GetCollectionName())
	return &qdrant.CollectionExistsResponse{Result: &qdrant.CollectionExists{Exists: err == nil}}, nil
}

// Get implements the service.
func (cs collectionsService) Get(_ context.Context, r *qdrant.GetCollectionInfoRequest) (*qdrant.GetCollectionInfoResponse, error) {
	var out *qdrant.GetCollectionInfoResponse
	err := cs.s.read(r.GetCollectionName(), func(c *collection) error {
		n := uint64(len(c.points))
		out = &qdrant.GetCollectionInfoResponse{Result: &qdrant.CollectionInfo{
			Status: qdrant.CollectionStatus_Green, OptimizerStatus: &qdrant.OptimizerStatus{Ok: true}, SegmentsCount: 1,
			Config: &qdrant.CollectionConfig{
				Params: &qdrant.CollectionParams{
					ShardNumber: max(1, c.config.GetShardNumber()), ReplicationFactor: c.config.ReplicationFactor,
					VectorsConfig: c.config.GetVectorsConfig(), SparseVectorsConfig: c.config.GetSparseVectorsConfig(),
					OnDiskPayload: c.config.GetOnDiskPayload(),
				},
				HnswConfig: c.config.GetHnswConfig(), StrictModeConfig: c.config.GetStrictModeConfig(), Metadata: c.config.GetMetadata(),
			},
			PayloadSchema: maps.Clone(c.schema), PointsCount: &n, IndexedVectorsCount: &n,
		}}
		return nil
	})
	return out, err
}

// UpdateAliases implements the service: all actions or none.
func (cs collectionsService) UpdateAliases(_ context.Context, r *qdrant.ChangeAliases) (*qdrant.CollectionOperationResponse, error) {
	cs.s.mu.Lock()
	defer cs.s.mu.Unlock()
	next := maps.Clone(cs.s.aliases)
	for _, a := range r.GetActions() {
		if err := cs.s.alias(next, a); err != nil {
			return nil, err
		}
	}
	if err := cs.s.record(r); err != nil {
		return nil, err
	}
	cs.s.aliases = next
	return done()
}

func (s *Server) alias(aliases map[string]string, a *qdrant.AliasOperations) error {
	switch {
	case a.GetCreateAlias() != nil:
		to := a.GetCreateAlias()
		if _, ok := s.collections[to.GetCollectionName()]; !ok {
			return status.Errorf(codes.NotFound, "Not found: Collection `%s` doesn't exist!", to.GetCollectionName())
		}
		if _, ok := s.collections[to.GetAliasName()]; ok {
			return status.Errorf(codes.AlreadyExists, "Wrong input: Collection `%s` already exists!", to.GetAliasName())
		}
		aliases[to.GetAliasName()] = to.GetCollectionName() // whoever sets it last has it
	case a.GetDeleteAlias() != nil:
		delete(aliases, a.GetDeleteAlias().GetAliasName())
	case a.GetRenameAlias() != nil:
		target, ok := aliases[a.GetRenameAlias().GetOldAliasName()]
		if !ok {
			return status.Errorf(codes.NotFound, "Not found: Alias %s does not exists!", a.GetRenameAlias().GetOldAliasName())
		}
		delete(aliases, a.GetRenameAlias().GetOldAliasName())
		aliases[a.GetRenameAlias().GetNewAliasName()] = target
	}
	return nil
}

// ListAliases implements the service.
func (cs collectionsService) ListAliases(context.Context, *qdrant.ListAliasesRequest) (*qdrant.ListAliasesResponse, error) {
	cs.s.mu.RLock()
	defer cs.s.mu.RUnlock()
	out := &qdrant.ListAliasesResponse{}
	for _, name := range slices.Sorted(maps.Keys(cs.s.aliases)) {
		out.Aliases = append(out.Aliases, &qdrant.AliasDescription{AliasName: name, CollectionName: cs.s.aliases[name]})
	}
	return out, nil
}

// change is a request that changes points or indexes.
type change interface {
	proto.Message
	GetCollectionName() string
	GetWait() bool
}

// write changes a collection: at once where the caller waits for it, else soon, but in any case before the next write that
// somebody waits for, as Qdrant keeps the order of writes.
func (s *Server) write(change change, check func(*collection) error, apply func(*collection)) (*qdrant.PointsOperationResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.resolve(change.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if err := check(c); err != nil {
		return nil, err
	}
	if err := s.record(change); err != nil {
		return nil, err
	}
	s.operations++
	op := s.operations
	result := &qdrant.UpdateResult{OperationId: &op, Status: qdrant.UpdateStatus_Completed}
	if change.GetWait() {
		c.flush()
		apply(c)
	} else {
		result.Status = qdrant.UpdateStatus_Acknowledged
		c.pending = append(c.pending, func() { apply(c) })
		time.AfterFunc(50*time.Millisecond, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			c.flush()
		})
	}
	return &qdrant.PointsOperationResponse{Result: result}, nil
}

func (c *collection) flush() {
	for _, apply := range c.pending {
		apply()
	}
	c.pending = nil
}
