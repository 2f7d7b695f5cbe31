package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// extent is how long an attack goes on: until both are reached.
type extent struct {
	kills int
	lasts time.Duration
}

// attack runs the plan against one topology, and returns what it came to.
func attack(ctx context.Context, o *options, topology string, until extent, out io.Writer) (v *verdict, err error) {
	p, err := planFor(o, topology)
	if err != nil {
		return nil, err
	}
	m, err := newModel(p, o.thinking)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.server.Close()) }()
	receiver := newHooks()
	defer receiver.Close()
	c, err := open(ctx, o, topology, m)
	if err != nil {
		return nil, err
	}
	s := &siege{options: o, until: until, plan: p, model: m, hooks: receiver, cluster: c, out: out}
	v, err = s.run(ctx)
	if stopped := c.close(); stopped != nil && v != nil {
		v.Wrong = append(v.Wrong, stopped.Error())
	}
	if v != nil {
		v.Topology = topology
	}
	return v, err
}

// planFor is the plan against a topology.
func planFor(o *options, topology string) (plan, error) {
	processes, on := 4, []string{onTemporal}
	gap := o.gap
	switch topology {
	case dev:
		processes, on, gap = 1, nil, gap*aloneGap
	case servers:
		on = []string{onTemporal, onMongo, onQdrant, onNeo4j, onRedis}
	case split:
	default:
		return plan{}, fmt.Errorf("there is no such topology: %s, %s or %s", split, servers, dev)
	}
	if o.rolling > 0 {
		return rolling(o.rolling, processes, o.gap), nil
	}
	return newPlan(o.seed, processes, gap, on...), nil
}

// aloneGap is by how much the pauses are longer where each kill ends everything: a start, and what was lost until it is
// taken up again, take some time, and without it nothing would go on at all.
const aloneGap = 4

// siege is one attack.
type siege struct {
	*options
	until   extent
	plan    plan
	model   *model
	hooks   *hooks
	cluster *cluster
	load    *load
	out     io.Writer

	inFlight []int          // memories, at each kill
	moments  map[moment]int // kills by when they came
}

func (s *siege) run(ctx context.Context) (*verdict, error) {
	start := time.Now()
	book, err := newLedger(filepath.Join(s.cluster.dir, "ledger.ndjson"))
	if err != nil {
		return nil, err
	}
	defer book.close()
	clients, err := s.cluster.clients()
	if err != nil {
		return nil, err
	}
	s.load = &load{clients: clients, ledger: book, hooks: s.hooks.URL, target: 3 * s.options.inFlight, answered: make(chan int)}
	s.moments = map[moment]int{}
	posting, stopPosting := context.WithCancel(ctx)
	posted := make(chan error, 1)
	go func() { posted <- s.load.run(posting) }()
	err = s.rounds(ctx)
	stopPosting()
	if err == nil {
		err = s.cluster.heal()
	}
	if err := errors.Join(err, <-posted); err != nil {
		return nil, err
	}
	attacked := time.Since(start)
	s.model.calm()
	left := s.drain(ctx)
	v, err := s.judge(ctx, left)
	if v != nil {
		v.Seed, v.Attacked, v.Drained = s.seed, attacked.Round(time.Second), (time.Since(start) - attacked).Round(time.Second)
	}
	return v, err
}

func (s *siege) rounds(ctx context.Context) error {
	began := time.Now()
	for i := 0; s.goesOn(i, time.Since(began)); i++ {
		r := s.plan.round(i)
		sleep(ctx, r.gap)
		for _, b := range r.before {
			s.sayf("%s (of the processes: %s) for %v", b.label(), s.cluster.processes[b.index].name, b.lasts.Round(time.Millisecond))
			s.cluster.strike(ctx, b)
		}
		victim, n, err := s.await(ctx, r)
		if err != nil {
			return fmt.Errorf("kill %d: %w", i+1, err)
		}
		s.inFlight = append(s.inFlight, n)
		s.moments[r.moment]++
		if r.gently {
			s.sayf("replace %s, %d memories in flight", victim.name, n)
			if err := s.cluster.replace(ctx, victim); err != nil {
				return err
			}
			continue
		}
		s.cluster.kill(ctx, victim)
		s.sayf("kill %d: %s, %s, %d memories in flight", i+1, victim.name, r.moment, n)
	}
	return ctx.Err()
}

