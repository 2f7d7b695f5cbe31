//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestProductionDoesTheSame sends one file through the production set-up and through the embedded one: statuses, the graph
// with who says what, and the ten best answers of searches, up to ties, are the same. The file is the beginning of the book,
// or SWITCHYARD_TEST_MEMORIES (NDJSON, each memory with an external id). Which of two names of one thing a graph takes hangs on which memory was first
// (internal/docs/aliases.md), so with a file of which that is true, a node may differ from run to run; in the book none is.
func TestProductionDoesTheSame(t *testing.T) {
	lines := sameFile(t)
	c := newCluster(t, "")
	alone := start(t)
	production, embedded := outcomeOf(c.ctx, t, c.a.Client(), lines), outcomeOf(c.ctx, t, alone.Client(), lines)
	if diff := cmp.Diff(embedded.statuses, production.statuses); diff != "" {
		t.Error("statuses (-embedded +production):\n" + diff)
	}
	if diff := cmp.Diff(embedded.nodes, production.nodes); diff != "" {
		t.Error("nodes (-embedded +production):\n" + diff)
	}
	if diff := cmp.Diff(embedded.relationships, production.relationships); diff != "" {
		t.Error("relationships (-embedded +production):\n" + diff)
	}
	for query, want := range embedded.found {
		if diff := cmp.Diff(want, production.found[query], cmpopts.EquateApprox(0, alike)); diff != "" {
			t.Errorf("%q (-embedded +production):\n%s", query, diff)
		}
	}
	if len(production.nodes) == 0 || len(production.relationships) == 0 {
		t.Error("there is no graph to compare")
	}
	t.Logf("%d memories, %d nodes, %d relationships, %d searches",
		len(production.statuses), len(production.nodes), len(production.relationships), len(production.found))
	c.erase()
}

// sameMemories is how much of the book is sent.
const sameMemories = 256

func sameFile(t *testing.T) []byte {
	t.Helper()
	if file := os.Getenv("SWITCHYARD_TEST_MEMORIES"); file != "" {
		raw, err := os.ReadFile(file)
		must(t, err)
		return raw
	}
	texts, err := Book("../..")
	must(t, err)
	return Lines("oz", texts[:sameMemories])
}

type outcome struct {
	statuses      map[string]memory.Status // by external id
	nodes         map[string][]string      // external ids of the memories that speak of each
	relationships map[string][]string      // and of those that say so
	found         map[string][]answer      // best first
}

func outcomeOf(ctx context.Context, t *testing.T, api *client.Client, lines []byte) outcome {
	t.Helper()
	b, err := api.UploadBatch(ctx, bytes.NewReader(lines), client.BatchOptions{Name: "same"})
	must(t, err)
	start := time.Now()
	b, err = api.WaitForBatch(ctx, b.ID, nil)
	must(t, err)
	t.Logf("%s with %+v in %v", b.Status, b.Counts, time.Since(start).Round(time.Second))
	o := outcome{statuses: map[string]memory.Status{}, found: map[string][]answer{}}
	var contents []string
	names := map[string]string{}
	for m, err := range api.ListMemories(ctx, client.MemoryQuery{}) {
		must(t, err)
		o.statuses[m.ExternalID] = m.Status
		contents, names[m.ID] = append(contents, m.Content), m.ExternalID
	}
	o.graph(ctx, t, api, names)
	slices.Sort(contents)
	for i := 0; i < len(contents); i += max(1, len(contents)/40) {
		words := strings.Fields(contents[i])
		query := strings.Join(words[:min(8, len(words))], " ")
		o.found[query] = best(ctx, t, api, query)
	}
	return o
}

// mostSources is how many memories a node or relationship names at most.
const mostSources = 100

// graph reads all nodes and, from each, its relationships. names are the external ids of the memories.
func (o *outcome) graph(ctx context.Context, t *testing.T, api *client.Client, names map[string]string) {
	t.Helper()
	o.nodes, o.relationships = map[string][]string{}, map[string][]string{}
	who := func(ids []string) (out []string) {
		if len(ids) == mostSources { // which hundred of more hangs on their ids
			return []string{"a hundred or more"}
		}
		for _, id := range ids {
			out = append(out, names[id])
		}
		slices.Sort(out)
		return out
	}
	for n, err := range api.Nodes(ctx, "", "") {
		must(t, err)
		o.nodes[n.Type+" "+n.Name] = who(n.MemoryIDs)
		around, err := api.Neighbours(ctx, n.ID, 1)
		must(t, err)
		called := map[string]string{n.ID: n.Type + " " + n.Name}
		for _, other := range around.Nodes {
			called[other.ID] = other.Type + " " + other.Name
		}
		for _, r := range around.Relationships {
			o.relationships[called[r.From]+" -"+r.Type+"-> "+called[r.To]] = who(r.MemoryIDs)
		}
	}
}

// An answer is a score, and the content of the memory that has it, unless others have it too.
type answer struct {
	Score   float64
	Content string
}

// alike is how close scores are that count as the same.
const alike = 1e-3

// best are the ten best answers.
func best(ctx context.Context, t *testing.T, api *client.Client, query string) (out []answer) {
	t.Helper()
	res, err := api.Search(ctx, client.SearchQuery{Query: query, Limit: 11})
	must(t, err)
	tied := func(i, j int) bool {
		return j >= 0 && j < len(res.Items) && math.Abs(res.Items[i].Score-res.Items[j].Score) < 2*alike
	}
	for i, h := range res.Items[:min(10, len(res.Items))] {
		a := answer{Score: h.Score}
		if !tied(i, i-1) && !tied(i, i+1) {
			a.Content = h.Memory.Content
		}
		out = append(out, a)
	}
	return out
}
