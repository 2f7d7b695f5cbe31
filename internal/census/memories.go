package census

import (
	"context"
	"maps"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// memories looks at every document of the workspace, and counts them.
func (l *look) memories(ctx context.Context, ws string) error {
	before, err := l.parts.Memories.Count(ctx, ws)
	if err != nil {
		return err
	}
	counted := map[memory.Status]int{}
	for cursor := ""; ; {
		page, next, err := l.parts.Memories.List(ctx, store.MemoryQuery{Workspace: ws, Limit: l.cfg.Page, Cursor: cursor})
		if err != nil {
			return err
		}
		for i := range page {
			counted[page[i].Status]++
			l.report.Memories[page[i].Status]++
		}
		if err := l.compare(ctx, ws, page); err != nil {
			return err
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	after, err := l.parts.Memories.Count(ctx, ws)
	if err != nil {
		return err
	}
	if still := positive(before); maps.Equal(still, positive(after)) && !maps.Equal(still, counted) {
		l.foundf(CountsUntrue, ws, "", 0, "the workspace says %v, there are %v", still, counted)
	}
	return nil
}

func positive(counts map[memory.Status]int) map[memory.Status]int {
	maps.DeleteFunc(counts, func(_ memory.Status, n int) bool { return n == 0 })
	return counts
}

// again looks at memories that looked wrong, those that are gone too.
func (l *look) again(ctx context.Context, ws string, ids []string) error {
	found, err := l.parts.Memories.Get(ctx, ws, ids...)
	if err != nil {
		return err
	}
	if err := l.compare(ctx, ws, found); err != nil {
		return err
	}
	for _, s := range l.sides() {
		held, err := l.held(ctx, s.store, ws, ids)
		if err != nil {
			return err
		}
		if err := l.orphaned(ctx, ws, s, held); err != nil {
			return err
		}
	}
	return nil
}

// side is a store beside the documents.
type side struct {
	store             store.Holder
	name              string
	missing, orphaned Kind
	total             *int
}

func (l *look) sides() []side {
	return []side{
		{l.parts.Vectors, "points", PointsMissing, PointsOrphaned, &l.report.Points},
		{l.parts.Graph, "nodes and relationships", GraphMissing, GraphOrphaned, &l.report.Graph},
	}
}

// held is how many parts a store has of each version of the memories.
func (l *look) held(ctx context.Context, s store.Holder, ws string, ids []string) (map[memory.Ref]int, error) {
	all := map[memory.Ref]int{}
	if len(ids) == 0 {
		return all, nil
	}
	for cursor := ""; ; {
		page, next, err := s.Held(ctx, store.HeldQuery{Workspace: ws, MemoryIDs: ids, Limit: l.cfg.Page, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		for _, h := range page {
			all[memory.Ref{Workspace: ws, ID: h.MemoryID, Version: h.Version}] += h.Parts
		}
		if cursor = next; cursor == "" {
			return all, nil
		}
	}
}

// compare looks at documents as they were read: their steps, and whether the other stores have what they say.
func (l *look) compare(ctx context.Context, ws string, page []memory.Memory) error {
	ids := make([]string, len(page))
	for i := range page {
		ids[i] = page[i].ID
		l.steps(&page[i])
	}
	for _, s := range l.sides() {
		held, err := l.held(ctx, s.store, ws, ids)
		if err != nil {
			return err
		}
		for i := range page {
			m := &page[i]
			if want, has := owes(m, s.missing), held[m.Ref()]; has < want {
				l.foundf(s.missing, ws, m.ID, m.Version, "%s, and there are %d of at least %d %s", m.Status, has, want, s.name)
			}
		}
	}
	return l.abandoned(ctx, ws, page)
}

// owes is how many parts of a memory a store must hold at least, by what its receipts say.
func owes(m *memory.Memory, missing Kind) int {
	done := func(step string) bool { r, _ := m.Receipt(step); return r.Status == memory.StepCompleted }
	switch {
	case m.Status != memory.StatusCompleted && m.Status != memory.StatusDegraded:
		return 0
	case missing == PointsMissing:
		return 1
	case done(memory.StepRelationships):
		return len(m.Graph.Nodes) + len(m.Graph.Relationships)
	}
	return 0
}

// steps checks that a completed memory has all its steps behind it, and a degraded one those that make it findable.
func (l *look) steps(m *memory.Memory) {
	need := map[memory.Status][]string{
		memory.StatusCompleted: {memory.StepUseCases, memory.StepRelated, memory.StepSchema, memory.StepIndex, memory.StepRelationships},
		memory.StatusDegraded:  {memory.StepRelated, memory.StepIndex},
	}
	for _, step := range need[m.Status] {
		if r, _ := m.Receipt(step); r.Status != memory.StepCompleted {
			l.foundf(StepsUntrue, m.Workspace, m.ID, m.Version, "%s, and the step %s is %q", m.Status, step, r.Status)
		}
	}
}

// abandoned finds open memories whose batch has ended without them: the batch answered for them, so no lease runs out.
func (l *look) abandoned(ctx context.Context, ws string, page []memory.Memory) error {
	for i := range page {
		m := &page[i]
		if m.Status.Final() || m.BatchID == "" {
			continue
		}
		b, err := l.parts.Batches.Get(ctx, ws, m.BatchID)
		switch {
		case memory.CodeOf(err) == memory.CodeNotFound:
			l.foundf(MemoryStuck, ws, m.ID, m.Version, "%s for the batch %s, which is gone", m.Status, m.BatchID)
		case err != nil:
			return err
		case b.Status.Final() && b.CompletedAt != nil && time.Since(b.CompletedAt.Time) > l.cfg.Grace && time.Since(m.UpdatedAt.Time) > l.cfg.Grace:
			l.foundf(MemoryStuck, ws, m.ID, m.Version, "%s for the batch %s, which is %s", m.Status, m.BatchID, b.Status)
		}
	}
	return nil
}

// orphans looks at everything that the other stores hold of the workspace.
func (l *look) orphans(ctx context.Context, ws string) error {
	for _, s := range l.sides() {
		for cursor := ""; ; {
			page, next, err := s.store.Held(ctx, store.HeldQuery{Workspace: ws, Limit: l.cfg.Page, Cursor: cursor})
			if err != nil {
				return err
			}
			held := map[memory.Ref]int{}
			for _, h := range page {
				held[memory.Ref{Workspace: ws, ID: h.MemoryID, Version: h.Version}] += h.Parts
				*s.total += h.Parts
			}
			if err := l.orphaned(ctx, ws, s, held); err != nil {
				return err
			}
			if cursor = next; cursor == "" {
				break
			}
		}
	}
	return nil
}

// orphaned finds what belongs to no memory, or to a version of one that is over. Of a memory that is on its way, what is
// there of the version before stays until the new one takes its place.
func (l *look) orphaned(ctx context.Context, ws string, s side, held map[memory.Ref]int) error {
	var ids []string
	for ref := range held {
		ids = append(ids, ref.ID)
	}
	found, err := l.parts.Memories.Get(ctx, ws, ids...)
	if err != nil {
		return err
	}
	docs := make(map[string]*memory.Memory, len(found))
	for i := range found {
		docs[found[i].ID] = &found[i]
	}
	for ref, n := range held {
		switch m := docs[ref.ID]; {
		case m == nil:
			l.foundf(s.orphaned, ws, ref.ID, ref.Version, "%d %s of a memory that does not exist", n, s.name)
		case ref.Version > m.Version:
			l.foundf(s.orphaned, ws, ref.ID, ref.Version, "%d %s of version %d, and the memory is at %d", n, s.name, ref.Version, m.Version)
		case ref.Version < m.Version && m.Status.Final() && m.Status != memory.StatusCancelled:
			l.foundf(s.orphaned, ws, ref.ID, ref.Version, "%d %s of version %d, and version %d is %s", n, s.name, ref.Version, m.Version, m.Status)
		}
	}
	return nil
}