func (s *siege) goesOn(round int, after time.Duration) bool {
	if s.plan.fixed != nil {
		return round < len(s.plan.fixed)
	}
	return round < s.until.kills || after < s.until.lasts
}

// await returns at the moment of the kill: whose, and how many memories were in flight.
func (s *siege) await(ctx context.Context, r round) (victim *process, n int, err error) {
	victim = s.cluster.processes[r.victim]
	switch r.moment {
	case afterAnswer:
		return s.awaitAnswer(ctx, r)
	case afterWave:
		return s.awaitWave(ctx, r)
	case atRandom:
		n, err = s.ripe(ctx, victim)
	}
	return victim, n, err
}

// howOld is how long ago it may be that so many memories were in flight.
const howOld = 150 * time.Millisecond

// awaitWave lets the LLM give its answers of a second at once, and waits for the first webhook that comes of them.
func (s *siege) awaitWave(ctx context.Context, r round) (victim *process, n int, err error) {
	victim = s.cluster.processes[r.victim]
	for range 10 {
		if n, err = s.ripe(ctx, victim); err != nil {
			return victim, n, err
		}
		s.model.gather(ctx, time.Second)
		select {
		case <-s.hooks.came:
		case <-time.After(3 * time.Second):
		}
		asked := time.Now()
		if _, n, err = s.load.state(ctx); err == nil && n >= s.options.inFlight && time.Since(asked) < howOld {
			sleep(ctx, r.delay)
			return victim, n, nil
		}
	}
	n, err = s.ripe(ctx, victim) // nothing ends, or nobody answers in time: then at random
	return victim, n, err
}

// awaitAnswer waits for an acknowledgement while enough memories are in flight; the victim is who gave it.
func (s *siege) awaitAnswer(ctx context.Context, r round) (victim *process, n int, err error) {
	defer s.load.eager.Store(false)
	for {
		if n, err = s.ripe(ctx, nil); err != nil {
			return nil, n, err
		}
		s.load.eager.Store(true)
		select {
		case which := <-s.load.answered:
			if victim = s.cluster.serving[which]; !victim.alive() { // it was killed while its answer was on its way
				continue
			}
			sleep(ctx, r.delay)
			return victim, n, nil
		case <-time.After(time.Second):
		}
	}
}

// ripe waits until the victim, where there is one, lives and enough memories are in flight, and says how many.
func (s *siege) ripe(ctx context.Context, victim *process) (int, error) {
	limited, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		select {
		case err := <-s.cluster.failed:
			return 0, err
		default:
		}
		_, processing, err := s.load.state(limited)
		if err == nil && processing >= s.options.inFlight && (victim == nil || victim.alive()) {
			return processing, nil
		}
		if limited.Err() != nil {
			return 0, fmt.Errorf("%d memories in flight, or the victim is not alive (%w)", processing, errors.Join(err, limited.Err()))
		}
		sleep(limited, 50*time.Millisecond)
	}
}

// drain waits until nothing is open and all webhooks have come, and says how many memories are left open.
func (s *siege) drain(ctx context.Context) (open int) {
	limited, cancel := context.WithTimeout(ctx, s.options.drain)
	defer cancel()
	for limited.Err() == nil {
		queued, processing, err := s.load.state(limited)
		if err == nil {
			open = queued + processing
		}
		if err == nil && open == 0 && s.batchesOver(limited) && s.unheard() == 0 {
			return 0
		}
		sleep(limited, time.Second)
	}
	return open
}

func (s *siege) batchesOver(ctx context.Context) bool {
	w, err := s.load.clients[0].Workspace(ctx)
	if err != nil {
		return false
	}
	by := w.Batches.ByStatus
	return by["queued"]+by["processing"]+by["paused"] == 0
}

// unheard is how many of those that asked for a webhook got none.
func (s *siege) unheard() (n int) {
	for _, e := range s.load.ledger.all() {
		if e.Hook && s.hooks.news(e.ID) == 0 {
			n++
		}
	}
	return n
}

func (s *siege) sayf(format string, args ...any) {
	if s.verbose {
		fmt.Fprintf(s.out, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
	}
}
