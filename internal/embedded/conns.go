//go:build !lean

package embedded

import (
	"sync"

	"go.temporal.io/server/client"
	"go.temporal.io/server/common"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/testing/testhooks"
	"google.golang.org/grpc"
)

// conns are the gRPC connections between Temporal's services. Temporal leaves them open when it stops, and each would
// dial a port that is gone for half an hour more.
type conns struct {
	mu   sync.Mutex
	open map[*grpc.ClientConn]struct{}
}

func (c *conns) keep(conn *grpc.ClientConn) *grpc.ClientConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[*grpc.ClientConn]struct{}{}
	}
	c.open[conn] = struct{}{}
	return conn
}

func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Close() // its only error is that it was closed already
	}
	clear(c.open)
}

// clientFactories hands conns to the factories of Temporal's clients.
type clientFactories struct {
	client.FactoryProvider

	conns *conns
}

func (f clientFactories) NewFactory(
	rpc common.RPCFactory, monitor membership.Monitor, metrics metrics.Handler, settings *dynamicconfig.Collection,
	hooks testhooks.TestHooks, shards int32, log, throttled log.Logger,
) client.Factory {
	return f.FactoryProvider.NewFactory(
		rpcFactory{rpc, f.conns}, monitor, metrics, settings, hooks, shards, log, throttled)
}

// rpcFactory keeps what Temporal's own factory dials.
type rpcFactory struct {
	common.RPCFactory

	conns *conns
}

func (f rpcFactory) CreateRemoteFrontendGRPCConnection(address string) *grpc.ClientConn {
	return f.conns.keep(f.RPCFactory.CreateRemoteFrontendGRPCConnection(address))
}

func (f rpcFactory) CreateLocalFrontendGRPCConnection() *grpc.ClientConn {
	return f.conns.keep(f.RPCFactory.CreateLocalFrontendGRPCConnection())
}

func (f rpcFactory) CreateHistoryGRPCConnection(address string) *grpc.ClientConn {
	return f.conns.keep(f.RPCFactory.CreateHistoryGRPCConnection(address))
}

func (f rpcFactory) CreateMatchingGRPCConnection(address string) *grpc.ClientConn {
	return f.conns.keep(f.RPCFactory.CreateMatchingGRPCConnection(address))
}
