package webhooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// What is kept and read of an answer.
const (
	keptAnswerBytes    = 1_024
	drainedAnswerBytes = 64 << 10 // so that the connection can be used again
)

const userAgent = "Switchyard-Webhooks/1.0"

// message is what one attempt sends.
type message struct {
	url     string
	to      *url.URL // url, where the guard has parsed it
	id      string
	kind    string // the event's type
	body    []byte
	headers http.Header // the endpoint's own
	keys    []webhook.Key
	papr    bool
}

// answer is what came of an attempt.
type answer struct {
	status     int    // 0: none
	kept       string // the beginning of the body
	retryAfter time.Duration
	fault      string // why there was no answer, in words for the receiver's operator
	latency    time.Duration
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

// sender makes attempts.
type sender struct {
	transport http.RoundTripper // and no client: nothing follows redirects
	guard     *Guard
	timeout   time.Duration
	now       func() time.Time
}

func newSender(g *Guard, c Config) *sender {
	return &sender{transport: c.Transport, guard: g, timeout: c.Timeout, now: c.Now}
}

// send makes one attempt, signed anew. It takes no longer than the sender's timeout, and fails only where the message
// cannot be signed: whatever the receiver does is an answer.
func (s *sender) send(ctx context.Context, m message) (answer, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	to, err := s.guard.admit(ctx, m)
	if err != nil {
		return answer{fault: describe(err)}, nil
	}
	r, err := m.request(ctx, to, s.now())
	if err != nil {
		return answer{}, err
	}
	response, err := s.transport.RoundTrip(r)
	if err != nil {
		return answer{fault: describe(err), latency: time.Since(start)}, nil
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, retryAfter: retryAfter(response.Header.Get("Retry-After"), s.now())}
	a.kept = beginning(response.Body)
	a.latency = time.Since(start)
	return a, nil
}

func (m message) request(ctx context.Context, to *url.URL, now time.Time) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "", bytes.NewReader(m.body))
	if err != nil {
		return nil, memory.Wrap(memory.CodeInternal, err, "no request can be made")
	}
	r.URL, r.Host = to, to.Host
	maps.Copy(r.Header, m.headers)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", userAgent)
	if m.papr {
		paprHeaders(r.Header, m, now)
	}
	return r, webhook.SetHeaders(r.Header, m.id, now, m.body, m.keys...)
}

// beginning reads the first bytes of an answer, as valid UTF-8, and a little more for the connection's sake. What goes
// wrong there does not matter: the status has been said.
func beginning(body io.Reader) string {
	if body == http.NoBody {
		return ""
	}
	kept, err := io.ReadAll(io.LimitReader(body, keptAnswerBytes))
	if err == nil {
		io.CopyN(io.Discard, body, drainedAnswerBytes) //nolint:errcheck // see above
	}
	return strings.ToValidUTF8(string(kept), "?")
}

// retryAfter reads the header in both of its forms; 0 where it says nothing usable.
func retryAfter(value string, now time.Time) time.Duration {
	if value = strings.TrimSpace(value); value == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		const most = int64(10 * 365 * 24 * time.Hour / time.Second)
		return time.Duration(min(max(seconds, 0), most)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// describe says why there was no answer, without the addresses of the network around us.
func describe(err error) string {
	var (
		refused *memory.Error
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		timeout net.Error
	)
	switch {
	case errors.As(err, &refused):
		return refused.Message
	case errors.As(err, &dns):
		return describeLookup(dns)
	case errors.As(err, &cert):
		return "the certificate was not accepted: " + strings.ToValidUTF8(cert.Err.Error(), "?")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "we were shutting down"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.Contains(err.Error(), "server closed idle connection"): // net/http has no name for that one
		return "the connection was closed before an answer"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the host is unreachable"
	}
	return "no valid answer"
}

func describeLookup(err *net.DNSError) string {
	if err.IsNotFound {
		return "the host name does not resolve"
	}
	return "the host name could not be looked up"
}
