package webhooks

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Limits of what a receiver may do to us. They are generous for a receiver that means well.
const (
	connectPatience  = 10 * time.Second
	maxAnswerHeaders = 16 << 10
	idlePatience     = 30 * time.Second
	maxIdle          = 256
	maxIdlePerHost   = 64
)

// Transport returns a transport that connects only where the guard allows, over HTTP/1.1, with certificates verified,
// no proxy from the environment, no decompression, and bounded response headers. It is meant to be shared: connections
// are kept for a while, each judged when it was made.
func (g *Guard) Transport() *http.Transport {
	t := &http.Transport{
		DialContext:            g.dialer().DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: g.config.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    connectPatience,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // no HTTP/2: one slow stream would hold up its neighbours
		MaxResponseHeaderBytes: maxAnswerHeaders,
		DisableCompression:     true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idlePatience,
	}
	if g.config.Proxy != nil {
		t.Proxy = http.ProxyURL(g.config.Proxy)
		t.DialContext = (&net.Dialer{Timeout: connectPatience}).DialContext // it connects to the proxy and nowhere else
	}
	return t
}

func (g *Guard) dialer() *net.Dialer {
	return &net.Dialer{Timeout: connectPatience, Resolver: g.config.Resolver, Control: g.control}
}

// admit judges the URL of an attempt. The dialer judges the address; what it does not see (the URL's form, and, behind a
// proxy, the address) is judged here.
func (g *Guard) admit(ctx context.Context, m message) (*url.URL, error) {
	if m.to == nil {
		to, err := g.parse(m.url)
		if err != nil {
			return nil, err
		}
		m.to = to
	}
	if g.config.Proxy == nil {
		return m.to, nil
	}
	return m.to, g.checkHost(ctx, m.to.Hostname())
}
