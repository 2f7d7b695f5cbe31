package search_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/search"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// vectors answers every search with the first of its hits.
type vectors struct {
	store.Vectors
	hits  []store.Hit
	asked []store.VectorQuery
}

func (v *vectors) Search(_ context.Context, q store.VectorQuery) ([]store.Hit, error) {
	v.asked = append(v.asked, q)
	return append([]store.Hit{}, v.hits[:min(len(v.hits), q.Limit)]...), nil
}

type memories struct {
	store.Memories
	stored []memory.Memory
}

func (ms memories) Get(_ context.Context, workspace string, ids ...string) ([]memory.Memory, error) {
	var out []memory.Memory
	for _, id := range ids {
		for _, m := range ms.stored {
			if m.ID == id && m.Workspace == workspace {
				out = append(out, m)
			}
		}
	}
	return out, nil
}

// graph has one node for each memory.
type graph struct {
	store.Graph
	err   error
	depth int
}

func (g *graph) Of(_ context.Context, _ string, ids ...string) ([]memory.Node, error) {
	var out []memory.Node
	for _, id := range ids {
		out = append(out, memory.Node{ID: "nod_" + id})
	}
	return out, g.err
}

func (g *graph) Neighbours(_ context.Context, _ string, ids []string, depth, _ int) (memory.Graph, error) {
	g.depth = depth
	return memory.Graph{Nodes: []memory.Node{{ID: strings.Join(ids, "+")}}}, nil
}

type rig struct {
	*search.Searcher
	vectors  *vectors
	graph    *graph
	embedder *llmtest.Fake
}

func newRig(hits []store.Hit, stored ...memory.Memory) rig {
	r := rig{vectors: &vectors{hits: hits}, graph: &graph{}, embedder: &llmtest.Fake{}}
	r.Searcher = search.New(search.Parts{
		Memories: memories{stored: stored}, Vectors: r.vectors, Graph: r.graph, Embedder: r.embedder,
	}, search.Config{PassageBytes: 5})
	return r
}

func mem(id string, version int, s memory.Status) memory.Memory {
	return memory.Memory{ID: id, Workspace: "w", Version: version, Status: s, Content: "Tötö ran away. Dorothy followed.",
		Steps: []memory.Receipt{{Name: memory.StepIndex}}}
}

func hit(id string, version int, score float64) store.Hit {
	return store.Hit{MemoryID: id, Version: version, Start: 17, End: 34, Score: score, Vector: &score}
}

func ids(a search.Answer) []string {
	out := []string{}
	for _, it := range a.Items {
		out = append(out, it.Memory.ID)
	}
	return out
}

