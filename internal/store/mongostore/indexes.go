package mongostore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// index is a row of the table below.
type index struct {
	collection string
	name       string // unlike any of another collection
	keys       bson.D
	unique     bool
	sparse     bool   // leaves documents out that lack the one key
	partial    bson.D // the condition of the documents that are in it
}

// indexes are all that the store needs: every query of the service goes by one of them or by _id, and a test says so.
// Migrate makes them, Check looks for them.
func indexes() []index {
	newest, oldest := newestFirst(), oldestFirst()
	of := func(order bson.D, fields ...any) bson.D { return append(doc(fields...), order...) }
	open := doc("lease_until", exists())
	return []index{
		{collection: "memories", name: "memories_external", keys: doc("external", 1), unique: true, sparse: true},
		{collection: "memories", name: "memories_listed", keys: of(newest, "workspace", 1, "status", 1)}, // counts, too
		{collection: "memories", name: "memories_labels", keys: of(newest, "workspace", 1, "labels", 1)},
		{collection: "memories", name: "memories_batches", keys: of(newest, "workspace", 1, "batch_id", 1), partial: doc("batch_id", exists())},
		{collection: "memories", name: "memories_leases", keys: doc("lease_until", 1, "track", 1), partial: open},
		{collection: "memories", name: "memories_owners", keys: doc("owner", 1), partial: open},
		{collection: "memories", name: "memories_usage", keys: doc("workspace", 1, "tokens", 1, "cost", 1), partial: doc("tokens", exists())},
		{collection: "memories", name: "memories_owed", keys: doc("owed.timestamp", 1), sparse: true},
		{collection: "memories", name: "memories_events", keys: doc("owed.id", 1), sparse: true},
		{collection: "memories", name: "memories_erasures", keys: doc("erasure.due_at", 1), sparse: true},
		{collection: "memories", name: "memories_erased", keys: doc("erasure.noted_at", 1), sparse: true},

		{collection: "batches", name: "batches_listed", keys: of(newest, "workspace", 1, "status", 1)},
		{collection: "batches", name: "batches_leases", keys: doc("lease_until", 1), sparse: true},
		{collection: "batches", name: "batches_uploads", keys: doc("uploaded_at", 1), sparse: true},
		{collection: "batches", name: "batches_owed", keys: doc("owed.timestamp", 1), sparse: true},
		{collection: "batches", name: "batches_events", keys: doc("owed.id", 1), sparse: true},

		// Everything that a batch adds up to is in the keys: adding up reads no page.
		{collection: "pages", name: "pages_summed", keys: of(sumKeys(), "upload", 1, "number", 1)},

		{collection: "keys", name: "keys_hashes", keys: doc("hash", 1), unique: true},
		{collection: "keys", name: "keys_listed", keys: of(oldest, "workspace", 1)},
		{collection: "workspaces", name: "workspaces_listed", keys: oldest},
		{collection: "requests", name: "requests_aged", keys: doc("created_at", 1)},

		{collection: "endpoints", name: "endpoints_listed", keys: of(oldest, "workspace", 1)},
		{collection: "deliveries", name: "deliveries_listed", keys: of(newest, "workspace", 1)},
		{collection: "deliveries", name: "deliveries_endpoints", keys: of(newest, "workspace", 1, "endpoint_id", 1)},
		{collection: "deliveries", name: "deliveries_due", keys: doc("lease_until", 1, "_id", 1), partial: doc("status", "pending")},
		{collection: "deliveries", name: "deliveries_aged", keys: doc("status", 1, "created_at", 1)}, // counts, too
	}
}

func (x index) model() mongo.IndexModel {
	o := options.Index().SetName(x.name)
	if x.unique {
		o.SetUnique(true)
	}
	if x.sparse {
		o.SetSparse(true)
	}
	if x.partial != nil {
		o.SetPartialFilterExpression(x.partial)
	}
	return mongo.IndexModel{Keys: x.keys, Options: o}
}

// buildTime is how long indexes may take to be made of what is stored already, where the context sets no end.
const buildTime = 24 * time.Hour

