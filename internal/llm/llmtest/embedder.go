package llmtest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/llm"
)

// Embedder is the suite for embedders. open makes a new one; it may register clean-up with tb.
func Embedder(t *testing.T, open func(tb testing.TB) llm.Embedder) {
	for name, test := range map[string]func(*testing.T, llm.Embedder){
		"EmptyListIsAnsweredByEmptyList":    embedNothing,
		"OneNormalisedVectorATextInOrder":   embedInOrder,
		"MeaningIsNearness":                 embedMeaning,
		"EveryTextHasAVector":               embedEveryText,
		"WhatIsCutIsSaid":                   embedLong,
		"ModelIsNamed":                      embedNamed,
		"CancelledContextIsInterrupted":     embedStopped,
		"SeveralMayCallAtOnce":              embedTogether,
		"LargePagesAreAnsweredCompletely":   embedPage,
		"SameTextHasSameVectorInAnyCompany": embedCompany,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func embed(t *testing.T, e llm.Embedder, texts ...string) [][]float32 {
	t.Helper()
	v, err := e.Embed(t.Context(), texts)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Vectors) != len(texts) {
		t.Fatalf("%d vectors for %d texts", len(v.Vectors), len(texts))
	}
	return v.Vectors
}

func embedNothing(t *testing.T, e llm.Embedder) {
	for _, texts := range [][]string{nil, {}} {
		v, err := e.Embed(t.Context(), texts)
		if err != nil || len(v.Vectors) != 0 {
			t.Errorf("Embed(%#v) = %d vectors, %v", texts, len(v.Vectors), err)
		}
	}
}

func embedInOrder(t *testing.T, e llm.Embedder) {
	texts := []string{"the wicked witch melted away", "invoices are due in March", "a recipe for apple pie"}
	vs := embed(t, e, texts...)
	for i, v := range vs {
		if len(v) != len(vs[0]) || math.Abs(length(v)-1) > 1e-3 {
			t.Errorf("vector %d has %d dimensions and length %f, want %d and 1", i, len(v), length(v), len(vs[0]))
		}
		if alone := embed(t, e, texts[i])[0]; cosine(alone, v) < 0.999 {
			t.Errorf("text %d is not what vector %d stands for: cosine %f", i, i, cosine(alone, v))
		}
	}
}

func embedMeaning(t *testing.T, e llm.Embedder) {
	vs := embed(t, e, "Dorothy lived on the prairies of Kansas", "Dorothy lived in Kansas with her uncle",
		"the quarterly tax report is overdue")
	if near, far := cosine(vs[0], vs[1]), cosine(vs[0], vs[2]); near <= far {
		t.Errorf("cosine of related texts %f, of unrelated ones %f", near, far)
	}
}

func embedEveryText(t *testing.T, e llm.Embedder) {
	texts := []string{""}
	for _, s := range samples() {
		texts = append(texts, s)
	}
	for i, v := range embed(t, e, texts...) {
		if math.Abs(length(v)-1) > 1e-3 { // also NaN
			t.Errorf("vector of %.30q has length %f", texts[i], length(v))
		}
	}
}

func embedLong(t *testing.T, e llm.Embedder) {
	long := strings.Repeat("the yellow brick road goes on and on. ", 2_600)
	v, err := e.Embed(t.Context(), []string{long + "It ends at the gate.", long + "Nobody sells umbrellas."})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(v.Vectors[0], v.Vectors[1]) && v.Usage.Notice == "" {
		t.Error("the end of a long text makes no difference, and no notice says that it was cut")
	}
}

func embedNamed(t *testing.T, e llm.Embedder) {
	v, err := e.Embed(t.Context(), []string{"x"})
	if err != nil || e.Model() == "" || v.Usage.Model != e.Model() || v.Usage.Tokens < 0 || v.Usage.CostUSD < 0 {
		t.Errorf("model %q, usage %+v, error %v", e.Model(), v.Usage, err)
	}
}

func embedStopped(t *testing.T, e llm.Embedder) {
	stopped(t, func(ctx context.Context) error {
		_, err := e.Embed(ctx, []string{"x"})
		return err
	})
}

func embedTogether(t *testing.T, e llm.Embedder) {
	want := embed(t, e, oz)[0]
	together(func() {
		v, err := e.Embed(t.Context(), []string{oz})
		if err != nil || len(v.Vectors) != 1 || cosine(v.Vectors[0], want) < 0.999 {
			t.Errorf("%d vectors, error %v", len(v.Vectors), err)
		}
	})
}

func embedPage(t *testing.T, e llm.Embedder) {
	texts := make([]string, 300)
	for i := range texts {
		texts[i] = fmt.Sprintf("room %d of the palace", i)
	}
	embed(t, e, texts...)
}

func embedCompany(t *testing.T, e llm.Embedder) {
	vs := embed(t, e, oz, "something else", oz)
	if cosine(vs[0], vs[2]) < 0.9999 {
		t.Errorf("the same text twice in a page: cosine %f", cosine(vs[0], vs[2]))
	}
}
