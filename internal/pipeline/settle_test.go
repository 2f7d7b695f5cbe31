package pipeline

import (
	"testing"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	p := New(Parts{}, Config{})
	fault := &memory.Fault{Code: memory.CodeRefused, Detail: "no"}
	for name, row := range map[string]struct {
		states map[string]memory.StepStatus // others are completed
		giveUp bool
		want   memory.Status // "": still open
		step   string        // that the error names
	}{
		"AllDone":              {want: memory.StatusCompleted},
		"OneLeft":              {states: map[string]memory.StepStatus{memory.StepIndex: memory.StepPending}},
		"NotTried":             {states: map[string]memory.StepStatus{memory.StepIndex: ""}},
		"GraphGaveUp":          {states: map[string]memory.StepStatus{memory.StepRelationships: memory.StepFailed}, want: memory.StatusDegraded, step: memory.StepRelationships},
		"UseCasesGaveUp":       {states: map[string]memory.StepStatus{memory.StepUseCases: memory.StepFailed, memory.StepSchema: "", memory.StepRelationships: ""}, want: memory.StatusDegraded, step: memory.StepUseCases},
		"IndexGaveUp":          {states: map[string]memory.StepStatus{memory.StepIndex: memory.StepFailed}, want: memory.StatusFailed, step: memory.StepIndex},
		"EmbeddingGaveUp":      {states: map[string]memory.StepStatus{memory.StepRelated: memory.StepFailed, memory.StepSchema: "", memory.StepIndex: "", memory.StepRelationships: ""}, want: memory.StatusFailed, step: memory.StepRelated},
		"EssentialBeatsOthers": {states: map[string]memory.StepStatus{memory.StepUseCases: memory.StepFailed, memory.StepSchema: "", memory.StepRelationships: "", memory.StepIndex: memory.StepFailed}, want: memory.StatusFailed, step: memory.StepIndex},
		"OthersMayGoOn":        {states: map[string]memory.StepStatus{memory.StepUseCases: memory.StepFailed, memory.StepSchema: "", memory.StepRelationships: "", memory.StepIndex: memory.StepPending}},
		"PatienceOverGraph":    {states: map[string]memory.StepStatus{memory.StepRelationships: memory.StepPending}, giveUp: true, want: memory.StatusDegraded, step: memory.StepRelationships},
		"PatienceOverIndex":    {states: map[string]memory.StepStatus{memory.StepIndex: memory.StepPending}, giveUp: true, want: memory.StatusFailed, step: memory.StepIndex},
		"PatienceOverNothing":  {states: map[string]memory.StepStatus{memory.StepUseCases: "", memory.StepRelated: "", memory.StepSchema: "", memory.StepIndex: "", memory.StepRelationships: ""}, giveUp: true, want: memory.StatusFailed, step: memory.StepRelated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m memory.Memory
			for _, s := range p.Steps() {
				state, ok := row.states[s.Name]
				if !ok {
					state = memory.StepCompleted
				}
				if state != "" {
					r := memory.Receipt{Name: s.Name, Status: state, Attempts: 1}
					if state != memory.StepCompleted {
						r.Error = &memory.Fault{Code: fault.Code, Detail: fault.Detail, Step: s.Name}
					}
					m.Record(r)
				}
			}
			v, over := p.verdict(&m, row.giveUp)
			if over != (row.want != "") || v.status != row.want {
				t.Fatalf("over %v, status %q, want %q", over, v.status, row.want)
			}
			if row.step != "" && (v.fault == nil || v.fault.Step != row.step) {
				t.Errorf("the error is %+v, want one that names %s", v.fault, row.step)
			}
			v.apply(&m)
			for _, s := range p.Steps() {
				if r, _ := m.Receipt(s.Name); over && !r.Status.Final() {
					t.Errorf("%s is %q though the memory is over", s.Name, r.Status)
				}
			}
		})
	}
}
