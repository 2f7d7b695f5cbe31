package webhooks

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// durableRig runs a delivery's workflow in Temporal's test environment, whose time is virtual.
type durableRig struct {
	env     *testsuite.TestWorkflowEnvironment
	mem     *mem
	courier *Courier
	d       store.Delivery
	sent    []time.Time
	handle  func(n int) (int, http.Header)
}

func newDurableRig(t *testing.T, handle func(n int) (int, http.Header)) *durableRig {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	r := &durableRig{env: suite.NewTestWorkflowEnvironment(), mem: newMem(), handle: handle}
	r.env.SetTestTimeout(time.Minute)
	r.env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // a machine that is busy is no deadlock
	w := newWire()
	w.handle("receiver.test", func(_ *http.Request, n int) (int, http.Header, error) {
		r.sent = append(r.sent, r.env.Now())
		status, header := r.handle(n)
		return status, header, nil
	})
	r.courier = NewCourier(r.mem.as(nil), NewGuard(GuardConfig{}), sealer(t), Config{Transport: w, Now: r.env.Now, Log: slog.New(slog.DiscardHandler)})
	r.courier.Register(r.env)
	e := event(memory.EventBatchCompleted, oneOff)
	r.d = delivery(e, "", e.URL, []byte("{}"), store.Lease{}, r.env.Now())
	if _, err := r.mem.as(nil).Deliveries.Create(t.Context(), []store.Delivery{r.d}); err != nil {
		t.Fatal(err)
	}
	r.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflowID(r.d), TaskQueue: DefaultTaskQueue})
	return r
}

func (r *durableRig) run(t *testing.T) store.Delivery {
	t.Helper()
	r.env.ExecuteWorkflow(workflowName, Ref{r.d.Workspace, r.d.ID})
	if err := r.env.GetWorkflowError(); !r.env.IsWorkflowCompleted() || err != nil {
		t.Fatalf("completed: %v, %v", r.env.IsWorkflowCompleted(), err)
	}
	return r.mem.all()[0]
}

func TestWorkflowHoldsTheSchedule(t *testing.T) {
	t.Parallel()
	r := newDurableRig(t, func(int) (int, http.Header) { return 500, nil })
	start := r.env.Now()
	d := r.run(t)
	if d.Status != store.DeliveryFailed || len(d.Attempts) != 10 || len(r.sent) != 10 {
		t.Fatalf("%s after %d attempts", d.Status, len(d.Attempts))
	}
	sum, longest := time.Duration(0), time.Duration(0)
	for i, delay := range (Schedule{}).orDefault().Delays {
		sum, longest = sum+delay, longest+delay+delay/5
		if at := r.sent[i].Sub(start); at < sum-early*time.Duration(i) || at > longest+time.Minute {
			t.Errorf("attempt %d is made after %s, not between %s and %s", i+1, at, sum, longest)
		}
	}
	if total := r.sent[9].Sub(start); total < 75*time.Hour {
		t.Errorf("it gave up after %s", total)
	}
}

func TestWorkflowEndsWithSuccess(t *testing.T) {
	t.Parallel()
	r := newDurableRig(t, func(n int) (int, http.Header) { return map[bool]int{true: 204, false: 302}[n == 3], nil })
	if d := r.run(t); d.Status != store.DeliveryDelivered || len(r.sent) != 3 || d.Attempts[0].Error != "redirects are not followed" {
		t.Errorf("%s after %d attempts: %+v", d.Status, len(r.sent), d.Attempts)
	}
}

func TestWorkflowGoesOnWhereTheRelayStopped(t *testing.T) {
	t.Parallel()
	r := newDurableRig(t, func(int) (int, http.Header) { return 500, nil })
	next := memory.At(r.env.Now().Add(time.Hour))
	for i := range 8 {
		a := store.Attempt{Round: 1, At: memory.At(r.env.Now()), StatusCode: 500, NextAt: &next}
		kept, err := r.mem.as(nil).Deliveries.Attempted(t.Context(), []store.Attempted{{
			Workspace: r.d.Workspace, DeliveryID: r.d.ID, Attempt: a, Status: store.DeliveryPending,
		}})
		if err != nil || !kept[0] {
			t.Fatal(i, err)
		}
	}
	start := r.env.Now()
	if d := r.run(t); d.Status != store.DeliveryFailed || len(r.sent) != 2 {
		t.Fatalf("%s after %d more attempts", d.Status, len(r.sent))
	}
	if wait := r.sent[0].Sub(start); wait < time.Hour-early || wait > time.Hour+time.Minute {
		t.Errorf("it did not wait for the time that was set, but %s", wait)
	}
}

func TestWorkflowOutlastsTheStore(t *testing.T) {
	t.Parallel()
	r := newDurableRig(t, func(int) (int, http.Header) { return 200, nil })
	down := 5
	r.courier.stores.Deliveries = flaky{r.courier.stores.Deliveries, &down}
	if d := r.run(t); d.Status != store.DeliveryDelivered || down != 0 {
		t.Errorf("%s, %d faults left", d.Status, down)
	}
}

// flaky fails so many times.
type flaky struct {
	store.Deliveries
	left *int
}

