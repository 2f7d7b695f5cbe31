package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// useCases asks the LLM what the memory could serve for.
func (p *Pipeline) useCases(ctx context.Context, d memory.Draft) Result {
	a, err := p.parts.Extractor.UseCases(ctx, llm.Question{Content: d.Memory.Content, Metadata: d.Memory.Metadata})
	if err != nil {
		return Result{Usage: a.Usage, Err: fmt.Errorf("use cases of %s: %w", d.Memory.ID, err)}
	}
	return Result{Output: memory.Output{UseCases: a.UseCases}, Usage: a.Usage}
}

// related embeds the page in one call, the only time that it is embedded, and finds the memories near each draft.
func (p *Pipeline) related(ctx context.Context, page []memory.Draft) []Result {
	embeddings, usages, err := p.embed(ctx, page)
	if err != nil {
		return fail(page, fmt.Errorf("embed a page of %d: %w", len(page), err))
	}
	out := make([]Result, len(page))
	near, err := p.near(ctx, page, embeddings)
	for i := range page {
		out[i].Usage = usages[i]
		if err != nil {
			out[i].Err = fmt.Errorf("memories related to a page of %d: %w", len(page), err)
			continue
		}
		out[i].Output = memory.Output{Related: near[i], Embedding: embeddings[i]}
	}
	return out
}

// embed makes the vectors of all passages of the page in one call and shares its usage out by length.
func (p *Pipeline) embed(ctx context.Context, page []memory.Draft) ([]*memory.Embedding, []llm.Usage, error) {
	embeddings := make([]*memory.Embedding, len(page))
	var texts []string
	total := 0
	for i, d := range page {
		embeddings[i] = &memory.Embedding{Passages: passages(d.Memory.Content, p.cfg.PassageBytes)}
		for _, x := range embeddings[i].Passages {
			texts = append(texts, d.Memory.Content[x.Start:x.End])
		}
		total += len(d.Memory.Content)
	}
	answer, err := p.parts.Embedder.Embed(ctx, texts)
	if err != nil {
		return nil, nil, err
	}
	usages, next := make([]llm.Usage, len(page)), 0
	for i, e := range embeddings {
		e.Model = answer.Usage.Model
		for j := range e.Passages {
			e.Passages[j].Vector = answer.Vectors[next]
			next++
		}
		usages[i] = share(answer.Usage, len(page[i].Memory.Content), total)
	}
	return embeddings, usages, nil
}

func share(u llm.Usage, part, whole int) llm.Usage {
	f := float64(part) / float64(max(whole, 1))
	u.Tokens = int(math.Round(float64(u.Tokens) * f))
	u.CostUSD *= f
	return u
}

// near finds the memories near each of the page, in one call.
func (p *Pipeline) near(ctx context.Context, page []memory.Draft, embeddings []*memory.Embedding) ([][]memory.Related, error) {
	qs := make([]store.VectorQuery, len(page))
	for i, d := range page {
		v := mean(embeddings[i].Passages)
		qs[i] = store.VectorQuery{
			Workspace: d.Memory.Workspace, Mode: store.Vector, Vector: v, Exclude: []string{d.Memory.ID}, Limit: p.cfg.Related,
			Model: store.Model{ID: embeddings[i].Model, Dimensions: len(v)},
		}
	}
	answers, err := p.parts.Vectors.Nearest(ctx, qs)
	out := make([][]memory.Related, len(answers))
	for i, hits := range answers {
		out[i] = []memory.Related{}
		for _, h := range hits {
			if h.Score >= p.cfg.MinRelated {
				out[i] = append(out[i], memory.Related{ID: h.MemoryID, Score: h.Score})
			}
		}
	}
	return out, err
}

// mean is the normalised mean of the passages' vectors.
func mean(ps []memory.Passage) []float32 {
	if len(ps) == 1 {
		return ps[0].Vector
	}
	sum := make([]float32, len(ps[0].Vector))
	for _, p := range ps {
		for i, x := range p.Vector {
			sum[i] += x
		}
	}
	var square float64
	for _, x := range sum {
		square += float64(x) * float64(x)
	}
	if square == 0 {
		return ps[0].Vector
	}
	norm := float32(1 / math.Sqrt(square))
	for i := range sum {
		sum[i] *= norm
	}
	return sum
}

// schema asks the LLM for the memory's graph, in the light of its use cases and of related memories.
func (p *Pipeline) schema(ctx context.Context, d memory.Draft) Result {
	q, err := p.question(ctx, d)
	if err != nil {
		return failed(fmt.Errorf("context for the schema of %s: %w", d.Memory.ID, err))
	}
	a, err := p.parts.Extractor.Graph(ctx, q)
	if err != nil {
		return Result{Usage: a.Usage, Err: fmt.Errorf("schema of %s: %w", d.Memory.ID, err)}
	}
	p.unify(ctx, d, &a)
	return Result{Output: memory.Output{Graph: graphOf(d.Memory.Workspace, a)}, Usage: a.Usage}
}

