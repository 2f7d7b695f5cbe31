package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

var _ store.Mover = vectors{}

// What is moved to and what was moved from lie in the tables of what is in force, as workspaces of other names: those of
// callers are printable, and so come after these in order. So every statement serves all three, and a switch renames rows.
// Behind each place, in the order of texts, comes what it becomes with the next character in place of its last.
const (
	nextPlace     = "\x01next:"
	nextEnd       = "\x01next;"
	previousPlace = "\x01previous:"
	previousEnd   = "\x01previous;"
	gonePlace     = "\x01gone:"
	ordinary      = "\x02" // and above
)

// moveState says which models there are vectors of.
type moveState struct {
	current, next, previous store.Model // the zero Model: none
	progress                string
}

func readMove(r row) (st moveState, err error) {
	return st, r.Scan(&st.current.ID, &st.current.Dimensions, &st.next.ID, &st.next.Dimensions, &st.previous.ID, &st.previous.Dimensions, &st.progress)
}

const selectMove = `SELECT coalesce(m.id, ''), coalesce(m.dimensions, 0), v.next, v.next_dimensions, v.previous, v.previous_dimensions, v.progress
	FROM search_move AS v LEFT JOIN search_model AS m ON m.one = 1 WHERE v.one = 1`

// place is where the vectors of m lie; false where there are none.
func (st moveState) place(m store.Model) (string, bool) {
	switch m {
	case store.Model{}:
		return "", false
	case st.current:
		return "", true
	case st.next:
		return nextPlace, true
	}
	return "", false
}

// changeMove stores the state that change makes of the one there is, in the transaction of what change does.
func (v vectors) changeMove(ctx context.Context, change func(*tx, *moveState) error) error {
	return v.s.write(ctx, func(t *tx) error {
		st, err := readMove(t.queryRow(selectMove))
		if err != nil {
			return err
		}
		before := st
		if err := change(t, &st); err != nil || st == before {
			return err
		}
		if _, err := t.exec("INSERT INTO search_model VALUES (1, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id, dimensions = excluded.dimensions",
			st.current.ID, st.current.Dimensions); err != nil {
			return err
		}
		_, err = t.exec("UPDATE search_move SET next = ?, next_dimensions = ?, previous = ?, previous_dimensions = ?, progress = ? WHERE one = 1",
			st.next.ID, st.next.Dimensions, st.previous.ID, st.previous.Dimensions, st.progress)
		return err
	})
}