func (f flaky) Get(ctx context.Context, workspace, id string) (store.Delivery, error) {
	if *f.left > 0 {
		*f.left--
		return store.Delivery{}, memory.Errorf(memory.CodeUnavailable, "the store is away")
	}
	return f.Deliveries.Get(ctx, workspace, id)
}

func TestWorkflowOfWhatIsOverEnds(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*mem, *store.Delivery){
		"Deleted":      func(m *mem, d *store.Delivery) { delete(m.deliveries, d.ID) },
		"Delivered":    func(m *mem, d *store.Delivery) { d.Status = store.DeliveryDelivered; m.deliveries[d.ID] = *d },
		"Held":         func(m *mem, d *store.Delivery) { d.Status = store.DeliveryHeld; m.deliveries[d.ID] = *d },
		"AnotherRound": func(m *mem, d *store.Delivery) { d.Round = 2; m.deliveries[d.ID] = *d },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newDurableRig(t, func(int) (int, http.Header) { return 200, nil })
			stored := r.d
			change(r.mem, &stored)
			r.env.ExecuteWorkflow(workflowName, Ref{r.d.Workspace, r.d.ID})
			if err := r.env.GetWorkflowError(); err != nil || len(r.sent) != 0 {
				t.Errorf("%v, %d attempts", err, len(r.sent))
			}
		})
	}
}

func TestBusyEndpointIsAskedLessAndLess(t *testing.T) {
	t.Parallel()
	r := newDurableRig(t, func(int) (int, http.Header) { return 200, nil })
	full := r.courier.config.PerEndpoint
	for range full {
		r.courier.retries.enter(lane(r.d))
	}
	asked := 0
	r.env.SetOnActivityStartedListener(func(*activity.Info, context.Context, converter.EncodedValues) {
		if asked++; asked == 30 {
			r.courier.retries.leave(lane(r.d))
		}
	})
	start := r.env.Now()
	d := r.run(t)
	if d.Status != store.DeliveryDelivered || len(r.sent) != 1 || asked > 31 {
		t.Errorf("%s, %d attempts, asked %d times", d.Status, len(r.sent), asked)
	}
	if took := r.env.Now().Sub(start); took < 2*time.Hour {
		t.Errorf("it asked 30 times in %s", took)
	}
}

func TestSomeoneElsesClaimIsRespected(t *testing.T) {
	t.Parallel()
	r := newDurableRig(t, func(int) (int, http.Header) { return 200, nil })
	until := r.env.Now().Add(10 * time.Minute)
	if _, ok, err := r.mem.as(nil).Deliveries.Claim(t.Context(), r.d.Workspace, r.d.ID, "a relay", r.env.Now(), until); !ok || err != nil {
		t.Fatal(err)
	}
	if d := r.run(t); d.Status != store.DeliveryDelivered || len(r.sent) != 1 || r.sent[0].Before(until) {
		t.Errorf("%s, sent at %v, claimed until %s", d.Status, r.sent, until)
	}
}

func TestPayloadsNameTheDeliveryAndNothingElse(t *testing.T) {
	t.Parallel()
	var got client.StartWorkflowOptions
	var kind any
	var args []any
	starter := &Temporal{client: execute(func(o client.StartWorkflowOptions, workflow any, a ...any) error {
		got, kind, args = o, workflow, a
		return nil
	}), queue: DefaultTaskQueue}
	d := store.Delivery{ID: "dlv_1", Workspace: "wsp_1", Body: []byte("content"), URL: "https://secret.test/?token=1", Round: 3}
	if err := starter.StartDelivery(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got.ID != "delivery-dlv_1-r3" || got.TaskQueue != "switchyard-webhooks" || kind != "DeliverWorkflow" || len(args) != 1 || args[0] != (Ref{"wsp_1", "dlv_1"}) {
		t.Errorf("%+v %v %v", got, kind, args)
	}
	starter.client = execute(func(client.StartWorkflowOptions, any, ...any) error { return serviceerror.NewUnavailable("away") })
	if err := starter.StartDelivery(t.Context(), d); memory.CodeOf(err) != memory.CodeUnavailable {
		t.Errorf("with Temporal away: %v", err)
	}
}

type execute func(o client.StartWorkflowOptions, workflow any, args ...any) error

func (e execute) ExecuteWorkflow(_ context.Context, o client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	return nil, e(o, workflow, args...)
}

func TestActivityErrorsCarryTheCodeAndNoCause(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	m := newMem()
	c := NewCourier(m.as(nil), NewGuard(GuardConfig{}), sealer(t), Config{Log: slog.New(slog.DiscardHandler)})
	c.stores.Deliveries = broken{c.stores.Deliveries}
	env.RegisterActivityWithOptions(c.deliver, activity.RegisterOptions{Name: activityName})
	_, err := env.ExecuteActivity(activityName, Ref{"wsp_1", "dlv_1"})
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.Type() != string(memory.CodeUnavailable) || strings.Contains(err.Error(), "password") {
		t.Errorf("%v", err)
	}
}

type broken struct{ store.Deliveries }

func (broken) Get(context.Context, string, string) (store.Delivery, error) {
	return store.Delivery{}, memory.Wrap(memory.CodeUnavailable, errors.New("dial with password hunter2"), "the store is away")
}
