package api

import (
	"sync"
	"time"
)

// dropped are the first requests of a key that this process began and does not run: the answer of the store was lost when
// they began, or their end could not be stored. Their records say that they are running, until their lease ends; who sends
// such a request again to this process need not wait for that. They are known by the ids of what they make, which no other
// request has.
type dropped struct {
	lease time.Duration

	mu  sync.Mutex
	ids map[string]time.Time // when they were dropped
}

func newDropped(lease time.Duration) *dropped {
	return &dropped{lease: lease, ids: map[string]time.Time{}}
}

// add notes one. Those whose lease has ended since are forgotten: by then anybody may take them over.
func (d *dropped) add(resource string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, at := range d.ids {
		if now.Sub(at) > 2*d.lease {
			delete(d.ids, id)
		}
	}
	d.ids[resource] = now
}

// take reports whether it was dropped. Of any number of callers one gets true.
func (d *dropped) take(resource string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.ids[resource]
	delete(d.ids, resource)
	return ok
}