// Begin implements [store.Mover]. It makes room before it names the next model, so that what it finds there is of that one.
func (v vectors) Begin(ctx context.Context, m store.Model) (out store.Move, err error) {
	if m.ID == "" || m.Dimensions < 1 {
		return out, memory.Errorf(memory.CodeInvalid, "vectors are moved to a model of a name and a number of dimensions, not %+v", m)
	}
	err = v.changeMove(ctx, func(_ *tx, st *moveState) error {
		if st.next != m {
			st.next, st.progress = store.Model{}, clearUnless(st.current == m, st.progress)
		}
		if st.previous == m {
			st.previous = store.Model{}
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	if err := v.tidy(ctx); err != nil {
		return out, err
	}
	err = v.changeMove(ctx, func(_ *tx, st *moveState) error {
		switch {
		case st.current == store.Model{}:
			st.current = m
		case st.current != m && st.next == store.Model{}:
			st.next = m
		case st.current != m && st.next != m:
			return m.ErrNoMove() // another move began meanwhile
		}
		out = store.Move{From: st.current, Progress: st.progress}
		if st.current == m {
			out.From, out.Switched = st.previous, true
		}
		return nil
	})
	return out, err
}

func clearUnless(keep bool, s string) string {
	if keep {
		return s
	}
	return ""
}

// tidy drops the points of places that the state does not name.
func (v vectors) tidy(ctx context.Context) error {
	st, err := readMove(v.s.queryRow(ctx, selectMove))
	if err != nil {
		return wrap(err)
	}
	if st.next == (store.Model{}) {
		if err := v.dropPlace(ctx, nextPlace, nextEnd); err != nil {
			return err
		}
	}
	if st.previous == (store.Model{}) {
		return v.dropPlace(ctx, previousPlace, previousEnd)
	}
	return nil
}

// dropSize is how many memories are dropped in one transaction: others write in between.
const dropSize = 200

func (v vectors) dropPlace(ctx context.Context, place, end string) error {
	for {
		var n int
		err := v.s.write(ctx, func(t *tx) error {
			rows, err := t.query(`SELECT m.id FROM search_workspaces AS w JOIN search_memories AS m ON m.workspace = w.number
				WHERE w.workspace >= ? AND w.workspace < ? LIMIT ?`, place, end, dropSize)
			ids, err := collect(rows, err, func(r *sql.Rows) (id int64, err error) { return id, r.Scan(&id) })
			if err != nil {
				return err
			}
			n = len(ids)
			for _, id := range ids {
				if err := unindex(t, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || n < dropSize {
			return err
		}
	}
}

// Save implements [store.Mover].
func (v vectors) Save(ctx context.Context, m store.Model, progress string) error {
	return v.changeMove(ctx, func(_ *tx, st *moveState) error {
		if _, ok := st.place(m); !ok {
			return m.ErrNoMove()
		}
		st.progress = progress
		return nil
	})
}

// Missing implements [store.Mover].
func (v vectors) Missing(ctx context.Context, m store.Model, refs []memory.Ref) ([]memory.Ref, error) {
	st, err := readMove(v.s.queryRow(ctx, selectMove))
	if err != nil {
		return nil, wrap(err)
	}
	place, ok := st.place(m)
	if !ok {
		return nil, m.ErrNoMove()
	}
	var out []memory.Ref
	for _, r := range refs {
		var version int
		err := v.s.queryRow(ctx, `SELECT version FROM search_memories WHERE memory_id = ?
			AND workspace = (SELECT number FROM search_workspaces WHERE workspace = ?)`, r.ID, place+r.Workspace).Scan(&version)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, wrap(err)
		}
		if version != r.Version {
			out = append(out, r)
		}
	}
	return out, nil
}

// Move implements [store.Mover].
func (v vectors) Move(ctx context.Context, m store.Model, points []store.Point) error {
	if err := fit(m, points); err != nil {
		return err
	}
	memories := entries(points)
	return v.s.write(ctx, func(t *tx) error {
		st, err := readMove(t.queryRow(selectMove))
		if err != nil {
			return err
		}
		place, ok := st.place(m)
		if !ok {
			return m.ErrNoMove()
		}
		return index(t, placed(memories, place))
	})
}

// placed names the workspaces of memories as they are called in a place. The argument stays as it is: a transaction may be
// run again.
func placed(memories [][]entry, place string) [][]entry {
	if place == "" {
		return memories
	}
	out := make([][]entry, len(memories))
	for i, es := range memories {
		for _, e := range es {
			e.Workspace = place + e.Workspace
			out[i] = append(out[i], e)
		}
	}
	return out
}

// Switch implements [store.Mover].
func (v vectors) Switch(ctx context.Context, m store.Model) error {
	st, err := readMove(v.s.queryRow(ctx, selectMove))
	if err != nil || st.current == m {
		return wrap(err)
	}
	if err := v.dropPlace(ctx, previousPlace, previousEnd); err != nil {
		return err
	}
	return v.changeMove(ctx, func(t *tx, st *moveState) error {
		switch {
		case st.current == m:
			return nil
		case st.next != m:
			return m.ErrNoMove()
		}
		st.previous, st.current, st.next, st.progress = st.current, m, store.Model{}, ""
		return rename(t)
	})
}

// rename makes what is in force what was before, and what is next what is in force. The rows of what was before that stay,
// though nothing belongs to them any more: numbers of workspaces are not given twice, for sketches go by them.
func rename(t *tx) error {
	if _, err := t.exec("UPDATE search_workspaces SET workspace = ? || number WHERE workspace >= ? AND workspace < ?",
		gonePlace, previousPlace, previousEnd); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE search_workspaces SET workspace = ? || workspace WHERE workspace >= ?", previousPlace, ordinary); err != nil {
		return err
	}
	_, err := t.exec("UPDATE search_workspaces SET workspace = substr(workspace, ?) WHERE workspace >= ? AND workspace < ?",
		len(nextPlace)+1, nextPlace, nextEnd)
	return err
}

// Finish implements [store.Mover].
func (v vectors) Finish(ctx context.Context, m store.Model) error {
	err := v.changeMove(ctx, func(_ *tx, st *moveState) error {
		if st.current != m {
			return m.ErrNoMove()
		}
		st.previous, st.progress = store.Model{}, ""
		return nil
	})
	if err != nil {
		return err
	}
	return v.tidy(ctx)
}
