//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestBook is the story of the data team: a book goes in as one batch, a webhook says that it is done, and it can be
// searched by meaning and by relation.
func TestBook(t *testing.T) {
	ctx := limited(t, 5*time.Minute)
	texts, err := Book("../..")
	must(t, err)
	p, r := start(t), NewReceiver()
	defer r.Close()
	c := p.Client()

	b, hook, _, err := Upload(ctx, c, r, "oz", Lines("oz", texts))
	must(t, err)
	if want := (memory.Counts{Total: len(texts), Completed: len(texts)}); b.Counts != want || b.Status != memory.BatchCompleted {
		t.Errorf("the batch ended %s with %+v, want %+v", b.Status, b.Counts, want)
	}

	t.Run("TheWebhookVerifiesWithTheStockLibrary", func(t *testing.T) {
		secret, err := c.WebhookSecret(ctx)
		must(t, err)
		if hook.Type() != memory.EventBatchCompleted {
			t.Errorf("the final event is %s", hook.Type())
		}
		must(t, hook.Verify(secret))
		hook.Body[0] ^= 1
		if hook.Verify(secret) == nil {
			t.Error("the signature verifies a body that was changed")
		}
	})

	t.Run("TheManBehindTheScreenIsFound", func(t *testing.T) {
		res, err := c.Search(ctx, client.SearchQuery{Query: "the man behind the screen", Limit: 5})
		must(t, err)
		if FoundAt(res.Items, "screen") == 0 && FoundAt(res.Items, "humbug") == 0 {
			t.Errorf("not among the first five: %v", res.Items)
		}
	})

	t.Run("DorothyAndTotoAreNeighbours", func(t *testing.T) {
		names, err := Neighbours(ctx, c, "Dorothy")
		must(t, err)
		if !names["Toto"] {
			t.Errorf("Toto is not among the neighbours of Dorothy: %v", names)
		}
	})

	t.Run("TheSameFileAgainChangesNothing", func(t *testing.T) {
		before := states(t, c)
		b, _, _, err := Upload(ctx, c, r, "oz again", Lines("oz", texts))
		must(t, err)
		if b.Counts.Completed != len(texts) || b.Tokens != 0 {
			t.Errorf("the second batch ended with %+v and %d tokens", b.Counts, b.Tokens)
		}
		if diff := cmp.Diff(before, states(t, c)); diff != "" {
			t.Error("memories changed (-before +after):\n" + diff)
		}
	})
}

// states are the version and the time of the last change of every memory.
func states(t *testing.T, c *client.Client) map[string]string {
	t.Helper()
	out := map[string]string{}
	for m, err := range c.ListMemories(t.Context(), client.MemoryQuery{}) {
		must(t, err)
		out[m.ID] = string(rune('0'+m.Version)) + " " + m.UpdatedAt.String()
	}
	return out
}
