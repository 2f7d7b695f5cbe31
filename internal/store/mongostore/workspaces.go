package mongostore

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Workspaces gives workspaces.
func (s *Store) Workspaces() store.Workspaces { return workspaces{s} }

type workspaces struct{ s *Store }

var _ store.Workspaces = workspaces{}

// workspaceDoc is a workspace as it is stored.
type workspaceDoc struct {
	ID        string         `bson:"_id"`
	Name      string         `bson:"name"`
	CreatedAt memory.Time    `bson:"created_at"`
	Secrets   []store.Secret `bson:"secrets"`
	Schema    *string        `bson:"schema"` // JSON; null: the default
	Revision  int64          `bson:"revision"`
}

func (d *workspaceDoc) workspace() store.Workspace {
	w := store.Workspace{ID: d.ID, Name: d.Name, CreatedAt: d.CreatedAt, Secrets: d.Secrets, Revision: d.Revision}
	if d.Schema != nil {
		w.Schema = []byte(*d.Schema)
	}
	return w
}

// Get implements [store.Workspaces].
func (w workspaces) Get(ctx context.Context, id string) (store.Workspace, error) {
	var d workspaceDoc
	if err := w.s.workspaces.FindOne(ctx, doc("_id", id)).Decode(&d); err != nil {
		return store.Workspace{}, wrap(ctx, err)
	}
	return d.workspace(), nil
}

// Save implements [store.Workspaces].
func (w workspaces) Save(ctx context.Context, ws store.Workspace) error {
	d := &workspaceDoc{ID: ws.ID, Name: ws.Name, CreatedAt: ws.CreatedAt, Secrets: ws.Secrets, Revision: ws.Revision + 1}
	if ws.Schema != nil {
		d.Schema = new(string(ws.Schema))
	}
	return wrap(ctx, save(ctx, w.s.workspaces, doc("_id", d.ID), ws.Revision, d))
}

// save stores a document as the next revision of the one that the filter names, of which the revision is known; 0: there
// is none. Of those who know the same revision one finds it.
func save(ctx context.Context, c *mongo.Collection, filter bson.D, revision int64, next any) error {
	found := int64(0)
	if revision == 0 {
		_, err := c.InsertOne(ctx, next)
		if err == nil {
			found = 1
		} else if !mongo.IsDuplicateKeyError(err) {
			return err
		}
	} else {
		res, err := c.ReplaceOne(ctx, append(filter, bson.E{Key: "revision", Value: revision}), next)
		if err != nil {
			return err
		}
		found = res.MatchedCount
	}
	if found == 0 {
		return memory.Errorf(memory.CodeConflict, "it was changed in the meantime")
	}
	return nil
}

// List implements [store.Workspaces].
func (w workspaces) List(ctx context.Context) ([]store.Workspace, error) {
	cursor, err := w.s.workspaces.Find(ctx, bson.D{}, options.Find().SetSort(oldestFirst()))
	return each(ctx, cursor, err, (*workspaceDoc).workspace)
}
