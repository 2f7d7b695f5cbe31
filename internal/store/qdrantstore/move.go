package qdrantstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/qdrant/go-client/qdrant"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

var _ store.Mover = vectors{}

// Begin implements [store.Mover].
func (v vectors) Begin(ctx context.Context, m store.Model) (store.Move, error) {
	if err := v.s.reuse(ctx, m); err != nil {
		return store.Move{}, err
	}
	if err := v.s.Migrate(ctx, m); err != nil {
		return store.Move{}, err
	}
	var st state
	err := v.s.change(ctx, func(now *state) error {
		switch {
		case now.Current == (store.Model{}):
			now.Current, now.Next, now.Progress = m, store.Model{}, ""
		case now.Current != m && now.Next != m:
			now.Next, now.Progress = m, ""
		}
		st = *now
		return nil
	})
	if err != nil {
		return store.Move{}, err
	}
	if st.Current == m {
		return store.Move{From: st.Previous, Switched: true, Progress: st.Progress}, v.s.tidy(ctx)
	}
	return store.Move{From: st.Current, Progress: st.Progress}, v.s.tidy(ctx)
}

// reuse makes sure that the collection of a model that was in force before begins empty: it holds what was true then.
func (s *Store) reuse(ctx context.Context, m store.Model) error {
	var stale bool
	err := s.change(ctx, func(st *state) error {
		if stale = st.Previous == m && m != (store.Model{}); stale {
			st.Previous = store.Model{}
		}
		return nil
	})
	if err != nil || !stale {
		return err
	}
	return s.tidy(ctx)
}

// tidy drops the collections that the state does not name: of moves that were given up or are finished.
func (s *Store) tidy(ctx context.Context) error {
	st, err := s.readState(ctx)
	if err != nil {
		return err
	}
	names, err := s.collections(ctx)
	if err != nil {
		return err
	}
	for _, m := range []store.Model{st.Current, st.Next, st.Previous} {
		names = slices.DeleteFunc(names, func(name string) bool { return m != (store.Model{}) && name == s.nameOf(m) })
	}
	for _, name := range names {
		if err := s.client.DeleteCollection(ctx, name); err != nil && !isNotFound(err) {
			return wrap(err)
		}
	}
	return nil
}

// Save implements [store.Mover].
func (v vectors) Save(ctx context.Context, m store.Model, progress string) error {
	return v.s.change(ctx, func(st *state) error {
		if st.Current != m && st.Next != m {
			return m.ErrNoMove()
		}
		st.Progress = progress
		return nil
	})
}

// moving checks that m is what is being moved to, or in force.
func (s *Store) moving(ctx context.Context, m store.Model) error {
	st, err := s.readState(ctx)
	if err == nil && st.Current != m && st.Next != m {
		return m.ErrNoMove()
	}
	return err
}

// Missing implements [store.Mover]. A memory is there when its first passage is: Move writes that last.
func (v vectors) Missing(ctx context.Context, m store.Model, refs []memory.Ref) ([]memory.Ref, error) {
	if err := v.s.moving(ctx, m); err != nil || len(refs) == 0 {
		return nil, err
	}
	ids := make([]*qdrant.PointId, len(refs))
	for i, r := range refs {
		ids[i] = firstOf(r)
	}
	points, err := v.s.client.Get(ctx, &qdrant.GetPoints{CollectionName: v.s.nameOf(m), Ids: ids, WithPayload: qdrant.NewWithPayload(false)})
	if err != nil {
		return nil, wrap(err)
	}
	there := make(map[string]bool, len(points))
	for _, p := range points {
		there[p.GetId().GetUuid()] = true
	}
	return slices.DeleteFunc(slices.Clone(refs), func(r memory.Ref) bool { return there[firstOf(r).GetUuid()] }), nil
}

func firstOf(r memory.Ref) *qdrant.PointId {
	return pointID(store.Point{Workspace: r.Workspace, MemoryID: r.ID, Version: r.Version})
}

// Move implements [store.Mover].
func (v vectors) Move(ctx context.Context, m store.Model, points []store.Point) error {
	if err := fit(m, points); err != nil {
		return err
	}
	if err := v.s.moving(ctx, m); err != nil || len(points) == 0 {
		return err
	}
	last := slices.SortedStableFunc(slices.Values(points), func(a, b store.Point) int { return cmp.Compare(b.Passage, a.Passage) })
	return v.s.put(ctx, v.s.nameOf(m), last)
}

// Switch implements [store.Mover].
func (v vectors) Switch(ctx context.Context, m store.Model) error {
	err := v.s.change(ctx, func(st *state) error {
		switch {
		case st.Current == m:
			return nil
		case st.Next != m:
			return m.ErrNoMove()
		}
		st.Previous, st.Current, st.Next, st.Progress = st.Current, m, store.Model{}, ""
		return nil
	})
	if err != nil {
		return err
	}
	return v.s.tidy(ctx)
}

// Finish implements [store.Mover].
func (v vectors) Finish(ctx context.Context, m store.Model) error {
	err := v.s.change(ctx, func(st *state) error {
		if st.Current != m {
			return m.ErrNoMove()
		}
		st.Previous, st.Progress = store.Model{}, ""
		return nil
	})
	if err != nil {
		return err
	}
	return v.s.tidy(ctx)
}
