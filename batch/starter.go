package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// startTime is how long a start may take; Temporal that takes longer is away.
const startTime = 5 * time.Second

// The search attributes that runs carry where the namespace has them, each a keyword.
const (
	attrWorkspace = "SwitchyardWorkspace"
	attrMemory    = "SwitchyardMemoryId"
	attrBatch     = "SwitchyardBatchId"
)

func attribute(name, value string) temporal.SearchAttributeUpdate {
	return temporal.NewSearchAttributeKeyKeyword(name).ValueSet(value)
}

// Owner names the run of a batch as the holder of its memories.
func Owner(b store.BatchRef) string { return batchRunID(b) }

// Starter starts durable runs. Starting one that is running changes nothing: its id is made of what it is for.
type Starter struct {
	client client.Client
	cfg    Config
}

// NewStarter makes a starter; the client may be a lazy one, of a Temporal that is away.
func NewStarter(c client.Client, cfg Config) *Starter {
	return &Starter{client: c, cfg: cfg.WithDefaults()}
}

// memoryRunID is the id of the run of one version of a memory, and with it the owner of the memory meanwhile.
func memoryRunID(ref memory.Ref) string { return fmt.Sprintf("memory-%s-v%d", ref.ID, ref.Version) }

// batchRunID is the id of a run of a batch.
func batchRunID(b store.BatchRef) string { return fmt.Sprintf("batch-%s-r%d", b.ID, b.Run) }

// StartMemory makes sure that a durable run of the memory exists. It is for memories that nobody holds: stored with, or
// released to, an expired lease.
func (s *Starter) StartMemory(ctx context.Context, ref memory.Ref) error {
	opts := s.options(memoryRunID(ref), ref.Workspace, memory.PriorityInteractive, attribute(attrMemory, ref.ID))
	return s.start(ctx, opts, ProcessMemoryWorkflow, ref)
}

// StartBatch makes sure that the run of the batch exists.
func (s *Starter) StartBatch(ctx context.Context, b store.BatchRef) error {
	p := b.Priority
	if p == "" {
		p = memory.PriorityBulk
	}
	opts := s.options(batchRunID(b), b.Workspace, p, attribute(attrBatch, b.ID))
	return s.start(ctx, opts, BatchWorkflow, BatchRun{Batch: b})
}

func (s *Starter) options(id, workspace string, p memory.Priority, attr temporal.SearchAttributeUpdate) client.StartWorkflowOptions {
	opts := client.StartWorkflowOptions{
		ID: id, TaskQueue: s.cfg.TaskQueue,
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		Priority:                 temporal.Priority{PriorityKey: priorityKey(p), FairnessKey: workspace},
	}
	if s.cfg.SearchAttributes {
		opts.TypedSearchAttributes = temporal.NewSearchAttributes(attribute(attrWorkspace, workspace), attr)
	}
	return opts
}

// priorityKey is Temporal's: 1 is the most urgent of five.
func priorityKey(p memory.Priority) int {
	switch p {
	case memory.PriorityInteractive:
		return 1
	case memory.PriorityNormal:
		return 3
	}
	return 5
}

func (s *Starter) start(ctx context.Context, opts client.StartWorkflowOptions, workflow string, input any) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if _, err := s.client.ExecuteWorkflow(ctx, opts, workflow, input); err != nil {
		return memory.Wrap(memory.CodeUnavailable, err, "Temporal did not take the run "+opts.ID)
	}
	return nil
}

// Control gives an order to the run of a batch. CodeConflict: it is not running.
func (s *Starter) Control(ctx context.Context, b store.BatchRef, order string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	err := s.client.SignalWorkflow(ctx, batchRunID(b), "", SignalControl, order)
	var gone *serviceerror.NotFound
	switch {
	case err == nil:
		return nil
	case errors.As(err, &gone):
		return memory.Errorf(memory.CodeConflict, "the batch is not running")
	}
	return memory.Wrap(memory.CodeUnavailable, err, "Temporal did not take the order")
}
