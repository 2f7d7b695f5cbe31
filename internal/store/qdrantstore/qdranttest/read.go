package qdranttest

import (
	"context"
	"maps"
	"slices"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Get implements the service. Ids that do not exist are left out.
func (ps pointsService) Get(_ context.Context, r *qdrant.GetPoints) (*qdrant.GetResponse, error) {
	out := &qdrant.GetResponse{}
	err := ps.s.read(r.GetCollectionName(), func(c *collection) error {
		for _, id := range r.GetIds() {
			key, err := idKey(id)
			if err != nil {
				return err
			}
			if p, ok := c.points[key]; ok {
				out.Result = append(out.Result, retrieved(p, r.GetWithPayload()))
			}
		}
		return nil
	})
	return out, err
}

func retrieved(p *point, payload *qdrant.WithPayloadSelector) *qdrant.RetrievedPoint {
	return &qdrant.RetrievedPoint{Id: p.id, Payload: copyPayload(p.payload, payload)}
}

// Scroll implements the service: in the order of ids, from the offset on.
func (ps pointsService) Scroll(_ context.Context, r *qdrant.ScrollPoints) (*qdrant.ScrollResponse, error) {
	if r.GetOrderBy() != nil {
		return nil, unknown("order_by")
	}
	limit := 10
	if r.Limit != nil {
		limit = int(r.GetLimit())
	}
	if limit < 1 {
		return nil, status.Error(codes.InvalidArgument, "Validation error in body: [limit: value 0 invalid, must be 1 or larger]")
	}
	out := &qdrant.ScrollResponse{}
	err := ps.s.read(r.GetCollectionName(), func(c *collection) error {
		if err := c.strictRead(r.GetFilter()); err != nil {
			return err
		}
		from := ""
		if r.GetOffset() != nil {
			key, err := idKey(r.GetOffset())
			if err != nil {
				return err
			}
			from = key
		}
		ids := slices.Sorted(maps.Keys(c.points))
		start, _ := slices.BinarySearch(ids, from)
		for _, key := range ids[start:] {
			p := c.points[key]
			if !met(r.GetFilter(), p) {
				continue
			}
			if len(out.GetResult()) == limit {
				out.NextPageOffset = p.id
				break
			}
			out.Result = append(out.Result, retrieved(p, r.GetWithPayload()))
		}
		return nil
	})
	return out, err
}

// Count implements the service.
func (ps pointsService) Count(_ context.Context, r *qdrant.CountPoints) (*qdrant.CountResponse, error) {
	out := &qdrant.CountResponse{Result: &qdrant.CountResult{}}
	err := ps.s.read(r.GetCollectionName(), func(c *collection) error {
		if err := c.strictRead(r.GetFilter()); err != nil {
			return err
		}
		for _, p := range c.points {
			if met(r.GetFilter(), p) {
				out.Result.Count++
			}
		}
		return nil
	})
	return out, err
}
