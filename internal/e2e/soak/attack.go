package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// attack runs the whole plan against one topology, and returns what it came to.
func attack(ctx context.Context, o *options, topology string, kills int, out io.Writer) (v *verdict, err error) {
	processes := map[string]int{"split": 4, "dev": 1}[topology]
	if processes == 0 {
		return nil, fmt.Errorf("there is no such topology: split or dev")
	}
	gap := o.gap
	if processes == 1 {
		gap *= aloneGap
	}
	p := newPlan(o.seed, kills, processes, gap, topology == "split")
	if o.rolling > 0 {
		p = rolling(o.rolling, processes, o.gap)
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
	s := &siege{options: o, plan: p, model: m, hooks: receiver, cluster: c, out: out}
	v, err = s.run(ctx)
	if stopped := c.close(); stopped != nil && v != nil {
		v.Wrong = append(v.Wrong, stopped.Error())
	}
	if v != nil {
		v.Topology = topology
	}
	return v, err
}

// aloneGap is by how much the pauses are longer where each kill ends everything: a start, and what was lost until it is
// taken up again, take some time, and without it nothing would go on at all.
const aloneGap = 4

// siege is one attack.
type siege struct {
	*options
	plan    plan
	model   *model
	hooks   *hooks
	cluster *cluster
	load    *load
	out     io.Writer

	inFlight []int // memories, at each kill
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
	s.load = &load{clients: clients, ledger: book, hooks: s.hooks.URL, target: 3 * s.options.inFlight}
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
	for i, r := range s.plan.rounds {
		sleep(ctx, r.gap)
		for _, b := range r.before {
			s.sayf("%s %s for %v", b.what, s.cluster.processes[b.target].name, b.lasts.Round(time.Millisecond))
			s.cluster.strike(ctx, b)
		}
		victim := s.cluster.processes[r.victim]
		n, err := s.ripe(ctx, victim)
		if err != nil {
			return fmt.Errorf("kill %d: %w", i+1, err)
		}
		s.inFlight = append(s.inFlight, n)
		if r.gently {
			s.sayf("replace %s, %d memories in flight", victim.name, n)
			if err := s.cluster.replace(ctx, victim); err != nil {
				return err
			}
			continue
		}
		s.sayf("kill %d of %d: %s, %d memories in flight", i+1, len(s.plan.rounds), victim.name, n)
		s.cluster.kill(ctx, victim)
	}
	return nil
}

// ripe waits until the victim lives and enough memories are in flight, and says how many.
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
		if err == nil && processing >= s.options.inFlight && victim.alive() {
			return processing, nil
		}
		if limited.Err() != nil {
			return 0, fmt.Errorf("%s alive: %v, %d memories in flight (%w)", victim.name, victim.alive(), processing, errors.Join(err, limited.Err()))
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
