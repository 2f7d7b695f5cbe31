//go:build !lean

package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"go.temporal.io/server/client"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

const (
	clusterName     = "active"
	executionsStore = "executions"
	visibilityStore = "visibility"

	// launches is how often launch tries. One port in ten thousand is taken between the look at it and its use, if that.
	launches = 5
)

// engine is the running Temporal server proper.
type engine struct {
	address  string
	server   temporal.Server
	conns    conns
	stopping atomic.Bool
}

func (e *engine) stop() error {
	e.stopping.Store(true)
	defer e.conns.close()
	if err := e.server.Stop(); err != nil {
		return fmt.Errorf("stop Temporal: %w", err)
	}
	return nil
}

// launch starts an engine on the ports that choose gives, and on others where another process was quicker.
func launch(ctx context.Context, cfg Config, files files, choose func() (ports, error)) (*engine, error) {
	var taken fatal
	for range launches {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		ports, err := choose()
		if err != nil {
			return nil, err
		}
		e, err := launchOn(ports, cfg, files)
		if !errors.As(err, &taken) {
			return e, err
		}
		cfg.Logger.Warn("Temporal did not start; trying other ports", "error", taken)
	}
	return nil, fmt.Errorf("Temporal did not start in %d tries: %w", launches, taken)
}

func launchOn(ports ports, cfg Config, files files) (_ *engine, err error) {
	e := &engine{address: hostPort(ports[primitives.FrontendService])}
	if e.server, err = newServer(cfg, files, ports, e); err != nil {
		e.conns.close()
		return nil, fmt.Errorf("set Temporal up: %w", err)
	}
	if err := e.server.Start(); err != nil {
		return nil, fmt.Errorf("start Temporal: %w", errors.Join(err, e.stop()))
	}
	return e, nil
}

// newServer returns a server that listens on its ports. Where it cannot, Temporal calls its logger's Fatal, from this
// goroutine; that comes back as an error.
func newServer(cfg Config, files files, ports ports, e *engine) (_ temporal.Server, err error) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case fatal:
			err = cause
		default:
			panic(cause)
		}
	}()
	log := newLogger(cfg, &e.stopping)
	return temporal.NewServer(
		temporal.WithConfig(serverConfig(files, ports)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(ports.hosts()),
		temporal.WithLogger(log),
		temporal.WithNamespaceLogger(log),
		temporal.WithCustomMetricsHandler(metrics.NoopMetricsHandler),
		temporal.WithDynamicConfigClient(dynamicConfig()),
		temporal.WithClientFactoryProvider(clientFactories{client.NewFactoryProvider(), &e.conns}),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
	)
}

// ports has the gRPC port of each of Temporal's services. With hosts that are given there are no membership ports.
type ports map[primitives.ServiceName]int

func choosePorts() (ports, error) {
	free, err := freePorts(len(temporal.DefaultServices))
	if err != nil {
		return nil, err
	}
	chosen := ports{}
	for i, service := range temporal.DefaultServices {
		chosen[primitives.ServiceName(service)] = free[i]
	}
	return chosen, nil
}

func (p ports) hosts() map[primitives.ServiceName]static.Hosts {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for service, port := range p {
		hosts[service] = static.SingleLocalHost(hostPort(port))
	}
	return hosts
}

func (p ports) services() map[string]config.Service {
	services := map[string]config.Service{}
	for service, port := range p {
		services[string(service)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback}}
	}
	return services
}

// serverConfig leaves out metrics, pprof, the HTTP API, archives and everything else that would listen or call out.
func serverConfig(files files, ports ports) *config.Config {
	frontend := hostPort(ports[primitives.FrontendService])
	settings := &config.Config{
		Global: config.Global{Membership: config.Membership{BroadcastAddress: loopback}},
		Persistence: config.Persistence{
			DefaultStore:     executionsStore,
			VisibilityStore:  visibilityStore,
			NumHistoryShards: 1, // there is one connection to SQLite; and it can never be changed for these files
			DataStores: map[string]config.DataStore{
				executionsStore: {SQL: files.executions},
				visibilityStore: {SQL: files.visibility},
			},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            ports.services(),
		PublicClient:        config.PublicClient{HostPort: frontend},
	}
	const disabled = "disabled"
	settings.Archival.History.State = disabled
	settings.Archival.Visibility.State = disabled
	settings.NamespaceDefaults.Archival.History.State = disabled
	settings.NamespaceDefaults.Archival.Visibility.State = disabled
	return settings
}

func dynamicConfig() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// With more than one partition of a task queue, tasks wait up to 20 s in one that nobody polls, and priorities are
		// kept inside a partition only.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
		dynamicconfig.MatchingEnableFairness.Key():              true,

		// Temporal does not stop the workers of these when it stops. They tidy up after crashes of big clusters; without the
		// last one, children are ended by the server itself rather than by a workflow of its own.
		dynamicconfig.TaskQueueScannerEnabled.Key():       false,
		dynamicconfig.HistoryScannerEnabled.Key():         false,
		dynamicconfig.BuildIdScavengerEnabled.Key():       false,
		dynamicconfig.EnableParentClosePolicyWorker.Key(): false,

		dynamicconfig.EnableServerVersionCheck.Key():                     false, // calls nobody
		dynamicconfig.HistoryCacheHostLevelMaxSize.Key():                 8192,  // entries; 128,000 are for a server of its own
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 100,   // 10 are for many tenants
	}
}
