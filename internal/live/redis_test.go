package live_test

import (
	"log/slog"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/live"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestARedisURLThatIsNoneIsNamed(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "localhost:6379", "http://a:secret@b"} {
		if _, err := live.Connect(url, nil); memory.CodeOf(err) != memory.CodeInvalid {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestPublishingNeverWaitsForRedis(t *testing.T) {
	t.Parallel()
	client, err := live.Connect("redis://127.0.0.1:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := live.NewRedis(client, slog.New(slog.DiscardHandler)) // nobody runs it
	events, stop := r.Subscribe(t.Context(), "w", "mem_1")
	defer stop()
	const n = 10_000
	for v := 1; v <= n; v++ { // would block for ever if it could
		r.Progress(memory.Memory{Workspace: "w", ID: "mem_1", Version: v})
	}
	last := 0
	for len(events) > 0 {
		last = (<-events).Memory.Version
	}
	if last != n {
		t.Errorf("its own process is told of version %d last, want %d", last, n)
	}
}
