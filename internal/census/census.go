// Package census compares what the stores hold with each other: the documents with the vectors and the graph, batches
// with their items, and what ended with the events that were sent. It finds what should never be, and mends it.
package census

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Parts are the stores to compare.
type Parts struct {
	Workspaces store.Workspaces
	Memories   store.Memories
	Leases     store.Leases
	Outbox     store.Outbox
	Batches    store.Batches
	BatchRuns  store.BatchRuns
	Vectors    store.Holder
	Graph      store.Holder
	Endpoints  store.Endpoints
	Deliveries store.Deliveries
	Erasures   store.Erasures
}

// Config says how patient the census is. The zero value works.
type Config struct {
	// Grace is for how long what is on its way may look wrong: a lease that has ended, an event that is owed. Default 1m.
	Grace time.Duration
	// Recheck is how long after the first look what looked wrong is looked at again. Default 5s.
	Recheck time.Duration
	// Since is how far back events are compared with what ended. Default 24h.
	Since time.Duration
	// Page is how many memories, items or deliveries are read at a time. Default 500.
	Page int
}

func (c Config) withDefaults() Config {
	c.Grace = cmp.Or(c.Grace, time.Minute)
	c.Recheck = cmp.Or(c.Recheck, 5*time.Second)
	c.Since = cmp.Or(c.Since, 24*time.Hour)
	c.Page = cmp.Or(c.Page, 500)
	return c
}

// Kind says what is wrong.
type Kind string

// The kinds of drift.
const (
	PointsMissing  Kind = "points_missing"  // the memory is done, and the vectors do not have it
	GraphMissing   Kind = "graph_missing"   // the memory is done, and the graph does not have what it says
	PointsOrphaned Kind = "points_orphaned" // points of a memory, or of a version, that is gone
	GraphOrphaned  Kind = "graph_orphaned"  // nodes or relationships of a memory, or of a version, that is gone
	StepsUntrue    Kind = "steps_untrue"    // the memory is completed, and a step is not
	MemoryStuck    Kind = "memory_stuck"    // open, and nobody answers for it
	BatchStuck     Kind = "batch_stuck"     // open, and nobody answers for it
	CountsUntrue   Kind = "counts_untrue"   // counts are not what was counted
	ItemUntrue     Kind = "item_untrue"     // an item says other things than its memory
	EventStuck     Kind = "event_stuck"     // owed for long, and no delivery yet
	EventMissing   Kind = "event_missing"   // something ended, and who wants to know is not told
	DeliveryStuck  Kind = "delivery_stuck"  // pending, and nobody looks after it
	DeliveryTwice  Kind = "delivery_twice"  // one event, one address, two deliveries
	ErasureStuck   Kind = "erasure_stuck"   // asked for, and some store may hold something still
)

// Kinds are all of them.
func Kinds() []Kind {
	return []Kind{
		PointsMissing, GraphMissing, PointsOrphaned, GraphOrphaned, StepsUntrue, MemoryStuck, BatchStuck, CountsUntrue, ItemUntrue,
		EventStuck, EventMissing, DeliveryStuck, DeliveryTwice, ErasureStuck,
	}
}

// Drift is one thing that is wrong: of a memory, an item's memory, a batch, an event or a delivery, which ID names ("" for
// the workspace itself).
type Drift struct {
	Kind      Kind   `json:"kind"`
	Workspace string `json:"workspace"`
	ID        string `json:"id"`
	Version   int    `json:"version,omitempty"` // of the memory; of an item its index
	Detail    string `json:"detail"`
}

func (d Drift) String() string {
	return fmt.Sprintf("%s %s/%s: %s", d.Kind, d.Workspace, d.ID, d.Detail)
}

// same reports whether both speak of the same thing: numbers in the details may have moved on.
func (d Drift) same(o Drift) bool {
	return d.Kind == o.Kind && d.Workspace == o.Workspace && d.ID == o.ID && d.Version == o.Version
}

// Report is what a census found.
type Report struct {
	Workspaces int                   `json:"workspaces"`
	Memories   map[memory.Status]int `json:"memories"`
	Batches    int                   `json:"batches"`
	Items      int                   `json:"items"`
	Points     int                   `json:"points"`
	Graph      int                   `json:"graph"` // nodes and relationships, once for each memory that says so
	Deliveries int                   `json:"deliveries"`
	Rechecked  int                   `json:"rechecked"` // what looked wrong at first
	Drift      []Drift               `json:"drift"`
}

// Census takes censuses.
type Census struct {
	parts Parts
	cfg   Config
}

// New makes a census of the stores.
func New(parts Parts, cfg Config) *Census { return &Census{parts: parts, cfg: cfg.withDefaults()} }

