// Package client is the Go client of Switchyard's HTTP API: typed calls, retries that never do a thing twice, lists as
// iterators, and the verification of webhooks.
//
// Every POST that creates something carries an Idempotency-Key, so a request whose answer was lost is sent again
// safely. Errors that the server answered are [*Error]; the rules of pkg/memory (CodeOf, Retryable) work on them.
package client

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config is everything about a client that has a default; its zero value works.
type Config struct {
	// HTTPClient sends the requests. It must not limit the time of a whole request if files are to be uploaded or
	// waits to be long. Default: a client of its own that limits connecting and waiting for an answer, not uploads.
	HTTPClient *http.Client
	// Retries is how often a failed request is sent again, where that is safe; negative: never. Default 4.
	Retries int
	// MaxWait is the longest pause before a retry. Where the server asks for a longer one (Retry-After), its error is
	// returned at once. Default 30s.
	MaxWait time.Duration
	// UserAgent names the program to the server. Default "switchyard-go".
	UserAgent string
}

func (c Config) withDefaults() Config {
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{Transport: transport()}
	}
	c.Retries = cmp.Or(c.Retries, 4)
	c.MaxWait = cmp.Or(c.MaxWait, 30*time.Second)
	c.UserAgent = cmp.Or(c.UserAgent, "switchyard-go")
	return c
}

// transport waits for an answer somewhat longer than the server may hold one back (Prefer: wait=60).
func transport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok { // the program has put something of its own there
		return http.DefaultTransport
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = 90 * time.Second
	return t
}

// Client talks to one workspace of one Switchyard. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	key    string
	config Config
}

// New makes a client of the Switchyard at baseURL, such as "http://127.0.0.1:8080", that shows the API key. It does not
// connect.
func New(baseURL, key string, config Config) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(baseURL, "/"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the address of the server: %w", err)
	case base.Host == "" || (base.Scheme != "http" && base.Scheme != "https"):
		return nil, fmt.Errorf("the address of the server must be like http://127.0.0.1:8080, not %q", baseURL)
	}
	return &Client{base: base, key: key, config: config.withDefaults()}, nil
}
