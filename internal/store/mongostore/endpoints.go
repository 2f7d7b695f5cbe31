package mongostore

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Endpoints gives webhook endpoints.
func (s *Store) Endpoints() store.Endpoints { return endpoints{s} }

type endpoints struct{ s *Store }

var _ store.Endpoints = endpoints{}

// endpointDoc is an endpoint as it is stored.
type endpointDoc struct {
	ID          string            `bson:"_id"`
	Workspace   string            `bson:"workspace"`
	URL         string            `bson:"url"`
	Events      []string          `bson:"events"`
	Description string            `bson:"description"`
	Headers     map[string]string `bson:"headers"`
	Signing     string            `bson:"signing"`
	Format      string            `bson:"format"`
	Secrets     []store.Secret    `bson:"secrets"`
	Disabled    string            `bson:"disabled"`
	FailingFrom time.Time         `bson:"failing_from"` // the zero time: the latest attempt succeeded
	CreatedAt   memory.Time       `bson:"created_at"`
	UpdatedAt   memory.Time       `bson:"updated_at"`
	Revision    int64             `bson:"revision"`
}

func (d *endpointDoc) endpoint() store.Endpoint {
	d.FailingFrom = d.FailingFrom.UTC()
	return store.Endpoint(*d)
}

// Save implements [store.Endpoints].
func (e endpoints) Save(ctx context.Context, p store.Endpoint) error {
	d := endpointDoc(p)
	d.Revision++
	return wrap(ctx, save(ctx, e.s.endpoints, doc("_id", p.ID, "workspace", p.Workspace), p.Revision, &d))
}

// Get implements [store.Endpoints].
func (e endpoints) Get(ctx context.Context, workspace, id string) (store.Endpoint, error) {
	var d endpointDoc
	if err := e.s.endpoints.FindOne(ctx, doc("_id", id, "workspace", workspace)).Decode(&d); err != nil {
		return store.Endpoint{}, wrap(ctx, err)
	}
	return d.endpoint(), nil
}

// List implements [store.Endpoints].
func (e endpoints) List(ctx context.Context, workspace string) ([]store.Endpoint, error) {
	cursor, err := e.s.endpoints.Find(ctx, doc("workspace", workspace), options.Find().SetSort(oldestFirst()))
	return each(ctx, cursor, err, (*endpointDoc).endpoint)
}

// Delete implements [store.Endpoints].
func (e endpoints) Delete(ctx context.Context, workspace, id string) error {
	return deleted(ctx)(e.s.endpoints.DeleteOne(ctx, doc("_id", id, "workspace", workspace)))
}
