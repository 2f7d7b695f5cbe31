package batch

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// Batch takes the pages of a batch through the pipeline, a window of them at once. A page that a passing fault holds up
// leaves the window and comes back for another round.
func (w *Workflows) Batch(ctx workflow.Context, run BatchRun) error {
	policy, err := w.policy(ctx)
	if err != nil {
		return err
	}
	f := &flow{w: w, policy: policy, run: run, owner: workflow.GetInfo(ctx).WorkflowExecution.ID}
	if err := workflow.SetQueryHandler(ctx, QueryProgress, f.progress); err != nil {
		return err
	}
	f.listen(ctx)
	if err := workflow.ExecuteActivity(w.storing(ctx), activityBegin, run.Batch).Get(ctx, nil); err != nil {
		return err
	}
	for !f.over() {
		if f.full(ctx) {
			return workflow.NewContinueAsNewError(ctx, BatchWorkflow, f.rest(ctx))
		}
		f.launch(ctx)
		if err := f.await(ctx); err != nil {
			return err
		}
	}
	if f.failure != nil {
		return f.failure
	}
	return workflow.ExecuteActivity(w.storing(ctx), activityEnd, run.Batch, f.run.Cancelled).Get(ctx, nil)
}

// flow is the state of a running batch.
type flow struct {
	policy   Policy
	w        *Workflows
	run      BatchRun
	owner    string
	inFlight int
	changes  int   // grows with everything that launch may want to know
	failure  error // of a round: a fault of ours, not of a memory
}

func (f *flow) progress() (Progress, error) {
	return Progress{Pages: f.run.Batch.Pages, Over: f.run.Over, InFlight: f.inFlight, Waiting: len(f.run.Waiting), Paused: f.run.Paused}, nil
}

// listen obeys orders.
func (f *flow) listen(ctx workflow.Context) {
	orders := workflow.GetSignalChannel(ctx, SignalControl)
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			var order string
			if !orders.Receive(ctx, &order) {
				return
			}
			f.obey(order)
		}
	})
}

func (f *flow) obey(order string) {
	switch order {
	case OrderPause:
		f.run.Paused = true
	case OrderResume:
		f.run.Paused = false
	case OrderCancel:
		f.run.Cancelled = true
	}
	f.changes++
}

// over reports whether nothing is in flight and nothing is to come.
func (f *flow) over() bool {
	if f.inFlight > 0 {
		return false
	}
	return f.run.Cancelled || f.failure != nil || f.run.Next == f.run.Batch.Pages && len(f.run.Waiting) == 0
}

// full reports whether the history is so long that the batch goes on in a new run.
func (f *flow) full(ctx workflow.Context) bool {
	info := workflow.GetInfo(ctx)
	return info.GetCurrentHistoryLength() > f.policy.MaxEvents || info.GetContinueAsNewSuggested()
}

// rest waits for what is in flight and says where the next run begins. Orders that came in meanwhile are in it.
func (f *flow) rest(ctx workflow.Context) BatchRun {
	_ = workflow.Await(ctx, func() bool { return f.inFlight == 0 })
	orders := workflow.GetSignalChannel(ctx, SignalControl)
	for {
		var order string
		if !orders.ReceiveAsync(&order) {
			return f.run
		}
		f.obey(order)
	}
}

// launch fills the window: pages whose wait is over first, then fresh ones.
func (f *flow) launch(ctx workflow.Context) {
	for f.inFlight < f.policy.Window && !f.run.Paused && !f.run.Cancelled && f.failure == nil {
		p, ok := f.next(workflow.Now(ctx))
		if !ok {
			return
		}
		f.inFlight++
		workflow.Go(ctx, func(ctx workflow.Context) { f.page(ctx, p) })
	}
}

// next takes the next page to work on.
func (f *flow) next(now time.Time) (WaitingPage, bool) {
	for i, p := range f.run.Waiting {
		if !p.NotBefore.After(now) {
			f.run.Waiting = append(f.run.Waiting[:i:i], f.run.Waiting[i+1:]...)
			return p, true
		}
	}
	if f.run.Next == f.run.Batch.Pages || len(f.run.Waiting) >= f.policy.MaxWaiting {
		return WaitingPage{}, false
	}
	f.run.Next++
	return WaitingPage{Page: f.run.Next - 1, Since: now}, true
}

// page runs one round of a page.
func (f *flow) page(ctx workflow.Context, p WaitingPage) {
	defer func() { f.inFlight--; f.changes++ }()
	ref := PageRef{Workspace: f.run.Batch.Workspace, Owner: f.owner, BatchID: f.run.Batch.ID, Page: p.Page}
	r, err := f.w.round(ctx, ref, turn{p.Round, f.policy}, workflow.Now(ctx).Sub(p.Since) > f.policy.Patience)
	switch {
	case err != nil:
		f.failure = err
	case r.Open == 0:
		f.run.Over++
		f.announce(ctx)
	default:
		p.NotBefore = workflow.Now(ctx).Add(f.policy.wait(p.Round, r.Wait))
		p.Round++
		f.run.Waiting = append(f.run.Waiting, p)
	}
}

// announce tells of each quarter of the way, once.
func (f *flow) announce(ctx workflow.Context) {
	quarter := 4 * f.run.Over / f.run.Batch.Pages
	if quarter <= f.run.Marks || quarter == 4 {
		return
	}
	f.run.Marks = quarter
	if err := workflow.ExecuteActivity(f.w.storing(ctx), activityAnnounce, f.run.Batch, 25*quarter).Get(ctx, nil); err != nil {
		f.failure = err
	}
}

// await returns when there is something new to decide: a round is over, an order came, or a wait is over.
func (f *flow) await(ctx workflow.Context) error {
	seen := f.changes
	changed := func() bool { return f.changes != seen }
	if f.over() {
		return nil
	}
	due, ok := f.nextDue()
	if !ok {
		return workflow.Await(ctx, changed)
	}
	_, err := workflow.AwaitWithTimeout(ctx, max(due.Sub(workflow.Now(ctx)), time.Millisecond), changed)
	return err
}

// nextDue is when the first wait is over, if there is room for the page then.
func (f *flow) nextDue() (due time.Time, ok bool) {
	if f.run.Paused || f.inFlight >= f.policy.Window {
		return due, false
	}
	for _, p := range f.run.Waiting {
		if !ok || p.NotBefore.Before(due) {
			due, ok = p.NotBefore, true
		}
	}
	return due, ok
}
