package static

import (
	"math"
	"slices"
	"sync"
	"testing"
)

func load(tb testing.TB) *Model {
	tb.Helper()
	m, err := Load()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func dot(a, b []float32) float64 {
	var sum float64
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	m := load(t)
	t.Run("VectorsHaveLengthOne", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"", "the", "Nora adopted a cat", "\x00", "☃ 你好", "a a a"} {
			v := m.Embed(text)
			if len(v) != m.Dimensions() || math.Abs(dot(v, v)-1) > 1e-5 {
				t.Errorf("%q: %d dimensions, length² %f", text, len(v), dot(v, v))
			}
		}
	})
	t.Run("WhatIsNotKnownIsNearItselfAndNothingElse", func(t *testing.T) {
		t.Parallel()
		empty, unknown := m.Embed(""), m.Embed("\U0001F9FF\U0001F9FE")
		if !slices.Equal(empty, unknown) {
			t.Error("two texts without meaning differ")
		}
		for _, text := range []string{"Nora adopted a cat", "The meeting moved to Thursday", "peanut allergy"} {
			if near := dot(empty, m.Embed(text)); math.Abs(near) > 0.25 {
				t.Errorf("%q is %.2f near to nothing", text, near)
			}
		}
	})
	t.Run("CaseAccentsAndSpacesDoNotMatter", func(t *testing.T) {
		t.Parallel()
		if !slices.Equal(m.Embed("the café in Orleans"), m.Embed("  The CAFE\u0301\nin  Orléans ")) {
			t.Error("the vectors differ")
		}
	})
	t.Run("TheCallerOwnsTheVector", func(t *testing.T) {
		t.Parallel()
		first := m.Embed("a grey cat")
		want := slices.Clone(first)
		clear(m.Embed("a grey cat"))
		if !slices.Equal(want, first) {
			t.Error("a later call changed it")
		}
	})
	t.Run("ManyAtOnceGetTheSame", func(t *testing.T) {
		t.Parallel()
		cases := goldens(t)
		want := make([][]float32, len(cases))
		for i, c := range cases {
			want[i] = m.Embed(c.Text)
		}
		var g sync.WaitGroup
		for range 8 {
			g.Go(func() {
				for i, c := range cases {
					if !slices.Equal(want[i], m.Embed(c.Text)) {
						t.Errorf("%q differs", c.Text)
					}
				}
			})
		}
		g.Wait()
	})
}
