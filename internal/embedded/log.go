//go:build !lean

package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

var (
	_ log.Logger      = logger{}
	_ log.WithLogger  = logger{}
	_ log.SLogWrapper = logger{}
)

// noNexus begins a warning of each start. Nothing here uses Nexus, so nothing needs the HTTP API that it asks for.
const noNexus = "HTTP API port has not been set"

// logger gives Temporal's log to a slog.Logger.
type logger struct {
	to *slog.Logger
	// stopping makes a Debug of everything: Temporal's services stop one after the other, and each that still runs
	// complains of the others.
	stopping *atomic.Bool
}

func newLogger(cfg Config, stopping *atomic.Bool) logger {
	return logger{slog.New(atLeast{cfg.Logger.Handler(), cfg.LogLevel}).With("component", "temporal"), stopping}
}

func (l logger) Debug(msg string, tags ...tag.Tag)  { l.log(slog.LevelDebug, msg, tags) }
func (l logger) Info(msg string, tags ...tag.Tag)   { l.log(slog.LevelInfo, msg, tags) }
func (l logger) Warn(msg string, tags ...tag.Tag)   { l.log(slog.LevelWarn, msg, tags) }
func (l logger) Error(msg string, tags ...tag.Tag)  { l.log(slog.LevelError, msg, tags) }
func (l logger) DPanic(msg string, tags ...tag.Tag) { l.log(slog.LevelError, msg, tags) }

// Panic does not return: what follows it in Temporal's code counts on that.
func (l logger) Panic(msg string, tags ...tag.Tag) { panic(newFatal(msg, tags)) }

// Fatal does not return either. Temporal's own logger ends the process; a panic lets launch try again where the trouble
// is a port that was taken.
func (l logger) Fatal(msg string, tags ...tag.Tag) { panic(newFatal(msg, tags)) }

// With returns a logger that adds the tags to all it logs.
func (l logger) With(tags ...tag.Tag) log.Logger {
	return logger{slog.New(l.to.Handler().WithAttrs(attributes(tags))), l.stopping}
}

// SLog returns the same log to the parts of Temporal that know slog.
func (l logger) SLog() *slog.Logger { return l.to }

func (l logger) log(level slog.Level, msg string, tags []tag.Tag) {
	if l.stopping.Load() || strings.HasPrefix(msg, noNexus) {
		level = slog.LevelDebug
	}
	if ctx := context.Background(); l.to.Enabled(ctx, level) {
		l.to.LogAttrs(ctx, level, msg, attributes(tags)...)
	}
}

func attributes(tags []tag.Tag) []slog.Attr {
	attrs := make([]slog.Attr, len(tags))
	for i, t := range tags {
		attrs[i] = slog.Any(t.Key(), t.Value())
	}
	return attrs
}

// atLeast is a handler that leaves out what is below a level.
type atLeast struct {
	slog.Handler
	level slog.Leveler
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level.Level() && h.Handler.Enabled(ctx, level)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}

// fatal is the value of a panic out of Temporal's logger.
type fatal struct{ msg string }

func newFatal(msg string, tags []tag.Tag) fatal {
	for _, t := range tags {
		msg += fmt.Sprintf(", %s: %v", t.Key(), t.Value())
	}
	return fatal{msg}
}

func (f fatal) Error() string { return f.msg }