// Take compares the stores, of the workspaces given or of all. It may run beside work: what looks wrong is looked at once
// more after a moment, and only what still is counts.
func (c *Census) Take(ctx context.Context, workspaces ...string) (Report, error) {
	if len(workspaces) == 0 {
		all, err := c.parts.Workspaces.List(ctx)
		if err != nil {
			return Report{}, fmt.Errorf("list workspaces: %w", err)
		}
		for _, w := range all {
			workspaces = append(workspaces, w.ID)
		}
	}
	l := &look{Census: c, report: Report{Workspaces: len(workspaces), Memories: map[memory.Status]int{}, Drift: []Drift{}}}
	if err := l.first(ctx, workspaces); err != nil {
		return l.report, err
	}
	l.report.Rechecked = len(l.report.Drift)
	if len(l.report.Drift) == 0 {
		return l.report, nil
	}
	if err := pause(ctx, c.cfg.Recheck); err != nil {
		return l.report, err
	}
	again := &look{Census: c, report: Report{Memories: map[memory.Status]int{}}}
	if err := again.suspects(ctx, l.report.Drift); err != nil {
		return l.report, err
	}
	l.report.Drift = confirmed(l.report.Drift, again.report.Drift)
	return l.report, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// confirmed keeps what was seen twice, as it was seen last, once each.
func confirmed(first, second []Drift) []Drift {
	out := []Drift{}
	for _, d := range second {
		if slices.ContainsFunc(first, d.same) && !slices.ContainsFunc(out, d.same) {
			out = append(out, d)
		}
	}
	return out
}

// look is one look at the stores.
type look struct {
	*Census
	report Report
}

func (l *look) foundf(kind Kind, workspace, id string, version int, format string, args ...any) {
	l.report.Drift = append(l.report.Drift, Drift{kind, workspace, id, version, fmt.Sprintf(format, args...)})
}

// first looks at everything.
func (l *look) first(ctx context.Context, workspaces []string) error {
	for _, ws := range workspaces {
		for _, see := range []func(context.Context, string) error{l.memories, l.orphans, l.batches, l.deliveries} {
			if err := see(ctx, ws); err != nil {
				return fmt.Errorf("census of workspace %s: %w", ws, err)
			}
		}
	}
	return l.unowned(ctx, workspaces)
}

// suspects looks again at what looked wrong, and at little else.
func (l *look) suspects(ctx context.Context, drift []Drift) error {
	all := byWorkspace(drift)
	var workspaces []string
	for _, s := range all {
		workspaces = append(workspaces, s.workspace)
		if err := l.suspect(ctx, s); err != nil {
			return fmt.Errorf("census of workspace %s: %w", s.workspace, err)
		}
	}
	return l.unowned(ctx, workspaces)
}

// suspicion is what looked wrong in one workspace.
type suspicion struct {
	workspace         string
	memories, batches []string
	counts, events    bool
}

func byWorkspace(drift []Drift) (out []*suspicion) {
	of := map[string]*suspicion{}
	for _, d := range drift {
		s := of[d.Workspace]
		if s == nil {
			s = &suspicion{workspace: d.Workspace}
			of[d.Workspace], out = s, append(out, s)
		}
		s.add(d)
	}
	return out
}

func (s *suspicion) add(d Drift) {
	switch d.Kind {
	case PointsMissing, GraphMissing, PointsOrphaned, GraphOrphaned, StepsUntrue, MemoryStuck:
		s.memories = append(s.memories, d.ID)
	case CountsUntrue:
		s.counts = s.counts || d.ID == ""
		s.batches = append(s.batches, d.ID)
	case ItemUntrue:
		s.batches = append(s.batches, d.ID)
	case EventMissing, DeliveryTwice:
		s.events = true
	case BatchStuck, EventStuck, DeliveryStuck: // looked at as a whole
	}
}

func (l *look) suspect(ctx context.Context, s *suspicion) error {
	if s.counts {
		if err := l.memories(ctx, s.workspace); err != nil {
			return err
		}
	}
	for ids := range slices.Chunk(s.memories, l.cfg.Page) {
		if err := l.again(ctx, s.workspace, ids); err != nil {
			return err
		}
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(s.batches))) {
		if id == "" {
			continue
		}
		b, err := l.parts.Batches.Get(ctx, s.workspace, id)
		if memory.CodeOf(err) == memory.CodeNotFound {
			continue
		}
		if err != nil {
			return err
		}
		if err := l.batch(ctx, b); err != nil {
			return err
		}
	}
	if s.events {
		return l.deliveries(ctx, s.workspace)
	}
	return nil
}
