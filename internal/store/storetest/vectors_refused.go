package storetest

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func vectorsModel(t *testing.T, s store.Vectors) {
	want(t, "model of an empty store", store.Model{}, get[store.Model](t)(s.Model(t.Context())))
	must(t, s.Upsert(t.Context(), model, nil))
	want(t, "model before the first point", store.Model{}, get[store.Model](t)(s.Model(t.Context())))
	upsert(t, s, point(newWorkspace(), "a", 0, ""))
	want(t, "model", model, get[store.Model](t)(s.Model(t.Context())))
}

func vectorsMismatch(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, "kept"))
	for name, m := range map[string]store.Model{
		"another name":                  {ID: "sextant", Dimensions: 4},
		"another number of dimensions":  {ID: "compass", Dimensions: 3},
		"a vector of another dimension": model,
		"no model":                      {},
	} {
		p := point(ws, "b", 0, "")
		switch m {
		case model:
			p.Vector = p.Vector[:3]
		case store.Model{}:
		default:
			p.Vector = p.Vector[:m.Dimensions]
		}
		err := s.Upsert(t.Context(), m, []store.Point{point(ws, "c", 0, ""), p})
		if memory.CodeOf(err) != memory.CodeModelMismatch {
			t.Errorf("upsert with %s: %v", name, err)
		}
		for _, mode := range []store.Mode{store.Vector, store.Hybrid} {
			_, err = s.Search(t.Context(), store.VectorQuery{Workspace: ws, Mode: mode, Model: m, Vector: p.Vector, Limit: 1})
			if memory.CodeOf(err) != memory.CodeModelMismatch {
				t.Errorf("%s search with %s: %v", mode, name, err)
			}
		}
	}
	q := byWords(ws, "kept")
	q.Limit = 1
	want(t, "found by words, without a model", []string{"a"}, found(get[[]store.Hit](t)(s.Search(t.Context(), q))))
	want(t, "found", []string{"a"}, found(find(t, s, byVector(ws, 0))))
	want(t, "model", model, get[store.Model](t)(s.Model(t.Context())))
}

func vectorsInvalid(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, "kept"))
	for name, q := range map[string]store.VectorQuery{
		"no limit":     {Workspace: ws, Mode: store.Lexical, Text: "kept"},
		"unknown mode": {Workspace: ws, Mode: "telepathy", Limit: 1, Model: model, Vector: compass(0)},
		"status": {Workspace: ws, Mode: store.Lexical, Text: "kept", Limit: 1, Filter: &store.Filter{
			Op: store.Not, Args: []store.Filter{{Op: store.Eq, Field: "status", Values: []any{"completed"}}}}},
	} {
		if _, err := s.Search(t.Context(), q); memory.CodeOf(err) != memory.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		p := point(ws, "b", 0, "")
		p.Vector[1] = float32(f)
		wantCode(t, s.Upsert(t.Context(), model, []store.Point{p}), memory.CodeInvalid)
	}
}

func vectorsAnyText(t *testing.T, s store.Vectors) {
	ws := newWorkspace()
	upsert(t, s, point(ws, "a", 0, "naïve café №5 OR near AND not"), point(ws, "b", 0, "日本語 текст"))
	for _, text := range StrangeTexts() {
		q := byWords(ws, text)
		q.Limit = 5
		start := time.Now()
		if _, err := s.Search(t.Context(), q); err != nil {
			t.Errorf("%.60q: %v", text, err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%.60q took %v", text, took)
		}
	}
	want(t, "found by a word with an accent", []string{"a"}, found(find(t, s, byWords(ws, "CAFÉ"))))
	want(t, "found by Cyrillic", []string{"b"}, found(find(t, s, byWords(ws, "Текст"))))
	p := point(ws, "c", 0, "the text \x00 of a\"b* 🧙 is \xff stored as it is")
	upsert(t, s, p)
	want(t, "found by a word beside strange ones", []string{"c"}, found(find(t, s, byWords(ws, "stored"))))
}

// StrangeTexts are texts that a full-text search may stumble over.
func StrangeTexts() []string {
	return slices.Concat([]string{
		"", " ", "\x00", "a\x00b", `"`, `""`, `"a`, `a"b"c`, "'", "';--", "*", "a*", "^a", "a:b", "text:a", "{a b}:c", "-a", "+a", "(", ")", "(a", "a)",
		"AND", "a AND", "NOT", "NOT a", "OR", "NEAR", "NEAR(a b, 5)", "NEAR(", "a NEAR b", "rowid:1", "search_words", "\\", "%", "_", "?", "?1", "$x", "@x",
		"🧙", "👨‍👩‍👧‍👦 family", "\u0301", "e\u0301", "\u200d", "\ufeff", "\xff\xfe", "é\xff", "ﬁ", "İ", "ß", "№", "١٢٣", "日本語", "the", "the of and",
		"a.b.c", "a-b-c", "C++", "don't", "\n\t", "\u2028", "\U0010ffff", "\ue000",
	}, long())
}

func long() []string {
	var out []string
	for _, s := range []string{"a", "a ", "\"", "(", "word1 ", "NOT ", "\x00", "🧙", "é", "ab\"*^:-(){} "} {
		b := make([]byte, 0, memory.MaxContentBytes)
		for len(b)+len(s) <= memory.MaxContentBytes {
			b = append(b, s...)
		}
		out = append(out, string(b))
	}
	var many []byte
	for i := 0; len(many) < memory.MaxContentBytes; i++ {
		many = fmt.Appendf(many, "w%d ", i)
	}
	return append(out, string(many))
}
