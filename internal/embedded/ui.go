//go:build !lean

package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	ui "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
)

const (
	uiPoll    = 5 * time.Millisecond
	uiWait    = 10 * time.Second
	uiGoodbye = time.Second
)

// webUI is Temporal's web UI on a random port, and a proxy to it on the address that was asked for. The UI's own server
// ends the process where it cannot listen, and takes any host name; the proxy holds its listener from the start, and
// turns pages away that reach loopback under a name of their own (DNS rebinding).
type webUI struct {
	address string
	server  *ui.Server
	proxy   *http.Server
	running sync.WaitGroup
}

func serveUI(ctx context.Context, cfg Config, frontend string) (*webUI, error) {
	listener, err := listenUI(ctx, cfg.UIListen, cfg.Logger)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	w := &webUI{
		address: listener.Addr().String(),
		server:  newUI(cfg.Namespace, frontend, ports[0]),
		proxy:   newProxy(hostPort(ports[0]), cfg),
	}
	w.running.Go(func() { _ = w.server.Start() })        // always nil
	w.running.Go(func() { _ = w.proxy.Serve(listener) }) // http.ErrServerClosed, from stop
	if err := awaitUI(ctx, hostPort(ports[0])); err != nil {
		return nil, errors.Join(err, w.stop())
	}
	return w, nil
}

func (w *webUI) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), uiGoodbye)
	defer cancel()
	err := w.proxy.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = w.proxy.Close()
	}
	w.server.Stop()
	w.running.Wait()
	if err != nil {
		return fmt.Errorf("stop Temporal's web UI: %w", err)
	}
	return nil
}

// listenUI listens where it is told to, or on a free port of the same host.
func listenUI(ctx context.Context, address string, log *slog.Logger) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err == nil {
		return listener, nil
	}
	log.Info("the port of Temporal's web UI is taken; using a free one", "wanted", address, "error", err)
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address of Temporal's web UI: %w", err)
	}
	listener, err = config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for Temporal's web UI: %w", err)
	}
	return listener, nil
}

func newUI(namespace, frontend string, port int) *ui.Server {
	return ui.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                loopback,
		Port:                port,
		TemporalGRPCAddress: frontend,
		EnableUI:            true,
		DefaultNamespace:    namespace,
		CORS:                uiconfig.CORS{CookieInsecure: true}, // there is no TLS on loopback
		DisableNewsFetch:    true,
		HideLogs:            true,
	}))
}

func newProxy(target string, cfg Config) *http.Server {
	log := slog.NewLogLogger(atLeast{cfg.Logger.Handler(), cfg.LogLevel}, slog.LevelWarn)
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{DisableKeepAlives: true}, // nothing stays open behind it
		ErrorLog:  log,
	}
	return &http.Server{Handler: onlyLoopback(forward), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log}
}

func onlyLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !isLoopback(host) {
			http.Error(w, "this page is served to this machine only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// awaitUI returns when the UI's own server takes connections, which it gives no other sign of.
func awaitUI(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, uiWait)
	defer cancel()
	tick := time.NewTicker(uiPoll)
	defer tick.Stop()
	for {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for Temporal's web UI: %w", err)
		case <-tick.C:
		}
	}
}
