package webhooks

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Stores are the parts of the store that webhooks live in.
type Stores struct {
	Endpoints  store.Endpoints
	Deliveries store.Deliveries
	Workspaces store.Workspaces
	Outbox     store.Outbox
	Batches    store.Batches // for endpoints of the Papr format, whose bodies list memories; nil: the lists are empty
}

// Config of a Courier. Its zero value works.
type Config struct {
	// Schedule of attempts. Default: see [Schedule].
	Schedule Schedule `yaml:"schedule"`
	// Timeout of one attempt, from looking the name up to the end of the answer. Default: 15 s.
	Timeout time.Duration `yaml:"timeout"`
	// FailingFor is how long every attempt at an endpoint must have failed for it to be disabled. Default: 5 days.
	FailingFor time.Duration `yaml:"failing_for"`
	// PerEndpoint is how many first attempts at one endpoint are made at the same time by this process, and how many
	// later ones. Default: 8.
	PerEndpoint int `yaml:"per_endpoint"`
	// Total is the same over all endpoints. Default: 256.
	Total int `yaml:"total"`
	// QueuePerEndpoint is how many first attempts at one endpoint may wait in memory. Default: 4,096.
	QueuePerEndpoint int `yaml:"queue_per_endpoint"`
	// Queue is how many first attempts may wait in memory. Default: 16,384.
	Queue int `yaml:"queue"`
	// QueueBytes is how much they may weigh together, an eighth of it at one endpoint; what is beyond waits as a name in
	// a list and is read from the store when its turn comes. Default: 32 MiB.
	QueueBytes int `yaml:"queue_bytes"`
	// Transport makes the requests. Default: the guard's own, which every other one goes around.
	Transport http.RoundTripper `yaml:"-"`
	// Now is the clock. Default: time.Now.
	Now func() time.Time `yaml:"-"`
	// Metrics count. Default: ones that nobody reads.
	Metrics *Metrics `yaml:"-"`
	// Log takes what an operator should know. Default: slog.Default().
	Log *slog.Logger `yaml:"-"`
}

