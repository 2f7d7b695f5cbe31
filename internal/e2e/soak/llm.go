package main

import (
	"context"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
)

// model is the LLM that all processes ask: slow, misbehaving by schedule, and keeping books on every answer that somebody
// had to pay for. Each process asks under a path of its own, so that the books say who did.
type model struct {
	server   *llmtest.Server
	plan     plan
	thinking time.Duration

	mu     sync.Mutex
	calmed bool
	wave   chan struct{} // closed when the answers that are kept back go out; nil: none is
	paid   map[question][]payment
	modes  map[mode]int // calls that met each
}

// question is what was asked: the same one needs to be answered once.
type question struct{ method, text string }

// payment is an answer in good order.
type payment struct {
	process  string
	from, to time.Time
}

func newModel(p plan, thinking time.Duration) (*model, error) {
	m := &model{plan: p, thinking: thinking, paid: map[question][]payment{}, modes: map[mode]int{}}
	var err error
	m.server, err = llmtest.NewServer(llmtest.Config{Script: m.script})
	return m, err
}

// address is its host and port.
func (m *model) address() string {
	return strings.TrimSuffix(strings.TrimPrefix(m.server.URL(), "http://"), "/v1")
}

// calm ends the misbehaviour.
func (m *model) calm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calmed = true
}

func (m *model) now(c llmtest.Call) mode {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.plan.mode(c.At)
	if m.calmed {
		now = calm
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(strconv.Itoa(c.N))) // never fails
	if now != slowly && h.Sum32()%10 >= 3 {
		now = calm // three calls in ten are met by what is on
	}
	if now == nonsense && h.Sum32()%10 >= 1 {
		now = calm
	}
	m.modes[now]++
	return now
}

func (m *model) script(c llmtest.Call) llmtest.Behaviour {
	switch m.now(c) {
	case slowly:
		return m.answer(c, 2*m.thinking)
	case limited:
		return llmtest.RateLimit(time.Duration(1+c.N%3) * time.Second)
	case failing:
		return llmtest.Status(500 + c.N%4) // 500 to 503
	case nonsense:
		return llmtest.Say("The wizard says nothing.")
	case cutting:
		return llmtest.Cut()
	case calm:
	}
	return m.answer(c, m.thinking)
}

// answer answers after d, and keeps the books. A client that went away meanwhile pays nothing.
func (m *model) answer(c llmtest.Call, d time.Duration) llmtest.Behaviour {
	from := time.Now()
	return func(x *llmtest.Exchange) {
		llmtest.When(m.due(d))(x)
		if c.Request.Repair || len(c.Texts) == 0 {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		q := question{c.Method, c.Texts[0]}
		m.paid[q] = append(m.paid[q], payment{asker(c.Request.Path), from, time.Now()})
	}
}

// due is closed after d, or when the wave goes out that is being gathered then.
func (m *model) due(d time.Duration) <-chan struct{} {
	ready := make(chan struct{})
	time.AfterFunc(d, func() {
		m.mu.Lock()
		wave := m.wave
		m.mu.Unlock()
		if wave != nil {
			<-wave
		}
		close(ready)
	})
	return ready
}

// gather keeps back all answers for d, and then lets them go at once.
func (m *model) gather(ctx context.Context, d time.Duration) {
	wave := make(chan struct{})
	m.mu.Lock()
	m.wave = wave
	m.mu.Unlock()
	sleep(ctx, d)
	m.mu.Lock()
	m.wave = nil
	m.mu.Unlock()
	close(wave)
}

// overtaken returns what processes went on with though they had a successor: a worker asked about a text before an API
// process had its use cases, so these were refused by the fence, and yet that process asked for the graph. It takes nothing
// up again that the durable track has.
func (m *model) overtaken() (out []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for q, graphs := range m.paid {
		if q.method != "Graph" {
			continue
		}
		cases := m.paid[question{"UseCases", q.text}]
		for _, g := range graphs {
			for _, had := range cases {
				if !byWorker(g) && had.process == g.process && had.to.Before(g.from) && workerAskedBefore(had.to, cases, graphs) {
					out = append(out, g.process+" went on with "+q.text)
				}
			}
		}
	}
	return out
}

func byWorker(p payment) bool { return strings.HasPrefix(p.process, "worker") }

func workerAskedBefore(at time.Time, of ...[]payment) bool {
	return slices.ContainsFunc(slices.Concat(of...), func(p payment) bool { return byWorker(p) && p.from.Before(at) })
}

// asker is the process that a path belongs to: /serve-1/v1/….
func asker(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return name
}

// doubts returns how many answers there were, how many of them were in flight when something was done, so that they may
// have been lost, how many there were beyond one for each question, and those of them that no disturbance explains.
func (m *model) doubts(ds []disturbance) (answers, allowed, twice int, unexplained []question) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for q, ps := range m.paid {
		answers += len(ps)
		twice += len(ps) - 1
		for _, p := range ps {
			if explained(p, ds) {
				allowed++
			}
		}
		for _, p := range ps[:len(ps)-1] { // the last one is the one that was kept
			if !explained(p, ds) {
				unexplained = append(unexplained, q)
			}
		}
	}
	return answers, allowed, twice, unexplained
}
