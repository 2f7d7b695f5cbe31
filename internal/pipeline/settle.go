package pipeline

import (
	"context"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Settle ends every memory of the page for which no step can be tried any more: its status, and the event that is owed,
// are stored in one write. It returns how many are still open. With giveUp none is: what is left to do is failed.
func (p *Pipeline) Settle(ctx context.Context, page *Page, giveUp bool) (int, error) {
	var (
		ends   []store.Finish
		places []int
		over   []memory.Memory
		open   int
	)
	for i, m := range page.current() {
		if m == nil || m.Status.Final() {
			continue
		}
		v, ok := p.verdict(m, giveUp)
		if !ok {
			open++
			continue
		}
		v.apply(m)
		event, err := p.parts.Events.MemoryEvent(ctx, *m)
		if err != nil {
			return 0, fmt.Errorf("event of %s: %w", m.ID, err)
		}
		ends = append(ends, store.Finish{Ref: m.Ref(), Fence: page.fence(i), Status: v.status, Error: v.fault, Receipts: v.receipts, Event: event})
		places, over = append(places, i), append(over, *m)
	}
	if len(ends) == 0 {
		return open, nil
	}
	kept, err := save(ctx, func(ctx context.Context) ([]bool, error) { return p.parts.Runs.Finish(ctx, ends) })
	if err != nil {
		return 0, fmt.Errorf("finish a page: %w", err)
	}
	for i, place := range places {
		if page.end(place, over[i], kept[i]) {
			p.watch(over[i])
		}
	}
	return open, nil
}

// current returns copies of the memories by place; nil for those that are somebody else's.
func (p *Page) current() []*memory.Memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*memory.Memory, len(p.drafts))
	for i, d := range p.drafts {
		if !p.stale[i] {
			out[i] = new(copyOf(d).Memory)
		}
	}
	return out
}

func (p *Page) fence(place int) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drafts[place].Fence
}

func (p *Page) end(place int, m memory.Memory, kept bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stale[place] = !kept
	p.drafts[place].Memory = m
	return kept
}

// verdict is how a memory ends.
type verdict struct {
	status   memory.Status
	fault    *memory.Fault
	receipts []memory.Receipt // made by the end itself
}

func (v verdict) apply(m *memory.Memory) {
	for _, r := range v.receipts {
		m.Record(r)
	}
	m.Status, m.Error = v.status, v.fault
	m.CompletedAt = memory.Now().Ptr()
	m.UpdatedAt = *m.CompletedAt
}

// verdict says how the memory ends, and false where a step may still be tried.
func (p *Pipeline) verdict(m *memory.Memory, giveUp bool) (verdict, bool) {
	v := verdict{status: memory.StatusCompleted}
	lost := map[string]bool{} // steps that gave up or were skipped
	for _, s := range p.steps {
		r, _ := m.Receipt(s.Name)
		switch {
		case r.Status == memory.StepCompleted:
			continue
		case r.Status.Final():
		case anyOf(s.After, lost):
			r = memory.Receipt{Name: s.Name, Status: memory.StepSkipped, Error: &memory.Fault{
				Code: memory.CodeDependency, Detail: "a step that this one builds on gave up", Step: s.Name,
			}}
			v.receipts = append(v.receipts, r)
		case giveUp:
			r = gaveUp(r, s.Name)
			v.receipts = append(v.receipts, r)
		default:
			return verdict{}, false
		}
		lost[s.Name] = true
		v.blame(s.Spec, r)
	}
	return v, true
}

func anyOf(names []string, in map[string]bool) bool {
	for _, n := range names {
		if in[n] {
			return true
		}
	}
	return false
}

func gaveUp(r memory.Receipt, step string) memory.Receipt {
	last := "it was never tried"
	if r.Error != nil {
		last = fmt.Sprintf("the latest of %d attempts said %s: %s", r.Attempts, r.Error.Code, r.Error.Detail)
	}
	r.Name, r.Status = step, memory.StepFailed
	r.Error = &memory.Fault{Code: memory.CodeGaveUp, Detail: "patience ran out; " + last, Step: step}
	return r
}

// blame counts a lost step in: an essential one fails the memory, another one degrades it. The fault shown is that of
// the first essential step that gave up, else of the first step that did.
func (v *verdict) blame(s Spec, r memory.Receipt) {
	if s.Essential && v.status != memory.StatusFailed {
		v.status, v.fault = memory.StatusFailed, r.Error
	}
	if v.status == memory.StatusCompleted {
		v.status, v.fault = memory.StatusDegraded, r.Error
	}
}
