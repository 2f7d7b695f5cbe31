package webhook

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The defaults of a [Verifier].
const (
	DefaultTolerance = 5 * time.Minute
	DefaultMaxBytes  = 1 << 20
)

// maxSignatures bounds the work that a stranger's header can cause.
const maxSignatures = 32

// Verifier checks webhooks. It is safe for concurrent use.
type Verifier struct {
	Keys      []Key            // any of them may have signed; none: everything is refused
	Tolerance time.Duration    // how far the timestamp may be from now, either way; below 0: any. Default 5 minutes
	MaxBytes  int64            // of a body that Request reads. Default 1 MiB
	Now       func() time.Time // Default time.Now
}

// Message is a webhook that was verified.
type Message struct {
	ID   string    // the idempotency key
	Time time.Time // of the attempt
	Body []byte    // the exact bytes that were signed
}

// Request reads the body of a request, verifies it and returns it. The request's body is used up. Errors are those of
// Verify, or [ErrTooLarge], or what reading the body failed with.
func (v Verifier) Request(r *http.Request) (Message, error) {
	limit := v.MaxBytes
	if limit <= 0 {
		limit = DefaultMaxBytes
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return Message{}, fmt.Errorf("webhook: reading the body: %w", err)
	}
	if int64(len(body)) > limit {
		return Message{}, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return v.Verify(r.Header, body)
}

// Verify checks that one of the signatures in the headers was made over the id, the timestamp and exactly these bytes
// with one of the keys, and that the timestamp is near enough. It fails with [ErrHeaders], [ErrSignature], [ErrTooOld]
// or [ErrTooNew]; whether a timestamp is near is said only of one that was signed.
func (v Verifier) Verify(h http.Header, body []byte) (Message, error) {
	id, timestamp, at, err := envelope(h)
	if err != nil {
		return Message{}, err
	}
	if err := v.match(h.Values(HeaderSignature), signed(id, timestamp, body)); err != nil {
		return Message{}, err
	}
	if err := v.near(at); err != nil {
		return Message{}, err
	}
	return Message{ID: id, Time: at, Body: body}, nil
}

// envelope reads the id and the timestamp, each of which must be there once.
func envelope(h http.Header) (id, timestamp string, at time.Time, err error) {
	ids, timestamps := h.Values(HeaderID), h.Values(HeaderTimestamp)
	if len(ids) != 1 || len(timestamps) != 1 {
		return "", "", at, fmt.Errorf("%w: %s and %s must be there, once", ErrHeaders, HeaderID, HeaderTimestamp)
	}
	id, timestamp = ids[0], timestamps[0]
	if !validID(id) {
		return "", "", at, fmt.Errorf("%w: %s", ErrHeaders, HeaderID)
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || seconds < 0 || strconv.FormatInt(seconds, 10) != timestamp {
		return "", "", at, fmt.Errorf("%w: %s is not a number of seconds", ErrHeaders, HeaderTimestamp)
	}
	return id, timestamp, time.Unix(seconds, 0), nil
}

func (v Verifier) match(headers []string, text []byte) error {
	signatures := strings.Fields(strings.Join(headers, " "))
	switch {
	case len(signatures) == 0:
		return fmt.Errorf("%w: %s is missing", ErrHeaders, HeaderSignature)
	case len(signatures) > maxSignatures:
		return fmt.Errorf("%w: more than %d signatures", ErrHeaders, maxSignatures)
	case len(v.Keys) == 0:
		return fmt.Errorf("%w: there is no key to verify with", ErrSignature)
	}
	for _, s := range signatures {
		scheme, encoded, _ := strings.Cut(s, ",")
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue // another version's signature may look otherwise
		}
		for _, k := range v.Keys {
			if string(k.Scheme()) == scheme && k.matches(text, raw) {
				return nil
			}
		}
	}
	return ErrSignature
}

func (v Verifier) near(at time.Time) error {
	tolerance := v.Tolerance
	if tolerance == 0 {
		tolerance = DefaultTolerance
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	switch age := now().Sub(at); {
	case tolerance < 0:
		return nil
	case age > tolerance:
		return fmt.Errorf("%w: it was sent %s ago", ErrTooOld, age.Round(time.Second))
	case age < -tolerance:
		return fmt.Errorf("%w: by %s", ErrTooNew, (-age).Round(time.Second))
	}
	return nil
}
