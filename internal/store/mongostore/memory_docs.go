package mongostore

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// memoryDoc is a memory as it is stored: all that must be true of it together, and what only the store knows.
type memoryDoc struct {
	Key         string          `bson:"_id"`
	Workspace   string          `bson:"workspace"`
	External    string          `bson:"external,omitempty"` // workspace and external id, as a key
	Version     int             `bson:"version"`
	Status      memory.Status   `bson:"status"`
	Track       memory.Track    `bson:"track"`
	Reason      string          `bson:"reason"`
	Priority    memory.Priority `bson:"priority,omitempty"`
	BatchID     string          `bson:"batch_id,omitempty"`
	WebhookURL  string          `bson:"webhook_url,omitempty"`
	Content     string          `bson:"content"`
	Metadata    memory.Metadata `bson:"metadata,omitempty"`
	Labels      []string        `bson:"labels,omitempty"` // hashes of the metadata, to find it by
	OccurredAt  *memory.Time    `bson:"occurred_at,omitempty"`
	CreatedAt   memory.Time     `bson:"created_at"`
	UpdatedAt   memory.Time     `bson:"updated_at"`
	StartedAt   *memory.Time    `bson:"started_at,omitempty"`
	CompletedAt *memory.Time    `bson:"completed_at,omitempty"`
	AskedAt     memory.Time     `bson:"asked_at"` // when the caller said what this version says
	Error       *memory.Fault   `bson:"error,omitempty"`

	Owner      string     `bson:"owner"`                 // who holds it; "": nobody
	LastOwner  string     `bson:"last_owner"`            // who held it last
	Claim      string     `bson:"claim,omitempty"`       // the call of Claim that gave it to its owner
	End        string     `bson:"end,omitempty"`         // what ended its latest run: see runs.Finish
	Fence      int64      `bson:"fence"`                 //
	LeaseUntil *time.Time `bson:"lease_until,omitempty"` // there if, and only if, the memory is open

	Steps     []step            `bson:"steps,omitempty"`     // in the order of their first attempts
	Writes    int               `bson:"writes"`              // how often the steps were written
	Embedding *memory.Embedding `bson:"embedding,omitempty"` // while it is open
	Tokens    int64             `bson:"tokens,omitempty"`    // what the steps took
	Cost      int64             `bson:"cost,omitempty"`      // in 10^-12 dollars

	Owed []memory.Event `bson:"owed,omitempty"`

	// Erasure, where there is one, outlives the memory: then it is all that is left beside the key.
	Erasure *erasureDoc `bson:"erasure,omitempty"`
}

// gone reports whether there is no memory, but an erasure.
func (d *memoryDoc) gone() bool { return d != nil && d.Workspace == "" }

// step is a checkpoint: a receipt, and the output without its embedding.
type step struct {
	Receipt memory.Receipt `bson:"receipt"`
	Output  *memory.Output `bson:"output,omitempty"`
}

// memoryFields are the fields of a document that are the memory's: all but the key and the erasure.
func memoryFields() (out []string) {
	for f := range reflect.TypeFor[memoryDoc]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("bson"), ",")
		if name != "_id" && name != "erasure" {
			out = append(out, name)
		}
	}
	return out
}

// light leaves out what only the steps of a run need, and what is owed.
func light() bson.D { return doc("embedding", 0, "owed", 0, "labels", 0) }

// memory is the memory that people may see.
func (d *memoryDoc) memory() memory.Memory {
	draft := memory.Draft{Memory: memory.Memory{
		ID: idOf(d.Workspace, d.Key), Workspace: d.Workspace, ExternalID: idOf(d.Workspace, d.External), Version: d.Version,
		Status: d.Status, Track: d.Track, Reason: d.Reason, Priority: d.Priority, BatchID: d.BatchID, WebhookURL: d.WebhookURL,
		Content: d.Content, Metadata: d.Metadata, OccurredAt: d.OccurredAt, Error: d.Error,
		CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt, StartedAt: d.StartedAt, CompletedAt: d.CompletedAt,
	}}
	for _, s := range d.Steps {
		draft.Memory.Record(s.Receipt)
		if s.Output != nil {
			draft.Apply(*s.Output)
		}
	}
	return draft.Memory
}

func (d *memoryDoc) draft() memory.Draft {
	return memory.Draft{Memory: d.memory(), Fence: d.Fence, Embedding: d.Embedding}
}

// newMemoryDoc is an intake as a new document.
//
// Fences start at the clock, not at 0: should a deleted memory be taken in again under its old id, a run of the former
// one that is still on its way does not hold a fence of the new one.
func newMemoryDoc(in *store.Intake) *memoryDoc {
	m, until := &in.Memory, leaseEnd(in.Lease.Until)
	return &memoryDoc{
		Key: key(m.Workspace, m.ID), Workspace: m.Workspace, External: externalKey(m), Version: m.Version, Status: m.Status,
		Track: m.Track, Reason: m.Reason, Priority: m.Priority, BatchID: m.BatchID, WebhookURL: m.WebhookURL,
		Content: m.Content, Metadata: m.Metadata, Labels: labels(m.Metadata), OccurredAt: m.OccurredAt,
		CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt, AskedAt: asked(in),
		Owner: in.Lease.Owner, LastOwner: in.Lease.Owner, Fence: time.Now().UnixMilli(), LeaseUntil: &until,
	}
}

// asked is when the caller said what the intake says.
func asked(in *store.Intake) memory.Time {
	if in.AskedAt.IsZero() {
		return memory.Now()
	}
	return memory.At(in.AskedAt)
}

func externalKey(m *memory.Memory) string {
	if m.ExternalID == "" {
		return ""
	}
	return key(m.Workspace, m.ExternalID)
}

// labels are hashes of metadata, one an entry: an index has room for them whatever the entry's length.
func labels(md memory.Metadata) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(md)) {
		out = append(out, label(k, store.TextOf(md[k])))
	}
	return out
}

// label stands for a metadata entry in the index: 128 bits of SHA-256.
func label(key, text string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(key), key, text))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
