package webhooks

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Starter makes sure that a durable run looks after a delivery: it makes the attempts from now on. Starting again what
// runs already is no error.
type Starter interface {
	StartDelivery(ctx context.Context, d store.Delivery) error
}

// RelayConfig of a Relay. Its zero value works.
type RelayConfig struct {
	// Poll is how often owed events are looked for where nobody pokes. Default: 1 s.
	Poll time.Duration `yaml:"poll"`
	// Page is how many owed events are taken at a time. Default: 256.
	Page int `yaml:"page"`
	// Sweep is how often deliveries that nobody looks after are looked for; each time up to a tenth longer. Default: 2 s.
	Sweep time.Duration `yaml:"sweep"`
	// SweepPage is how many of them are taken up at a time, which is what keeps a restart from becoming a stampede.
	// Default: 100.
	SweepPage int `yaml:"sweep_page"`
	// FirstLease is how long this process answers for a delivery whose first attempt it is about to make. Default: 30 s.
	FirstLease time.Duration `yaml:"first_lease"`
	// Keep is how long deliveries that are over, or held, are kept. Default: 30 days.
	Keep time.Duration `yaml:"keep"`
	// Count is how often the store is asked for the numbers that metrics show. Default: 15 s.
	Count time.Duration `yaml:"count"`
}

func (c RelayConfig) withDefaults() RelayConfig {
	c.Poll = orElse(c.Poll, time.Second)
	c.Page = orElse(c.Page, 256)
	c.Sweep = orElse(c.Sweep, 2*time.Second)
	c.SweepPage = orElse(c.SweepPage, 100)
	c.FirstLease = orElse(c.FirstLease, 30*time.Second)
	c.Keep = orElse(c.Keep, 30*24*time.Hour)
	c.Count = orElse(c.Count, 15*time.Second)
	return c
}

// Relay turns owed events into deliveries, makes the first attempt at each in process, and hands those that fail to the
// durable workflows. Any number of relays may run on one store.
type Relay struct {
	courier *Courier
	starter Starter
	config  RelayConfig
	owner   string // of the claims that this relay makes
	poke    chan struct{}

	mu   sync.Mutex
	away time.Time // until then the starter is not asked: it failed a moment ago
}

// NewRelay makes a Relay.
func NewRelay(c *Courier, s Starter, rc RelayConfig) *Relay {
	return &Relay{courier: c, starter: s, config: rc.withDefaults(), owner: id.New(id.Process), poke: make(chan struct{}, 1)}
}

// Poke says that an event may be owed: it is looked for at once. It never blocks.
func (r *Relay) Poke() {
	select {
	case r.poke <- struct{}{}:
	default: // one is on its way already
	}
}

// Run works until ctx ends; then it takes nothing new, finishes the attempts that it has begun, and returns nil. What it
// has not begun waits in the store.
func (r *Relay) Run(ctx context.Context) error {
	work := context.WithoutCancel(ctx)
	r.courier.first.open(func(d store.Delivery, written func()) { r.first(work, d, written) })
	defer r.courier.first.close()
	var loops sync.WaitGroup
	loops.Go(func() { r.takeOwed(ctx) })
	loops.Go(func() { r.loop(ctx, r.config.Sweep, r.sweep) })
	loops.Go(func() { r.loop(ctx, r.config.Count, r.count) })
	loops.Go(func() { r.loop(ctx, time.Hour, r.forget) })
	loops.Wait()
	return nil
}

// loop calls f now and then; what fails is logged and tried the next time.
func (r *Relay) loop(ctx context.Context, every time.Duration, f func(context.Context) error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		r.report(ctx, f(ctx))
		timer.Reset(spread(every, 0.1))
	}
}

func (r *Relay) report(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		r.courier.config.Log.ErrorContext(ctx, "webhooks", "error", err)
	}
}

func (r *Relay) takeOwed(ctx context.Context) {
	ticker := time.NewTicker(r.config.Poll)
	defer ticker.Stop()
	for {
		more, err := r.intake(ctx)
		r.report(ctx, err)
		if more && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.poke:
		}
	}
}

// intake turns a page of owed events into deliveries, then settles them, and reports whether there may be more. Should
// the process die in between, the same events make the same deliveries again, which changes nothing.
func (r *Relay) intake(ctx context.Context) (more bool, err error) {
	events, err := r.courier.stores.Outbox.Owed(ctx, r.config.Page)
	if err != nil || len(events) == 0 {
		return false, err
	}
	lease := store.Lease{Owner: r.owner, Until: r.courier.config.Now().Add(r.config.FirstLease), Fence: 1}
	if err := r.courier.fanOut(ctx, events, lease); err != nil {
		return false, err
	}
	if err := r.courier.stores.Outbox.Settle(ctx, events); err != nil {
		return false, fmt.Errorf("settle owed events: %w", err)
	}
	return len(events) == r.config.Page, nil
}

