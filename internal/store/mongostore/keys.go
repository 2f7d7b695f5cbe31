package mongostore

import (
	"context"
	"encoding/hex"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Keys gives API keys.
func (s *Store) Keys() store.Keys { return keys{s} }

type keys struct{ s *Store }

var _ store.Keys = keys{}

// keyDoc is a key as it is stored.
type keyDoc struct {
	ID         string        `bson:"_id"`
	Workspace  string        `bson:"workspace"`
	Name       string        `bson:"name"`
	Scopes     []store.Scope `bson:"scopes"`
	Hash       string        `bson:"hash"` // in hex
	Hint       string        `bson:"hint"`
	CreatedAt  memory.Time   `bson:"created_at"`
	LastUsedAt *memory.Time  `bson:"last_used_at,omitempty"`
}

func (d *keyDoc) key() store.Key {
	k := store.Key{ID: d.ID, Workspace: d.Workspace, Name: d.Name, Scopes: d.Scopes, Hint: d.Hint, CreatedAt: d.CreatedAt, LastUsedAt: d.LastUsedAt}
	k.Hash = unhex(d.Hash)
	return k
}

// unhex reads a hash; what is no hash is none that anything has.
func unhex(text string) (sum [32]byte) {
	b, err := hex.DecodeString(text)
	if err == nil {
		copy(sum[:], b)
	}
	return sum
}

// Create puts the key in the place of the one that has its id, after the one that has its hash, if that is another, has
// made room.
func (k keys) Create(ctx context.Context, key store.Key) error {
	d := &keyDoc{
		ID: key.ID, Workspace: key.Workspace, Name: key.Name, Scopes: key.Scopes, Hash: hex.EncodeToString(key.Hash[:]), Hint: key.Hint,
		CreatedAt: key.CreatedAt, LastUsedAt: key.LastUsedAt,
	}
	for try := 0; ; try++ {
		_, err := k.s.keys.DeleteMany(ctx, doc("hash", d.Hash, "_id", doc("$ne", d.ID)))
		if err == nil {
			_, err = k.s.keys.ReplaceOne(ctx, doc("_id", d.ID), d, options.Replace().SetUpsert(true))
		}
		if err == nil || !mongo.IsDuplicateKeyError(err) {
			return wrap(ctx, err)
		}
		if err := pause(ctx, try); err != nil { // another made one of this id or hash at the same time
			return wrap(ctx, err)
		}
	}
}

// Lookup implements [store.Keys].
func (k keys) Lookup(ctx context.Context, hash [32]byte) (store.Key, error) {
	var d keyDoc
	if err := k.s.keys.FindOne(ctx, doc("hash", hex.EncodeToString(hash[:]))).Decode(&d); err != nil {
		return store.Key{}, wrap(ctx, err)
	}
	return d.key(), nil
}

// List implements [store.Keys].
func (k keys) List(ctx context.Context, workspace string) ([]store.Key, error) {
	cursor, err := k.s.keys.Find(ctx, doc("workspace", workspace), options.Find().SetSort(oldestFirst()))
	return each(ctx, cursor, err, (*keyDoc).key)
}

// each reads what a query finds, in the form of the port.
func each[D, P any](ctx context.Context, cursor *mongo.Cursor, err error, form func(*D) P) ([]P, error) {
	docs, err := all[*D](ctx, cursor, err)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	out := make([]P, len(docs))
	for i, d := range docs {
		out[i] = form(d)
	}
	return out, nil
}

// Revoke implements [store.Keys].
func (k keys) Revoke(ctx context.Context, workspace, id string) error {
	return deleted(ctx)(k.s.keys.DeleteOne(ctx, doc("_id", id, "workspace", workspace)))
}

// deleted turns a deletion of nothing into CodeNotFound.
func deleted(ctx context.Context) func(*mongo.DeleteResult, error) error {
	return func(res *mongo.DeleteResult, err error) error {
		if err == nil && res.DeletedCount == 0 {
			return memory.Errorf(memory.CodeNotFound, "%s", messages[memory.CodeNotFound])
		}
		return wrap(ctx, err)
	}
}

// Touch implements [store.Keys].
func (k keys) Touch(ctx context.Context, used map[string]time.Time) error {
	var models []mongo.WriteModel
	for id, at := range used {
		models = append(models, mongo.NewUpdateOneModel().SetFilter(doc("_id", id)).SetUpdate(doc("$max", doc("last_used_at", memory.At(at)))))
	}
	_, err := bulk(ctx, k.s.keys, models)
	return wrap(ctx, err)
}
