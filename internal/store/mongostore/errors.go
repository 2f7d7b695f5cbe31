package mongostore

import (
	"context"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// wrap gives an error of the driver its code and a message that is safe to show. Errors that have a code already stay as
// they are. So do those of the context, once it has ended: the driver's own timeouts look the same, but another try may
// succeed within the caller's time.
func wrap(ctx context.Context, err error) error {
	var coded *memory.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	if ended := ctx.Err(); ended != nil && (errors.Is(err, ended) || mongo.IsTimeout(err) || mongo.IsNetworkError(err)) {
		return errors.Join(ended, err)
	}
	code := codeOf(err)
	if has(err, refused) {
		return memory.Wrap(code, err, "the store refuses this process; check its user, password and roles")
	}
	return memory.Wrap(code, err, messages[code])
}

//nolint:gochecknoglobals // a constant table
var messages = map[memory.Code]string{
	memory.CodeUnavailable: "the store is not available at the moment",
	memory.CodeConflict:    "the store holds something that is in the way of this",
	memory.CodeNotFound:    "there is nothing of that id",
	memory.CodeTooLarge:    "it does not fit into a document of the store",
	memory.CodeInternal:    "the store failed; the log has the cause",
}

// The codes of MongoDB for what passes: primaries that step down, shut down or are not known yet, members that cannot
// confirm a write in time, clashes and overload. See src/mongo/base/error_codes.yml of MongoDB.
//
//nolint:gochecknoglobals // constant lists
var (
	passing = []int{6, 7, 9001, 24, 46, 50, 64, 79, 81, 89, 91, 100, 112, 133, 134, 146, 189, 202, 225, 234, 246, 262, 314, 317, 358, 384, 462,
		10058, 10107, 11600, 11601, 11602, 13388, 13435, 13436, 14031}
	tooLarge = []int{10334, 17419, 17420, 10054}
	refused  = []int{13, 18, 8000} // somebody will mend it
)

// codeOf says what an error of the driver means to callers.
func codeOf(err error) memory.Code {
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return memory.CodeNotFound
	case errors.Is(err, mongo.ErrClientDisconnected), mongo.IsTimeout(err), mongo.IsNetworkError(err), has(err, passing), has(err, refused), labelled(err), unconfirmed(err), unselected(err):
		return memory.CodeUnavailable
	case mongo.IsDuplicateKeyError(err):
		return memory.CodeConflict
	case has(err, tooLarge):
		return memory.CodeTooLarge
	}
	return memory.CodeInternal
}

// has reports whether the server gives one of the codes.
func has(err error, codes []int) bool {
	var server mongo.ServerError
	return errors.As(err, &server) && slices.ContainsFunc(server.ErrorCodes(), func(c int) bool { return slices.Contains(codes, c) })
}

// labelled reports whether the server or the driver says that the same call may succeed later.
func labelled(err error) bool {
	var l mongo.LabeledError
	return errors.As(err, &l) && slices.ContainsFunc([]string{"RetryableWriteError", "RetryableError", "SystemOverloadedError", "TransientTransactionError", "NoWritesPerformed"}, l.HasErrorLabel)
}

// unconfirmed reports whether a write was made but not confirmed by a majority: an election may still take it back.
func unconfirmed(err error) bool {
	var one mongo.WriteException
	var many mongo.BulkWriteException
	return errors.As(err, &one) && one.WriteConcernError != nil || errors.As(err, &many) && many.WriteConcernError != nil
}

// unselected reports whether no server could be had at all, or no connection to it.
func unselected(err error) bool {
	var none topology.ServerSelectionError
	var broken topology.ConnectionError
	var full topology.WaitQueueTimeoutError
	return errors.As(err, &none) || errors.As(err, &broken) || errors.As(err, &full)
}

// duplicates returns which inserts of an unordered bulk found their key taken; false where the error says anything else.
func duplicates(err error) (places []int, ok bool) {
	var bulk mongo.BulkWriteException
	if err == nil {
		return nil, true
	}
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		return nil, false
	}
	for _, w := range bulk.WriteErrors {
		if !mongo.IsDuplicateKeyError(w.WriteError) {
			return nil, false
		}
		places = append(places, w.Index)
	}
	return places, true
}
