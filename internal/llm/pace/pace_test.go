package pace

import (
	"context"
	"errors"
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
	gate  Gate
	err   error
	takes time.Duration
	calls int
}

func newModel() *model {
	m := &model{}
	fake := &llmtest.Fake{Fault: func(context.Context, llmtest.Call) error {
		err := m.err
		m.calls++
		time.Sleep(m.takes)
		return err
	}}
	m.Embedder = m.gate.Embedder(fake)
	return m
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
			m.err = limit(7 * time.Second)
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
			if m.calls != 1 {
				t.Errorf("%d calls came through", m.calls)
			}
		},
		"OneTriesAndOpensForAll": func(t *testing.T, m *model) {
			m.err = limit(time.Second)
			_ = m.ask(t)
			m.err = nil
			time.Sleep(1100 * time.Millisecond)
			for range 3 {
				if err := m.ask(t); err != nil {
					t.Error(err)
				}
			}
		},
		"WhileOneTriesNobodyElseDoes": func(t *testing.T, m *model) {
			m.err = limit(time.Second)
			_ = m.ask(t)
			m.err, m.takes = nil, 500*time.Millisecond
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
			m.err = limit(time.Second)
			_ = m.ask(t)
			m.err, m.takes = nil, time.Minute
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
			m.err = limit(time.Second)
			for range 10 * 60 * 10 {
				_ = m.ask(t)
				time.Sleep(100 * time.Millisecond)
			}
			if m.calls > 30 {
				t.Errorf("%d calls came through", m.calls)
			}
		},
		"ABurstMakesOnePause": func(t *testing.T, m *model) {
			m.err, m.takes = limit(0), 100*time.Millisecond
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
			m.takes = time.Second
			early := make(chan error)
			go func() { early <- m.ask(t) }()
			time.Sleep(time.Millisecond)
			m.err, m.takes = limit(time.Minute), 0
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
				m.err = memory.Errorf(code, "x")
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
