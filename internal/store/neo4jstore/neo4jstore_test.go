package neo4jstore

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	server := func(code string) error { return &neo4j.Neo4jError{Code: code, Msg: "secret"} }
	for _, c := range []struct {
		err  error
		want memory.Code
	}{
		{server("Neo.TransientError.Transaction.DeadlockDetected"), memory.CodeUnavailable},
		{server("Neo.TransientError.General.MemoryPoolOutOfMemoryError"), memory.CodeUnavailable},
		{server("Neo.ClientError.Transaction.LockClientStopped"), memory.CodeUnavailable},
		{server("Neo.ClientError.Transaction.TransactionTimedOut"), memory.CodeTimeout},
		{server("Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration"), memory.CodeTimeout},
		{server("Neo.ClientError.Security.Unauthorized"), memory.CodeUnavailable},
		{server("Neo.ClientError.Database.DatabaseNotFound"), memory.CodeUnavailable},
		{server("Neo.DatabaseError.General.UnknownError"), memory.CodeUnavailable},
		{server("Neo.ClientError.Statement.SyntaxError"), memory.CodeInternal},
		{server("Neo.ClientError.Schema.ConstraintValidationFailed"), memory.CodeInternal},
		{&neo4j.ConnectivityError{Inner: io.EOF}, memory.CodeUnavailable},
		{&neo4j.TransactionExecutionLimit{Cause: "timeout", Errors: []error{server("Neo.TransientError.Transaction.DeadlockDetected")}}, memory.CodeUnavailable},
		{&neo4j.UsageError{Message: "Pool is closed"}, memory.CodeUnavailable},
		{&neo4j.UsageError{Message: "no such thing"}, memory.CodeInternal},
		{memory.Errorf(memory.CodeInvalid, "mine"), memory.CodeInvalid},
	} {
		got := wrap(t.Context(), c.err)
		var m *memory.Error
		if memory.CodeOf(got) != c.want || !errors.As(got, &m) || strings.Contains(m.Message, "secret") {
			t.Errorf("%v becomes %v, of code %q; want %q", c.err, got, memory.CodeOf(got), c.want)
		}
	}
	ended, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if got := memory.CodeOf(wrap(ended, &neo4j.ConnectivityError{Inner: io.EOF})); got != memory.CodeTimeout {
		t.Errorf("past its deadline a call fails with %q", got)
	}
	if wrap(t.Context(), nil) != nil {
		t.Error("no error becomes one")
	}
}

func TestTheURIMayHoldTheUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg       Config
		uri, user string
	}{
		{Config{URI: "bolt://127.0.0.1:7687"}, "bolt://127.0.0.1:7687", ""},
		{Config{URI: "neo4j+s://ann:s%40cret@graph.example.com"}, "neo4j+s://graph.example.com", "ann"},
		{Config{URI: "neo4j://ann:x@graph.example.com", User: "bob", Password: "y"}, "neo4j://graph.example.com", "bob"},
	} {
		uri, auth, err := target(c.cfg)
		user, _ := auth.Tokens["principal"].(string)
		if err != nil || uri != c.uri || user != c.user {
			t.Errorf("%s: %q as %q, %v", c.cfg.URI, uri, user, err)
		}
	}
	for _, uri := range []string{"", "graph.example.com", "bolt://%zz:secret@x", "http://ann:secret@127.0.0.1:1"} {
		_, err := Open(t.Context(), Config{URI: uri})
		if memory.CodeOf(err) != memory.CodeInvalid || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q is opened with %v", uri, err)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for version, old := range map[string]bool{"4.4.40": true, "5.9.0": true, "5.22.1": true, "5.23.0": false, "5.26.30": false, "2025.08.0": false, "": true} {
		if olderThan(version, oldest) != old {
			t.Errorf("%q is older than %s: %v, want %v", version, oldest, !old, old)
		}
	}
}

func TestOfSeveralMentionsTheNewestCounts(t *testing.T) {
	t.Parallel()
	mention := func(id string, version int, name string) store.Mention {
		return store.Mention{Ref: memory.Ref{Workspace: "w", ID: id, Version: version}, Graph: memory.Graph{Nodes: []memory.Node{{ID: name}}}}
	}
	got := newest([]store.Mention{mention("a", 2, "1"), mention("b", 1, "2"), mention("a", 1, "3"), mention("b", 1, "4"), mention("a", 3, "5")})
	want := []store.Mention{mention("a", 3, "5"), mention("b", 1, "4")}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestLongNamesFitIntoAnIndex(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxIndexed+1)
	if got := indexed(long); len(got) > maxIndexed || got == indexed(long+"y") || got != indexed(long) {
		t.Errorf("a name of %d bytes is indexed as %q", len(long), got)
	}
	if got := indexed("Dorothy"); got != "Dorothy" {
		t.Errorf("a short one is indexed as %q", got)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := Config{Pool: 200, PoolWait: 10 * time.Second, ConnectTimeout: 5 * time.Second, RetryTime: 2 * time.Second, TxTimeout: time.Minute}
	if d := cmp.Diff(want, Config{}.withDefaults()); d != "" {
		t.Error(d)
	}
}
