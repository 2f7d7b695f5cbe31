package mongostore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// pageDoc is a page of a batch as it is stored: its items, what they add up to, and what was uploaded for those that are
// not admitted yet.
type pageDoc struct {
	Key    string          `bson:"_id"`
	Upload string          `bson:"upload"`
	Number int             `bson:"number"`
	Items  []memory.Item   `bson:"items"`
	Inputs []*memory.Input `bson:"inputs,omitempty"` // one an item, null where it is gone
	Kept   bool            `bson:"kept"`             // whether there are inputs
	Rev    int64           `bson:"rev"`              // grows with every change
	Sums   sums            `bson:",inline"`
}

func pageKey(upload string, number int) string { return fmt.Sprintf("%s/%06d", upload, number) }

func newPageDoc(upload string, p store.Page) *pageDoc {
	d := &pageDoc{Key: pageKey(upload, p.Number), Upload: upload, Number: p.Number, Items: make([]memory.Item, len(p.Entries))}
	inputs := make([]*memory.Input, len(p.Entries))
	for i, e := range p.Entries {
		d.Items[i], inputs[i] = e.Item, e.Input
		d.Kept = d.Kept || e.Input != nil
	}
	if d.Kept {
		d.Inputs = inputs
	}
	d.Sums = sumsOf(d.Items)
	return d
}

func noPage() error {
	return memory.Errorf(memory.CodeNotFound, "there is no such page of a batch of this id")
}

// page reads a page of a sealed batch; without names of fields to leave out it is whole.
func (br batchRuns) page(ctx context.Context, batchID string, number int, without ...string) (*batchDoc, *pageDoc, error) {
	b, err := batches(br).sealed(ctx, doc("_id", batchID))
	if memory.CodeOf(err) == memory.CodeNotFound {
		return nil, nil, noPage()
	}
	if err != nil {
		return nil, nil, err
	}
	projection := bson.D{}
	for _, f := range without {
		projection = append(projection, bson.E{Key: f, Value: 0})
	}
	p := &pageDoc{}
	err = br.s.pages.FindOne(ctx, doc("_id", pageKey(b.Upload, number)), options.FindOne().SetProjection(projection)).Decode(p)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, nil, noPage()
	}
	return b, p, err
}

func (br batchRuns) Page(ctx context.Context, batchID string, number int) (store.Page, error) {
	b, p, err := br.page(ctx, batchID, number)
	if err != nil {
		return store.Page{BatchID: batchID, Number: number}, wrap(ctx, err)
	}
	out := store.Page{Workspace: b.Workspace, BatchID: batchID, Number: number}
	for i, item := range p.Items {
		e := store.Entry{Item: item}
		if i < len(p.Inputs) {
			e.Input = p.Inputs[i]
		}
		out.Entries = append(out.Entries, e)
	}
	return out, nil
}

// SetItems reads the page and writes it if it is still as it was read; else it tries again.
func (br batchRuns) SetItems(ctx context.Context, batchID string, number int, items []memory.Item) error {
	byIndex := make(map[int]memory.Item, len(items))
	for _, item := range items {
		byIndex[item.Index] = item
	}
	for try := 0; ; try++ {
		_, p, err := br.page(ctx, batchID, number, "inputs")
		if err != nil {
			return wrap(ctx, err)
		}
		model := p.rewrite(func(item *memory.Item) {
			if became, ok := byIndex[item.Index]; ok {
				store.Became(item, became)
			}
		})
		matched, err := bulk(ctx, br.s.pages, model)
		if err != nil || matched == len(model) {
			return wrap(ctx, err)
		}
		if err := pause(ctx, try); err != nil {
			return wrap(ctx, err)
		}
	}
}

// rewrite changes the items of a page as it was read, and with them its sums and what is kept of the upload: one write, or
// none where nothing changes.
func (d *pageDoc) rewrite(change func(*memory.Item)) []mongo.WriteModel {
	items := slices.Clone(d.Items)
	for i := range items {
		change(&items[i])
	}
	now := sumsOf(items)
	if slices.EqualFunc(items, d.Items, sameItem) && now == d.Sums {
		return nil
	}
	set, unset := append(doc("items", items), eachSum(now.field)...), bson.D{}
	switch keep := slices.ContainsFunc(items, store.NeedsInput); {
	case !d.Kept:
	case !keep:
		set, unset = append(set, bson.E{Key: "kept", Value: false}), doc("inputs", "")
	default:
		for i := range items {
			if store.NeedsInput(d.Items[i]) && !store.NeedsInput(items[i]) {
				set = append(set, bson.E{Key: fmt.Sprintf("inputs.%d", i), Value: nil})
			}
		}
	}
	update := doc("$set", set, "$inc", doc("rev", 1))
	if len(unset) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	return []mongo.WriteModel{mongo.NewUpdateOneModel().SetFilter(doc("_id", d.Key, "rev", d.Rev)).SetUpdate(update)}
}

func sameItem(a, b memory.Item) bool {
	if a.Error != nil && b.Error != nil && *a.Error == *b.Error {
		a.Error, b.Error = nil, nil
	}
	return a == b
}

// field is the sum of that name.
func (s sums) field(name string) any {
	return map[string]any{
		"queued": s.Queued, "processing": s.Processing, "completed": s.Completed, "degraded": s.Degraded, "failed": s.Failed,
		"cancelled": s.Cancelled, "rejected": s.Rejected, "tokens": s.Tokens, "cost": s.Cost,
	}[name]
}

// Items skips pages by their counts, so that a few failed items of a million are found at once.
func (bs batches) Items(ctx context.Context, q store.ItemQuery) ([]memory.Item, string, error) {
	number, index := 0, -1
	if q.Cursor != "" {
		if err := store.DecodeCursor(q.Cursor, &number, &index); err != nil {
			return nil, "", err
		}
	}
	b, err := bs.sealed(ctx, doc("_id", q.BatchID, "workspace", q.Workspace))
	if err != nil {
		return nil, "", wrap(ctx, err)
	}
	filter := doc("upload", b.Upload, "number", doc("$gte", number))
	if len(q.Statuses) > 0 {
		var some bson.A
		for _, s := range q.Statuses {
			some = append(some, doc(string(s), doc("$gt", 0)))
		}
		filter = append(filter, bson.E{Key: "$or", Value: some})
	}
	cursor, err := bs.s.pages.Find(ctx, filter, options.Find().SetProjection(doc("number", 1, "items", 1)).SetSort(doc("number", 1)).SetBatchSize(16))
	if err != nil {
		return nil, "", wrap(ctx, err)
	}
	out, next, err := pick(ctx, cursor, index, q)
	return out, next, wrap(ctx, errors.Join(err, cursor.Close(context.WithoutCancel(ctx))))
}

// pick reads pages until it has the items, and knows whether there are more.
func pick(ctx context.Context, pages *mongo.Cursor, index int, q store.ItemQuery) (out []memory.Item, next string, err error) {
	for pages.Next(ctx) {
		var p pageDoc
		if err := pages.Decode(&p); err != nil {
			return nil, "", err
		}
		for _, item := range p.Items {
			if item.Index <= index || len(q.Statuses) > 0 && !slices.Contains(q.Statuses, item.Status) {
				continue
			}
			if len(out) == q.Limit {
				return out, next, nil
			}
			out, next = append(out, item), store.EncodeCursor(p.Number, item.Index)
		}
	}
	return out, "", pages.Err()
}
