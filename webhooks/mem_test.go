package webhooks

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/storetest"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// mem is a store in memory, for tests in virtual time. It passes the suites that the real ones pass.
type mem struct {
	mu         sync.Mutex
	endpoints  map[string]store.Endpoint
	deliveries map[string]store.Delivery
	workspaces map[string]store.Workspace
	owed       []memory.Event
}

func newMem() *mem {
	return &mem{endpoints: map[string]store.Endpoint{}, deliveries: map[string]store.Delivery{}, workspaces: map[string]store.Workspace{
		"wsp_1": {ID: "wsp_1", Revision: 1}, "wsp_2": {ID: "wsp_2", Revision: 1},
	}}
}

// process is a process that uses a store, and may die at one of its steps: before what the step does, or after it but
// before it learns of that. After its death nothing that it does has an effect.
type process struct {
	mu    sync.Mutex
	dieAt int // 0: never
	after bool
	steps []string
	dead  bool
	death func()
}

// did are the steps so far.
func (p *process) did() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.steps)
}

var errDead = errors.New("the process is dead")

func (p *process) do(name string, f func() error) error {
	if p == nil {
		return f()
	}
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return errDead
	}
	dies := false
	if name != "owed" && name != "due" { // asking for work in vain leaves everything as it is, and goes on for ever
		p.steps = append(p.steps, name)
		dies = len(p.steps) == p.dieAt
	}
	if p.dead = dies; dies && p.death != nil {
		defer p.death()
	}
	p.mu.Unlock()
	if dies && !p.after {
		return errDead
	}
	if err := f(); err != nil || !dies {
		return err
	}
	return errDead
}

// as is the store as a process sees it.
func (m *mem) as(p *process) Stores {
	return Stores{Endpoints: memEndpoints{m, p}, Deliveries: memDeliveries{m, p}, Workspaces: memWorkspaces{m, p}, Outbox: memOutbox{m, p}}
}

// owing is how many events are owed.
func (m *mem) owing() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.owed)
}

func (m *mem) owe(events ...memory.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owed = append(m.owed, events...)
}

// all are the deliveries in the order in which they were made.
func (m *mem) all() []store.Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.deliveries), func(a, b store.Delivery) int { return cmp.Compare(a.ID, b.ID) })
}

func (m *mem) count(s store.DeliveryStatus) int {
	n := 0
	for _, d := range m.all() {
		if d.Status == s {
			n++
		}
	}
	return n
}

var (
	errMissing  = memory.Errorf(memory.CodeNotFound, "there is none")
	errConflict = memory.Errorf(memory.CodeConflict, "someone else saved")
)

type memEndpoints struct {
	*mem
	p *process
}

func (m memEndpoints) Save(_ context.Context, e store.Endpoint) error {
	return m.p.do("save endpoint", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if old := m.endpoints[e.ID]; old.Revision != e.Revision || (old.ID != "" && old.Workspace != e.Workspace) {
			return errConflict
		}
		e.Revision++
		m.endpoints[e.ID] = e
		return nil
	})
}

func (m memEndpoints) Get(_ context.Context, workspace, id string) (e store.Endpoint, err error) {
	err = m.p.do("get endpoint", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if e = m.endpoints[id]; e.Workspace != workspace || e.ID == "" {
			e = store.Endpoint{}
			return errMissing
		}
		return nil
	})
	return e, err
}

func (m memEndpoints) List(_ context.Context, workspace string) (all []store.Endpoint, err error) {
	err = m.p.do("list endpoints", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, e := range m.endpoints {
			if e.Workspace == workspace {
				all = append(all, e)
			}
		}
		slices.SortFunc(all, func(a, b store.Endpoint) int {
			return cmp.Or(a.CreatedAt.Compare(b.CreatedAt.Time), cmp.Compare(a.ID, b.ID))
		})
		return nil
	})
	return all, err
}

func (m memEndpoints) Delete(_ context.Context, workspace, id string) error {
	return m.p.do("delete endpoint", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if e, ok := m.endpoints[id]; !ok || e.Workspace != workspace {
			return errMissing
		}
		delete(m.endpoints, id)
		return nil
	})
}

type memWorkspaces struct {
	*mem
	p *process
}

func (m memWorkspaces) Get(_ context.Context, id string) (w store.Workspace, err error) {
	err = m.p.do("get workspace", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if w = m.workspaces[id]; w.ID == "" {
			return errMissing
		}
		return nil
	})
	return w, err
}

func (m memWorkspaces) Save(_ context.Context, w store.Workspace) error {
	return m.p.do("save workspace", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.workspaces[w.ID].Revision != w.Revision {
			return errConflict
		}
		w.Revision++
		m.workspaces[w.ID] = w
		return nil
	})
}

func (m memWorkspaces) List(context.Context) ([]store.Workspace, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.workspaces)), nil
}

type memOutbox struct {
	*mem
	p *process
}

func (m memOutbox) Owed(_ context.Context, limit int) (events []memory.Event, err error) {
	err = m.p.do("owed", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		events = slices.Clone(m.owed[:min(limit, len(m.owed))])
		return nil
	})
	return events, err
}

func (m memOutbox) Settle(_ context.Context, events []memory.Event) error {
	return m.p.do("settle", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.owed = slices.DeleteFunc(m.owed, func(e memory.Event) bool {
			return slices.ContainsFunc(events, func(s memory.Event) bool { return s.ID == e.ID })
		})
		return nil
	})
}

type memDeliveries struct {
	*mem
	p *process
}

