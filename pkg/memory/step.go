package memory

// The five steps by name. Their order is the pipeline's business.
const (
	StepUseCases      = "generate_use_cases"
	StepRelated       = "find_related"
	StepSchema        = "generate_schema"
	StepIndex         = "index_vectors"
	StepRelationships = "update_relationships"
)

// StepStatus says how far a step of one memory is.
type StepStatus string

// The statuses of a step. A pending step that has an Error is one that was tried, failed and will be tried again.
const (
	StepPending   StepStatus = "pending"
	StepCompleted StepStatus = "completed"
	StepFailed    StepStatus = "failed"
	StepSkipped   StepStatus = "skipped" // a step that it builds on gave up
)

// Final reports whether the step is over.
func (s StepStatus) Final() bool { return s == StepCompleted || s == StepFailed || s == StepSkipped }

// A Receipt says what a step did for one memory: the durable part of a checkpoint that people may see.
type Receipt struct {
	Name       string     `json:"name"`
	Status     StepStatus `json:"status"`
	Track      Track      `json:"track,omitempty"` // who made the latest attempt
	Attempts   int        `json:"attempts"`
	StartedAt  *Time      `json:"started_at,omitempty"` // start of the latest attempt
	DurationMS int64      `json:"duration_ms"`          // of the latest attempt
	Model      string     `json:"model,omitempty"`      // the model that answered
	Tokens     int        `json:"tokens"`               // over all attempts that answered
	CostUSD    float64    `json:"cost_usd"`             // over all attempts that answered
	Notice     string     `json:"notice,omitempty"`     // what the reader should know, such as content that was cut
	Error      *Fault     `json:"error,omitempty"`      // of the latest attempt
}

// Fault is an error as people and programs outside see it.
type Fault struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
	Step   string `json:"step,omitempty"`
}

// A Draft is a memory on its way through the pipeline: what is known of it so far. Steps read drafts and answer with
// an [Output] each; they never change one.
type Draft struct {
	Memory    Memory
	Fence     int64      // the fencing token of the claim under which it runs
	Embedding *Embedding // nil until find_related is done
}

// Embedding is a memory's content as vectors, one a passage, all made by one model.
type Embedding struct {
	Model    string    `json:"model"`
	Passages []Passage `json:"passages"`
}

// Passage is a piece of the content, by byte offsets, with its vector.
type Passage struct {
	Start  int       `json:"start"`
	End    int       `json:"end"`
	Vector []float32 `json:"vector"`
}

// Output is what a completed step adds to a draft; a step sets only what is its own.
type Output struct {
	UseCases  []string   `json:"use_cases,omitempty"`
	Related   []Related  `json:"related,omitempty"`
	Graph     *Graph     `json:"graph,omitempty"`
	Embedding *Embedding `json:"embedding,omitempty"`
}

// Apply adds what the step found to the draft.
func (d *Draft) Apply(o Output) {
	if o.UseCases != nil {
		d.Memory.UseCases = o.UseCases
	}
	if o.Related != nil {
		d.Memory.Related = o.Related
	}
	if o.Graph != nil {
		d.Memory.Graph = *o.Graph
	}
	if o.Embedding != nil {
		d.Embedding = o.Embedding
	}
}
