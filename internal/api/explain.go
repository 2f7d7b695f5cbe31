package api

import (
	"context"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Explanation says how a memory came to be what it is.
type Explanation struct {
	ID       string           `json:"id"`
	Version  int              `json:"version"`
	Status   memory.Status    `json:"status"`
	Track    memory.Track     `json:"track"`
	Reason   string           `json:"track_reason"`
	BatchID  string           `json:"batch_id,omitempty"`
	Priority memory.Priority  `json:"priority,omitempty"`
	Error    *memory.Fault    `json:"error"`
	Took     Took             `json:"took"`
	Steps    []memory.Receipt `json:"steps"`
	Written  Written          `json:"written"`
}

// Took is what the whole took.
type Took struct {
	Attempts   int     `json:"attempts"`
	DurationMS *int64  `json:"duration_ms" doc:"From the beginning of the work to its end; null before that."`
	Tokens     int     `json:"tokens"`
	CostUSD    float64 `json:"cost_usd"`
}

// Written says what of the memory is where.
type Written struct {
	Documents bool         `json:"documents"`
	Vectors   VectorsWrote `json:"vectors"`
	Graph     GraphWrote   `json:"graph"`
}

// VectorsWrote says what of the memory is in the vector index.
type VectorsWrote struct {
	Written    bool   `json:"written"`
	Model      string `json:"model,omitempty"`
	Dimensions int    `json:"dimensions,omitempty"`
}

// GraphWrote says what of the memory is in the graph.
type GraphWrote struct {
	Written       bool `json:"written"`
	Nodes         int  `json:"nodes"`
	Relationships int  `json:"relationships"`
}

func (a *API) explainMemory(ctx context.Context, in *OfMemory) (*body[Explanation], error) {
	m, err := a.named(ctx, in)
	if err != nil {
		return nil, err
	}
	model, err := a.parts.Vectors.Model(ctx)
	if err != nil {
		return nil, err
	}
	return &body[Explanation]{explanationOf(m, model)}, nil
}

func explanationOf(m memory.Memory, model store.Model) Explanation {
	e := Explanation{
		ID: m.ID, Version: m.Version, Status: m.Status, Track: m.Track, Reason: m.Reason, BatchID: m.BatchID, Priority: m.Priority,
		Error: m.Error, Steps: m.Steps, Written: Written{Documents: true},
	}
	if e.Steps == nil {
		e.Steps = []memory.Receipt{}
	}
	for _, r := range m.Steps {
		e.Took.Attempts += r.Attempts
		e.Took.Tokens += r.Tokens
		e.Took.CostUSD += r.CostUSD
	}
	if m.StartedAt != nil && m.CompletedAt != nil {
		ms := m.CompletedAt.Sub(m.StartedAt.Time).Milliseconds()
		e.Took.DurationMS = &ms
	}
	if r, _ := m.Receipt(memory.StepIndex); r.Status == memory.StepCompleted {
		e.Written.Vectors = VectorsWrote{Written: true, Model: model.ID, Dimensions: model.Dimensions}
	}
	if r, _ := m.Receipt(memory.StepRelationships); r.Status == memory.StepCompleted {
		e.Written.Graph = GraphWrote{Written: true, Nodes: len(m.Graph.Nodes), Relationships: len(m.Graph.Relationships)}
	}
	return e
}
