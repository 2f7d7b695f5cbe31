package main

import (
	"math/rand/v2"
	"time"
)

// A plan is everything that will be done to the processes, their servers and their connections, in order. It follows from
// the seed alone.
type plan struct {
	seed      uint64
	processes int
	gap       time.Duration
	servers   []string // what the processes are connected to, by name
	fixed     []round  // instead of chance
	llm       []phase
}

// round is a kill and what comes before it.
type round struct {
	gap    time.Duration
	before []blow
	moment moment
	delay  time.Duration // from the moment to the kill
	victim int           // index among the processes
	gently bool          // it is not killed but asked to stop, and waited for
}

// moment is when exactly the kill comes.
type moment string

const (
	atRandom moment = "at random"
	// afterAnswer is right after the client has got an acknowledgement, of the process that gave it.
	afterAnswer moment = "after an acknowledgement"
	// afterWave is when the LLM has given all answers of the last second at once, and the first webhook tells that what
	// they were for is coming to its end: many memories are between two of their last writes then.
	afterWave moment = "in a wave of answers"
)

// How long after such a moment the kill comes, at most.
const (
	answerWindow = 5 * time.Millisecond
	waveWindow   = 20 * time.Millisecond
)

// rolling is the plan by which all processes are replaced one after another, so often, and nothing else is done to them.
func rolling(times, processes int, gap time.Duration) (p plan) {
	for range times {
		for i := range processes {
			p.fixed = append(p.fixed, round{gap: gap, moment: atRandom, victim: i, gently: true})
		}
	}
	return p
}

// blow is something other than a kill.
type blow struct {
	what  blowKind
	index int    // of a process, for freeze; of an API's proxy, for a cut of it
	on    string // the server, "api" or "llm"; "" for freeze
	lasts time.Duration
}

// label is what is counted.
func (b blow) label() string {
	if b.on == "" {
		return string(b.what)
	}
	return string(b.what) + " " + b.on
}

type blowKind string

const (
	freeze blowKind = "freeze" // SIGSTOP, later SIGCONT
	cut    blowKind = "cut"    // connections break, new ones are refused
	slow   blowKind = "slow"   // everything takes longer on the wire
	end    blowKind = "end"    // the server itself ends, and starts again on its files
)

// What connections lead to.
const (
	onAPI      = "api"
	onLLM      = "llm"
	onTemporal = "temporal"
	onMongo    = "mongo"
	onQdrant   = "qdrant"
	onNeo4j    = "neo4j"
	onRedis    = "redis"
)

// mode is how the LLM behaves.
type mode string

const (
	calm     mode = "calm"
	slowly   mode = "slow"
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

func newPlan(seed uint64, processes int, gap time.Duration, servers ...string) plan {
	p := plan{seed: seed, processes: processes, gap: gap, servers: servers}
	r := rand.New(rand.NewPCG(seed, 0))
	modes := []mode{calm, calm, calm, slowly, limited, failing, nonsense, cutting}
	for range 32 {
		p.llm = append(p.llm, phase{modes[r.IntN(len(modes))], 5*time.Second + upTo(r, 10*time.Second)})
	}
	return p
}

// round is what is done the i-th time, from 0. There is no end to them but in a fixed plan, which is over before
// [plan.rounds].
func (p plan) round(i int) round {
	if p.fixed != nil {
		return p.fixed[i]
	}
	r := rand.New(rand.NewPCG(p.seed, uint64(p.processes)<<32+uint64(i)+1))
	out := round{gap: upTo(r, p.gap), before: p.blows(r), victim: r.IntN(p.processes)}
	out.moment = []moment{atRandom, afterAnswer, afterWave}[r.IntN(3)]
	switch out.moment {
	case afterAnswer:
		out.delay = upTo(r, answerWindow)
	case afterWave:
		out.delay = upTo(r, waveWindow)
	case atRandom:
	}
	return out
}

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d) + 1)) }

// chance is how often a blow comes: in one round of so many.
type chance struct {
	what        blowKind
	on          string
	of          int
	least, most time.Duration // how long it lasts
}

// always is what every set-up has.
func always() []chance {
	return []chance{
		{freeze, "", 6, time.Second, 9 * time.Second},
		{freeze, "", 4, 11 * time.Second, 16 * time.Second}, // for longer than a lease
		{cut, onLLM, 8, 500 * time.Millisecond, 4 * time.Second},
		{slow, onLLM, 8, 2 * time.Second, 6 * time.Second},
		{cut, onAPI, 5, 500 * time.Millisecond, 2 * time.Second},
	}
}

// blows are chosen for a round.
func (p plan) blows(r *rand.Rand) (out []blow) {
	chances := always()
	for _, name := range p.servers {
		chances = append(chances,
			chance{cut, name, 8, 500 * time.Millisecond, 6 * time.Second},
			chance{slow, name, 16, 2 * time.Second, 6 * time.Second},
			chance{end, name, 25, 0, 2 * time.Second})
	}
	for _, c := range chances {
		does, index, lasts := r.IntN(c.of) == 0, r.IntN(p.processes), c.least+upTo(r, c.most-c.least)
		if does {
			out = append(out, blow{c.what, index, c.on, lasts})
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