func (m memDeliveries) Create(_ context.Context, ds []store.Delivery) ([]bool, error) {
	fresh := make([]bool, len(ds))
	return fresh, m.p.do("create deliveries", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		for i, d := range ds {
			if _, there := m.deliveries[d.ID]; !there {
				d.Attempts = slices.Clone(d.Attempts)
				m.deliveries[d.ID], fresh[i] = d, true
			}
		}
		return nil
	})
}

func (m memDeliveries) Get(_ context.Context, workspace, id string) (d store.Delivery, err error) {
	err = m.p.do("get delivery", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if d = m.deliveries[id]; d.ID == "" || d.Workspace != workspace {
			d = store.Delivery{}
			return errMissing
		}
		return nil
	})
	return d, err
}

func (m memDeliveries) List(_ context.Context, q store.DeliveryQuery) ([]store.Delivery, string, error) {
	older := func(a, b store.Delivery) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt.Time), cmp.Compare(b.ID, a.ID))
	}
	m.mu.Lock()
	from, known := m.deliveries[q.Cursor]
	m.mu.Unlock()
	if q.Cursor != "" && !known {
		return nil, "", memory.Errorf(memory.CodeInvalid, "no cursor")
	}
	var found []store.Delivery
	for _, d := range m.all() {
		if d.Workspace == q.Workspace && (q.EndpointID == "" || d.EndpointID == q.EndpointID) &&
			(len(q.Statuses) == 0 || slices.Contains(q.Statuses, d.Status)) && !d.CreatedAt.Before(q.Since) && (!known || older(d, from) > 0) {
			d.Body = nil
			found = append(found, d)
		}
	}
	slices.SortFunc(found, older)
	if len(found) <= q.Limit {
		return found, "", nil
	}
	return found[:q.Limit], found[q.Limit-1].ID, nil
}

// edit changes a delivery under the lock, if f says so.
func (m memDeliveries) edit(name, workspace, id string, f func(*store.Delivery) bool) (d store.Delivery, ok bool, err error) {
	err = m.p.do(name, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		stored, there := m.deliveries[id]
		if !there || stored.Workspace != workspace {
			return nil
		}
		stored.Attempts = slices.Clone(stored.Attempts)
		if ok = f(&stored); ok {
			m.deliveries[id], d = stored, stored
		}
		return nil
	})
	return d, ok, err
}

func (m memDeliveries) Claim(_ context.Context, workspace, id, owner string, now, until time.Time) (store.Delivery, bool, error) {
	return m.edit("claim", workspace, id, func(d *store.Delivery) bool {
		if d.Status != store.DeliveryPending || (d.Lease.Until.After(now) && d.Lease.Owner != owner) {
			return false
		}
		d.Lease = store.Lease{Owner: owner, Until: until, Fence: d.Lease.Fence + 1}
		return true
	})
}

func (m memDeliveries) Attempted(_ context.Context, as []store.Attempted) ([]bool, error) {
	kept := make([]bool, len(as))
	return kept, m.p.do("record attempt", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		for i, a := range as {
			d := m.deliveries[a.DeliveryID]
			if kept[i] = d.ID != "" && d.Workspace == a.Workspace && d.Lease.Fence == a.Fence; !kept[i] {
				continue
			}
			d.Attempts = append(slices.Clone(d.Attempts), a.Attempt)
			d.Status, d.Lease.Until, d.UpdatedAt = a.Status, a.Until, a.Attempt.At
			m.deliveries[d.ID] = d
		}
		return nil
	})
}

func (m memDeliveries) Requeue(_ context.Context, workspace, id string) (store.Delivery, error) {
	d, ok, err := m.edit("requeue", workspace, id, func(d *store.Delivery) bool {
		d.Status, d.Round = store.DeliveryPending, d.Round+1
		d.Lease = store.Lease{Fence: d.Lease.Fence + 1}
		return true
	})
	if err == nil && !ok {
		err = errMissing
	}
	return d, err
}

func (m memDeliveries) Due(_ context.Context, now time.Time, limit int) (due []store.Delivery, err error) {
	err = m.p.do("due", func() error { return nil })
	for _, d := range m.all() {
		if err == nil && d.Status == store.DeliveryPending && d.Lease.Until.Before(now) {
			due = append(due, d)
		}
	}
	slices.SortStableFunc(due, func(a, b store.Delivery) int { return a.Lease.Until.Compare(b.Lease.Until) })
	return due[:min(limit, len(due))], err
}

func (m memDeliveries) Stats(context.Context) (map[store.DeliveryStatus]int, time.Time, error) {
	counts, oldest := map[store.DeliveryStatus]int{}, time.Time{}
	for _, d := range m.all() {
		counts[d.Status]++
		if d.Status == store.DeliveryPending && (oldest.IsZero() || d.CreatedAt.Before(oldest)) {
			oldest = d.CreatedAt.Time
		}
	}
	return counts, oldest, nil
}

func (m memDeliveries) Sweep(_ context.Context, before time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.deliveries)
	maps.DeleteFunc(m.deliveries, func(_ string, d store.Delivery) bool {
		return d.Status != store.DeliveryPending && d.CreatedAt.Before(before)
	})
	return n - len(m.deliveries), nil
}

// The suites hold the stand-in to what the real stores promise.
func TestMemIsAStore(t *testing.T) {
	t.Parallel()
	t.Run("Endpoints", func(t *testing.T) {
		t.Parallel()
		storetest.Endpoints(t, func(testing.TB) store.Endpoints { return newMem().as(nil).Endpoints })
	})
	t.Run("Deliveries", func(t *testing.T) {
		t.Parallel()
		storetest.Deliveries(t, func(testing.TB) store.Deliveries { return newMem().as(nil).Deliveries })
	})
}
