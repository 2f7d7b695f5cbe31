// Package neo4jstore keeps the graph of what memories say in Neo4j.
//
// Entities and how they are related are nodes and relationships of the database, each with the number of memories that
// support it; beside them stands what each memory says of them. A page of memories is one transaction of a few statements, each
// over all rows of the page. Statements are constants and what varies is a parameter: the type of a relationship too is a
// property, since Neo4j never forgets a type, of which it has 65,536 for all workspaces together.
//
// Transactions that write to the same workspace wait for each other at a lock before they do anything else. They would
// meet anyway, at the nodes that most memories speak of, and there in any order: so there are no deadlocks.
package neo4jstore

import (
	"context"
	"crypto/tls"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j/config"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Config says which Neo4j, and tunes how it is spoken to. URI is required.
type Config struct {
	// URI is where it is: bolt:// or neo4j:// (a cluster), with +s for TLS, or +ssc for TLS with a certificate that nobody
	// vouches for. User and password may stand before the host.
	URI string
	// User and Password are for the server's own users. Default: those of the URI; where it has none, none are sent.
	User     string
	Password string
	// Database holds the graph. Default: the user's home database.
	Database string
	// TLSConfig is what TLS goes by, where the URI says +s. Default: the authorities of the system, TLS 1.2.
	TLSConfig *tls.Config
	// Pool is how many connections there are to a server at most. One is taken for the time of one transaction. A Neo4j
	// serves 400 at a time, if not told otherwise, over all processes. Default: 200.
	Pool int
	// PoolWait is how long a call waits for one of them. Default: 10s.
	PoolWait time.Duration
	// ConnectTimeout is how long a connection may take to be made. Default: 5s.
	ConnectTimeout time.Duration
	// RetryTime is how long the driver goes on trying a transaction that the server broke off, or whose connection was
	// lost, in place of the caller. It waits a second before the second try, and about twice as long before each later
	// one. Patience is the caller's. Default: 2s.
	RetryTime time.Duration
	// TxTimeout is when the server breaks off a transaction, whatever happened to who began it. Default: 1m.
	TxTimeout time.Duration
}

func (c Config) withDefaults() Config {
	c.Pool = orElse(c.Pool, 200)
	c.PoolWait = orElse(c.PoolWait, 10*time.Second)
	c.ConnectTimeout = orElse(c.ConnectTimeout, 5*time.Second)
	c.RetryTime = orElse(c.RetryTime, 2*time.Second)
	c.TxTimeout = orElse(c.TxTimeout, time.Minute)
	return c
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Store is a database. It is safe for concurrent use.
type Store struct {
	cfg       Config
	driver    neo4j.DriverWithContext
	bookmarks atomic.Pointer[neo4j.BookmarkManager]
}

// Open makes a store of the database. It connects when it is first asked for something, so a server that is away makes
// calls fail with CodeUnavailable, not the opening. Its constraints and indexes are made by Migrate and looked at by Check.
func Open(_ context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	target, auth, err := target(cfg)
	if err != nil {
		return nil, err
	}
	driver, err := neo4j.NewDriverWithContext(target, auth, func(c *config.Config) {
		c.UserAgent = "switchyard"
		c.TlsConfig = cfg.TLSConfig
		c.MaxConnectionPoolSize = cfg.Pool
		c.ConnectionAcquisitionTimeout = cfg.PoolWait
		c.SocketConnectTimeout = cfg.ConnectTimeout
		c.MaxTransactionRetryTime = cfg.RetryTime
		c.ConnectionLivenessCheckTimeout = 30 * time.Second // a firewall may have forgotten it
		c.FetchSize = neo4j.FetchAll                        // every answer has a limit
		c.NotificationsMinSeverity = "OFF"                  // nobody reads them
		c.TelemetryDisabled = true
	})
	if err != nil {
		return nil, memory.Wrap(memory.CodeInvalid, err, "the URI of Neo4j is not one")
	}
	s := &Store{cfg: cfg, driver: driver}
	s.forgetBookmarks()
	return s, nil
}

// target takes the user out of the URI, where the driver does not want one.
func target(cfg Config) (string, neo4j.AuthToken, error) {
	u, err := url.Parse(cfg.URI)
	if err != nil || u.Host == "" { // the error would quote the password
		return "", neo4j.AuthToken{}, memory.Errorf(memory.CodeInvalid, "the URI of Neo4j is not one; it looks like neo4j+s://graph.example.com:7687")
	}
	user, password := u.User.Username(), ""
	if u.User != nil {
		password, _ = u.User.Password()
		u.User = nil
	}
	if cfg.User != "" {
		user, password = cfg.User, cfg.Password
	}
	if user == "" {
		return u.String(), neo4j.NoAuth(), nil
	}
	return u.String(), neo4j.BasicAuth(user, password, ""), nil
}

// Close ends the connections. Calls that come later fail.
func (s *Store) Close() error {
	ctx := context.Background()
	return wrap(ctx, s.driver.Close(ctx))
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.read(ctx, func(t tx) ([]*neo4j.Record, error) { return t.run(`RETURN 1`, nil) })
	return err
}

// Version is that of the server.
func (s *Store) Version(ctx context.Context) (string, error) {
	info, err := s.driver.GetServerInfo(ctx)
	if err != nil {
		return "", wrap(ctx, err)
	}
	return info.Agent(), nil
}

// About returns the version of the server as a number, and its clock.
func (s *Store) About(ctx context.Context) (version string, clock time.Time, err error) {
	agent, err := s.Version(ctx)
	if err != nil {
		return "", clock, err
	}
	rows, err := s.read(ctx, func(t tx) ([]*neo4j.Record, error) { return t.run(serverClock, nil) })
	if err == nil && len(rows) > 0 {
		clock, _, err = neo4j.GetRecordValue[time.Time](rows[0], "now")
	}
	return strings.TrimPrefix(agent, "Neo4j/"), clock, err
}

// forgetBookmarks starts anew with what reads must see. Bookmarks of a database that was restored from a backup name
// what that one will never have.
func (s *Store) forgetBookmarks() {
	m := neo4j.NewBookmarkManager(neo4j.BookmarkManagerConfig{})
	s.bookmarks.Store(&m)
}

// tx is a transaction. It may run several times, the earlier ones having been broken off.
type tx struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call
	tx  neo4j.ManagedTransaction
}

// run runs one of the statements of this package, which are constants.
func (t tx) run(statement string, params map[string]any) ([]*neo4j.Record, error) {
	result, err := t.tx.Run(t.ctx, statement, params)
	if err != nil {
		return nil, err
	}
	return result.Collect(t.ctx)
}

// write runs a transaction on the leader. When it returns, what was written is on disk, of a majority where there are
// several servers, and later reads of this Store see it.
func (s *Store) write(ctx context.Context, work func(tx) error) error {
	session := s.session(ctx)
	defer func() { _ = session.Close(ctx) }() // the transaction is over
	_, err := session.ExecuteWrite(ctx, func(t neo4j.ManagedTransaction) (any, error) {
		return nil, work(tx{ctx, t})
	}, neo4j.WithTxTimeout(s.cfg.TxTimeout))
	return s.failed(ctx, err)
}

// read runs a transaction on any server that has seen what this Store wrote.
func (s *Store) read(ctx context.Context, work func(tx) ([]*neo4j.Record, error)) (out []*neo4j.Record, err error) {
	session := s.session(ctx)
	defer func() { _ = session.Close(ctx) }() // the transaction is over
	_, err = session.ExecuteRead(ctx, func(t neo4j.ManagedTransaction) (any, error) {
		out, err = work(tx{ctx, t})
		return nil, err
	}, neo4j.WithTxTimeout(s.cfg.TxTimeout))
	return out, s.failed(ctx, err)
}

func (s *Store) session(ctx context.Context) neo4j.SessionWithContext {
	return s.driver.NewSession(ctx, neo4j.SessionConfig{DatabaseName: s.cfg.Database, BookmarkManager: *s.bookmarks.Load()})
}

func (s *Store) failed(ctx context.Context, err error) error {
	if lostBookmark(err) {
		s.forgetBookmarks()
	}
	return wrap(ctx, err)
}
