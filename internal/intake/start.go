package intake

import (
	"context"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// A start is a durable run to be started: of a memory, or, where batch is set, of a batch.
type start struct {
	memory memory.Ref
	batch  *store.BatchRef
}

func (in *Intake) startMemory(ref memory.Ref)    { in.enqueue(start{memory: ref}) }
func (in *Intake) startBatch(ref store.BatchRef) { in.enqueue(start{batch: &ref}) }
func (s start) id() (id string)                  { return s.ref().ID }
func (s start) ref() memory.Ref {
	if s.batch != nil {
		return memory.Ref{Workspace: s.batch.Workspace, ID: s.batch.ID}
	}
	return s.memory
}

// enqueue never blocks: the answer to the caller must not wait for the durable engine, which may be away.
func (in *Intake) enqueue(s start) {
	select {
	case in.starts <- s:
	default:
		in.log.Warn("too many durable runs wait to be started; recovery will start this one", "id", s.id())
	}
}

func (in *Intake) startAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-in.starts:
			in.startOne(ctx, s)
		}
	}
}

func (in *Intake) startOne(ctx context.Context, s start) {
	ctx, cancel := context.WithTimeout(ctx, in.cfg.StartTimeout)
	defer cancel()
	err := in.begin(ctx, s)
	if err != nil && ctx.Err() == nil || memory.CodeOf(err) == memory.CodeTimeout {
		in.log.WarnContext(ctx, "a durable run was not started; recovery will start it", "id", s.id(), "error", err)
	}
}

func (in *Intake) begin(ctx context.Context, s start) error {
	if s.batch != nil {
		return in.parts.Durable.StartBatch(ctx, *s.batch)
	}
	return in.parts.Durable.StartMemory(ctx, s.memory)
}
