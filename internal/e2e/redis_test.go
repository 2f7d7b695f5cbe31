//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// withoutRedis takes Redis away and brings it back while memories flow. Meanwhile the service is degraded and goes on: who
// watches through one process what a worker does sees it in the store. byEvents is an API process that as good as never
// looks there: who watches through it sees nothing until Redis is back, and then everything, so it shows what is live.
func withoutRedis(t *testing.T, c *cluster, byEvents *Process, away func(*testservers.Proxy)) {
	redis := c.proxies["SWITCHYARD_REDIS_URL"]
	f := flowIn(c, "redis", 2*time.Second) // no more than is done meanwhile: what is watched must come to its turn
	t.Cleanup(f.cancel)
	f.until(t, 5)
	away(redis)
	t.Cleanup(func() { redis.Mend("") })
	processes := []*Process{c.a, c.b, byEvents, c.workers["store"], c.workers["llm"]}
	for _, p := range processes {
		poll(c.ctx, t, "a degraded "+p.Do, func() (bool, error) { return onlyAway(t, p, "redis"), nil })
	}
	f.until(t, 8)

	id, rest := watchWork(t, c, c.b)
	if last := rest(); !strings.Contains(last, `"status":"completed"`) {
		t.Errorf("without Redis, the last that a watcher sees of %s is %s", id, last)
	}
	id, rest = watchWork(t, c, byEvents)
	told := make(chan string, 1)
	go func() { told <- rest() }()
	if m := finished(c.ctx, t, c.a.Client(), id); m.Status != memory.StatusCompleted {
		t.Errorf("without Redis, %s ended %s: %+v", id, m.Status, m.Error)
	}
	if !onlyAway(t, c.a, "redis") {
		t.Error("Redis was back too early for this test to show anything")
	}
	select {
	case last := <-told:
		t.Errorf("a watcher by events alone was told without Redis: %s", last)
	default:
	}

	redis.Mend("")
	if last := <-told; !strings.Contains(last, `"status":"completed"`) {
		t.Errorf("with Redis back, who watched all the time saw last %s", last)
	}
	for _, p := range processes {
		poll(c.ctx, t, "a "+p.Do+" that is ready again", func() (bool, error) { status, _ := ready(t, p); return status == "ready", nil })
	}
	id, rest = watchWork(t, c, byEvents)
	if last := rest(); !strings.Contains(last, `"status":"completed"`) {
		t.Errorf("with Redis back, the last live event of %s is %s", id, last)
	}
	accepted := f.stop()
	for _, id := range accepted {
		if m := finished(c.ctx, t, c.b.Client(), id); m.Status != memory.StatusCompleted {
			t.Errorf("%s, which was accepted, ended %s: %+v", id, m.Status, m.Error)
		}
	}
	t.Logf("%d memories were accepted, all are completed", len(accepted))
}

// watchWork watches a memory through one process from before a worker, another process, begins with it.
func watchWork(t *testing.T, c *cluster, through *Process) (id string, rest func() string) {
	t.Helper()
	work := c.hold()
	m := add(c.ctx, t, c.a.Client(), memory.Input{Content: fmt.Sprintf("The Witch melted at %d.", time.Now().UnixNano()), Track: memory.TrackDurable})
	first, rest := watching(c.ctx, t, through, m.ID)
	work()
	if !strings.Contains(first, `"status":"queued"`) {
		t.Fatalf("the first that a watcher sees of %s is %s", m.ID, first)
	}
	return m.ID, rest
}

// onlyAway reports whether a process is degraded because one server is away, and no other.
func onlyAway(t *testing.T, p *Process, name string) bool {
	t.Helper()
	status, checks := ready(t, p)
	for other, says := range checks {
		if (says == "ok") != (other != name) {
			return false
		}
	}
	return status == "degraded"
}
