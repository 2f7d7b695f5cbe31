package main

import (
	"math/rand/v2"
	"time"
)

// A plan is everything that will be done to the processes and their connections, in order. It follows from the seed alone.
type plan struct {
	rounds []round
	llm    []phase
}

// round is a kill and what comes before it.
type round struct {
	gap    time.Duration
	before []blow
	victim int  // index among the processes
	gently bool // it is not killed but asked to stop, and waited for
}

// rolling is the plan by which all processes are replaced one after another, so often, and nothing else is done to them.
func rolling(times, processes int, gap time.Duration) (p plan) {
	for range times {
		for i := range processes {
			p.rounds = append(p.rounds, round{gap: gap, victim: i, gently: true})
		}
	}
	return p
}

// blow is something other than a kill.
type blow struct {
	what   blowKind
	target int // index of a process, for freeze; of an API proxy, for cutAPI
	lasts  time.Duration
}

type blowKind string

const (
	freeze      blowKind = "freeze"       // SIGSTOP, later SIGCONT
	cutLLM      blowKind = "cut llm"      // connections to the LLM break, new ones are refused
	slowLLM     blowKind = "slow llm"     // its answers take longer on the wire
	cutAPI      blowKind = "cut api"      // the client's connections break
	cutTemporal blowKind = "cut temporal" // connections to Temporal break
	endTemporal blowKind = "end temporal" // kill -9 of Temporal itself, and a new start on its files
)

// mode is how the LLM behaves.
type mode string

const (
	calm     mode = "calm"
	slow     mode = "slow"
	limited  mode = "429"
	failing  mode = "5xx"
	nonsense mode = "nonsense"
	cutting  mode = "cutting" // it breaks off in the middle of an answer
)

// phase is a mode of the LLM for a while; after the last phase the first one comes again.
type phase struct {
	mode  mode
	lasts time.Duration
}

func newPlan(seed uint64, kills, processes int, gap time.Duration, temporal bool) plan {
	r := rand.New(rand.NewPCG(seed, uint64(processes)))
	var p plan
	for range kills {
		p.rounds = append(p.rounds, round{gap: upTo(r, gap), before: blows(r, processes, temporal), victim: r.IntN(processes)})
	}
	modes := []mode{calm, calm, calm, slow, limited, failing, nonsense, cutting}
	for range 32 {
		p.llm = append(p.llm, phase{modes[r.IntN(len(modes))], 5*time.Second + upTo(r, 10*time.Second)})
	}
	return p
}

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d) + 1)) }

func blows(r *rand.Rand, processes int, temporal bool) (out []blow) {
	for _, b := range []struct {
		what  blowKind
		of    int           // one round in so many
		least time.Duration // how long it lasts
		most  time.Duration
	}{
		{freeze, 4, time.Second, 15 * time.Second}, // some for longer than a lease
		{cutLLM, 8, 500 * time.Millisecond, 4 * time.Second},
		{slowLLM, 8, 2 * time.Second, 6 * time.Second},
		{cutAPI, 5, 500 * time.Millisecond, 2 * time.Second},
		{cutTemporal, 8, time.Second, 6 * time.Second},
		{endTemporal, 25, 0, 2 * time.Second},
	} {
		does, target, lasts := r.IntN(b.of) == 0, r.IntN(processes), b.least+upTo(r, b.most-b.least)
		if does && (temporal || b.what != cutTemporal && b.what != endTemporal) {
			out = append(out, blow{b.what, target, lasts})
		}
	}
	return out
}

// mode is how the LLM behaves so long after the start.
func (p plan) mode(at time.Duration) mode {
	var whole time.Duration
	for _, ph := range p.llm {
		whole += ph.lasts
	}
	if whole == 0 {
		return calm
	}
	at %= whole
	for _, ph := range p.llm {
		if at < ph.lasts {
			return ph.mode
		}
		at -= ph.lasts
	}
	return calm
}
