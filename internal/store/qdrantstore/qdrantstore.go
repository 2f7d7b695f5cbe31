// Package qdrantstore keeps vectors in Qdrant: one collection for each embedding model, with a dense and a sparse vector
// for each passage. See internal/docs/production-stores.md for what lies behind it.
package qdrantstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Config says where Qdrant is and how to make collections there. Its zero value works with a server on this machine.
type Config struct {
	// Address is the host and port of the gRPC interface. Default 127.0.0.1:6334.
	Address string `yaml:"address"`
	// APIKey is sent with every call. Default none.
	APIKey string `yaml:"api_key"`
	// TLS encrypts the connection. Default false.
	TLS bool `yaml:"tls"`
	// TLSConfig is what TLS goes by. Default: the roots of the system, TLS 1.3.
	TLSConfig *tls.Config `yaml:"-"`
	// Prefix begins the names of all collections: letters, digits, - and _. Default switchyard.
	Prefix string `yaml:"prefix"`
	// Timeout is how long one call may take. Default 10s.
	Timeout time.Duration `yaml:"timeout"`
	// Pool is how many connections there are. Default 3.
	Pool uint `yaml:"pool"`
	// Exact makes vector searches read all vectors of a workspace, however many there are, instead of following the
	// graph (HNSW) where there are more than some thousands. Default false.
	Exact bool `yaml:"exact"`
	// OnDisk keeps the vectors and the indexes of new collections on disk rather than in memory. Default false.
	OnDisk bool `yaml:"on_disk"`
	// Shards and Replicas are those of new collections. Default 0: what the server is set to.
	Shards   uint32 `yaml:"shards"`
	Replicas uint32 `yaml:"replicas"`
	// SkipCompatibilityCheck makes [Store.Check] take a server of any version. Default false.
	SkipCompatibilityCheck bool `yaml:"skip_compatibility_check"`
}

func (c Config) withDefaults() Config {
	if c.Address == "" {
		c.Address = "127.0.0.1:6334"
	}
	if c.Prefix == "" {
		c.Prefix = "switchyard"
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Pool == 0 {
		c.Pool = 3
	}
	return c
}

var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Store keeps vectors in a Qdrant server. It is safe for concurrent use.
type Store struct {
	cfg    Config
	client *qdrant.Client

	mu   sync.Mutex
	last state     // what was in force
	at   time.Time // then
}

// Open makes a store of the server. It connects when it is first asked for something, so a server that is away makes calls
// fail with CodeUnavailable, not the opening. Close it.
func Open(_ context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if !prefixForm.MatchString(cfg.Prefix) {
		return nil, fmt.Errorf("the prefix of collections %q must be 1 to 64 letters, digits, - and _", cfg.Prefix)
	}
	host, port, err := address(cfg.Address)
	if err != nil {
		return nil, err
	}
	client, err := qdrant.NewClient(&qdrant.Config{
		Host: host, Port: port, APIKey: cfg.APIKey, UseTLS: cfg.TLS, TLSConfig: cfg.TLSConfig, PoolSize: cfg.Pool,
		SkipCompatibilityCheck: true, // it goes by the version of the client, Check by what is needed
		GrpcOptions:            cfg.options(),
	})
	if err != nil {
		return nil, fmt.Errorf("client of Qdrant: %w", err)
	}
	return &Store{cfg: cfg, client: client}, nil
}

func address(s string) (host string, port int, err error) {
	host, digits, err := net.SplitHostPort(s)
	if err == nil {
		port, err = strconv.Atoi(digits)
	}
	if err != nil {
		return "", 0, fmt.Errorf("the address of Qdrant %q is no host:port, such as 127.0.0.1:6334: %w", s, err)
	}
	return host, port, nil
}

// maxMessage bounds an answer: 64 MB are 2,000 candidates of three lists ten times over.
const maxMessage = 64 << 20

// options bound every call in time, and make a connection that broke come back soon: by default gRPC waits up to two
// minutes before it tries again.
func (c Config) options() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			ctx, cancel := context.WithTimeout(ctx, c.Timeout)
			defer cancel()
			return invoke(ctx, method, req, reply, cc, opts...)
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	}
}

// Close ends the connections.
func (s *Store) Close() error { return s.client.Close() }

// Ping asks the server for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Version(ctx)
	return err
}

// Version is that of the server.
func (s *Store) Version(ctx context.Context) (string, error) {
	r, err := s.client.GetQdrantClient().HealthCheck(ctx, &qdrant.HealthCheckRequest{})
	return r.GetVersion(), wrap(err)
}

// The version that first knows all that this store asks for: fusion with a chosen k (1.16), upserts that insert only
// (1.17), words that are counted in one workspace (1.19). An older server would leave out what it does not know without a
// word.
const needMajor, needMinor = 1, 19

// Check says what is missing on the server, in words for who runs it: a version that is too old, collections and indexes
// that `switchyard migrate` makes.
func (s *Store) Check(ctx context.Context) error {
	version, err := s.Version(ctx)
	if err != nil {
		return err
	}
	if s.cfg.SkipCompatibilityCheck {
		version = fmt.Sprintf("%d.%d", needMajor, needMinor)
	}
	if v, err := qdrant.ParseVersion(version); err != nil || v.Major != needMajor || v.Minor < needMinor {
		return memory.Errorf(memory.CodeUnavailable, "qdrant %s is too old or unknown: %d.%d or later is needed", version, needMajor, needMinor)
	}
	names, err := s.collections(ctx)
	if err != nil {
		return err
	}
	errs := []error{s.checkCollection(ctx, s.stateName(), stateIndexes)}
	st, err := s.inForce(ctx)
	if err != nil {
		return err
	}
	if st.Current != (store.Model{}) {
		names = append(names, s.nameOf(st.Current))
	}
	for _, name := range unique(names) {
		errs = append(errs, s.checkCollection(ctx, name, s.indexes()))
	}
	return errors.Join(errs...)
}

// Vectors gives the index of passages, by meaning and by words.
func (s *Store) Vectors() store.Vectors { return vectors{s} }
