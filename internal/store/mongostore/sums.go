package mongostore

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// sums are what the items of a page add up to. They are in the page's document, so that items and counts change in one
// write; a batch has none of its own, but those of its pages added up.
type sums struct {
	Queued     int   `bson:"queued"`
	Processing int   `bson:"processing"`
	Completed  int   `bson:"completed"`
	Degraded   int   `bson:"degraded"`
	Failed     int   `bson:"failed"`
	Cancelled  int   `bson:"cancelled"`
	Rejected   int   `bson:"rejected"`
	Tokens     int64 `bson:"tokens"`
	Cost       int64 `bson:"cost"` // in 10^-12 dollars
}

// sumFields are the fields of sums.
func sumFields() []string {
	return []string{"queued", "processing", "completed", "degraded", "failed", "cancelled", "rejected", "tokens", "cost"}
}

// sumKeys are the fields of sums as keys of an index.
func sumKeys() bson.D { return eachSum(func(string) any { return 1 }) }

func eachSum(value func(field string) any) (d bson.D) {
	for _, f := range sumFields() {
		d = append(d, bson.E{Key: f, Value: value(f)})
	}
	return d
}

func sumsOf(items []memory.Item) (s sums) {
	var c memory.Counts
	for _, item := range items {
		c.Add(item.Status, 1)
		s.Tokens += int64(item.Tokens)
		s.Cost += costOf(item.CostUSD)
	}
	s.Queued, s.Processing, s.Completed, s.Degraded = c.Queued, c.Processing, c.Completed, c.Degraded
	s.Failed, s.Cancelled, s.Rejected = c.Failed, c.Cancelled, c.Rejected
	return s
}

func (s sums) counts() memory.Counts {
	return memory.Counts{
		Total:  s.Queued + s.Processing + s.Completed + s.Degraded + s.Failed + s.Cancelled + s.Rejected,
		Queued: s.Queued, Processing: s.Processing, Completed: s.Completed, Degraded: s.Degraded,
		Failed: s.Failed, Cancelled: s.Cancelled, Rejected: s.Rejected,
	}
}

// total is what the pages of an upload add up to.
type total struct {
	Upload string `bson:"_id"`
	Pages  int    `bson:"pages"`
	Last   int    `bson:"last"` // the highest number of a page
	Sums   sums   `bson:",inline"`
}

// totals adds up the pages of uploads. It reads an index and no page. A page that changes while the index is read may be
// met twice, at its old place and at its new one: it counts as it was met first. So each page counts once, as it was at one
// moment, and what a page has in all never changes: the counts add up at every moment.
func (s *Store) totals(ctx context.Context, uploads ...string) (map[string]total, error) {
	if len(uploads) == 0 {
		return nil, nil
	}
	first := eachSum(func(f string) any { return doc("$first", "$"+f) })
	sum := eachSum(func(f string) any { return doc("$sum", "$"+f) })
	cursor, err := s.pages.Aggregate(ctx, bson.A{
		doc("$match", doc("upload", doc("$in", uploads))),
		doc("$group", append(doc("_id", doc("upload", "$upload", "number", "$number")), first...)),
		doc("$group", append(doc("_id", "$_id.upload", "pages", doc("$sum", 1), "last", doc("$max", "$_id.number")), sum...)),
	})
	list, err := all[total](ctx, cursor, err)
	out := make(map[string]total, len(list))
	for _, t := range list {
		out[t.Upload] = t
	}
	return out, err
}
