// Package qdranttest is a Qdrant for tests: a server that speaks Qdrant's own gRPC services over TCP and keeps, in memory,
// what they mean. It knows what qdrantstore asks for, and refuses everything else; where Qdrant makes no promise (the order
// of equals, how soon a write is seen that was not waited for), it is as awkward as it may be.
//
// It searches exactly. What it cannot show is in internal/docs/production-stores.md.
package qdranttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Version is what the server says it is.
const Version = "1.19.0"

// Config is what a server can be told.
type Config struct {
	// APIKey is what calls must carry. Default none.
	APIKey string
	// Version is the version that the server says it has. Default [Version].
	Version string
	// Strict makes strict mode ask for indexes in all collections, whatever they say, as an operator may. Default false.
	Strict bool
	// Intercept sees every call first and may fail it. Default nil.
	Intercept func(ctx context.Context, method string, request any) error
	// Journal is a file that keeps every change, so that a server that starts with it has them. Default none.
	Journal string
	// Options are added to those of the server: credentials. Default none.
	Options []grpc.ServerOption
}

// Server is a Qdrant in memory. It is safe for concurrent use.
type Server struct {
	cfg Config

	mu          sync.RWMutex
	collections map[string]*collection
	aliases     map[string]string
	operations  uint64
	journal     *os.File
}

// New makes a server: without collections, or with those of the journal.
func New(cfg Config) (*Server, error) {
	if cfg.Version == "" {
		cfg.Version = Version
	}
	s := &Server{cfg: cfg, collections: map[string]*collection{}, aliases: map[string]string{}}
	if cfg.Journal == "" {
		return s, nil
	}
	if err := s.replay(); err != nil {
		return nil, fmt.Errorf("journal %s: %w", cfg.Journal, err)
	}
	return s, nil
}

// Serve answers on the listener until ctx is done.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	g := grpc.NewServer(append([]grpc.ServerOption{
		grpc.UnaryInterceptor(s.intercept),
		grpc.MaxRecvMsgSize(1 << 30),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
	}, s.cfg.Options...)...)
	qdrant.RegisterQdrantServer(g, health{s: s})
	qdrant.RegisterCollectionsServer(g, collectionsService{s: s})
	qdrant.RegisterPointsServer(g, pointsService{s: s})
	stop := context.AfterFunc(ctx, g.Stop)
	defer stop()
	defer s.journal.Close()
	if err := g.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve Qdrant for tests: %w", err)
	}
	return nil
}

// intercept checks the key and lets the test have its way.
func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if keys := md.Get("api-key"); s.cfg.APIKey != "" && (len(keys) == 0 || keys[0] != s.cfg.APIKey) {
		return nil, status.Error(codes.Unauthenticated, "Must provide an API key or an Authorization bearer token")
	}
	if s.cfg.Intercept != nil {
		if err := s.cfg.Intercept(ctx, info.FullMethod, req); err != nil {
			return nil, err
		}
	}
	return handle(ctx, req)
}

type health struct {
	qdrant.UnimplementedQdrantServer

	s *Server
}

// HealthCheck implements the service of that name.
func (h health) HealthCheck(context.Context, *qdrant.HealthCheckRequest) (*qdrant.HealthCheckReply, error) {
	return &qdrant.HealthCheckReply{Title: "qdrant - vector search engine", Version: h.s.cfg.Version}, nil
}

// resolve finds a collection by its name or an alias. The lock is held.
func (s *Server) resolve(name string) (*collection, error) {
	if target, ok := s.aliases[name]; ok {
		name = target
	}
	c, ok := s.collections[name]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "Not found: Collection `%s` doesn't exist!", name)
	}
	return c, nil
}

// read runs fn on a collection while nothing is written.
func (s *Server) read(name string, fn func(*collection) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, err := s.resolve(name)
	if err != nil {
		return err
	}
	return fn(c)
}

func wrong(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, "Wrong input: "+format, args...)
}

func unknown(what string) error {
	return status.Errorf(codes.Unimplemented, "%s is not known to this Qdrant for tests", what)
}

// idKey is an id as a key, and idLess the order of ids: numbers first.
func idKey(id *qdrant.PointId) (string, error) {
	switch v := id.GetPointIdOptions().(type) {
	case *qdrant.PointId_Num:
		return fmt.Sprintf("n%020d", v.Num), nil
	case *qdrant.PointId_Uuid:
		return uuidKey(v.Uuid)
	}
	return "", status.Error(codes.InvalidArgument, "No ID options provided")
}

func uuidKey(s string) (string, error) {
	b := bytes.ToLower(bytes.ReplaceAll([]byte(s), []byte("-"), nil))
	if len(b) != 32 || !isHex(b) {
		return "", status.Errorf(codes.InvalidArgument, "Unable to parse UUID: %s", s)
	}
	return "u" + string(b), nil
}

func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
