package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Error is an error that the server answered: an RFC 9457 problem document. Branch on Code.
type Error struct {
	Status    int          `json:"status"`
	Code      memory.Code  `json:"code"`
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Detail    string       `json:"detail"`
	Errors    []FieldError `json:"errors"`
	RequestID string       `json:"request_id"` // what to look for in the server's log

	RetryAfter time.Duration `json:"-"` // how long the server asks to wait; 0 where it does not
}

// FieldError is what is wrong with one field of the request.
type FieldError struct {
	Pointer string      `json:"pointer"`      // JSON pointer to the field
	In      string      `json:"in,omitempty"` // where it is, if not in the body: path, query or header
	Code    memory.Code `json:"code,omitempty"`
	Detail  string      `json:"detail"`
}

// Error says what went wrong, field by field, and ends with what to look for in the server's log.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Title)
	if e.Detail != "" && e.Detail != e.Title {
		b.WriteString(": " + e.Detail)
	}
	for _, f := range e.Errors {
		if !strings.Contains(e.Detail, f.Detail) {
			fmt.Fprintf(&b, "; %s %s", f.Pointer, f.Detail)
		}
	}
	fmt.Fprintf(&b, " (%s", e.Code)
	if e.RequestID != "" {
		b.WriteString(", request " + e.RequestID)
	}
	b.WriteString(")")
	return b.String()
}

// Unwrap returns the same in the words of pkg/memory, so that memory.CodeOf and memory.Retryable see it.
func (e *Error) Unwrap() error {
	return &memory.Error{Code: e.Code, Message: e.Detail, RetryAfter: e.RetryAfter}
}

const maxProblem = 1 << 20

// problemOf reads the answer of a request that did not succeed. What is not a problem document (a proxy's page, say)
// becomes one as good as may be.
func problemOf(res *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	if err != nil {
		return fmt.Errorf("%s, and its explanation broke off: %w", res.Status, err)
	}
	e := &Error{}
	if json.Unmarshal(body, e) != nil || e.Code == "" {
		e = &Error{Code: codeOf(res.StatusCode), Detail: excerpt(body)}
	}
	e.Status = res.StatusCode
	e.RetryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
	if e.Title == "" {
		e.Title = http.StatusText(res.StatusCode)
	}
	if e.RequestID == "" {
		e.RequestID = res.Header.Get("X-Request-Id")
	}
	return e
}

// codeOf is the code of an answer that does not carry one.
func codeOf(status int) memory.Code {
	switch status {
	case http.StatusUnauthorized:
		return memory.CodeUnauthorized
	case http.StatusForbidden:
		return memory.CodeForbidden
	case http.StatusNotFound:
		return memory.CodeNotFound
	case http.StatusRequestEntityTooLarge:
		return memory.CodeTooLarge
	case http.StatusTooManyRequests:
		return memory.CodeRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return memory.CodeUnavailable
	}
	return memory.CodeInternal
}

func excerpt(body []byte) string {
	const most = 200
	s := strings.ToValidUTF8(strings.Join(strings.Fields(string(body)), " "), "")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// retryAfter reads the header in both its forms: seconds, and a date.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(header); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
