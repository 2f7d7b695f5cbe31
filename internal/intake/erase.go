package intake

import (
	"context"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Erase forgets memories in every store and returns the names of those. Missing ones are no error, so that an erasure
// that was cut short can be repeated. It goes on though ctx ends.
func (in *Intake) Erase(ctx context.Context, workspace string, ids ...string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), in.cfg.WriteTimeout)
	defer cancel()
	// The documents go in between: from then on a run in flight is fenced off. What it wrote until then goes after.
	for range 2 {
		if err := in.parts.Vectors.Delete(ctx, workspace, ids...); err != nil {
			return nil, err
		}
		if err := in.parts.Graph.Delete(ctx, workspace, ids...); err != nil {
			return nil, err
		}
		if err := in.parts.Memories.Delete(ctx, workspace, ids...); err != nil {
			return nil, err
		}
	}
	return []string{"vectors", "graph", "documents"}, nil
}

// Undo erases up to limit of the memories that a batch wrote last, and reports whether there are more.
func (in *Intake) Undo(ctx context.Context, workspace, batchID string, limit int) (more bool, err error) {
	found, cursor, err := in.parts.Memories.List(ctx, store.MemoryQuery{Workspace: workspace, BatchID: batchID, Limit: limit})
	if err != nil || len(found) == 0 {
		return false, err
	}
	ids := make([]string, len(found))
	for i, m := range found {
		ids[i] = m.ID
	}
	_, err = in.Erase(ctx, workspace, ids...)
	return cursor != "", err
}