func (c Config) withDefaults(g *Guard) Config {
	c.Schedule = c.Schedule.orDefault()
	c.Timeout = orElse(c.Timeout, 15*time.Second)
	c.FailingFor = orElse(c.FailingFor, 5*24*time.Hour)
	c.PerEndpoint = orElse(c.PerEndpoint, 8)
	c.Total = orElse(c.Total, 256)
	c.QueuePerEndpoint = orElse(c.QueuePerEndpoint, 4096)
	c.Queue = orElse(c.Queue, 16384)
	c.QueueBytes = orElse(c.QueueBytes, 32<<20)
	if c.Transport == nil {
		c.Transport = g.Transport()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Metrics = orElse(c.Metrics, NewMetrics())
	c.Log = orElse(c.Log, slog.Default())
	return c
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Courier makes attempts: it finds out where a delivery goes and who signs it, sends it, and records what came of it.
// The relay (first attempts, in process) and the durable workflows (all others) share one, and with it the limits on how
// many attempts are made at the same time.
type Courier struct {
	stores   Stores
	keys     keyring
	known    *known
	sender   *sender
	recorder recorder
	config   Config

	first   *lanes // of first attempts, which queue in memory
	retries *lanes // of later attempts, which queue in their workflows; apart, so that neither starves the other
}

// NewCourier makes a Courier.
func NewCourier(s Stores, g *Guard, sealer *Sealer, c Config) *Courier {
	c = c.withDefaults(g)
	return &Courier{
		stores: s, keys: keyring{sealer, s.Workspaces}, known: newKnown(), sender: newSender(g, c),
		recorder: recorder{deliveries: s.Deliveries}, config: c,
		first: newLanes(c), retries: newLanes(c),
	}
}

func (c *Courier) measureLoad() {
	active, queued := c.first.load()
	again, _ := c.retries.load()
	c.config.Metrics.load(active+again, queued)
}

// attemptLease is how long a claim lasts: an attempt and what is written around it, with room for a slow store.
func (c *Courier) attemptLease() time.Duration { return c.config.Timeout + 15*time.Second }

// slack is how long after the time at which an attempt is due its lease ends, and someone else looks after it.
const slack = 30 * time.Second

// outcome is what an attempt led to.
type outcome struct {
	attempt store.Attempt
	status  store.DeliveryStatus
}

func (o outcome) over() bool { return o.status != store.DeliveryPending }

// afterwards says who looks after a delivery that is to be tried again.
type afterwards bool

// The claim on the delivery lasts until some time after the next attempt is due, or ends at once.
const (
	keepUntilDue afterwards = false
	handOverNow  afterwards = true
)

// record has an attempt written down that try made at a delivery which the caller has claimed, and returns at once; then
// is told later what came of it. After an error nothing was recorded: the delivery is as it was, and its lease ends by
// itself.
//
// The claim's fence makes the record unique, not the attempt: of a process that froze for longer than its lease, the
// attempt is made again by another, and the receiver sees the same webhook-id twice.
func (c *Courier) record(ctx context.Context, d store.Delivery, o outcome, after afterwards, then func(error)) {
	until := c.config.Now()
	if o.attempt.NextAt != nil && after == keepUntilDue {
		until = o.attempt.NextAt.Add(slack)
	}
	c.recorder.record(ctx, store.Attempted{
		Workspace: d.Workspace, DeliveryID: d.ID, Fence: d.Lease.Fence, Attempt: o.attempt, Status: o.status, Until: until,
	}, func(kept bool, err error) {
		switch {
		case err != nil:
			then(fmt.Errorf("record an attempt at delivery %s: %w", d.ID, err))
		case !kept:
			then(memory.Errorf(memory.CodeConflict, "the claim on delivery %s has ended", d.ID))
		default:
			c.config.Metrics.attempted(o)
			then(nil)
		}
	})
}

// recorded is record for who waits until it is written down.
func (c *Courier) recorded(ctx context.Context, d store.Delivery, o outcome, after afterwards) error {
	done := make(chan error, 1)
	c.record(ctx, d, o, after, func(err error) { done <- err })
	return <-done
}

// try makes one attempt at a delivery. An error means that none was made, or that nothing is known of what came of it.
func (c *Courier) try(ctx context.Context, d store.Delivery) (outcome, error) {
	o := outcome{status: store.DeliveryPending, attempt: store.Attempt{Round: max(d.Round, 1), At: memory.At(c.config.Now())}}
	t, err := c.target(ctx, d)
	if err != nil {
		return o, fmt.Errorf("attempt at delivery %s: %w", d.ID, err)
	}
	if t.stop != "" {
		o.status, o.attempt.Error = t.stop, t.why
		return o, nil
	}
	a, err := c.sender.send(ctx, t.message)
	if err != nil {
		return o, fmt.Errorf("attempt at delivery %s: %w", d.ID, err)
	}
	if ctx.Err() != nil && a.status == 0 {
		return o, fmt.Errorf("stopped in the middle: %w", ctx.Err())
	}
	c.judge(d, t, a, &o)
	if err := c.keepHealth(ctx, t.endpoint, a, d); err != nil { // the attempt was made all the same
		c.config.Log.ErrorContext(ctx, "webhooks: the health of an endpoint was not kept", "endpoint", d.EndpointID, "error", err)
	}
	return o, nil
}

// judge says what an answer means.
func (c *Courier) judge(d store.Delivery, t target, a answer, o *outcome) {
	o.attempt.StatusCode, o.attempt.Answer, o.attempt.Error = a.status, a.kept, a.fault
	o.attempt.LatencyMS = a.latency.Milliseconds()
	switch {
	case a.ok():
		o.status = store.DeliveryDelivered
	case a.status == http.StatusGone && t.endpoint != nil:
		o.status, o.attempt.Error = store.DeliveryHeld, "410: the receiver wants no more, so the endpoint is disabled"
	case a.status == http.StatusGone:
		o.status, o.attempt.Error = store.DeliveryFailed, "410: the receiver wants no more"
	default:
		c.schedule(d, a, o)
	}
}

func (c *Courier) schedule(d store.Delivery, a answer, o *outcome) {
	if a.status >= 300 && a.status < 400 {
		o.attempt.Error = "redirects are not followed"
	}
	wait, more := c.config.Schedule.next(made(d)+1, a.retryAfter)
	if !more {
		o.status = store.DeliveryFailed
		return
	}
	o.attempt.NextAt = memory.At(c.config.Now().Add(wait)).Ptr()
}

// made counts the attempts of the delivery's present round.
func made(d store.Delivery) int {
	n := 0
	for _, a := range d.Attempts {
		if a.Round == max(d.Round, 1) {
			n++
		}
	}
	return n
}

// due is when the next attempt of the round is to be made; the zero time means at once.
func due(d store.Delivery) time.Time {
	if n := len(d.Attempts); n > 0 {
		if last := d.Attempts[n-1]; last.Round == max(d.Round, 1) && last.NextAt != nil {
			return last.NextAt.Time
		}
	}
	return time.Time{}
}

// lane names who a delivery competes with: those of the same endpoint, or of the same host of the workspace's one-offs.
func lane(d store.Delivery) string {
	if d.EndpointID != "" {
		return d.EndpointID
	}
	if u, err := url.Parse(d.URL); err == nil {
		return d.Workspace + " " + u.Host
	}
	return d.Workspace
}

// delivery is one event on its way to one address.
func delivery(e memory.Event, endpoint, url string, body []byte, lease store.Lease, now time.Time) store.Delivery {
	to := orElse(endpoint, url)
	return store.Delivery{
		ID:        id.From(id.Delivery, e.Time.Time, e.Workspace, e.ID, to),
		Workspace: e.Workspace, EndpointID: endpoint, URL: url, EventID: e.ID, EventType: e.Type, Body: body,
		Status: store.DeliveryPending, Round: 1, Lease: lease, CreatedAt: memory.At(now), UpdatedAt: memory.At(now),
	}
}
