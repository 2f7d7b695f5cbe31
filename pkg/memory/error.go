package memory

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code says what went wrong, for programs. Codes are stable; HTTP status, retry and webhook payload derive from them.
type Code string

// What callers can get wrong.
const (
	CodeMalformed    Code = "malformed"              // the body is not what its content type says
	CodeInvalid      Code = "invalid"                // a field breaks a rule
	CodeTooLarge     Code = "too_large"              // content, metadata or body over its limit
	CodeUnsupported  Code = "unsupported_media_type" // a content type or encoding that is not taken here
	CodeUnauthorized Code = "unauthorized"           // no key, or not a valid one
	CodeForbidden    Code = "forbidden"              // the key lacks the scope
	CodeNotFound     Code = "not_found"
	CodeNotAllowed   Code = "method_not_allowed"
	CodeConflict     Code = "conflict"              // not possible in the present state
	CodeKeyReused    Code = "idempotency_mismatch"  // an Idempotency-Key with another body
	CodeInProgress   Code = "idempotency_in_flight" // an Idempotency-Key whose first request is still running
	CodeForbiddenURL Code = "forbidden_address"     // a webhook address that the guard refuses
	CodeRateLimited  Code = "rate_limited"          // too many requests; the same code serves an LLM's 429
	CodeSuperseded   Code = "superseded"            // a newer version, or a deletion, took its place
)

// What can go wrong on the way.
const (
	CodeUnavailable   Code = "unavailable"         // a dependency is away or answers 5xx
	CodeTimeout       Code = "timeout"             // an attempt took longer than its step may
	CodeInterrupted   Code = "interrupted"         // the process is shutting down
	CodeQuota         Code = "quota_exhausted"     // the LLM account has no credit left
	CodeRefused       Code = "dependency_refused"  // a dependency answered 4xx: the request itself is not acceptable to it
	CodeBadAnswer     Code = "bad_answer"          // the LLM's answer does not validate, even after a repair
	CodeModelMismatch Code = "model_mismatch"      // the vectors stored come from another embedding model
	CodePanic         Code = "panic"               // a step panicked on this memory
	CodeGaveUp        Code = "patience_exhausted"  // retryable faults outlasted the durable track's patience
	CodeDependency    Code = "prerequisite_failed" // a step that this one builds on gave up
	CodeInternal      Code = "internal"            // a fault of ours
)

// Error is an error with a code to branch on, a message that is safe to show, and a cause that is not.
type Error struct {
	Code       Code
	Message    string
	Pointer    string        // JSON pointer to the offending field; empty where there is none
	RetryAfter time.Duration // how long a dependency asked us to wait; 0 where it did not
	Err        error         // the cause, for logs only
}

// Errorf makes an Error of the code with a message that is safe to show.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives err a code and a message that is safe to show. Wrap of a nil error is nil.
func Wrap(code Code, err error, message string) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Message: message, Err: err}
}

// Error implements error; it includes the cause, so it is for logs, not for callers.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Pointer != "" {
		s += " (" + e.Pointer + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of err: that of the outermost [Error] in its chain, else what the context's errors mean, else
// [CodeInternal]. It is empty for nil.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.DeadlineExceeded):
		return CodeTimeout
	case errors.Is(err, context.Canceled):
		return CodeInterrupted
	}
	return CodeInternal
}

// Retryable is the one rule that says whether the same attempt may succeed later. Both tracks obey it.
func Retryable(err error) bool { return CodeOf(err).Retryable() }

// Retryable reports whether a fault of this code may pass by itself.
func (c Code) Retryable() bool {
	switch c {
	case CodeRateLimited, CodeUnavailable, CodeTimeout, CodeInterrupted:
		return true
	case CodeModelMismatch: // the vectors moved to another model: a process that embeds with that one can go on
		return true
	}
	return false
}

// MaxRetryAfter caps how long a dependency can make us wait before the next attempt.
const MaxRetryAfter = 5 * time.Minute

// RetryAfter returns how long the dependency asked us to wait, capped at [MaxRetryAfter]; 0 where it did not say.
func RetryAfter(err error) time.Duration {
	var e *Error
	if !errors.As(err, &e) || e.RetryAfter <= 0 {
		return 0
	}
	return min(e.RetryAfter, MaxRetryAfter)
}

// FaultOf is err as people outside see it: nothing of its cause.
func FaultOf(err error, step string) *Fault {
	if err == nil {
		return nil
	}
	f := &Fault{Code: CodeOf(err), Detail: "something went wrong inside; the log has the cause", Step: step}
	var e *Error
	switch {
	case errors.As(err, &e):
		f.Detail = e.Message
	case f.Code == CodeTimeout:
		f.Detail = "the attempt took longer than the step may"
	case f.Code == CodeInterrupted:
		f.Detail = "the process stopped before the attempt was over"
	}
	return f
}
