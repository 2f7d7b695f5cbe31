package qdranttest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

type pointsService struct {
	qdrant.UnimplementedPointsServer

	s *Server
}

// Upsert implements the service.
func (ps pointsService) Upsert(_ context.Context, r *qdrant.UpsertPoints) (*qdrant.PointsOperationResponse, error) {
	var fresh []*point
	check := func(c *collection) (err error) {
		if err := c.strictUpdate(r.GetUpdateFilter()); err != nil {
			return err
		}
		fresh, err = c.parse(r.GetPoints())
		return err
	}
	return ps.s.write(r, check, func(c *collection) {
		for _, p := range fresh {
			key, _ := idKey(p.id)
			old, there := c.points[key]
			switch {
			case there && r.GetUpdateMode() == qdrant.UpdateMode_InsertOnly,
				!there && r.GetUpdateMode() == qdrant.UpdateMode_UpdateOnly,
				there && r.GetUpdateFilter() != nil && !met(r.GetUpdateFilter(), old):
				continue
			}
			c.points[key] = p
		}
	})
}

// parse checks points against the collection.
func (c *collection) parse(structs []*qdrant.PointStruct) ([]*point, error) {
	if len(structs) == 0 {
		return nil, status.Error(codes.InvalidArgument, "Empty update request")
	}
	out := make([]*point, len(structs))
	for i, st := range structs {
		if _, err := idKey(st.GetId()); err != nil {
			return nil, err
		}
		p := &point{id: st.GetId(), payload: maps.Clone(st.GetPayload()), dense: map[string][]float32{}, sparse: map[string]map[uint32]float32{}}
		named := st.GetVectors().GetVectors()
		if named == nil {
			return nil, status.Error(codes.InvalidArgument, "Expected some vectors")
		}
		for name, v := range named.GetVectors() {
			if err := c.parseVector(p, name, v); err != nil {
				return nil, err
			}
		}
		out[i] = p
	}
	return out, nil
}

func (c *collection) parseVector(p *point, name string, v *qdrant.Vector) error {
	if params, ok := denseParams(c.config)[name]; ok {
		data := v.GetDense().GetData()
		if err := fits(params, data); err != nil {
			return err
		}
		p.dense[name] = prepared(params, data)
		return nil
	}
	if _, ok := c.sparseParams()[name]; !ok {
		return wrong("Not existing vector name error: %s", name)
	}
	sparse, err := parseSparse(v.GetSparse())
	if err != nil {
		return err
	}
	p.sparse[name] = sparse
	return nil
}

func fits(params *qdrant.VectorParams, data []float32) error {
	if uint64(len(data)) != params.GetSize() {
		return wrong("Vector dimension error: expected dim: %d, got %d", params.GetSize(), len(data))
	}
	for _, f := range data {
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			return status.Error(codes.InvalidArgument, "Validation error: vector elements must be finite")
		}
	}
	return nil
}

// prepared is a vector as the distance wants it. Qdrant leaves vectors of nearly no length as they are.
func prepared(params *qdrant.VectorParams, data []float32) []float32 {
	out := slices.Clone(data)
	if params.GetDistance() != qdrant.Distance_Cosine {
		return out
	}
	var square float32
	for _, f := range data {
		square += f * f
	}
	if square < 1.1920929e-7 {
		return out
	}
	length := float32(math.Sqrt(float64(square)))
	for i := range out {
		out[i] /= length
	}
	return out
}

func parseSparse(v *qdrant.SparseVector) (map[uint32]float32, error) {
	if v == nil || len(v.GetIndices()) != len(v.GetValues()) {
		return nil, status.Error(codes.InvalidArgument, "Validation error: sparse values and indices must have the same length")
	}
	out := make(map[uint32]float32, len(v.GetIndices()))
	for i, index := range v.GetIndices() {
		if _, twice := out[index]; twice {
			return nil, status.Error(codes.InvalidArgument, "Validation error: sparse indices must be unique")
		}
		out[index] = v.GetValues()[i]
	}
	return out, nil
}

// Delete implements the service.
func (ps pointsService) Delete(_ context.Context, r *qdrant.DeletePoints) (*qdrant.PointsOperationResponse, error) {
	return ps.s.write(r, func(c *collection) error { return c.checkSelector(r.GetPoints()) }, func(c *collection) {
		for _, key := range c.selected(r.GetPoints()) {
			delete(c.points, key)
		}
	})
}

