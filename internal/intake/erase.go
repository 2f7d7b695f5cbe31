package intake

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// Receipt says what an erasure has done: the stores that hold nothing any more, and those that could not be reached,
// which are erased when they can be.
type Receipt struct {
	Erased  []string
	Pending []string
}

// Erase forgets memories in every store. It is noted first, so that it is finished by whoever finds it due, should this
// process die or a store be away, and checked again later: a run that was in flight may write to a store after it was
// erased. After an error the memories may be there still. Missing ones are no error. It goes on though ctx ends.
func (in *Intake) Erase(ctx context.Context, workspace string, ids ...string) (Receipt, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), in.cfg.WriteTimeout)
	defer cancel()
	now := time.Now()
	if err := in.parts.Erasures.Note(ctx, workspace, now, ids...); err != nil {
		return Receipt{}, err
	}
	r, err := in.erase(ctx, workspace, ids...)
	if slices.Contains(r.Pending, documents) { // they can be seen
		return Receipt{}, err
	}
	if err != nil {
		in.log.WarnContext(ctx, "memories are erased in part; the rest follows", "pending", r.Pending, "error", err)
		return r, nil
	}
	es := make([]store.Erasure, len(ids))
	for i, id := range ids {
		es[i] = store.Erasure{Workspace: workspace, MemoryID: id}
	}
	in.checked(ctx, es, now)
	return r, nil
}

const documents = "documents"

// erase forgets memories in every store that can be reached. The documents go first: from then on a run in flight is
// fenced off.
func (in *Intake) erase(ctx context.Context, workspace string, ids ...string) (r Receipt, err error) {
	for _, s := range []struct {
		name   string
		delete func(context.Context, string, ...string) error
	}{
		{documents, in.parts.Memories.Delete}, {"vectors", in.parts.Vectors.Delete}, {"graph", in.parts.Graph.Delete},
	} {
		if failed := s.delete(ctx, workspace, ids...); failed != nil {
			err, r.Pending = errors.Join(err, failed), append(r.Pending, s.name)
			continue
		}
		r.Erased = append(r.Erased, s.name)
	}
	return r, err
}

// checked notes when the erasures, which were just carried out, are to be carried out again.
func (in *Intake) checked(ctx context.Context, es []store.Erasure, now time.Time) {
	for i := range es {
		es[i].Checks++
		es[i].DueAt = time.Time{}
		if wait := in.cfg.EraseAgain; es[i].Checks < in.cfg.EraseChecks {
			for range es[i].Checks - 1 {
				wait *= 10
			}
			es[i].DueAt = now.Add(wait)
		}
	}
	if err := in.parts.Erasures.Checked(ctx, es); err != nil {
		in.log.WarnContext(ctx, "erasures that were carried out are due all the same", "error", err)
	}
}

// eraseLimit is how many erasures are carried out in one go.
const eraseLimit = 64

// eraseDue carries out what is due: erasures that were cut short, those that a store was away for, and all of them again.
func (in *Intake) eraseDue(ctx context.Context) {
	for {
		n, err := in.eraseSome(ctx)
		if err != nil && ctx.Err() == nil {
			in.log.WarnContext(ctx, "erasures wait for a store", "error", err)
		}
		if err != nil || n < eraseLimit {
			return
		}
	}
}

func (in *Intake) eraseSome(ctx context.Context) (int, error) {
	now := time.Now()
	due, err := in.parts.Erasures.Due(ctx, now, eraseLimit)
	if err != nil {
		return 0, err
	}
	byWorkspace := map[string][]store.Erasure{}
	for _, e := range due {
		byWorkspace[e.Workspace] = append(byWorkspace[e.Workspace], e)
	}
	for workspace, es := range byWorkspace {
		ids := make([]string, len(es))
		for i, e := range es {
			ids[i] = e.MemoryID
		}
		if _, failed := in.erase(ctx, workspace, ids...); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		in.checked(ctx, es, now)
	}
	return len(due), err
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
