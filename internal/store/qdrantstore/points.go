package qdrantstore

import (
	"crypto/sha256"
	"fmt"
	"math"
	"time"

	"github.com/qdrant/go-client/qdrant"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// The fields of a point's payload. The text of a passage is not among them: Qdrant holds what searches need, and the
// documents hold the content.
const (
	fieldWorkspace  = "workspace"
	fieldMemory     = "memory"
	fieldVersion    = "version"
	fieldPassage    = "passage"
	fieldStart      = "start"
	fieldEnd        = "end"
	fieldCreated    = "created_at" // in milliseconds
	fieldOccurred   = "occurred_at"
	fieldTags       = "tags"
	fieldLabels     = "labels"
	fieldLabelKeys  = "labels[].k"
	fieldLabelValue = "labels[].v"
)

// pointID is the same for the same passage of the same version: writing it twice changes nothing. It is a UUID of version
// 8, which is for digests.
func pointID(p store.Point) *qdrant.PointId {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %d %d", p.Workspace, p.MemoryID, p.Version, p.Passage))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return qdrant.NewIDUUID(fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]))
}

func pointOf(p store.Point) *qdrant.PointStruct {
	vectors := map[string]*qdrant.Vector{}
	if unit := store.Direction(p.Vector); unit != nil {
		vectors[dense] = qdrant.NewVectorDense(unit)
	}
	if indices, weights := sparseOf(store.PassageTerms(p.Text)); len(indices) > 0 {
		vectors[sparse] = qdrant.NewVectorSparse(indices, weights)
	}
	return &qdrant.PointStruct{Id: pointID(p), Vectors: qdrant.NewVectorsMap(vectors), Payload: payloadOf(p)}
}

func sparseOf(terms []store.TermWeight) (indices []uint32, weights []float32) {
	for _, t := range terms {
		indices, weights = append(indices, uint32(t.Term)), append(weights, t.Weight)
	}
	return indices, weights
}

func payloadOf(p store.Point) map[string]*qdrant.Value {
	number := func(n int) *qdrant.Value { return qdrant.NewValueInt(int64(n)) }
	out := map[string]*qdrant.Value{
		fieldWorkspace: qdrant.NewValueString(p.Workspace),
		fieldMemory:    qdrant.NewValueString(p.MemoryID),
		fieldVersion:   number(p.Version),
		fieldPassage:   number(p.Passage),
		fieldStart:     number(p.Start),
		fieldEnd:       number(p.End),
		fieldCreated:   qdrant.NewValueInt(p.Fields.CreatedAt.UnixMilli()),
	}
	if !p.Fields.OccurredAt.IsZero() {
		out[fieldOccurred] = qdrant.NewValueInt(p.Fields.OccurredAt.UnixMilli())
	}
	var tags, all []*qdrant.Value
	for field, value := range labels(p.Fields) {
		tags, all = append(tags, qdrant.NewValueString(tag(field, value))), append(all, label(field, value))
	}
	if len(tags) > 0 {
		out[fieldTags], out[fieldLabels] = qdrant.NewValueFromList(tags...), qdrant.NewValueFromList(all...)
	}
	return out
}

// shown are the fields of the payload that a hit has.
func shown() *qdrant.WithPayloadSelector {
	return qdrant.NewWithPayloadInclude(fieldMemory, fieldVersion, fieldPassage, fieldStart, fieldEnd, fieldOccurred)
}

// passage is a point that was found.
type passage struct {
	store.Hit
	id     string
	number int
}

func passageOf(p *qdrant.ScoredPoint) passage {
	number := func(field string) int { return int(p.GetPayload()[field].GetIntegerValue()) }
	found := passage{
		Hit: store.Hit{
			MemoryID: p.GetPayload()[fieldMemory].GetStringValue(), Version: number(fieldVersion),
			Start: number(fieldStart), End: number(fieldEnd), Score: float64(p.GetScore()),
		},
		id: p.GetId().GetUuid(), number: number(fieldPassage),
	}
	if at, ok := p.GetPayload()[fieldOccurred]; ok {
		found.OccurredAt = time.UnixMilli(at.GetIntegerValue()).UTC()
	}
	return found
}

// clamp keeps a cosine within its bounds, whatever rounding made of it.
func clamp(f float64) float64 { return math.Max(-1, math.Min(1, f)) }
