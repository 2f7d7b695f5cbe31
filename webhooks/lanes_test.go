package webhooks

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// A lane that was full goes on by itself when a place is free: nothing waits for the sweep.
func TestFullLanesGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes(Config{}.withDefaults(NewGuard(GuardConfig{})))
		ran := make(chan string, 60)
		l.open(func(d store.Delivery, written func()) {
			time.Sleep(time.Second)
			ran <- d.EndpointID
			written()
		})
		start := time.Now()
		for i := range 60 { // twenty for each of three lanes, of which each has eight places
			l.put(store.Delivery{ID: fmt.Sprint(i), EndpointID: fmt.Sprint("whe_", i%3), Body: []byte("body")})
		}
		for n := range 60 {
			select {
			case <-ran:
			case <-time.After(time.Minute):
				t.Fatalf("only %d were tried", n)
			}
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("it took %s", took)
		}
		l.close()
		if len(l.turns) != 0 || len(l.running) != 0 || len(l.inside) != 0 || l.active != 0 || l.behind != 0 || l.queued != 0 || l.weight != 0 {
			t.Errorf("left over: %+v", l.turns)
		}
	})
}
