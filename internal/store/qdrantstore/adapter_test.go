package qdrantstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/qdrantstore/qdranttest"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func put(t *testing.T, s *Store, m store.Model, ps ...store.Point) {
	t.Helper()
	if err := s.Vectors().Upsert(t.Context(), m, ps); err != nil {
		t.Fatal(err)
	}
}

// TestHybridIsTheFusionOfBothLists compares hybrid searches, whichever way they were fused, with the fusion of the lists.
func TestHybridIsTheFusionOfBothLists(t *testing.T) {
	t.Parallel()
	s, m, r := openNew(t, server(t)), store.Model{ID: "random", Dimensions: 3}, rand.New(rand.NewPCG(5, 6))
	random := func() []float32 { return []float32{float32(r.IntN(5) - 2), float32(r.IntN(5) - 2), 1} }
	words := func(n int) string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprint("word", r.IntN(12))
		}
		return strings.Join(out, " ")
	}
	for ws, passages := range []int{1, 3} { // of each memory
		var ps []store.Point
		for i := range 60 {
			for n := range passages {
				ps = append(ps, store.Point{Workspace: fmt.Sprint("w", ws), MemoryID: fmt.Sprintf("m%02d", i), Version: 1, Passage: n, Start: n, Text: words(1 + r.IntN(9)), Vector: random()})
			}
		}
		put(t, s, m, ps...)
	}
	for i := range 60 {
		q := store.VectorQuery{Workspace: fmt.Sprint("w", i%2), Model: m, Vector: random(), Text: words(2)}
		search := func(mode store.Mode, limit int) []store.Hit {
			q.Mode, q.Limit = mode, limit
			hits, err := s.Vectors().Search(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			return hits
		}
		depth := store.Fusion{}.Depth(10)
		want := store.Fusion{}.Fuse(search(store.Vector, depth), search(store.Lexical, depth), 10)
		if d := cmp.Diff(want, search(store.Hybrid, 10), cmpopts.EquateApprox(0, 1e-5), cmpopts.IgnoreFields(store.Hit{}, "Start")); d != "" {
			t.Fatalf("%q in %s: -fused +hybrid:\n%s", q.Text, q.Workspace, d)
		}
	}
}

// TestTextsAreComparedByteByByte holds ranges on texts that differ early, late, and not at all against Match.
func TestTextsAreComparedByteByByte(t *testing.T) {
	t.Parallel()
	s, m := openNew(t, server(t)), store.Model{ID: "flat", Dimensions: 1}
	values := []string{"", "a", "abcde", "abcdef", "abcdeg", "abcdefg", "abcdefgh", "abcdefghijkl", "abcdefghijklm", "abcdefghijkm", "b", "\U0010ffff",
		strings.Repeat("x", 190), strings.Repeat("x", 191), strings.Repeat("x", 200)}
	var ms []memory.Memory
	var ps []store.Point
	for i, v := range values {
		md := memory.Metadata{"k": v}
		ms = append(ms, memory.Memory{ID: fmt.Sprintf("m%02d", i), Metadata: md})
		ps = append(ps, store.Point{Workspace: "w", MemoryID: ms[i].ID, Version: 1, Text: "word", Vector: []float32{1}, Fields: store.Fields{Metadata: md}})
	}
	put(t, s, m, ps...)
	for _, bound := range values[:len(values)-1] {
		for _, op := range []store.Op{store.Eq, store.Gt, store.Gte, store.Lt, store.Lte} {
			f := store.Filter{Op: op, Field: "metadata.k", Values: []any{bound}}
			hits, err := s.Vectors().Search(t.Context(), store.VectorQuery{Workspace: "w", Mode: store.Lexical, Text: "word", Filter: &f, Limit: 50})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for _, h := range hits {
				got[h.MemoryID] = true
			}
			for i := range ms {
				if f.Match(&ms[i]) != got[ms[i].ID] {
					t.Errorf("%.20q %s %.20q is found: %v", values[i], op, bound, got[ms[i].ID])
				}
			}
		}
	}
	f := store.Filter{Op: store.Gt, Field: "metadata.k", Values: []any{strings.Repeat("x", 192)}}
	_, err := s.Vectors().Search(t.Context(), store.VectorQuery{Workspace: "w", Mode: store.Lexical, Text: "word", Filter: &f, Limit: 1})
	if memory.CodeOf(err) != memory.CodeInvalid {
		t.Errorf("a text too long to compare by order: %v", err)
	}
}

