package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/openai/openai-go/v3/option"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const (
	maxAnswerBytes = 128 << 20 // a page of vectors as text has tens of megabytes
	maxErrorBytes  = 64 << 10
)

// answerError is an answer that is an error. What the server said goes to logs only: it may quote key and content.
type answerError struct {
	status     int
	code       string // the server's own word for it, such as insufficient_quota
	said       string
	retryAfter time.Duration
}

// Error implements error.
func (e *answerError) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.said) }

// inspect turns answers of 400 and above into errors, whatever form their bodies have, and bounds the others.
func (x connection) inspect(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	res, err := next(r)
	if err != nil {
		return res, err
	}
	if res.StatusCode < http.StatusBadRequest {
		res.Body = http.MaxBytesReader(nil, res.Body, maxAnswerBytes)
		return res, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBytes))
	e := readError(res.StatusCode, body)
	e.retryAfter = retryAfter(res.Header, time.Now())
	if x.key != "" {
		e.said = strings.ReplaceAll(e.said, x.key, "(key)")
	}
	return nil, errors.Join(e, err)
}

// readError takes the forms that servers use: {"error": {"message", "code", "type"}}, {"error": "…"}, {"message": "…"},
// {"detail": …}, and any text.
func readError(status int, body []byte) *answerError {
	e := &answerError{status: status, said: cut(string(body), 500)}
	var outer struct {
		Error json.RawMessage `json:"error"`
	}
	inner := json.RawMessage(body)
	if json.Unmarshal(body, &outer) == nil && len(outer.Error) > 0 {
		inner = outer.Error
	}
	var fields struct {
		Code any    `json:"code"`
		Type string `json:"type"`
	}
	_ = json.Unmarshal(inner, &fields) // what is no object has no code
	if code, ok := fields.Code.(string); ok && word.MatchString(code) {
		e.code = code
	} else if word.MatchString(fields.Type) {
		e.code = fields.Type
	}
	return e
}

var word = regexp.MustCompile(`^[a-z][a-z_.-]{0,63}$`)

// fault gives err the code that says what to do about it, and a message that is safe to show. It is the only place that
// does.
func fault(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("openai: %w", ctx.Err())
	}
	var e *answerError
	if !errors.As(err, &e) {
		return memory.Wrap(memory.CodeUnavailable, err, "the LLM server could not be reached, or its answer broke off")
	}
	m := &memory.Error{Code: codeOf(e), Message: fmt.Sprintf("the LLM server answered %d", e.status), Err: err}
	if e.code != "" {
		m.Message += " (" + e.code + ")"
	}
	if m.Code == memory.CodeRateLimited || m.Code == memory.CodeUnavailable {
		m.RetryAfter = e.retryAfter
	}
	return m
}

func codeOf(e *answerError) memory.Code {
	switch {
	case e.code == "insufficient_quota" || e.code == "billing_hard_limit_reached" || e.status == http.StatusPaymentRequired:
		return memory.CodeQuota
	case e.status == http.StatusTooManyRequests:
		return memory.CodeRateLimited
	case e.tooLong(), e.status == http.StatusNotImplemented:
		return memory.CodeRefused
	case e.status == http.StatusRequestTimeout, e.status == http.StatusConflict, e.status == http.StatusTooEarly,
		e.status >= http.StatusInternalServerError:
		return memory.CodeUnavailable
	}
	return memory.CodeRefused
}

// tooLong reports whether the server says that the text does not fit into the model's context.
func (e *answerError) tooLong() bool {
	return e.status != http.StatusTooManyRequests && contains(e.code+" "+e.said, "context_length_exceeded", "exceed_context_size",
		"maximum context length", "context length", "context window", "context size", "must have less than", "input is too long")
}

// tooLong reports whether an error of a call means that its text has to be shorter.
func tooLong(err error) bool {
	var e *answerError
	return errors.As(err, &e) && e.tooLong()
}

// contains reports whether a text contains one of the parts, in whatever case.
func contains(text string, parts ...string) bool {
	text = strings.ToLower(text)
	for _, p := range parts {
		if strings.Contains(text, p) {
			return true
		}
	}
	return false
}

// retryAfter reads how long the server asks us to wait: retry-after-ms, or Retry-After as seconds (also fractions) or as
// an HTTP date, or, where there is neither, when what was used up is there again. What it cannot read, and what lies in
// the past, is 0. The longest wait is a day.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if d, ok := span(h.Get("Retry-After-Ms"), time.Millisecond); ok {
		return d
	}
	value := strings.TrimSpace(h.Get("Retry-After"))
	if d, ok := span(value, time.Second); ok {
		return d
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), longest)
	}
	return untilReset(h)
}

// untilReset reads when OpenAI's limits are reset, x-ratelimit-reset-requests and -tokens, such as 6m0s or 17ms: the
// longest of those of which nothing remains. Where none is said to be used up it is the shortest there is: then the call
// was too much for one of them, and which is not known.
func untilReset(h http.Header) (wait time.Duration) {
	shortest := time.Duration(0)
	for _, of := range []string{"Requests", "Tokens"} {
		d, err := time.ParseDuration(strings.TrimSpace(h.Get("X-Ratelimit-Reset-" + of)))
		if err != nil || d <= 0 {
			continue
		}
		d = min(d, longest)
		if strings.TrimSpace(h.Get("X-Ratelimit-Remaining-"+of)) == "0" {
			wait = max(wait, d)
		}
		if shortest == 0 || d < shortest {
			shortest = d
		}
	}
	return cmp.Or(wait, shortest)
}

const longest = 24 * time.Hour

// span reads a number of units.
func span(s string, unit time.Duration) (time.Duration, bool) {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(n) || n < 0 {
		return 0, false
	}
	return time.Duration(min(n*float64(unit), float64(longest))), true
}