// SetPayload implements the service.
func (ps pointsService) SetPayload(_ context.Context, r *qdrant.SetPayloadPoints) (*qdrant.PointsOperationResponse, error) {
	if r.Key != nil {
		return nil, unknown("a payload below a key")
	}
	return ps.s.write(r, func(c *collection) error { return c.checkSelector(r.GetPointsSelector()) }, func(c *collection) {
		for _, key := range c.selected(r.GetPointsSelector()) {
			p := *c.points[key]
			p.payload = maps.Clone(p.payload)
			maps.Copy(p.payload, r.GetPayload())
			c.points[key] = &p
		}
	})
}

func (c *collection) checkSelector(sel *qdrant.PointsSelector) error {
	if f := sel.GetFilter(); f != nil {
		return c.strictUpdate(f)
	}
	if sel.GetPoints() == nil {
		return status.Error(codes.InvalidArgument, "PointSelector is missing")
	}
	for _, id := range sel.GetPoints().GetIds() {
		if _, err := idKey(id); err != nil {
			return err
		}
	}
	return nil
}

func (c *collection) selected(sel *qdrant.PointsSelector) []string {
	var out []string
	if f := sel.GetFilter(); f != nil {
		for key, p := range c.points {
			if met(f, p) {
				out = append(out, key)
			}
		}
		return out
	}
	for _, id := range sel.GetPoints().GetIds() {
		if key, err := idKey(id); err == nil && c.points[key] != nil {
			out = append(out, key)
		}
	}
	return out
}

// CreateFieldIndex implements the service. An index of another type than the one that is there takes its place.
func (ps pointsService) CreateFieldIndex(_ context.Context, r *qdrant.CreateFieldIndexCollection) (*qdrant.PointsOperationResponse, error) {
	check := func(*collection) error {
		if r.FieldType == nil {
			return status.Error(codes.InvalidArgument, "cannot convert field_type")
		}
		_, err := parsePath(r.GetFieldName())
		return err
	}
	return ps.s.write(r, check, func(c *collection) {
		n := uint64(len(c.points))
		c.schema[r.GetFieldName()] = &qdrant.PayloadSchemaInfo{
			DataType: qdrant.PayloadSchemaType(r.GetFieldType() + 1), Params: r.GetFieldIndexParams(), Points: &n,
		}
	})
}

// DeleteFieldIndex implements the service.
func (ps pointsService) DeleteFieldIndex(_ context.Context, r *qdrant.DeleteFieldIndexCollection) (*qdrant.PointsOperationResponse, error) {
	return ps.s.write(r, func(*collection) error { return nil }, func(c *collection) {
		delete(c.schema, r.GetFieldName())
	})
}

func (c *collection) strictUpdate(f *qdrant.Filter) error {
	m := c.config.GetStrictModeConfig()
	return c.strict(f, m.GetEnabled() && m.UnindexedFilteringUpdate != nil && !m.GetUnindexedFilteringUpdate())
}

func (c *collection) strictRead(f *qdrant.Filter) error {
	m := c.config.GetStrictModeConfig()
	return c.strict(f, m.GetEnabled() && m.UnindexedFilteringRetrieve != nil && !m.GetUnindexedFilteringRetrieve())
}

// strict refuses filters that are not valid and, where strict mode forbids them, those on fields without an index.
func (c *collection) strict(f *qdrant.Filter, indexed bool) error {
	if err := validFilter(f, ""); err != nil || f == nil || !indexed {
		return err
	}
	for _, use := range uses(f, "") {
		info := c.schema[use.field]
		if info == nil || !slices.Contains(use.types, info.GetDataType()) {
			return status.Error(codes.InvalidArgument, fmt.Sprintf("Bad request: Index required but not found for %q of one of the following types: %v. "+
				"Help: Create an index for this key or use a different filter.", use.field, use.types))
		}
	}
	return nil
}

func copyPayload(p map[string]*qdrant.Value, sel *qdrant.WithPayloadSelector) map[string]*qdrant.Value {
	out := map[string]*qdrant.Value{}
	for key, v := range p {
		if keep(key, sel) {
			out[key] = proto.CloneOf(v)
		}
	}
	return out
}

func keep(key string, sel *qdrant.WithPayloadSelector) bool {
	switch {
	case sel.GetInclude() != nil:
		return slices.Contains(sel.GetInclude().GetFields(), key)
	case sel.GetExclude() != nil:
		return !slices.Contains(sel.GetExclude().GetFields(), key)
	}
	return sel.GetEnable()
}
