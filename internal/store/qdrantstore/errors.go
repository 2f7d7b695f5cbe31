package qdrantstore

import (
	"context"
	"errors"
	"time"

	"github.com/qdrant/go-client/qdrant"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// wrap gives an error of Qdrant its code and a message that is safe to show. Errors that have a code already, and those
// of the caller's context, stay as they are.
func wrap(err error) error {
	var coded *memory.Error
	if err == nil || errors.As(err, &coded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if limited, ok := errors.AsType[*qdrant.QdrantResourceExhaustedError](err); ok {
		return &memory.Error{
			Code: memory.CodeRateLimited, Message: "qdrant limits the rate of requests",
			RetryAfter: time.Duration(limited.RetryAfterS) * time.Second, Err: err,
		}
	}
	code, message := meaning(status.Code(unwrapped(err)))
	return memory.Wrap(code, err, message)
}

// unwrapped is the error of gRPC within that of the client.
func unwrapped(err error) error {
	if e, ok := errors.AsType[*qdrant.QdrantError](err); ok {
		return e.Unwrap()
	}
	return err
}

// meaning says what a status of gRPC is to callers. What is for whoever runs the server to mend, a key or a collection, is
// a fault that passes: memories wait for it rather than fail.
func meaning(c codes.Code) (memory.Code, string) {
	switch c {
	case codes.DeadlineExceeded:
		return memory.CodeTimeout, "qdrant took too long"
	case codes.NotFound:
		return memory.CodeUnavailable, "a collection is missing in Qdrant: run `switchyard migrate`"
	case codes.Unauthenticated, codes.PermissionDenied:
		return memory.CodeUnavailable, "qdrant does not accept the API key"
	case codes.InvalidArgument, codes.OutOfRange, codes.FailedPrecondition, codes.Unimplemented:
		return memory.CodeRefused, "qdrant refused the request"
	case codes.AlreadyExists:
		return memory.CodeConflict, "qdrant has that already"
	}
	return memory.CodeUnavailable, "qdrant is not available at the moment"
}

func isNotFound(err error) bool { return hasStatus(err, codes.NotFound) }

func alreadyExists(err error) bool { return hasStatus(err, codes.AlreadyExists) }

func hasStatus(err error, c codes.Code) bool {
	var e *memory.Error
	if errors.As(err, &e) && e.Err != nil {
		err = e.Err
	}
	return err != nil && status.Code(unwrapped(err)) == c
}
