package batch

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Config{
		"":                                    {},
		"work is \"both\"":                    {Work: "both"},
		"behavior is \"stay\"":                {Versioning: Versioning{Deployment: "d", BuildID: "1", Behavior: "stay"}},
		"build_id must be set":                {Versioning: Versioning{Deployment: "d"}},
		"deployment must be set":              {Versioning: Versioning{BuildID: "1"}},
		"workflow_pollers must be at least 2": {WorkflowPollers: 1},
		"must not be negative":                {LLMActivitiesPerSecond: -1},
		"must differ":                         {TaskQueue: "switchyard-llm"},
	} {
		err := c.Validate()
		if want == "" {
			if err != nil {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q in it", c, err, want)
		}
	}
}

func TestWorkTakes(t *testing.T) {
	t.Parallel()
	for w, want := range map[Work][2]bool{"": {true, true}, WorkAll: {true, true}, WorkLLM: {true, false}, WorkStore: {false, true}} {
		if got := [2]bool{w.Takes(WorkLLM), w.Takes(WorkStore)}; got != want {
			t.Errorf("%q takes llm, store: %v, want %v", w, got, want)
		}
	}
}
