// Package store declares the ports to everything that Switchyard keeps: what each promises is written here, tested by
// the suites of storetest, and kept by the adapters in the folders below.
//
// All methods are safe for concurrent use and return errors that carry a [memory.Code]: CodeUnavailable where the same
// call may succeed later. A write that returned nil is on disk (majority-acknowledged and journaled on a replica set).
// Everything is scoped to a workspace: what belongs to another one is not found.
package store

import (
	"context"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Lease says who answers for an open memory or batch, until when, and under which claim.
//
// A memory has one owner at a time. The fence grows by one with every claim; a write under an older fence is refused,
// so a process that was frozen and wakes up cannot write over its successor. A lease that has expired (its zero value
// has, for ever) makes the memory an orphan: anyone may take it to the durable track.
type Lease struct {
	Owner string
	Until time.Time
	Fence int64
}

// Forever is the end of a lease that only its owner ends: that of a memory on its way in a batch, for which the batch,
// with a lease of its own, answers.
var Forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant, as far as Go lets a time be one

// Memories keeps the documents of memories.
type Memories interface {
	// Put takes memories in, each by itself, in order; two of the same external id in one call are two versions, the
	// later one on top. What happens to each says its Put.Kind. The result has the order of the argument.
	Put(ctx context.Context, in []Intake) ([]Put, error)
	// Get returns the memories of the workspace that exist, in the order asked for; missing ones are left out.
	Get(ctx context.Context, workspace string, ids ...string) ([]memory.Memory, error)
	// List returns memories, newest first, and the cursor of the next page ("" at the end).
	List(ctx context.Context, q MemoryQuery) ([]memory.Memory, string, error)
	// Delete forgets the documents, fencing any run in flight; missing ones are no error. What other stores hold of
	// them is theirs to erase, after it: see [Erasures].
	Delete(ctx context.Context, workspace string, ids ...string) error
	// Count returns how many memories the workspace has, by status.
	Count(ctx context.Context, workspace string) (map[memory.Status]int, error)
	// Usage returns what the steps of the memories that the workspace has took, by their receipts.
	Usage(ctx context.Context, workspace string) (Usage, error)
}

// Usage is what LLM calls took.
type Usage struct {
	Tokens  int     `json:"tokens"`
	CostUSD float64 `json:"cost_usd"`
}

// Intake is a memory to take in: its ID is set, its version is not, its status is queued; Lease says who will run it.
// The fence of the lease is ignored: the store counts it. IfVersion, where it is not 0, makes the intake a change of
// the memory of that ID: where the workspace has none at that version (any more), the kind is Stale and nothing was
// written.
//
// AskedAt, where it is not zero, is when the caller said what the intake says, if that may have been a while ago, as it
// may in a batch: it is not to take the place of what was said later. Where the stored version would be updated and was
// asked for after that (zero of its intake: when it was put), the kind is Stale and nothing was written.
type Intake struct {
	Memory    memory.Memory
	Lease     Lease
	IfVersion int
	AskedAt   time.Time
}

// PutKind says what an intake did.
type PutKind string

// The kinds. Created: a new document, version 1. Updated: the external id (or the id) existed with another content,
// metadata or occurred_at: same document id, next version, results, receipts and batch id as the intake has them (none),
// fence raised, so that a run of the version before is fenced off. Resumed: the external id (or the id) existed with the same
// content, but had ended failed, degraded or cancelled: same version, queued again under the intake's lease, track,
// reason and batch id, finished receipts kept, others reset. Unchanged: it existed with the same content, and is either
// completed or in somebody's hands; nothing was written. Stale: see [Intake]; the Put's memory is the stored one, or zero
// where there is none. Erased: there is no memory of the id, but an erasure (see [Erasures]); nothing was written, and the
// Put's memory is zero.
const (
	Created   PutKind = "created"
	Updated   PutKind = "updated"
	Resumed   PutKind = "resumed"
	Unchanged PutKind = "unchanged"
	Stale     PutKind = "stale"
	Erased    PutKind = "erased"
)

// Put is what became of an intake: the memory as it is now stored, and the fence in force, under which who took it in
// may release it.
type Put struct {
	Kind   PutKind
	Memory memory.Memory
	Fence  int64
}

// MemoryQuery selects memories of a workspace.
type MemoryQuery struct {
	Workspace     string
	Statuses      []memory.Status // none: all
	ExternalID    string          // "": any
	BatchID       string          // "": any
	Metadata      map[string]string
	CreatedAfter  time.Time // exclusive; zero: no bound. Metadata above compares the value's text form for equality
	CreatedBefore time.Time // exclusive; zero: no bound
	Limit         int       // at least 1
	Cursor        string    // from the page before; "" starts
}

// Runs keeps how far memories are on their way through the pipeline. All its writes are refused, memory by memory, where
// the version or the fence is not the current one: the answer has false at that place, which is not an error.
type Runs interface {
	// Claim takes the open memories among refs whose lease has expired or whose owner already is this one, for owner,
	// until the given time: fence + 1, status processing, started_at set at the first claim. It returns drafts of
	// those that it got, with everything their checkpoints hold, in the order of refs.
	Claim(ctx context.Context, c Claim) ([]memory.Draft, error)
	// Drafts returns the drafts of the memories that owner holds among refs, without claiming anew: same fence, same
	// lease. For the attempts of one run.
	Drafts(ctx context.Context, owner string, refs []memory.Ref) ([]memory.Draft, error)
	// Checkpoint records what an attempt at a step did: the receipt, and, where the step completed, its output. A
	// receipt that is completed already stays as it is (true is answered: the work is done).
	Checkpoint(ctx context.Context, cs []Checkpoint) ([]bool, error)
	// Finish ends the run: status, error, completed_at, and the event that is owed, in one write. The vectors kept for
	// the steps between are dropped. A finished memory has no lease.
	Finish(ctx context.Context, fs []Finish) ([]bool, error)
	// Release gives memories up without ending them: the track and the reason are set, the lease expires at once.
	Release(ctx context.Context, rs []Release) ([]bool, error)
}

// Leases keeps owners honest.
type Leases interface {
	// Renew sets the end of the lease of every open memory of the owner and returns how many there were.
	Renew(ctx context.Context, owner string, until time.Time) (int, error)
	// Owned returns the open memories of the owner, in any order: for an owner that has fewer in hand than it renews. A
	// write whose answer was lost may have given it one that it does not know of.
	Owned(ctx context.Context, owner string) ([]memory.Ref, error)
	// Orphans returns up to limit open memories whose lease expired before now, longest first. Memories on their way
	// in a batch are not among them: the batch answers for those.
	Orphans(ctx context.Context, now time.Time, limit int) ([]Orphan, error)
	// Entrust gives orphans, whose lease has expired by now, to the owner named for each until the given time, without
	// touching the fence; the track becomes durable and the reason, where not empty, is set. For who just made sure that
	// a durable run of that name exists. It answers which were entrusted.
	Entrust(ctx context.Context, ts []Trust, until time.Time) ([]bool, error)
	// Load returns how many memories are open by track, over all workspaces.
	Load(ctx context.Context) (map[memory.Track]int, error)
}

// Trust names the owner that an orphan gets. See [Leases.Entrust].
type Trust struct {
	Ref    memory.Ref
	Owner  string
	Reason string // the track reason; "": as it was
}

// Orphan is an open memory that nobody answers for.
type Orphan struct {
	Ref   memory.Ref
	Track memory.Track
	Owner string // who held it last; "" where nobody did
}

// Claim asks for memories. See [Runs.Claim].
type Claim struct {
	Refs  []memory.Ref
	Owner string
	Track memory.Track
	Until time.Time
}

// Checkpoint is what one attempt at a step did for one memory. Output is nil where the attempt failed.
type Checkpoint struct {
	Ref     memory.Ref
	Fence   int64
	Receipt memory.Receipt
	Output  *memory.Output
}

// Finish is the end of a run. Receipts are those that the end itself makes (skipped, given up); Event may be nil.
type Finish struct {
	Ref      memory.Ref
	Fence    int64
	Status   memory.Status
	Error    *memory.Fault
	Receipts []memory.Receipt
	Event    *memory.Event
}

// Release gives a memory up for another track. See [Runs.Release].
type Release struct {
	Ref    memory.Ref
	Fence  int64
	Track  memory.Track
	Reason string
}

// Outbox holds the events that are owed: they live in the document whose change made them true until they have
// become deliveries.
type Outbox interface {
	// Owed returns up to limit owed events of memories and batches, oldest first.
	Owed(ctx context.Context, limit int) ([]memory.Event, error)
	// Settle forgets owed events, by id; unknown ones are no error.
	Settle(ctx context.Context, events []memory.Event) error
}

// Model is the embedding model of the vectors in a store.
type Model struct {
	ID         string
	Dimensions int
}

// Vectors finds passages of memories by meaning and by words.
//
// A store holds the vectors of one embedding model: the first Upsert settles which. Another model's vectors are refused
// with [memory.CodeModelMismatch], for writing and for searching.
type Vectors interface {
	// Upsert writes all points of the memories in them, a page at a time, and then removes those of earlier versions of
	// the same memories: at no moment is a memory that was there absent. Points are findable when it returns. Repeating
	// it changes nothing. Points of an older version than what is stored are dropped silently.
	Upsert(ctx context.Context, m Model, points []Point) error
	// Search returns the best passage of each of the best memories, best first; ties by id.
	Search(ctx context.Context, q VectorQuery) ([]Hit, error)
	// Nearest searches by vector for a page of memories at once: an answer for each query, as Search gives it, but one that
	// may miss a few of many where an adapter is much faster so. Queries have no filter; their mode and text are ignored.
	Nearest(ctx context.Context, qs []VectorQuery) ([][]Hit, error)
	// Delete forgets all points of the memories; missing ones are no error.
	Delete(ctx context.Context, workspace string, memoryIDs ...string) error
	// Model returns the model of the stored vectors; the zero Model where nothing is stored yet.
	Model(ctx context.Context) (Model, error)
	// Held lists what is stored of the memories of a workspace. See [Holder].
	Holder
}

// Holder is a store beside the documents, as the census sees it.
type Holder interface {
	// Held lists what is stored of memories, in any order, and the cursor of the next page ("" at the end). What is
	// stored of one version of a memory may come in several parts, on several pages too: they add up. A memory of which
	// nothing is stored is not in the list, or is with no parts. What changes meanwhile may be in it or not.
	Held(ctx context.Context, q HeldQuery) ([]Holding, string, error)
}

// HeldQuery selects memories of a workspace.
type HeldQuery struct {
	Workspace string
	MemoryIDs []string // none: all
	Limit     int      // how long a page may be, at least 1
	Cursor    string   // from the page before; "" starts
}

// Holding is what a store holds of one version of a memory: so many points (Vectors), or nodes and relationships that it
// supports (Graph).
type Holding struct {
	MemoryID string
	Version  int
	Parts    int
}

// Point is one passage of a memory with what searches can filter on.
type Point struct {
	Workspace  string
	MemoryID   string
	Version    int
	Passage    int    // its number within the memory, from 0
	Start, End int    // byte offsets in the content
	Text       string // the passage itself, for full text
	Vector     []float32
	Fields     Fields
}

// Fields are the parts of a memory that filters name.
type Fields struct {
	Metadata   memory.Metadata
	ExternalID string
	BatchID    string
	CreatedAt  time.Time
	OccurredAt time.Time // zero: none
}

// Mode says what a search goes by.
type Mode string

// The modes. Hybrid fuses the ranks of both by reciprocal rank fusion.
const (
	Hybrid  Mode = "hybrid"
	Vector  Mode = "vector"
	Lexical Mode = "lexical"
)

// VectorQuery asks for memories near a vector, or with the words of a text, or both. Filter may name every field but
// status, which is the documents' to know.
type VectorQuery struct {
	Workspace string
	Mode      Mode
	Model     Model     // of Vector; unused by Lexical
	Vector    []float32 // unused by Lexical
	Text      string    // unused by Vector
	Filter    *Filter   // nil: all
	Exclude   []string  // memory ids to leave out
	Limit     int       // memories, at least 1
}

// Hit is a memory that was found, by its best passage. Hits of a vector search whose similarity is below 0 have the score
// 0, and keep their order.
type Hit struct {
	MemoryID   string
	Version    int
	Start, End int
	OccurredAt time.Time // of the memory; zero: none
	Score      float64   // what it is ranked by, 0 to 1: cosine similarity (vector), normalised BM25 (lexical), normalised fusion (hybrid)
	Vector     *float64  // cosine similarity, where the vector search found it
	Lexical    *float64  // BM25 relative to the best hit, 0 to 1, where the full-text search found it
}

// MaxSources is how many of the memories that support a node or relationship a graph read looks at: the newest.
const MaxSources = 100

// Graph keeps what memories say as nodes and relationships, with provenance: which memory, and which version of it,
// supports what. What no memory supports is not there.
//
// A node or relationship shows what the newest memories that support it say, by id and at most [MaxSources] of them. Its
// MemoryIDs are theirs, newest first. Name and type have the form that most of them use, ties alphabetical; properties are
// the union, and the newest memory wins.
type Graph interface {
	// Merge replaces what each memory supports by the given graph, a page in one transaction. Repeating it changes
	// nothing. A graph of an older version than the stored one is dropped silently. Node ids are made by NodeID. What a
	// graph has twice counts as it comes first; a relationship whose ends are not both among its nodes is left out.
	Merge(ctx context.Context, ms []Mention) error
	// Nodes returns nodes by name (case-insensitive, normalised as NodeID does; "": any) and type (likewise), most
	// supported first, ties by id, and the cursor of the next page.
	Nodes(ctx context.Context, q NodeQuery) ([]memory.Node, string, error)
	// Neighbours returns what is within depth (1-3) relationships of the starting nodes, whichever way these point, them
	// included; at most limit nodes, nearest first, then most supported, ties by id, and all relationships between those.
	// Unknown nodes are left out.
	Neighbours(ctx context.Context, workspace string, nodeIDs []string, depth, limit int) (memory.Graph, error)
	// Of returns the nodes that the memories support, most supported first, ties by id.
	Of(ctx context.Context, workspace string, memoryIDs ...string) ([]memory.Node, error)
	// Delete removes what only these memories supported; missing ones are no error.
	Delete(ctx context.Context, workspace string, memoryIDs ...string) error
	// Held lists what memories of a workspace support. See [Holder].
	Holder
}

// Mention is the graph of one version of a memory.
type Mention struct {
	Ref   memory.Ref
	Graph memory.Graph
}

// NodeQuery selects nodes of a workspace.
type NodeQuery struct {
	Workspace string
	Name      string
	Type      string
	Limit     int
	Cursor    string
}