// Migrate makes the indexes that are missing, and makes those anew that have another form, which earlier versions may
// have left. It may run again at any time, beside the service too; only where a unique index has to be made anew, no
// other process must write meanwhile. Indexes of other names stay as they are.
func (s *Store) Migrate(ctx context.Context) error {
	if _, ends := ctx.Deadline(); !ends { // else Config.Timeout would break the building of an index off
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, buildTime)
		defer cancel()
	}
	_, different, err := s.compare(ctx)
	if err != nil {
		return err
	}
	for _, x := range different {
		if err := s.db.Collection(x.collection).Indexes().DropOne(ctx, x.name); err != nil {
			return wrap(ctx, fmt.Errorf("drop index %s: %w", x.name, err))
		}
	}
	models := map[string][]mongo.IndexModel{}
	for _, x := range indexes() {
		models[x.collection] = append(models[x.collection], x.model())
	}
	for collection, ms := range models {
		if _, err := s.db.Collection(collection).Indexes().CreateMany(ctx, ms); err != nil {
			return wrap(ctx, fmt.Errorf("make the indexes of %s: %w", collection, err))
		}
	}
	return nil
}

// Check reports whether all indexes are there and as they must be. Where they are not, the error (CodeConflict) names
// them and says what mends it.
func (s *Store) Check(ctx context.Context) error {
	missing, different, err := s.compare(ctx)
	if err != nil || len(missing)+len(different) == 0 {
		return err
	}
	var what []string
	for _, part := range []struct {
		indexes []index
		are     string
	}{{missing, "missing"}, {different, "different from what this version needs"}} {
		if len(part.indexes) > 0 {
			what = append(what, strings.Join(names(part.indexes), ", ")+" "+part.are)
		}
	}
	return memory.Errorf(memory.CodeConflict, "indexes of the MongoDB database %q are not as they must be: %s; run `switchyard migrate`",
		s.db.Name(), strings.Join(what, "; "))
}

func names(xs []index) (out []string) {
	for _, x := range xs {
		out = append(out, x.name)
	}
	return out
}

// compare holds the indexes that there are against the table.
func (s *Store) compare(ctx context.Context) (missing, different []index, err error) {
	there := map[string]map[string]form{}
	for _, x := range indexes() {
		if there[x.collection] == nil {
			if there[x.collection], err = s.forms(ctx, x.collection); err != nil {
				return nil, nil, wrap(ctx, err)
			}
		}
		switch f, ok := there[x.collection][x.name]; {
		case !ok:
			missing = append(missing, x)
		case !f.is(x):
			different = append(different, x)
		}
	}
	return missing, different, nil
}

// form is an index as the server describes it.
type form struct {
	Name    string `bson:"name"`
	Key     bson.D `bson:"key"`
	Unique  bool   `bson:"unique"`
	Sparse  bool   `bson:"sparse"`
	Partial bson.D `bson:"partialFilterExpression"`
}

func (s *Store) forms(ctx context.Context, collection string) (map[string]form, error) {
	cursor, err := s.db.Collection(collection).Indexes().List(ctx)
	list, err := all[form](ctx, cursor, err)
	if no := mongo.ServerError(nil); errors.As(err, &no) && no.HasErrorCode(26) { // no such collection
		return map[string]form{}, nil
	}
	out := make(map[string]form, len(list))
	for _, f := range list {
		out[f.Name] = f
	}
	return out, err
}

func (f form) is(x index) bool {
	return f.Unique == x.unique && f.Sparse == x.sparse && sameDoc(f.Key, x.keys) && sameDoc(f.Partial, x.partial)
}

// sameDoc compares documents; numbers are the same whatever their type.
func sameDoc(a, b bson.D) bool {
	return slices.EqualFunc(a, b, func(x, y bson.E) bool {
		inner, ok := x.Value.(bson.D)
		other, too := y.Value.(bson.D)
		if ok && too {
			return x.Key == y.Key && sameDoc(inner, other)
		}
		return x.Key == y.Key && reflect.DeepEqual(numeric(x.Value), numeric(y.Value))
	})
}

func numeric(v any) any {
	if r := reflect.ValueOf(v); r.IsValid() && r.CanConvert(reflect.TypeFor[float64]()) {
		return r.Convert(reflect.TypeFor[float64]()).Float()
	}
	return v
}