func (p *Pipeline) question(ctx context.Context, d memory.Draft) (llm.Question, error) {
	q := llm.Question{Content: d.Memory.Content, Metadata: d.Memory.Metadata, UseCases: d.Memory.UseCases}
	schema, err := p.workspaceSchema(ctx, d.Memory.Workspace)
	if err != nil {
		return q, err
	}
	q.Schema = schema
	ids := make([]string, len(d.Memory.Related))
	for i, r := range d.Memory.Related {
		ids[i] = r.ID
	}
	near, err := p.parts.Memories.Get(ctx, d.Memory.Workspace, ids...)
	for _, m := range near {
		q.Related = append(q.Related, m.Content)
	}
	return q, err
}

func (p *Pipeline) workspaceSchema(ctx context.Context, workspace string) (llm.Schema, error) {
	var schema llm.Schema
	w, err := p.parts.Workspaces.Get(ctx, workspace)
	if err != nil && memory.CodeOf(err) != memory.CodeNotFound {
		return schema, err
	}
	if len(w.Schema) == 0 {
		return schema, nil
	}
	return schema, json.Unmarshal(w.Schema, &schema)
}

// graphOf gives the nodes their ids, so that every memory that speaks of a thing means the same node.
func graphOf(workspace string, a llm.Graph) *memory.Graph {
	g := &memory.Graph{Nodes: []memory.Node{}, Relationships: []memory.Relationship{}}
	ids, seen := make([]string, len(a.Nodes)), map[string]bool{}
	for i, n := range a.Nodes {
		ids[i] = store.NodeID(workspace, n.Type, n.Name)
		if !seen[ids[i]] {
			seen[ids[i]] = true
			g.Nodes = append(g.Nodes, memory.Node{ID: ids[i], Type: n.Type, Name: n.Name, Properties: n.Properties})
		}
	}
	for _, r := range a.Relationships {
		rel := memory.Relationship{From: ids[r.From], Type: relationType(r.Type), To: ids[r.To], Properties: r.Properties}
		key := rel.From + rel.Type + rel.To
		if rel.From != rel.To && !seen[key] {
			seen[key] = true
			g.Relationships = append(g.Relationships, rel)
		}
	}
	return g
}

// relationType is a type in the graph's own spelling: upper case words joined by underscores.
func relationType(s string) string {
	words := strings.FieldsFunc(strings.ToUpper(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(words) == 0 {
		return "RELATED_TO"
	}
	return strings.Join(words, "_")
}

// index writes the page's vectors in one upsert: from here on its memories can be found.
func (p *Pipeline) index(ctx context.Context, page []memory.Draft) []Result {
	if err := p.refill(ctx, page); err != nil {
		return fail(page, fmt.Errorf("embed again: %w", err))
	}
	var points []store.Point
	for _, d := range page {
		points = append(points, pointsOf(d)...)
	}
	e := page[0].Embedding
	model := store.Model{ID: e.Model, Dimensions: len(e.Passages[0].Vector)}
	err := p.parts.Vectors.Upsert(ctx, model, points)
	if err != nil {
		err = fmt.Errorf("index a page of %d: %w", len(page), err)
	}
	return fail(page, err)
}

// refill embeds again what is known to have been embedded but whose vectors are gone, those of a memory that ended failed
// and is tried again; or are of another model, since the vectors in the store have moved to this one meanwhile.
func (p *Pipeline) refill(ctx context.Context, page []memory.Draft) error {
	var missing []memory.Draft
	var places []int
	for i, d := range page {
		if d.Embedding == nil || len(d.Embedding.Passages) == 0 || d.Embedding.Model != p.parts.Embedder.Model() {
			missing, places = append(missing, d), append(places, i)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	embeddings, _, err := p.embed(ctx, missing)
	for i, e := range embeddings {
		page[places[i]].Embedding = e
	}
	return err
}

func pointsOf(d memory.Draft) []store.Point {
	m := d.Memory
	fields := store.Fields{Metadata: m.Metadata, ExternalID: m.ExternalID, BatchID: m.BatchID, CreatedAt: m.CreatedAt.Time}
	if m.OccurredAt != nil {
		fields.OccurredAt = m.OccurredAt.Time
	}
	points := make([]store.Point, len(d.Embedding.Passages))
	for i, x := range d.Embedding.Passages {
		points[i] = store.Point{
			Workspace: m.Workspace, MemoryID: m.ID, Version: m.Version, Passage: i,
			Start: x.Start, End: x.End, Text: m.Content[x.Start:x.End], Vector: x.Vector, Fields: fields,
		}
	}
	return points
}

// relationships writes the page's graphs in one transaction.
func (p *Pipeline) relationships(ctx context.Context, page []memory.Draft) []Result {
	mentions := make([]store.Mention, len(page))
	for i, d := range page {
		mentions[i] = store.Mention{Ref: d.Memory.Ref(), Graph: d.Memory.Graph}
	}
	err := p.parts.Graph.Merge(ctx, mentions)
	if err != nil {
		err = fmt.Errorf("relationships of a page of %d: %w", len(page), err)
	}
	return fail(page, err)
}
