package store

import (
	"context"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Mover takes [Vectors] from one embedding model to another while they are in use: it builds the vectors of the next model
// beside those in force, and then puts them in force at once.
//
// Until then searches and upserts are those of the model in force, and the next one is refused. From then on they are
// those of the next: upserts of the one before are refused with [memory.CodeModelMismatch], and an upsert of it that
// returned nil was complete before. Searches with its vectors are answered from what it left, until that is dropped, so
// that processes can be told of the new model one by one. Deleting forgets in all three at any time.
//
// All methods but Begin are refused with [memory.CodeConflict] where m is not the model of the move.
type Mover interface {
	// Begin starts to move to m, or goes on with that. A move to yet another model that is not in force is given up and
	// what it wrote dropped. Where m is in force already, or nothing is stored yet, m is in force when it returns, and what
	// is missing of it can be moved still.
	Begin(ctx context.Context, m Model) (Move, error)
	// Save keeps how far the move is, for who begins it again. Switching and finishing forget it.
	Save(ctx context.Context, m Model, progress string) error
	// Missing returns which of the memories m has no vectors of at their version, in the order of the argument.
	Missing(ctx context.Context, m Model, refs []memory.Ref) ([]memory.Ref, error)
	// Move writes points as [Vectors.Upsert] does, among the vectors of m.
	Move(ctx context.Context, m Model, points []Point) error
	// Switch puts m in force. What the model before it had is kept; what was kept before that is dropped. Repeating it
	// changes nothing.
	Switch(ctx context.Context, m Model) error
	// Finish drops what the model before m left, if that is still there.
	Finish(ctx context.Context, m Model) error
}

// Move is how far a move is.
type Move struct {
	From     Model  // the model in force, or, where m is that already, the one before it; the zero Model: none
	Switched bool   // m is in force
	Progress string // as it was saved last; "": not yet
}

// ErrNoMove is what a Mover answers about a model that nothing is moved to.
func (m Model) ErrNoMove() error {
	return memory.Errorf(memory.CodeConflict, "the store is not being moved to the embedding model %q with %d dimensions", m.ID, m.Dimensions)
}
