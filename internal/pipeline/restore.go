package pipeline

import (
	"context"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Restore writes the points and the graph of finished memories again, from their documents: for stores that lost them.
// What has a newer version there stays.
func (p *Pipeline) Restore(ctx context.Context, ms []memory.Memory) error {
	if len(ms) == 0 {
		return nil
	}
	drafts := make([]memory.Draft, len(ms))
	for i, m := range ms {
		drafts[i] = memory.Draft{Memory: m}
	}
	for _, run := range []func(context.Context, []memory.Draft) []Result{p.index, p.relationships} {
		for _, r := range run(ctx, drafts) {
			if r.Err != nil {
				return r.Err
			}
		}
	}
	return nil
}
