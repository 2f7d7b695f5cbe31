// Package mongostore keeps the documents of Switchyard in MongoDB: memories with their checkpoints and the events they
// owe, batches and their pages, keys, workspaces, idempotent requests, webhook endpoints and deliveries.
//
// A memory, a page of a batch and a delivery are one document each, and every change is the change of one document: what
// must be true together is in it, so no transaction is needed. Whoever changes a document says in the filter what it must
// be like (version, fence, revision), so that of two changes one finds nothing to change. A write is acknowledged by a
// majority, from their journals; a read asks the primary for what a majority has: it sees every acknowledged write, and
// nothing that an election could take back.
package mongostore

import (
	"context"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Config says which MongoDB, and tunes how it is spoken to. URI is required; what it says of pools and timeouts gives
// way to the fields below, and what it says of read and write concerns to what the store promises.
type Config struct {
	// URI is a connection string, mongodb:// or mongodb+srv://.
	URI string
	// Database holds the collections. Default: "switchyard".
	Database string
	// Pool is how many connections there are to a server at most. A connection is taken for the time of one call, and a
	// write that waits for a majority and its journals takes some milliseconds; when a page of workflows, or every
	// memory on the realtime track, finishes a step at the same time, as many writes are wanted at once. The driver's
	// own 100 makes the rest stand in line, and is what then caps a process at about a hundred memories in flight. On
	// the server each costs about 1 MB. Default: 512.
	Pool int
	// Timeout is how long a call may take, retries included, where its context sets no end. Default: 10s.
	Timeout time.Duration
	// SelectTimeout is how long a call waits for a primary, so for an election too. Default: 5s.
	SelectTimeout time.Duration
	// ConnectTimeout is how long a connection may take to be made. Default: 5s.
	ConnectTimeout time.Duration
}

func (c Config) withDefaults() Config {
	c.Database = orElse(c.Database, "switchyard")
	c.Pool = orElse(c.Pool, 512)
	c.Timeout = orElse(c.Timeout, 10*time.Second)
	c.SelectTimeout = orElse(c.SelectTimeout, 5*time.Second)
	c.ConnectTimeout = orElse(c.ConnectTimeout, 5*time.Second)
	return c
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Store is a database. Its methods Memories, Runs and so on, each beside the type that it returns, give the ports; all of
// them are safe for concurrent use.
type Store struct {
	client *mongo.Client
	db     *mongo.Database

	memories, batches, pages, keys, workspaces, requests, endpoints, deliveries *mongo.Collection
}

// Open makes a store of the database. It connects when it is first asked for something: a server may be away at the start. Its indexes are made by Migrate and looked at by Check.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	return connect(ctx, cfg.withDefaults(), nil)
}

// connect is Open for tests, which watch the commands.
func connect(ctx context.Context, cfg Config, watch func(*options.ClientOptions)) (*Store, error) {
	o := options.Client().ApplyURI(cfg.URI)
	if err := o.Validate(); err != nil {
		return nil, memory.Wrap(memory.CodeInvalid, err, "the URI of MongoDB is not a connection string")
	}
	o.SetAppName("switchyard").SetRegistry(registry()).SetBSONOptions(&options.BSONOptions{UseJSONStructTags: true}).
		SetWriteConcern(majority()).SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()).
		SetMaxPoolSize(uint64(max(cfg.Pool, 1))).SetMaxConnecting(8). // the driver's 2 at a time fill a pool of hundreds slowly
		SetTimeout(cfg.Timeout).SetServerSelectionTimeout(cfg.SelectTimeout).SetConnectTimeout(cfg.ConnectTimeout)
	if watch != nil {
		watch(o)
	}
	client, err := mongo.Connect(o)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	return newStore(client, cfg.Database), nil
}

func newStore(client *mongo.Client, database string) *Store {
	db := client.Database(database)
	return &Store{
		client: client, db: db,
		memories: db.Collection("memories"), batches: db.Collection("batches"), pages: db.Collection("pages"),
		keys: db.Collection("keys"), workspaces: db.Collection("workspaces"), requests: db.Collection("requests"),
		endpoints: db.Collection("endpoints"), deliveries: db.Collection("deliveries"),
	}
}

// majority: what is acknowledged is in the journals of a majority.
func majority() *writeconcern.WriteConcern {
	w, journal := writeconcern.Majority(), true
	w.Journal = &journal
	return w
}

// Close ends the connections. Calls that come later fail with CodeUnavailable.
func (s *Store) Close() error {
	return wrap(context.Background(), s.client.Disconnect(context.Background()))
}

// Ping reports whether the primary answers.
func (s *Store) Ping(ctx context.Context) error {
	return wrap(ctx, s.client.Ping(ctx, readpref.Primary()))
}

// doc makes a document of names and values in turn.
func doc(pairs ...any) bson.D {
	d := make(bson.D, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		d = append(d, bson.E{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return d
}

// key names a document of a workspace. Workspaces are named by us, without a slash.
func key(workspace, id string) string { return workspace + "/" + id }

// idOf is the id in a key.
func idOf(workspace, key string) string { return strings.TrimPrefix(key, workspace+"/") }

// all reads what a query finds.
func all[T any](ctx context.Context, cursor *mongo.Cursor, err error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	var out []T
	return out, cursor.All(ctx, &out)
}

// exists is the condition that a field is there.
func exists() bson.D { return doc("$exists", true) }
