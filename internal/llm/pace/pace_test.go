package pace

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// model is a model behind a gate: what it answers can be changed.
type model struct {
	llm.Embedder
	gate Gate

	mu    sync.Mutex
	err   error
	takes time.Duration
	calls int
}

func newModel() *model {
	m := &model{}
	fake := &llmtest.Fake{Fault: func(context.Context, llmtest.Call) error {
		m.mu.Lock()
		err, takes := m.err, m.takes
		m.calls++
		m.mu.Unlock()
		time.Sleep(takes)
		return err
	}}
	m.Embedder = m.gate.Embedder(fake)
	return m
}

// says sets what the model answers from now on, and how long it takes.
func (m *model) says(err error, takes time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.takes = err, takes
}

func (m *model) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func (m *model) ask(t *testing.T) error {
	t.Helper()
	_, err := m.Embed(t.Context(), []string{"x"})
	return err
}

func limit(after time.Duration) error {
	return &memory.Error{Code: memory.CodeRateLimited, Message: "slow down", RetryAfter: after}
}

func TestGate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, m *model){
		"NobodyIsLetThroughBeforeTheModelSays": func(t *testing.T, m *model) {
			m.says(limit(7*time.Second), 0)
			if err := m.ask(t); errors.Is(err, llm.ErrHeld) {
				t.Error("the first call was kept back")
			}
			for range 50 {
				err := m.ask(t)
				wait := memory.RetryAfter(err)
				if !errors.Is(err, llm.ErrHeld) || memory.CodeOf(err) != memory.CodeRateLimited || wait < 7*time.Second || wait > 9*time.Second {
					t.Fatalf("%v, to be asked again in %v", err, wait)
				}
			}
			if m.count() != 1 {
				t.Errorf("%d calls came through", m.count())
			}
		},
		"OneTriesAndOpensForAll": func(t *testing.T, m *model) {
			m.says(limit(time.Second), 0)
			_ = m.ask(t)
			m.says(nil, 0)
			time.Sleep(1100 * time.Millisecond)
			for range 3 {
				if err := m.ask(t); err != nil {
					t.Error(err)
				}
			}
		},
		"WhileOneTriesNobodyElseDoes": func(t *testing.T, m *model) {
			m.says(limit(time.Second), 0)
			_ = m.ask(t)
			m.says(nil, 500*time.Millisecond)
			time.Sleep(1100 * time.Millisecond)
			tried := make(chan error)
			go func() { tried <- m.ask(t) }()
			synctest.Wait()
			if err := m.ask(t); !errors.Is(err, llm.ErrHeld) {
				t.Errorf("a second call came through: %v", err)
			}
			if err := <-tried; err != nil {
				t.Error(err)
			}
			if err := m.ask(t); err != nil {
				t.Error(err)
			}
		},
		"ASlowModelIsNotAskedByOneAlone": func(t *testing.T, m *model) {
			m.says(limit(time.Second), 0)
			_ = m.ask(t)
			m.says(nil, time.Minute)
			time.Sleep(1100 * time.Millisecond)
			done := make(chan error)
			for range 3 {
				go func() { done <- m.ask(t) }()
				time.Sleep(patience + time.Millisecond)
			}
			for range 3 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		},
		"TenMinutesOf429CostFewCalls": func(t *testing.T, m *model) {
			m.says(limit(time.Second), 0)
			for range 10 * 60 * 10 {
				_ = m.ask(t)
				time.Sleep(100 * time.Millisecond)
			}
			if m.count() > 30 {
				t.Errorf("%d calls came through", m.count())
			}
		},
		"ABurstMakesOnePause": func(t *testing.T, m *model) {
			m.says(limit(0), 100*time.Millisecond)
			done := make(chan error)
			for range 20 {
				go func() { done <- m.ask(t) }()
			}
			for range 20 {
				if err := <-done; memory.CodeOf(err) != memory.CodeRateLimited {
					t.Error(err)
				}
			}
			if wait := memory.RetryAfter(m.ask(t)); wait > 2*leastPause {
				t.Errorf("calls wait for %v after one burst", wait)
			}
		},
		"WhatBeganBeforeOpensNothing": func(t *testing.T, m *model) {
			m.says(nil, time.Second)
			early := make(chan error)
			go func() { early <- m.ask(t) }()
			time.Sleep(time.Millisecond)
			m.says(limit(time.Minute), 0)
			_ = m.ask(t)
			if err := <-early; err != nil {
				t.Error(err)
			}
			if err := m.ask(t); !errors.Is(err, llm.ErrHeld) {
				t.Errorf("the answer to an old call has opened the gate: %v", err)
			}
		},
		"OtherFaultsKeepNobodyBack": func(t *testing.T, m *model) {
			for _, code := range []memory.Code{memory.CodeUnavailable, memory.CodeQuota, memory.CodeTimeout} {
				m.says(memory.Errorf(code, "x"), 0)
				for range 3 {
					if err := m.ask(t); errors.Is(err, llm.ErrHeld) {
						t.Errorf("kept back after %s", code)
					}
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, newModel()) })
		})
	}
}

// TestABudgetBehindTheGateDoesNotShutIt: what a budget keeps back was never asked of the model.
func TestABudgetBehindTheGateDoesNotShutIt(t *testing.T) {
	t.Parallel()
	m := newModel()
	m.says(&memory.Error{Code: memory.CodeRateLimited, RetryAfter: time.Hour, Err: llm.ErrHeld}, 0)
	if err := m.ask(t); memory.RetryAfter(err) != memory.MaxRetryAfter {
		t.Fatalf("the budget's answer is %v", err)
	}
	m.says(nil, 0)
	if err := m.ask(t); err != nil {
		t.Errorf("the gate is shut: %v", err)
	}
}