// first makes the first attempt at a delivery, has it written down, and hands the delivery over if it failed.
func (r *Relay) first(ctx context.Context, d store.Delivery, written func()) {
	d, ok, err := r.mine(ctx, d)
	if err != nil || !ok {
		r.report(ctx, err)
		written()
		return
	}
	o, err := r.courier.try(ctx, d)
	if err != nil {
		r.report(ctx, err)
		written()
		return
	}
	r.courier.record(ctx, d, o, handOverNow, func(err error) {
		if err == nil && !o.over() {
			go func() { // not where others wait to be told; whoever waits for written waits for it
				defer written()
				r.report(ctx, r.handOver(ctx, d, o.attempt.NextAt.Time))
			}()
			return
		}
		r.report(ctx, err)
		written()
	})
}

// mine makes sure that the claim on a delivery outlasts an attempt. The claim that a delivery was made with often does.
func (r *Relay) mine(ctx context.Context, d store.Delivery) (store.Delivery, bool, error) {
	now := r.courier.config.Now()
	if d.Lease.Owner == r.owner && now.Add(r.courier.config.Timeout+time.Second).Before(d.Lease.Until) {
		return d, true, nil
	}
	return r.courier.stores.Deliveries.Claim(ctx, d.Workspace, d.ID, r.owner, now, now.Add(r.courier.attemptLease()))
}

// awayPatience is how long the starter is left alone after it failed.
const awayPatience = 5 * time.Second

// handOver gives a delivery to its workflow: it claims in the workflow's name, for until some time after the next
// attempt is due, and starts it. If that fails the claim ends by itself and the sweep tries again.
//
// Two relays may do this at once, and the workflow be at work already: then the claim of the attempt under way is
// superseded, and the attempt is made again. That is a window of milliseconds, and at least once is the promise.
func (r *Relay) handOver(ctx context.Context, d store.Delivery, next time.Time) error {
	now := r.courier.config.Now()
	if next.Before(now) {
		next = now
	}
	d, ok, err := r.courier.stores.Deliveries.Claim(ctx, d.Workspace, d.ID, workflowID(d), now, next.Add(slack))
	if err != nil || !ok || r.isAway(now) {
		return err
	}
	if err := r.starter.StartDelivery(ctx, d); err != nil {
		r.setAway(now.Add(awayPatience))
		return memory.Wrap(memory.CodeUnavailable, err, "deliveries wait: the durable engine cannot be reached")
	}
	return nil
}

func (r *Relay) isAway(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Before(r.away)
}

func (r *Relay) setAway(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = until
}

// sweep takes up deliveries whose lease has expired: of a process that died, of a queue that was full or is slow, of a
// durable engine that was away. Those never tried are tried here, where there is room; the others go to the workflows.
func (r *Relay) sweep(ctx context.Context) error {
	due, err := r.courier.stores.Deliveries.Due(ctx, r.courier.config.Now(), r.config.SweepPage)
	if err != nil {
		return fmt.Errorf("deliveries that are due: %w", err)
	}
	for _, d := range due {
		if err := r.takeUp(ctx, d); err != nil {
			return fmt.Errorf("take up delivery %s: %w", d.ID, err)
		}
	}
	return nil
}

func (r *Relay) takeUp(ctx context.Context, d store.Delivery) error {
	held, running := r.courier.first.holds(d)
	switch {
	case running:
		return nil // it takes long to be recorded
	case held: // it has waited for so long that its lease is over: this lane is too slow for it
		r.courier.first.drop(d)
		return r.handOver(ctx, d, due(d))
	case made(d) > 0 || !r.courier.first.room(d):
		return r.handOver(ctx, d, due(d))
	}
	now := r.courier.config.Now()
	d, ok, err := r.courier.stores.Deliveries.Claim(ctx, d.Workspace, d.ID, r.owner, now, now.Add(r.config.FirstLease))
	if ok {
		r.courier.first.put(d)
	}
	return err
}

// count brings the metrics up to date.
func (r *Relay) count(ctx context.Context) error {
	counts, oldest, err := r.courier.stores.Deliveries.Stats(ctx)
	if err != nil {
		return fmt.Errorf("count deliveries: %w", err)
	}
	r.courier.config.Metrics.stored(counts, oldest, r.courier.config.Now())
	r.courier.measureLoad()
	return nil
}

// forget drops what was kept for long enough.
func (r *Relay) forget(ctx context.Context) error {
	if _, err := r.courier.stores.Deliveries.Sweep(ctx, r.courier.config.Now().Add(-r.config.Keep)); err != nil {
		return fmt.Errorf("forget old deliveries: %w", err)
	}
	return nil
}
