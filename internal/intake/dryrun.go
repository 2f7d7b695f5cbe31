package intake

import (
	"hash/maphash"
	"math"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Estimate is what a dry run reckons with: figures of the operator's own experience, since neither a model's price nor
// its speed can be known before.
type Estimate struct {
	// TokensPerMemory is what the prompts and answers of one memory take beside its content. Default 1,500.
	TokensPerMemory int `yaml:"tokens_per_memory"`
	// BytesPerToken is the length of a token of content, which is read three times: two LLM calls and an embedding. Default 4.
	BytesPerToken float64 `yaml:"bytes_per_token"`
	// USDPerMillionTokens is the price. Default 0: what the local models cost.
	USDPerMillionTokens float64 `yaml:"usd_per_million_tokens"`
	// MemoriesPerSecond is how many memories of a batch are finished a second. Default 50.
	MemoriesPerSecond float64 `yaml:"memories_per_second"`
}

// Report says what would become of an upload.
type Report struct {
	Total      int           `json:"total"`
	Valid      int           `json:"valid"`
	Rejected   int           `json:"rejected"`
	Duplicates int           `json:"duplicates"` // valid ones whose external_id came before in the same upload
	Rejects    []memory.Item `json:"rejects"`    // the first 100
	Tokens     int           `json:"estimated_tokens"`
	CostUSD    float64       `json:"estimated_cost_usd"`
	Seconds    int           `json:"estimated_seconds"`
}

const (
	rejectsShown = 100
	idsKnown     = 5_000_000 // bounds the memory of a dry run; duplicates past it are not counted
)

// A tally gathers a report.
type tally struct {
	report Report
	bytes  int
	seen   map[uint64]struct{} // external ids by hash; nil: duplicates are not counted
	seed   maphash.Seed
}

func (t *tally) add(e store.Entry) {
	t.report.Total++
	if e.Input == nil {
		t.report.Rejected++
		if len(t.report.Rejects) < rejectsShown {
			e.Item.Sent = nil // the caller of a dry run has it
			t.report.Rejects = append(t.report.Rejects, e.Item)
		}
		return
	}
	t.report.Valid++
	t.bytes += len(e.Input.Content)
	t.note(e.Input.ExternalID)
}

func (t *tally) note(externalID string) {
	if t.seen == nil || externalID == "" {
		return
	}
	if len(t.seen) == 0 {
		t.seed = maphash.MakeSeed()
	}
	h := maphash.String(t.seed, externalID)
	if _, dup := t.seen[h]; dup {
		t.report.Duplicates++
	} else if len(t.seen) < idsKnown {
		t.seen[h] = struct{}{}
	}
}

func (t *tally) finish(e Estimate) *Report {
	r := t.report
	if r.Rejects == nil {
		r.Rejects = []memory.Item{}
	}
	r.Tokens = r.Valid*e.TokensPerMemory + int(3*float64(t.bytes)/e.BytesPerToken)
	r.CostUSD = float64(r.Tokens) / 1e6 * e.USDPerMillionTokens
	r.Seconds = int(math.Ceil(float64(r.Valid) / e.MemoriesPerSecond))
	return &r
}
