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

func TestEmbedAllocatesOnlyTheVector(t *testing.T) { // not parallel: it counts allocations
	m := load(t)
	m.Embed("warm the buffers up with a text of some length")
	got := testing.AllocsPerRun(200, func() { m.Embed("Nora adopted a grey cat from the shelter.") })
	if got > 2 { // the vector, and a buffer that a garbage collection took
		t.Errorf("%.1f allocations", got)
	}
}

// paraphrases are triples: a text, the same in other words, and a stranger that shares a word with the first.
var paraphrases = [][3]string{
	{"Nora adopted a cat from the shelter", "She gave a rescued kitten a home", "Nora has a meeting about the budget"},
	{"The meeting was moved to Friday", "We rescheduled the appointment", "On Friday he baked a loaf of bread"},
	{"He is allergic to peanuts", "Nuts make him ill", "He is married to Susan"},
	{"I lost my job last week", "They fired me from work", "Last week it snowed in the mountains"},
	{"The server crashed during the night", "There was an outage of the system", "We danced all night at her wedding"},
	{"My sister is expecting a baby", "She is pregnant", "My sister sold her bicycle"},
	{"We are going to the beach on holiday", "A vacation by the sea", "We are going to paint the kitchen"},
	{"The doctor prescribed antibiotics", "A physician gave me medicine", "The doctor bought a guitar"},
	{"She plays the violin in an orchestra", "A musician with the symphony", "She works in an office"},
	{"The price of the flat went up", "Rent for the apartment increased", "We went up the hill with the dog"},
	{"He repaired the car himself", "Fixing the vehicle", "He taught himself French"},
	{"I cannot sleep at night", "She suffers from insomnia", "I cannot find my umbrella"},
	{"The children built a snowman", "Kids playing in winter weather", "The children ate all of the cake"},
	{"They won the football match", "Victory for the soccer team", "They rented a house in Spain"},
	{"The boat sank in the storm", "A ship went down in rough weather", "In the end the jury found him guilty"},
	{"She wants to become a lawyer", "A career as an attorney", "She wants to sleep"},
	{"He cooked pasta for dinner", "An Italian meal in the evening", "He apologised for the noise"},
	{"The password must be changed", "Update your login credentials", "The baby must be fed"},
	{"Grandfather died in the spring", "We mourn the death of grandpa", "In the spring prices fell"},
	{"I am learning to speak Spanish", "Studying a foreign language", "I am waiting for the plumber"},
	{"The company laid off workers", "Employees were dismissed by the firm", "The company of her cat cheers her up"},
	{"It rained the whole day", "The weather was wet", "She read the whole book"},
	{"He proposed to his girlfriend", "They got engaged to be married", "He sent his boss the report"},
	{"The train was late again", "A delay on the railway", "The soup was salty again"},
}

func TestParaphrasesAreNearerThanStrangers(t *testing.T) {
	t.Parallel()
	m, right := load(t), 0
	for _, p := range paraphrases {
		text := m.Embed(p[0])
		same, stranger := dot(text, m.Embed(p[1])), dot(text, m.Embed(p[2]))
		if same > stranger {
			right++
			continue
		}
		t.Logf("%q: %.2f to its paraphrase, %.2f to the stranger", p[0], same, stranger)
	}
	if want := 0.7 * float64(len(paraphrases)); float64(right) < want {
		t.Errorf("%d of %d paraphrases are nearer", right, len(paraphrases))
	}
}
