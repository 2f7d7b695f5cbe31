package neo4jstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// wrap gives an error of the driver its code and a message that is safe to show. Errors that have a code already stay as
// they are; where the context has ended, that is what happened.
func wrap(ctx context.Context, err error) error {
	var coded *memory.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("neo4j: %w: %w", ctx.Err(), err)
	}
	code := codeOf(err)
	return memory.Wrap(code, err, messages[code])
}

//nolint:gochecknoglobals // a constant table
var messages = map[memory.Code]string{
	memory.CodeUnavailable: "the graph is not available at the moment",
	memory.CodeTimeout:     "the graph took too long",
	memory.CodeInternal:    "the graph failed; the log has the cause",
}

// codeOf says what an error of the driver means to callers. Whatever the server is to blame for, or who set it up (users,
// databases, memory), may pass without a change to the memory; what it finds wrong with a statement will not.
func codeOf(err error) memory.Code {
	var server *neo4j.Neo4jError
	if !errors.As(err, &server) {
		var usage *neo4j.UsageError
		if errors.As(err, &usage) && !strings.Contains(usage.Message, "closed") {
			return memory.CodeInternal
		}
		return memory.CodeUnavailable // a connection that could not be had, or broke
	}
	switch {
	case strings.Contains(server.Code, "TransactionTimedOut"):
		return memory.CodeTimeout
	case strings.HasPrefix(server.Code, "Neo.ClientError.Statement."), strings.HasPrefix(server.Code, "Neo.ClientError.Schema."),
		strings.HasPrefix(server.Code, "Neo.ClientError.Procedure."):
		return memory.CodeInternal
	}
	return memory.CodeUnavailable
}

// lostBookmark reports whether the server does not know, or did not come to, what this process has seen before.
func lostBookmark(err error) bool {
	var server *neo4j.Neo4jError
	return errors.As(err, &server) && strings.Contains(server.Code, "Bookmark")
}

// meanwhile reports whether a change of the schema failed for what somebody else changed at the same time: IF NOT EXISTS
// looks before it takes the lock, and locks of a schema are taken in no order.
func meanwhile(err error) bool {
	causes := []error{err}
	if limit, ok := errors.AsType[*neo4j.TransactionExecutionLimit](err); ok { // has no Unwrap
		causes = append(causes, limit.Errors...)
	}
	return slices.ContainsFunc(causes, func(err error) bool {
		var server *neo4j.Neo4jError
		return errors.As(err, &server) && (strings.HasSuffix(server.Code, "AlreadyExists") || strings.HasSuffix(server.Code, "DeadlockDetected"))
	})
}
