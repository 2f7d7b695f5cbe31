package qdrantstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/qdrant/go-client/qdrant"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// The vectors of a point. Either may be missing: the dense one of a vector without a direction, the sparse one of a text
// without words.
const (
	dense  = "dense"
	sparse = "words"
)

// nameOf names the collection of a model: the prefix, the model and its dimensions. What a name cannot hold of the
// model's is replaced, and a digest keeps such models apart.
func (s *Store) nameOf(m store.Model) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, m.ID)
	if plain != m.ID || len(plain) > 100 {
		plain = fmt.Sprintf("%.100s_%.4x", plain, sha256.Sum256([]byte(m.ID)))
	}
	return fmt.Sprintf("%s.%s.%d", s.cfg.Prefix, plain, m.Dimensions)
}

// stateName names the collection that says which of the others is in force.
func (s *Store) stateName() string { return s.cfg.Prefix + ".state" }

// collections lists the collections of this store that hold vectors. No prefix has a dot, so none is the beginning of
// another one's.
func (s *Store) collections(ctx context.Context) ([]string, error) {
	all, err := s.client.ListCollections(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	return slices.DeleteFunc(all, func(name string) bool {
		return !strings.HasPrefix(name, s.cfg.Prefix+".") || name == s.stateName()
	}), nil
}

// Migrate makes what is missing for vectors of the model: collections and indexes. Repeating it changes nothing.
func (s *Store) Migrate(ctx context.Context, m store.Model) error {
	if m.ID == "" || m.Dimensions < 1 {
		return memory.Errorf(memory.CodeInvalid, "a collection is made for a model of a name and a number of dimensions, not %+v", m)
	}
	if err := s.ensureState(ctx); err != nil {
		return err
	}
	return s.ensure(ctx, s.collection(m), s.indexes())
}

// collection describes the collection of a model. Its graph links the passages of each workspace, not those of all (m: 0,
// payload_m): a search never leaves its workspace. Strict mode is off, whatever a server has for a default: all filters go
// by an index, but for texts compared by order beyond their sixth byte; and memories may be deleted from a collection whose
// indexes are just being made.
func (s *Store) collection(m store.Model) *qdrant.CreateCollection {
	return &qdrant.CreateCollection{
		CollectionName: s.nameOf(m),
		HnswConfig:     &qdrant.HnswConfigDiff{M: new(uint64(0)), PayloadM: new(uint64(16)), OnDisk: &s.cfg.OnDisk},
		VectorsConfig: qdrant.NewVectorsConfigMap(map[string]*qdrant.VectorParams{
			dense: {Size: uint64(m.Dimensions), Distance: qdrant.Distance_Cosine, OnDisk: &s.cfg.OnDisk}, //nolint:gosec // at least 1
		}),
		SparseVectorsConfig: qdrant.NewSparseVectorsConfig(map[string]*qdrant.SparseVectorParams{
			sparse: {Modifier: qdrant.Modifier_Idf.Enum(), Index: &qdrant.SparseIndexConfig{OnDisk: &s.cfg.OnDisk}},
		}),
		OnDiskPayload:     new(true),
		ShardNumber:       optional(s.cfg.Shards),
		ReplicationFactor: optional(s.cfg.Replicas),
		StrictModeConfig:  &qdrant.StrictModeConfig{Enabled: new(false)},
		Metadata:          qdrant.NewValueMap(map[string]any{"model": m.ID, "dimensions": m.Dimensions}),
	}
}

func optional(n uint32) *uint32 {
	if n == 0 {
		return nil
	}
	return &n
}

// indexes are those of a collection of vectors, by field: all that is filtered on. The workspace is the tenant: its
// passages lie together, and it alone has a graph.
func (s *Store) indexes() map[string]*qdrant.PayloadIndexParams {
	keyword := func(tenant bool) *qdrant.PayloadIndexParams {
		return qdrant.NewPayloadIndexParamsKeyword(&qdrant.KeywordIndexParams{IsTenant: &tenant, OnDisk: &s.cfg.OnDisk, EnableHnsw: &tenant})
	}
	span := func() *qdrant.PayloadIndexParams {
		return qdrant.NewPayloadIndexParamsInt(&qdrant.IntegerIndexParams{Lookup: new(false), Range: new(true), OnDisk: &s.cfg.OnDisk, EnableHnsw: new(false)})
	}
	return map[string]*qdrant.PayloadIndexParams{
		fieldWorkspace:  keyword(true),
		fieldMemory:     keyword(false),
		fieldTags:       keyword(false),
		fieldLabelKeys:  keyword(false),
		fieldLabelValue: qdrant.NewPayloadIndexParamsFloat(&qdrant.FloatIndexParams{OnDisk: &s.cfg.OnDisk, EnableHnsw: new(false)}),
		fieldCreated:    span(),
		fieldOccurred:   span(),
	}
}

// ensure makes the collection and its indexes where they are missing.
func (s *Store) ensure(ctx context.Context, c *qdrant.CreateCollection, indexes map[string]*qdrant.PayloadIndexParams) error {
	there, err := s.client.CollectionExists(ctx, c.GetCollectionName())
	if err != nil {
		return wrap(err)
	}
	if !there {
		if err := s.client.CreateCollection(ctx, c); err != nil && !alreadyExists(err) {
			return wrap(err)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(indexes)) {
		if err := s.index(ctx, c.GetCollectionName(), field, indexes[field]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) index(ctx context.Context, collection, field string, params *qdrant.PayloadIndexParams) error {
	_, err := s.client.CreateFieldIndex(ctx, &qdrant.CreateFieldIndexCollection{
		CollectionName: collection, Wait: new(true), FieldName: field, FieldType: typeOf(params).Enum(), FieldIndexParams: params,
	})
	return wrap(err)
}

func typeOf(params *qdrant.PayloadIndexParams) qdrant.FieldType {
	switch params.GetIndexParams().(type) {
	case *qdrant.PayloadIndexParams_IntegerIndexParams:
		return qdrant.FieldType_FieldTypeInteger
	case *qdrant.PayloadIndexParams_FloatIndexParams:
		return qdrant.FieldType_FieldTypeFloat
	}
	return qdrant.FieldType_FieldTypeKeyword
}

// checkCollection says what is missing of a collection.
func (s *Store) checkCollection(ctx context.Context, name string, indexes map[string]*qdrant.PayloadIndexParams) error {
	info, err := s.client.GetCollectionInfo(ctx, name)
	if isNotFound(err) {
		return missing("the collection %s", name)
	}
	if err != nil {
		return wrap(err)
	}
	var errs []error
	for _, field := range slices.Sorted(maps.Keys(indexes)) {
		have, ok := info.GetPayloadSchema()[field]
		switch {
		case !ok:
			errs = append(errs, missing("the index of %s in the collection %s", field, name))
		case field == fieldWorkspace && !have.GetParams().GetKeywordIndexParams().GetIsTenant():
			errs = append(errs, missing("the tenant mark on the index of %s in the collection %s", field, name))
		}
	}
	return errors.Join(errs...)
}

func missing(format string, args ...any) error {
	return memory.Errorf(memory.CodeUnavailable, "%s is missing in Qdrant: run `switchyard migrate`", fmt.Sprintf(format, args...))
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