func find(t *testing.T, r rig, q search.Query) search.Answer {
	t.Helper()
	q.Workspace = "w"
	if q.Limit == 0 {
		q.Limit = 10
	}
	a, err := r.Find(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestWhoIsACandidateDoesNotHangOnIDs has x and y, which are equally good, at the places 50 and 51, in either order. Only y
// occurred together with the best hit, so if it were a candidate now and then, its score would come and go.
func TestWhoIsACandidateDoesNotHangOnIDs(t *testing.T) {
	t.Parallel()
	at := time.Date(1900, time.May, 17, 0, 0, 0, 0, time.UTC)
	answer := func(last ...string) map[string]float64 {
		var hits []store.Hit
		var stored []memory.Memory
		for i := range 49 {
			hits = append(hits, hit(fmt.Sprintf("m%02d", i), 1, 1-float64(i)/100))
		}
		for _, id := range last {
			hits = append(hits, hit(id, 1, 0.4))
		}
		for i := range hits {
			stored = append(stored, mem(hits[i].MemoryID, 1, memory.StatusCompleted))
			if hits[i].OccurredAt = at.Add(time.Duration(i) * time.Hour); hits[i].MemoryID == "y" {
				hits[i].OccurredAt = at
			}
		}
		scores := map[string]float64{}
		for _, item := range find(t, newRig(hits, stored...), search.Query{Text: "x", Limit: 40}).Items {
			scores[item.Memory.ID] = item.Score
		}
		return scores
	}
	if diff := cmp.Diff(answer("x", "y"), answer("y", "x")); diff != "" {
		t.Errorf("-x first +y first:\n%s", diff)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	t.Run("GivesTheMemoryItsScoresAndPassage", func(t *testing.T) {
		t.Parallel()
		r := newRig([]store.Hit{hit("a", 1, 0.5)}, mem("a", 1, memory.StatusCompleted))
		got := find(t, r, search.Query{Text: "who followed?"})
		want := mem("a", 1, memory.StatusCompleted)
		want.Steps = nil
		half := 0.5
		if diff := cmp.Diff([]search.Item{{Memory: want, Score: 0.5, Scores: search.Scores{Vector: &half}, Passage: "Dorothy followed."}}, got.Items); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		q := r.vectors.asked[0]
		if q.Mode != store.Hybrid || q.Model.ID != r.embedder.Model() || q.Model.Dimensions != len(q.Vector) || len(q.Vector) == 0 || q.Text != "who followed?" {
			t.Errorf("asked %+v", q)
		}
	})
	t.Run("LeavesOutWhatMayNotBeShown", func(t *testing.T) {
		t.Parallel()
		hits := []store.Hit{hit("gone", 1, 1), hit("failed", 1, 1), hit("being_changed", 1, 1), hit("cancelled", 1, 1), hit("replaced", 1, 1), hit("far", 1, 0.1)}
		r := newRig(hits, mem("failed", 1, memory.StatusFailed), mem("being_changed", 2, memory.StatusProcessing),
			mem("cancelled", 1, memory.StatusCancelled), mem("replaced", 2, memory.StatusCancelled), mem("far", 1, memory.StatusCompleted))
		got := find(t, r, search.Query{Text: "x", MinScore: 0.2})
		if diff := cmp.Diff([]string{"being_changed", "cancelled"}, ids(got)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if p := got.Items[0].Passage; p != "Töt" { // 5 bytes of its new content, whole runes
			t.Errorf("passage %q", p)
		}
	})
	t.Run("LooksFurtherWhereFewAreLeft", func(t *testing.T) {
		t.Parallel()
		var hits []store.Hit
		for i := range 200 {
			hits = append(hits, hit(fmt.Sprintf("gone%d", i), 1, 1))
		}
		hits = append(hits, hit("a", 1, 0.9))
		r := newRig(hits, mem("a", 1, memory.StatusCompleted))
		if diff := cmp.Diff([]string{"a"}, ids(find(t, r, search.Query{Text: "x", Limit: 1}))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if r.embedder.Stats().Total() != 1 {
			t.Errorf("the query was embedded %d times", r.embedder.Stats().Total())
		}
	})
	t.Run("FindsNothingAsAnEmptyList", func(t *testing.T) {
		t.Parallel()
		b, err := json.Marshal(find(t, newRig(nil), search.Query{Text: "x", Expand: 3}))
		if err != nil || string(b) != `{"items":[],"graph":{"nodes":[],"relationships":[]}}` {
			t.Errorf("got %s, %v", b, err)
		}
	})
}

func TestFilterOnStatus(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		filter  string
		indexed string // what the vectors were asked for, by field names
		want    []string
	}{
		"Alone":       {`{"status":"completed"}`, "", []string{"done"}},
		"WithAnother": {`{"status":"completed","external_id":{"exists":false}}`, "external_id", []string{"done"}},
		"WithinOr":    {`{"or":[{"status":"degraded"},{"external_id":"x"}]}`, "", []string{"half"}},
		"NotAtAll":    {`{"external_id":{"exists":false}}`, "external_id", []string{"done", "half"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := store.ParseFilter(json.RawMessage(tc.filter), "/filter")
			if err != nil {
				t.Fatal(err)
			}
			r := newRig([]store.Hit{hit("done", 1, 1), hit("half", 1, 1)}, mem("done", 1, memory.StatusCompleted), mem("half", 1, memory.StatusDegraded))
			if diff := cmp.Diff(tc.want, ids(find(t, r, search.Query{Text: "x", Filter: f}))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			asked := r.vectors.asked[0].Filter
			if asked.Names("status") || asked.Names("external_id") != (tc.indexed != "") {
				t.Errorf("the vectors were asked for %+v", asked)
			}
		})
	}
}

func TestWithoutTheEmbedder(t *testing.T) {
	t.Parallel()
	away := func(context.Context, llmtest.Call) error {
		return memory.Errorf(memory.CodeUnavailable, "the model is away")
	}
	t.Run("HybridGoesByWordsAndSaysSo", func(t *testing.T) {
		t.Parallel()
		r := newRig([]store.Hit{hit("a", 1, 1)}, mem("a", 1, memory.StatusCompleted))
		r.embedder.Fault = away
		got := find(t, r, search.Query{Text: "x"})
		if got.Degraded != "vector search is unavailable" || len(got.Items) != 1 || r.vectors.asked[0].Mode != store.Lexical {
			t.Errorf("got %+v in mode %s", got, r.vectors.asked[0].Mode)
		}
	})
	t.Run("VectorIsUnavailable", func(t *testing.T) {
		t.Parallel()
		r := newRig(nil)
		r.embedder.Fault = away
		if _, err := r.Find(t.Context(), search.Query{Text: "x", Mode: store.Vector, Limit: 1}); memory.CodeOf(err) != memory.CodeUnavailable {
			t.Errorf("got %v", err)
		}
	})
	t.Run("LexicalDoesNotAskIt", func(t *testing.T) {
		t.Parallel()
		r := newRig(nil)
		r.embedder.Fault = away
		if got := find(t, r, search.Query{Text: "x", Mode: store.Lexical}); got.Degraded != "" || r.embedder.Stats().Total() != 0 {
			t.Errorf("got %+v after %d calls", got, r.embedder.Stats().Total())
		}
	})
}

func TestExpand(t *testing.T) {
	t.Parallel()
	hits, stored := []store.Hit{hit("a", 1, 1), hit("b", 1, 0.5)}, []memory.Memory{mem("a", 1, memory.StatusCompleted), mem("b", 1, memory.StatusCompleted)}
	t.Run("AroundWhatWasFound", func(t *testing.T) {
		t.Parallel()
		r := newRig(hits, stored...)
		got := find(t, r, search.Query{Text: "x", Expand: 2})
		if len(got.Graph.Nodes) != 1 || got.Graph.Nodes[0].ID != "nod_a+nod_b" || r.graph.depth != 2 {
			t.Errorf("got %+v at depth %d", got.Graph, r.graph.depth)
		}
	})
	t.Run("NotUnlessAsked", func(t *testing.T) {
		t.Parallel()
		if got := find(t, newRig(hits, stored...), search.Query{Text: "x"}); len(got.Graph.Nodes) != 0 {
			t.Errorf("got %+v", got.Graph)
		}
	})
	t.Run("WithoutTheGraphTheAnswerSaysSo", func(t *testing.T) {
		t.Parallel()
		r := newRig(hits, stored...)
		r.graph.err = errors.New("away")
		if got := find(t, r, search.Query{Text: "x", Expand: 1}); got.Degraded != "the graph is unavailable" || len(got.Items) != 2 {
			t.Errorf("got %+v", got)
		}
	})
}

// judge scores by the first byte of a text.
type judge struct {
	scores map[byte]float64
	err    error
	asked  []string
}

func (j *judge) Rerank(_ context.Context, _ string, texts []string) (llm.Ranking, error) {
	j.asked = texts
	r := llm.Ranking{Usage: llm.Usage{Model: "judge/1", Tokens: 7, CostUSD: 0.5}}
	for _, text := range texts {
		r.Scores = append(r.Scores, j.scores[text[0]])
	}
	return r, j.err
}

func TestRerank(t *testing.T) {
	t.Parallel()
	newRig := func(j llm.Reranker) rig {
		var hits []store.Hit
		var stored []memory.Memory
		for i, id := range []string{"a", "b", "c", "d"} {
			m := mem(id, 1, memory.StatusCompleted)
			m.Content = id + " is here"
			h := hit(id, 1, 0.9-float64(i)/10)
			h.Start, h.End = 0, len(m.Content)
			hits, stored = append(hits, h), append(stored, m)
		}
		r := newRig(hits, stored...)
		r.Searcher = search.New(search.Parts{Memories: memories{stored: stored}, Vectors: r.vectors, Graph: r.graph, Embedder: r.embedder, Reranker: j}, search.Config{})
		return r
	}
	scores := map[byte]float64{'a': 0.2, 'b': 0.5, 'c': 0.5, 'd': 1}
	for name, row := range map[string]struct {
		judge    llm.Reranker
		query    search.Query
		want     []string
		degraded string
		used     bool
	}{
		"OrdersByTheJudgementAndKeepsTies": {&judge{scores: scores}, search.Query{}, []string{"d", "b", "c", "a"}, "", true},
		"FindsWhatTheLimitWouldHaveCut":    {&judge{scores: scores}, search.Query{Limit: 1}, []string{"d"}, "", true},
		"HoldsMinScoreAgainstTheJudgement": {&judge{scores: scores}, search.Query{MinScore: 0.5}, []string{"d", "b", "c"}, "", true},
		"StaysInOrderWhereTheLLMIsAway":    {&judge{scores: scores, err: errors.New("away")}, search.Query{Limit: 2, MinScore: 0.7}, []string{"a", "b"}, "the LLM did not judge", true},
		"StaysInOrderWithoutAnLLM":         {nil, search.Query{Limit: 2}, []string{"a", "b"}, "none is set", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.query.Rerank, row.query.Text = true, "who is here?"
			a := find(t, newRig(row.judge), row.query)
			if diff := cmp.Diff(row.want, ids(a)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if (row.degraded == "") != (a.Degraded == "") || !strings.Contains(a.Degraded, row.degraded) {
				t.Errorf("degraded %q", a.Degraded)
			}
			if (a.Usage != nil) != row.used || row.used && (a.Usage.Tokens != 7 || a.Usage.CostUSD != 0.5 || a.Usage.Model != "judge/1") {
				t.Errorf("usage %+v", a.Usage)
			}
			for _, it := range a.Items {
				if (it.Scores.Rerank != nil) != (row.degraded == "") || it.Scores.Rerank != nil && *it.Scores.Rerank != it.Score {
					t.Errorf("scores %+v, ranked by %v", it.Scores, it.Score)
				}
			}
		})
	}
	t.Run("IsNotDoneUnasked", func(t *testing.T) {
		t.Parallel()
		j := &judge{scores: scores}
		if a := find(t, newRig(j), search.Query{Text: "x"}); j.asked != nil || a.Usage != nil || ids(a)[0] != "a" {
			t.Errorf("asked %v, got %v", j.asked, ids(a))
		}
	})
}
