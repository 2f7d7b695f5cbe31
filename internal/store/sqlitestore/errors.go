package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// wrap gives an error of SQLite its code and a message that is safe to show. Errors that have a code already, and those
// of a context, stay as they are.
func wrap(err error) error {
	var coded *memory.Error
	if err == nil || errors.As(err, &coded) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	code := codeOf(err)
	return memory.Wrap(code, err, messages[code])
}

//nolint:gochecknoglobals // a constant table
var messages = map[memory.Code]string{
	memory.CodeUnavailable: "the store is not available at the moment",
	memory.CodeConflict:    "the store holds something that is in the way of this",
	memory.CodeNotFound:    "there is nothing of that id",
	memory.CodeInterrupted: "the call was interrupted",
	memory.CodeInternal:    "the store failed; the log has the cause",
}

// codeOf says what an error of SQLite means to callers.
func codeOf(err error) memory.Code {
	if errors.Is(err, sql.ErrNoRows) {
		return memory.CodeNotFound
	}
	if errors.Is(err, sql.ErrConnDone) || err.Error() == "sql: database is closed" {
		return memory.CodeUnavailable
	}
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return memory.CodeInternal
	}
	switch e.Code() & 0xff { // the primary code
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_READONLY:
		return memory.CodeUnavailable
	case sqlite3.SQLITE_CONSTRAINT:
		return memory.CodeConflict
	case sqlite3.SQLITE_INTERRUPT:
		return memory.CodeInterrupted
	}
	return memory.CodeInternal
}

// isLocked reports whether another connection was in the way for longer than Config.BusyTimeout.
func isLocked(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

// isNoTransaction reports whether err says that there is no transaction to end.
func isNoTransaction(err error) bool {
	return strings.Contains(err.Error(), "no transaction is active")
}
