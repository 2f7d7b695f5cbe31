// Package embedded runs the real Temporal server inside this process, on SQLite files, so that the durable track works
// with nothing else installed.
//
// With the build tag lean the server is left out: Available is false and Start fails. Callers need no tags of their own.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// ErrInUse is what Start's error wraps when another Server, in this process or another one, holds the data folder.
var ErrInUse = errors.New("the data folder is in use")

// The search attributes that Start puts into the namespace, each a Keyword.
const (
	AttributeWorkspace = "SwitchyardWorkspace"
	AttributeMemory    = "SwitchyardMemoryId"
	AttributeBatch     = "SwitchyardBatchId"
)

// minRetention is Temporal's own lower bound.
const minRetention = time.Hour

// Config says where the server keeps its state, and what it shows of itself.
type Config struct {
	// Dir is the folder of the SQLite files. It is created, readable to its owner only. Required.
	Dir string
	// Namespace is the namespace to work in. It is created; one that is there keeps its workflows. Default "default".
	Namespace string
	// Retention is how long Temporal keeps a workflow that is done; at least an hour. A changed value takes effect at the
	// next start. Default 72 hours.
	Retention time.Duration
	// UIListen is the loopback address of Temporal's web UI. A port that is taken is replaced by a free one, so ask
	// UIAddress which it became. Default: no UI.
	UIListen string
	// Logger takes what Temporal logs. Default slog.Default().
	Logger *slog.Logger
	// LogLevel is the least level of Temporal's log that reaches Logger. Default slog.LevelWarn.
	LogLevel slog.Leveler
}

func (c Config) withDefaults() Config {
	if c.Namespace == "" {
		c.Namespace = "default"
	}
	if c.Retention == 0 {
		c.Retention = 72 * time.Hour
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.LogLevel == nil {
		c.LogLevel = slog.LevelWarn
	}
	return c
}

func (c Config) validate() error {
	if c.Dir == "" {
		return errors.New("no data folder given")
	}
	if c.Retention < minRetention {
		return fmt.Errorf("retention is %v, at least %v is needed", c.Retention, minRetention)
	}
	if c.UIListen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.UIListen)
	if err != nil {
		return fmt.Errorf("address of the web UI: %w", err)
	}
	if !isLoopback(host) {
		return fmt.Errorf("address of the web UI: %s is not loopback, and the UI knows no users", c.UIListen)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Server is a running Temporal server. Its methods may be called from several goroutines.
type Server struct {
	address   string
	namespace string
	uiAddress string

	stops   []func() error
	once    sync.Once
	stopErr error
}

// Start starts a server on the data folder and returns when it answers. What earlier servers on the same folder had
// accepted goes on. ctx bounds the start only; Close ends the server.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("start the embedded Temporal server: %w", err)
	}
	s := &Server{namespace: cfg.Namespace}
	if err := s.start(ctx, cfg); err != nil {
		return nil, fmt.Errorf("start the embedded Temporal server: %w", errors.Join(err, s.Close()))
	}
	return s, nil
}

// Address returns the host and port of the gRPC frontend, on loopback. It differs from start to start.
func (s *Server) Address() string { return s.address }

// Namespace returns the namespace to work in.
func (s *Server) Namespace() string { return s.namespace }

// UIAddress returns the host and port of the web UI, or "" where there is none.
func (s *Server) UIAddress() string { return s.uiAddress }

// Close stops the web UI, then the server, and gives the data folder free. Stop clients and workers first: calls in flight
// get a second to end. Calling it again changes nothing and returns the first answer. Nothing listens or works after it;
// what Temporal offers no way to close, an idle connection to each file and two idle clients, goes with the process.
func (s *Server) Close() error {
	s.once.Do(func() {
		for _, v := range slices.Backward(s.stops) {
			s.stopErr = errors.Join(s.stopErr, v())
		}
	})
	return s.stopErr
}
