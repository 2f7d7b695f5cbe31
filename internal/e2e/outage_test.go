//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestOutages takes each server away and brings it back while memories flow in at both API processes. Nothing that was
// accepted is lost, readiness and the memories say what waits for what, and no process is started again.
func TestOutages(t *testing.T) {
	// The rate budget is never used up: it is there so that its counters are asked, which are in Redis.
	c := newCluster(t, "realtime: {breaker: {delay: 1s}}\nchat: {requests_per_minute: 1000000}\napi:\n")
	watcher := c.process("serve")
	watcher.Args = []string{"--config", c.configured("api:", "poll_interval: 10m")}
	again(t, watcher)
	for _, o := range []struct {
		name string
		away func(*testservers.Proxy)
	}{{"Cut", (*testservers.Proxy).Cut}, {"Frozen", (*testservers.Proxy).Freeze}} {
		t.Run("redis/"+o.name, func(t *testing.T) { withoutRedis(t, c, watcher, o.away) })
	}
	for _, o := range []struct {
		name, setting string
		away          func(*testservers.Proxy)
		status        string // of readiness meanwhile
		step          string // that a memory shows as waiting meanwhile; "": none need
	}{
		{"neo4j", "SWITCHYARD_NEO4J_URI", (*testservers.Proxy).Cut, "degraded", memory.StepRelationships},
		{"qdrant", "SWITCHYARD_QDRANT_ADDR", (*testservers.Proxy).Cut, "degraded", memory.StepRelated},
		{"temporal", "SWITCHYARD_TEMPORAL_ADDRESS", (*testservers.Proxy).Cut, "degraded", ""},
		{"mongo", "SWITCHYARD_MONGO_URI", (*testservers.Proxy).Cut, "503", ""},
		{"mongo", "SWITCHYARD_MONGO_URI", (*testservers.Proxy).Freeze, "503", ""},
		{"neo4j", "SWITCHYARD_NEO4J_URI", (*testservers.Proxy).Freeze, "degraded", ""},
	} {
		t.Run(fmt.Sprintf("%s/%s", o.name, o.status), func(t *testing.T) {
			f := flowIn(c, o.name, 100*time.Millisecond)
			t.Cleanup(f.cancel)
			f.until(t, 5)
			o.away(c.proxies[o.setting])
			poll(c.ctx, t, "readiness to say so", func() (bool, error) {
				status, checks := ready(t, c.a)
				return status == o.status && checks[o.name] != "ok" && checks[o.name] != "", nil
			})
			if o.status == "degraded" {
				f.until(t, 25) // accepted meanwhile
			}
			if o.step != "" {
				poll(c.ctx, t, "a memory that says what it waits for", func() (bool, error) { return f.waits(o.step) })
			}
			c.proxies[o.setting].Mend("")
			f.until(t, 30)
			accepted := f.stop()
			poll(c.ctx, t, "readiness to be well again", func() (bool, error) {
				status, _ := ready(t, c.a)
				return status == "ready", nil
			})
			for _, id := range accepted {
				if m := finished(c.ctx, t, c.b.Client(), id); m.Status != memory.StatusCompleted {
					t.Errorf("%s, which was accepted, ended %s: %+v", id, m.Status, m.Error)
				}
			}
			t.Logf("%d memories were accepted, all are completed", len(accepted))
		})
	}
	for _, p := range []*Process{c.a, c.b, c.workers["store"], c.workers["llm"], watcher} {
		if p.Ended() {
			t.Errorf("a %s did not survive", p.Do)
		}
	}
	c.erase()
}

// flow posts memories, at both API processes and for both tracks, until it is stopped.
type flow struct {
	c        *cluster
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	mu       sync.Mutex
	accepted []string
	changed  chan struct{}
}

func flowIn(c *cluster, name string, every time.Duration) *flow {
	ctx, cancel := context.WithCancel(c.ctx)
	f := &flow{c: c, cancel: cancel, changed: make(chan struct{}, 1)}
	for n := range 4 {
		api := once([]*Process{c.a, c.b}[n%2])
		track := []memory.Track{"", memory.TrackDurable}[n/2]
		f.wg.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for i := 0; ; i++ {
				in := memory.Input{Content: fmt.Sprintf("Poster %d told Dorothy story %d of Oz while %s was away, at %d.", n, i, name, time.Now().UnixNano()), Track: track}
				if m, err := api.AddMemory(ctx, in); err == nil { // else it was not accepted, or nobody knows
					f.add(m.ID)
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	return f
}

func (f *flow) add(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted = append(f.accepted, id)
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// until waits for n more memories to be accepted.
func (f *flow) until(t *testing.T, n int) {
	t.Helper()
	for want := len(f.ids()) + n; len(f.ids()) < want; {
		select {
		case <-f.changed:
		case <-f.c.ctx.Done():
			t.Fatalf("only %d memories were accepted, waiting for %d", len(f.ids()), want)
		}
	}
}

func (f *flow) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.accepted...)
}

func (f *flow) stop() []string {
	f.cancel()
	f.wg.Wait()
	return f.ids()
}

// waits reports whether a memory shows that the step waits for something that is away.
func (f *flow) waits(step string) (bool, error) {
	for _, id := range f.ids() {
		m, err := f.c.a.Client().GetMemory(f.c.ctx, id)
		if err != nil {
			return false, err
		}
		if r, ok := m.Receipt(step); ok && !m.Status.Final() && r.Error != nil && r.Error.Code.Retryable() {
			return true, nil
		}
	}
	return false, nil
}
