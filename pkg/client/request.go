package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// request is one call of the API, however often it is sent. Its content is JSON or a stream, or there is none.
type request struct {
	method     string
	path       string // escaped, from the root of the API
	query      url.Values
	header     http.Header
	json       []byte
	stream     *stream
	repeatable bool // doing it twice is no more than doing it once

	status int // of the answer, once there is one
}

// get is the request to read what is at the path.
func get(query url.Values, path ...string) *request {
	return &request{method: http.MethodGet, path: join(path), query: query, repeatable: true}
}

// create is the request to make something of v. It carries an Idempotency-Key, so that it can be repeated.
func create(v any, path ...string) (*request, error) {
	r, err := send(http.MethodPost, v, path...)
	if err != nil {
		return nil, err
	}
	r.makeRepeatable()
	return r, nil
}

// send is the request that carries v (nil: nothing) to the path by the method.
func send(method string, v any, path ...string) (*request, error) {
	r := &request{method: method, path: join(path), repeatable: method == http.MethodDelete || method == http.MethodPut}
	if v == nil {
		return r, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write the request as JSON: %w", err)
	}
	r.json = b
	r.set("Content-Type", "application/json")
	return r, nil
}

func (r *request) makeRepeatable() {
	r.repeatable = true
	r.set("Idempotency-Key", rand.Text())
}

func (r *request) set(name, value string) {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set(name, value)
}

func join(path []string) string {
	escaped := []string{"/v1"}
	for _, p := range path {
		escaped = append(escaped, url.PathEscape(p))
	}
	return strings.Join(escaped, "/")
}

// A CallOption changes one call.
type CallOption func(*request)

func (r *request) with(options []CallOption) *request {
	for _, o := range options {
		o(r)
	}
	return r
}

// IdempotencyKey sends a key of the caller's own instead of a random one: a call that repeats one of the last 24 hours,
// even of another process, is answered as that one was and does nothing.
func IdempotencyKey(key string) CallOption {
	return func(r *request) { r.set("Idempotency-Key", key) }
}

// Wait asks the server to hold its answer until the memory is done, at most d: whole seconds, and 60 at most.
func Wait(d time.Duration) CallOption {
	seconds := min(60, int(math.Ceil(d.Seconds())))
	return func(r *request) {
		if seconds > 0 {
			r.set("Prefer", "wait="+strconv.Itoa(seconds))
		}
	}
}

// do sends the request, again where it failed and that is safe, and reads the answer into out (nil: into nothing).
func (c *Client) do(ctx context.Context, r *request, out any) error {
	for try := 0; ; try++ {
		err := c.try(ctx, r, out)
		if err == nil {
			return nil
		}
		pause := c.pause(err, try)
		if ctx.Err() != nil || try >= c.config.Retries || pause > c.config.MaxWait || !r.again(ctx, err) {
			return fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
		if ctxErr := sleep(ctx, pause); ctxErr != nil {
			return fmt.Errorf("%s %s: %w, after: %w", r.method, r.path, ctxErr, err)
		}
	}
}

// try sends the request once.
func (c *Client) try(ctx context.Context, r *request, out any) error {
	req, err := c.build(ctx, r)
	if err != nil {
		return err
	}
	res, err := c.config.HTTPClient.Do(req)
	if err != nil {
		return reason(err)
	}
	defer res.Body.Close()
	r.status = res.StatusCode
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return problemOf(res)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return &answerError{err}
	}
	return nil
}

func (c *Client) build(ctx context.Context, r *request) (*http.Request, error) {
	address := c.base.String() + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, r.body())
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	maps.Copy(req.Header, r.header)
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("User-Agent", c.config.UserAgent)
	req.Header.Set("Accept", "application/json, application/problem+json")
	return req, nil
}

// body is the content, from its start, for one try.
func (r *request) body() io.Reader {
	switch {
	case r.stream != nil:
		return r.stream.begin()
	case r.json != nil:
		return bytes.NewReader(r.json)
	}
	return nil
}

// reason is err without the method and address that net/http puts before it: the caller adds them in its own way.
func reason(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// answerError is an answer that is not what the API promises; asking again would not change it.
type answerError struct{ err error }

func (e *answerError) Error() string { return "the answer is not as expected: " + e.err.Error() }
func (e *answerError) Unwrap() error { return e.err }

// again reports whether to send the request once more after err, and makes its stream ready for that.
func (r *request) again(ctx context.Context, err error) bool {
	return (r.repeatable || untouched(err)) && passing(err) && (r.stream == nil || r.stream.rewind(ctx))
}

// untouched reports whether err means that the server did nothing at all.
func untouched(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status == http.StatusTooManyRequests
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// passing reports whether the same request may succeed later.
func passing(err error) bool {
	if _, ok := errors.AsType[*answerError](err); ok {
		return false
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return true // no answer, or half of one
	}
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return e.Code == memory.CodeInProgress // the first try, whose answer was lost, is still running
}

const firstPause = 200 * time.Millisecond

// pause is how long to wait after the given try failed: as long as the server asks, or else twice as long each time,
// with up to a half taken off by chance, so that many clients do not come back at the same moment.
func (c *Client) pause(err error, try int) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	d := min(firstPause<<min(try, 16), c.config.MaxWait)
	return d - mathrand.N(d/2+1) //nolint:gosec // spreading needs no secrets
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
