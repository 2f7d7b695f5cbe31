package webhooks

import (
	"maps"
	"slices"
	"sync"

	"github.com/switchyard-ai/switchyard/internal/store"
)

// lanes keep endpoints out of each other's way: each has its own queue and a bound on how many attempts are made at it
// at the same time, so that one that never answers holds up itself only. Lanes with something waiting take turns. What
// waits is bounded, for each lane and in all: who does not get in leaves the delivery to the store. A delivery is in
// there once.
type lanes struct {
	perLane, total      int // attempts at the same time
	perLaneQueue, queue int // deliveries waiting
	queueBytes          int // of what waits whole

	mu      sync.Mutex
	isOpen  bool
	run     runner
	running map[string]int // attempts being made, by lane
	active  int            // their sum
	behind  int            // attempts that are over and not written down yet
	waiting map[string][]store.Delivery
	queued  int             // their sum
	bytes   map[string]int  // what those that wait whole weigh, by lane
	weight  int             // their sum
	turns   []string        // the lanes with something waiting and a place for it, next one first
	inside  map[string]bool // by id: whether its attempt is being made, or it waits
	started sync.WaitGroup  // attempts that are not written down
}

// runner makes an attempt at a delivery and returns when the receiver is no longer busy with it. What came of it is
// written down meanwhile or later, and written called, once, when nothing is left to do: the receiver need not wait for
// the disk to get the next.
type runner func(d store.Delivery, written func())

// behindLimit is how many attempts, as a multiple of those that are made at the same time, may be over and not written
// down: so many would be made again if the process died now.
const behindLimit = 4

func newLanes(c Config) *lanes {
	return &lanes{
		perLane: c.PerEndpoint, total: c.Total, perLaneQueue: c.QueuePerEndpoint, queue: c.Queue, queueBytes: c.QueueBytes,
		running: map[string]int{}, waiting: map[string][]store.Delivery{}, bytes: map[string]int{}, inside: map[string]bool{},
	}
}

// open lets deliveries in; run is called for each, as many at a time as there may be attempts.
func (l *lanes) open(run runner) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run, l.isOpen = run, true
}

// close lets nothing in any more, forgets what waits, and returns when what was started is over.
func (l *lanes) close() {
	l.mu.Lock()
	l.isOpen, l.turns, l.queued, l.weight = false, nil, 0, 0
	clear(l.waiting)
	clear(l.bytes)
	maps.DeleteFunc(l.inside, func(_ string, running bool) bool { return !running })
	l.mu.Unlock()
	l.started.Wait()
}

// laneShare is the part of the bytes that one lane may fill: what waits keeps its body and its claim only as long as
// there is room for them. Beyond, it is a name in a list: the delivery is claimed and read anew when its turn comes.
const laneShare = 8

// weigh is about how many bytes a delivery takes that waits whole; 0 of one that is a name only.
func weigh(d store.Delivery) int {
	if d.Body == nil {
		return 0
	}
	n := len(d.Body) + 512
	for _, a := range d.Attempts {
		n += len(a.Answer) + len(a.Error) + 128
	}
	return n
}

// put queues a delivery, unless there is no room, or it is there already.
func (l *lanes) put(d store.Delivery) {
	key := lane(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.inside[d.ID]; there || !l.hasRoom(key) {
		return
	}
	if n := weigh(d); l.weight+n > l.queueBytes || l.bytes[key]+n > l.queueBytes/laneShare {
		d.Body, d.Attempts, d.Lease = nil, nil, store.Lease{}
	}
	l.weighs(key, weigh(d))
	l.inside[d.ID] = false
	l.waiting[key] = append(l.waiting[key], d)
	l.queued++
	if len(l.waiting[key]) == 1 {
		l.queueUp(key)
	}
	l.dispatch()
}

// weighs adds to what a lane's waiting deliveries weigh.
func (l *lanes) weighs(key string, bytes int) {
	l.weight += bytes
	if l.bytes[key] += bytes; l.bytes[key] == 0 {
		delete(l.bytes, key)
	}
}

// room reports whether put would find room now.
func (l *lanes) room(d store.Delivery) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hasRoom(lane(d))
}

func (l *lanes) hasRoom(key string) bool {
	return l.isOpen && l.queued < l.queue && len(l.waiting[key]) < l.perLaneQueue
}

// dispatch starts what may be started.
func (l *lanes) dispatch() {
	for {
		key, d, ok := l.pick()
		if !ok {
			return
		}
		l.started.Go(func() { l.work(key, d) })
	}
}

// pick takes out a delivery that may be started, of each lane in turn.
func (l *lanes) pick() (key string, d store.Delivery, ok bool) {
	if len(l.turns) == 0 || l.active >= l.total || l.behind >= behindLimit*l.total {
		return "", d, false
	}
	key, l.turns = l.turns[0], l.turns[1:]
	d = l.waiting[key][0]
	l.waiting[key][0] = store.Delivery{} // the list keeps no body alive
	if l.waiting[key] = l.waiting[key][1:]; len(l.waiting[key]) == 0 {
		delete(l.waiting, key)
	}
	l.queued--
	l.weighs(key, -weigh(d))
	l.inside[d.ID] = true
	l.running[key]++
	l.active++
	l.started.Add(1)
	l.queueUp(key)
	return key, d, true
}

// queueUp gives a lane that is in no queue a turn, if it has any use for one.
func (l *lanes) queueUp(key string) {
	if len(l.waiting[key]) > 0 && l.running[key] < l.perLane {
		l.turns = append(l.turns, key)
	}
}

// work makes an attempt, and then others: its goroutine has the stack for it.
func (l *lanes) work(key string, d store.Delivery) {
	for ok := true; ok; key, d, ok = l.next(key) {
		id := d.ID
		l.run(d, func() { l.written(id) })
	}
}

func (l *lanes) next(left string) (key string, d store.Delivery, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left(left)
	l.behind++
	if key, d, ok = l.pick(); ok {
		l.dispatch()
	}
	return key, d, ok
}

// written says that nothing is left to do for an attempt that was over.
func (l *lanes) written(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.inside, id)
	l.behind--
	l.dispatch()
	l.started.Done()
}

// holds says whether a delivery is in here, and whether its attempt is being made.
func (l *lanes) holds(d store.Delivery) (held, running bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	running, held = l.inside[d.ID]
	return held, running
}

// drop takes a waiting delivery out.
func (l *lanes) drop(d store.Delivery) {
	key := lane(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.waiting[key], func(w store.Delivery) bool { return w.ID == d.ID })
	if i < 0 {
		return
	}
	l.weighs(key, -weigh(l.waiting[key][i]))
	l.waiting[key] = slices.Delete(l.waiting[key], i, i+1)
	l.queued--
	delete(l.inside, d.ID)
	if len(l.waiting[key]) == 0 {
		delete(l.waiting, key)
		l.turns = slices.DeleteFunc(l.turns, func(t string) bool { return t == key })
	}
}

// enter takes a place for an attempt that someone else makes; false where the lane, or all of them, are full. Who got in
// calls leave.
func (l *lanes) enter(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active >= l.total || l.running[key] >= l.perLane {
		return false
	}
	l.running[key]++
	l.active++
	return true
}

// leave gives a place back.
func (l *lanes) leave(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left(key)
	l.dispatch()
}

func (l *lanes) left(key string) {
	l.active--
	if l.running[key]--; l.running[key] == l.perLane-1 {
		l.queueUp(key) // it was full
	}
	if l.running[key] == 0 {
		delete(l.running, key)
	}
}

// load is how many attempts are being made, and how many deliveries wait.
func (l *lanes) load() (active, queued int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active, l.queued
}
