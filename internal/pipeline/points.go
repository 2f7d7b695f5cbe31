package pipeline

import (
	"context"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Points embeds a page of memories in one call, and returns the points that the pipeline would write for them.
func (p *Pipeline) Points(ctx context.Context, ms []memory.Memory) ([]store.Point, error) {
	drafts := make([]memory.Draft, len(ms))
	for i, m := range ms {
		drafts[i] = memory.Draft{Memory: m}
	}
	if err := p.refill(ctx, drafts); err != nil {
		return nil, err
	}
	var points []store.Point
	for _, d := range drafts {
		points = append(points, pointsOf(d)...)
	}
	return points, nil
}
