package store

import (
	"math"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Check refuses queries that no store can answer.
func (q VectorQuery) Check() error {
	switch {
	case q.Limit < 1:
		return memory.Errorf(memory.CodeInvalid, "the limit must be at least 1")
	case q.Filter.Names("status"):
		return memory.Errorf(memory.CodeInvalid, "the index does not know the status of a memory")
	case q.Mode == Lexical:
		return nil
	case q.Mode != Vector && q.Mode != Hybrid:
		return memory.Errorf(memory.CodeInvalid, "the mode %q is none of hybrid, vector and lexical", q.Mode)
	}
	return q.Model.Fits(q.Vector)
}

// Fits checks that a vector is one that the model can have made.
func (m Model) Fits(vector []float32) error {
	if m.ID == "" || len(vector) == 0 || len(vector) != m.Dimensions {
		return memory.Errorf(memory.CodeModelMismatch, "a vector of %d dimensions does not come from the model %q, which has %d",
			len(vector), m.ID, m.Dimensions)
	}
	for _, f := range vector {
		if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
			return memory.Errorf(memory.CodeInvalid, "a vector of the model %q has an element that is no number", m.ID)
		}
	}
	return nil
}

// Same checks that vectors of the other model may stand beside those of m, which is what the store holds.
func (m Model) Same(other Model) error {
	if m == other {
		return nil
	}
	return memory.Errorf(memory.CodeModelMismatch, "the store holds vectors of the model %q with %d dimensions; these are of %q with %d",
		m.ID, m.Dimensions, other.ID, other.Dimensions)
}

// Direction is the vector at length 1; nil where it has no direction.
func Direction(vector []float32) []float32 {
	var sum float64
	for _, f := range vector {
		sum += float64(f) * float64(f)
	}
	if sum == 0 {
		return nil
	}
	unit, length := make([]float32, len(vector)), math.Sqrt(sum)
	for i, f := range vector {
		unit[i] = float32(float64(f) / length)
	}
	return unit
}

// Latest groups points by memory and drops those of all versions but the latest.
func Latest(points []Point) [][]Point {
	place := map[[2]string]int{}
	var out [][]Point
	for _, p := range points {
		key := [2]string{p.Workspace, p.MemoryID}
		i, ok := place[key]
		switch {
		case !ok:
			place[key] = len(out)
			out = append(out, []Point{p})
		case p.Version > out[i][0].Version:
			out[i] = []Point{p}
		case p.Version == out[i][0].Version:
			out[i] = append(out[i], p)
		}
	}
	return out
}
