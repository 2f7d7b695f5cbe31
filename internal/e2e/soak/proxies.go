package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// wires are the proxies through which the processes, and the client, reach each other.
type wires struct{ server *toxiproxy.ApiServer }

func newWires() wires {
	return wires{toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
}

// wire is a proxy at an address that stays.
type wire struct {
	mu    sync.Mutex
	proxy *toxiproxy.Proxy
}

func (w wires) wire(name, upstream string) (*wire, error) {
	p := toxiproxy.NewProxy(w.server, name, "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		return nil, fmt.Errorf("proxy %s: %w", name, err)
	}
	return &wire{proxy: p}, nil
}

func (w *wire) address() string { return w.proxy.Listen }

// cut breaks all connections, and refuses new ones for d.
func (w *wire) cut(d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxy.Stop()
	time.Sleep(d)
	return w.proxy.Start()
}

// slow adds to the time that everything takes, for d.
func (w *wire) slow(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(`{"name": "slow", "type": "latency", "attributes": {"latency": 700, "jitter": 300}}`))
	if err != nil {
		return err
	}
	time.Sleep(d)
	return w.proxy.Toxics.RemoveToxic(context.WithoutCancel(ctx), "slow")
}

// lead makes it lead to another address.
func (w *wire) lead(upstream string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.proxy.Update(&toxiproxy.Proxy{Listen: w.proxy.Listen, Upstream: upstream, Enabled: true})
}
