package api

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
)

// A note is what a request's line in the log says. It is filled on the way and belongs to the one goroutine that
// answers the request.
type note struct {
	requestID string
	traceID   string // of the W3C trace that the caller is in; "": none
	workspace string
	key       string // id of the API key
	memory    string
	batch     string
	err       error // what went wrong, with its cause
}

type noteKey struct{}

func withNote(ctx context.Context, n *note) context.Context {
	return context.WithValue(ctx, noteKey{}, n)
}

func noteOf(ctx context.Context) *note {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		return n
	}
	return &note{}
}

const requestIDHeader = "X-Request-Id"

var saneID = regexp.MustCompile(`^[A-Za-z0-9._:/+=@-]{1,128}$`)

// newNote takes the caller's ids over, as far as they are fit for a log.
func newNote(h http.Header) *note {
	n := &note{requestID: h.Get(requestIDHeader), traceID: traceID(h.Get("Traceparent"))}
	if !saneID.MatchString(n.requestID) {
		n.requestID = id.New(id.Request)
	}
	return n
}

// traceID returns the trace id of a W3C traceparent header; "" where it is not one.
func traceID(header string) string {
	parts := strings.Split(strings.TrimSpace(header), "-")
	if len(parts) < 4 || len(parts[0]) != 2 || len(parts[1]) != 32 || len(parts[2]) != 16 || parts[0] == "ff" {
		return ""
	}
	b, err := hex.DecodeString(parts[1])
	if err != nil || parts[1] != strings.ToLower(parts[1]) || strings.Trim(parts[1], "0") == "" || len(b) != 16 {
		return ""
	}
	return parts[1]
}

// line writes the request's line in the log.
func (n *note) line(ctx context.Context, log *slog.Logger, r *http.Request, route string, status int, took time.Duration) {
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", n.requestID), slog.String("method", r.Method), slog.String("route", route),
		slog.Int("status", status), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	}
	for _, a := range []slog.Attr{
		slog.String("trace", n.traceID), slog.String("workspace", n.workspace), slog.String("key", n.key),
		slog.String("memory", n.memory), slog.String("batch", n.batch),
	} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	if n.err != nil {
		attrs = append(attrs, slog.Any("error", n.err))
	}
	log.LogAttrs(ctx, level, "request", attrs...)
}
