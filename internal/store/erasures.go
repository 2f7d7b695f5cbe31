package store

import (
	"context"
	"time"
)

// Erasure is the record that a memory is to be erased from every store, and what has come of it. It holds nothing of the
// memory but its id.
type Erasure struct {
	Workspace string
	MemoryID  string
	NotedAt   time.Time // when it was asked for
	Checks    int       // how often every store was found, or made, clean
	DueAt     time.Time // when that is to be done again; zero: not any more
}

// Erasures keeps which memories are to be erased. A record is made before anything is erased and stays for long: whoever
// finds it due finishes what another began, and erases again what a run that was in flight wrote afterwards.
type Erasures interface {
	// Note records erasures asked for at that time, which are due at once; one that is noted already stays as it is, but
	// is due at once. From when it returns on, [Memories.Put] takes no memory of these ids in.
	Note(ctx context.Context, workspace string, at time.Time, ids ...string) error
	// Due returns up to limit erasures that are due before now, longest due first.
	Due(ctx context.Context, now time.Time, limit int) ([]Erasure, error)
	// Checked sets Checks and DueAt as they are in es; unknown ones are no error.
	Checked(ctx context.Context, es []Erasure) error
	// Sweep forgets erasures that are not due any more and were noted before the given time; it returns how many.
	Sweep(ctx context.Context, before time.Time) (int, error)
}
