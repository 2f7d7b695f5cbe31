//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// tooMany answers 429 to everything until then, in every form in which a server can say when to come again.
func tooMany(until time.Time) llmtest.Script {
	const wait = 2 * time.Second
	return func(c llmtest.Call) llmtest.Behaviour {
		if time.Now().After(until) {
			return nil
		}
		forms := []llmtest.Behaviour{llmtest.RateLimit(wait), llmtest.RateLimitMS(wait), llmtest.RateLimitDate(time.Now().Add(wait + time.Second))}
		return forms[c.N%len(forms)]
	}
}

// TestAStormOf429IsWeathered is the ten minutes of 429 (internal/parity) for real, in short: the model is asked little more
// than it will have to be, no breaker opens, and everything is done soon after.
func TestAStormOf429IsWeathered(t *testing.T) {
	const n = 300
	ctx := limited(t, 8*time.Minute)
	s, err := llmtest.NewServer(llmtest.Config{})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	p := start(t, "SWITCHYARD_CHAT_BASE_URL="+s.URL(), "SWITCHYARD_CHAT_API_KEY=test")
	s.SetScript(tooMany(time.Now().Add(30 * time.Second)))
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf("The Lion met Winkie number %d in the poppies.", i)
	}
	b, err := p.Client().UploadBatch(ctx, strings.NewReader(string(Lines("storm", texts))), client.BatchOptions{Name: "storm"})
	must(t, err)
	ids := postAll(ctx, t, p, n)
	b, err = p.Client().WaitForBatch(ctx, b.ID, nil)
	must(t, err)
	if b.Counts.Completed != n {
		t.Errorf("the batch ended %s with %+v", b.Status, b.Counts)
	}
	for _, id := range ids {
		if m := finished(ctx, t, p.Client(), id); m.Status != memory.StatusCompleted {
			t.Errorf("%s ended %s on %s (%s)", id, m.Status, m.Track, m.Reason)
		}
	}
	offered := 2 * 2 * n
	if calls := s.Stats().Calls["UseCases"] + s.Stats().Calls["Graph"]; float64(calls) > 1.1*float64(offered) || calls < offered {
		t.Errorf("%d calls were made, %d offered", calls, offered)
	}
}

// postAll posts memories all through the first part of the storm, and looks at the breakers meanwhile.
func postAll(ctx context.Context, t *testing.T, p *Process, n int) (ids []string) {
	t.Helper()
	for i := range n {
		m, err := p.Client().AddMemory(ctx, memory.Input{Content: fmt.Sprintf("The Scarecrow met crow number %d.", i)})
		must(t, err)
		ids = append(ids, m.ID)
		if i%50 != 49 {
			continue
		}
		r, err := p.Client().Router(ctx)
		must(t, err)
		if len(r.Realtime.Open) > 0 {
			t.Errorf("429s have opened the breaker of %v", r.Realtime.Open)
		}
	}
	return ids
}