// TestAnUpsertDuringASwitchIsRefused lets another process put another model in force while an upsert is on its way.
func TestAnUpsertDuringASwitchIsRefused(t *testing.T) {
	t.Parallel()
	old, next := store.Model{ID: "old", Dimensions: 1}, store.Model{ID: "next", Dimensions: 1}
	var during func()
	var once sync.Once
	address := serve(t, qdranttest.Config{Intercept: func(_ context.Context, _ string, request any) error {
		if up, ok := request.(*qdrant.UpsertPoints); ok && during != nil && strings.HasSuffix(up.GetCollectionName(), ".old.1") {
			once.Do(during)
		}
		return nil
	}})
	p := store.Point{Workspace: "w", MemoryID: "a", Version: 1, Vector: []float32{1}}
	ours, theirs := openAs(t, Config{Address: address}), openAs(t, Config{Address: address})
	put(t, ours, old, p)
	if _, err := (vectors{theirs}).Begin(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	during = func() {
		if err := (vectors{theirs}).Switch(t.Context(), next); err != nil {
			t.Error(err)
		}
	}
	p.MemoryID = "b"
	if err := ours.Vectors().Upsert(t.Context(), old, []store.Point{p}); memory.CodeOf(err) != memory.CodeModelMismatch || !memory.Retryable(err) {
		t.Errorf("an upsert of the model before: %v", err)
	}
}

// TestOneOfManySettlesTheModel has many processes settle models at once, and change what is stored of a move.
func TestOneOfManySettlesTheModel(t *testing.T) {
	t.Parallel()
	address := serve(t, qdranttest.Config{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	settled := map[string]bool{}
	for i := range 4 {
		s, m := openAs(t, Config{Address: address}), store.Model{ID: fmt.Sprint("m", i), Dimensions: 1}
		wg.Go(func() {
			err := s.Vectors().Upsert(t.Context(), m, []store.Point{{Workspace: "w", MemoryID: m.ID, Version: 1, Vector: []float32{1}}})
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				settled[m.ID] = true
			} else if memory.CodeOf(err) != memory.CodeModelMismatch {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(settled) != 1 {
		t.Errorf("%v settled the model", settled)
	}
	for _, letter := range []string{"a", "b", "c", "d"} {
		s := openAs(t, Config{Address: address})
		wg.Go(func() {
			err := s.change(t.Context(), func(st *state) error {
				if !strings.Contains(st.Progress, letter) {
					st.Progress += letter
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if st, err := openAs(t, Config{Address: address}).readState(t.Context()); err != nil || len(st.Progress) != 4 {
		t.Errorf("the progress is %q, %v: a change was lost", st.Progress, err)
	}
}

func TestCheckSaysWhatToRun(t *testing.T) {
	t.Parallel()
	s, m := openAs(t, Config{Address: serve(t, qdranttest.Config{}), Prefix: "check"}), store.Model{ID: "text/embed", Dimensions: 2}
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "switchyard migrate") {
		t.Errorf("nothing is there: %v", err)
	}
	for range 2 {
		if err := s.Migrate(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("all is there: %v", err)
	}
	if _, err := s.client.DeleteFieldIndex(t.Context(), &qdrant.DeleteFieldIndexCollection{CollectionName: s.nameOf(m), Wait: new(true), FieldName: fieldTags}); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "the index of tags") {
		t.Errorf("an index is missing: %v", err)
	}
	late, err := Open(t.Context(), Config{Address: serve(t, qdranttest.Config{Version: "1.18.2"})})
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if err := late.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("an old server: %v", err)
	}
}

func TestFaultsHaveCodes(t *testing.T) {
	t.Parallel()
	for c, want := range map[codes.Code]memory.Code{
		codes.Unavailable: memory.CodeUnavailable, codes.Internal: memory.CodeUnavailable, codes.DeadlineExceeded: memory.CodeTimeout,
		codes.Unauthenticated: memory.CodeUnavailable, codes.InvalidArgument: memory.CodeRefused, codes.NotFound: memory.CodeUnavailable,
	} {
		address := serve(t, qdranttest.Config{Intercept: func(context.Context, string, any) error { return status.Error(c, "planted") }})
		if err := openAs(t, Config{Address: address}).Ping(t.Context()); memory.CodeOf(err) != want {
			t.Errorf("%s became %v, want %s", c, err, want)
		}
	}
	address := serve(t, qdranttest.Config{APIKey: "secret"})
	if err := openAs(t, Config{Address: address, APIKey: "secret"}).Ping(t.Context()); err != nil {
		t.Errorf("with the key: %v", err)
	}
	if err := openAs(t, Config{Address: address, APIKey: "other"}).Ping(t.Context()); memory.CodeOf(err) != memory.CodeUnavailable {
		t.Errorf("with another key: %v", err)
	}
	if err := openAs(t, Config{Address: "127.0.0.1:1"}).Ping(t.Context()); memory.CodeOf(err) != memory.CodeUnavailable {
		t.Errorf("without a server: %v", err)
	}
}
