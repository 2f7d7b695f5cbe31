package mongostore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestErrorsGetTheirCode(t *testing.T) {
	t.Parallel()
	taken := mongo.WriteError{Code: 11000}
	for _, row := range []struct {
		name string
		err  error
		want memory.Code
	}{
		{"Nothing", nil, ""},
		{"NoDocument", mongo.ErrNoDocuments, memory.CodeNotFound},
		{"Closed", mongo.ErrClientDisconnected, memory.CodeUnavailable},
		{"NoServer", topology.ServerSelectionError{Wrapped: errors.New("no primary")}, memory.CodeUnavailable},
		{"NoConnection", topology.ConnectionError{Wrapped: errors.New("refused")}, memory.CodeUnavailable},
		{"NoRoomInThePool", topology.WaitQueueTimeoutError{}, memory.CodeUnavailable},
		{"OwnTimeout", context.DeadlineExceeded, memory.CodeUnavailable},
		{"SteppedDown", mongo.CommandError{Code: 189}, memory.CodeUnavailable},
		{"NotPrimary", mongo.CommandError{Code: 10107}, memory.CodeUnavailable},
		{"TookTooLong", mongo.CommandError{Code: 50}, memory.CodeUnavailable},
		{"Network", mongo.CommandError{Labels: []string{"NetworkError"}}, memory.CodeUnavailable},
		{"Retryable", mongo.WriteException{Labels: []string{"RetryableWriteError"}}, memory.CodeUnavailable},
		{"Unconfirmed", mongo.WriteException{WriteConcernError: &mongo.WriteConcernError{Code: 100000}}, memory.CodeUnavailable},
		{"UnconfirmedBulk", mongo.BulkWriteException{WriteConcernError: &mongo.WriteConcernError{Code: 100000}}, memory.CodeUnavailable},
		{"TakenAndUnconfirmed", mongo.WriteException{WriteErrors: mongo.WriteErrors{taken}, WriteConcernError: &mongo.WriteConcernError{Code: 64}}, memory.CodeUnavailable},
		{"Taken", mongo.WriteException{WriteErrors: mongo.WriteErrors{taken}}, memory.CodeConflict},
		{"TooLarge", mongo.CommandError{Code: 10334}, memory.CodeTooLarge},
		{"WrongPassword", mongo.CommandError{Code: 18}, memory.CodeUnavailable},
		{"NoRole", mongo.CommandError{Code: 13}, memory.CodeUnavailable},
		{"Anything", errors.New("a nil map"), memory.CodeInternal},
		{"Coded", memory.Errorf(memory.CodeInvalid, "no cursor"), memory.CodeInvalid},
		{"Wrapped", fmt.Errorf("make the indexes: %w", mongo.CommandError{Code: 91}), memory.CodeUnavailable},
	} {
		err := wrap(t.Context(), row.err)
		if got := memory.CodeOf(err); got != row.want {
			t.Errorf("%s: code %q, want %q", row.name, got, row.want)
		}
		if row.err != nil && !strings.Contains(err.Error(), row.err.Error()) {
			t.Errorf("%s: the cause is lost: %v", row.name, err)
		}
	}
}

func TestErrorsOfTheCallersContextAreItsOwn(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := memory.CodeOf(wrap(ended, fmt.Errorf("find: %w", context.Canceled))); got != memory.CodeInterrupted {
		t.Errorf("cancelled: code %q", got)
	}
	if got := memory.CodeOf(wrap(ended, mongo.CommandError{Labels: []string{"NetworkError"}})); got != memory.CodeInterrupted {
		t.Errorf("a connection that was closed since the caller left: code %q", got)
	}
	if got := memory.CodeOf(wrap(ended, mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: 11000}}})); got != memory.CodeConflict {
		t.Errorf("an answer of the server: code %q", got)
	}
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if got := memory.CodeOf(wrap(late, fmt.Errorf("find: %w", context.DeadlineExceeded))); got != memory.CodeTimeout {
		t.Errorf("the caller's deadline: code %q", got)
	}
}

func TestDuplicatesAreTakenForThatOnlyWhereAllElseIsWell(t *testing.T) {
	t.Parallel()
	taken := func(i int) mongo.BulkWriteError {
		return mongo.BulkWriteError{WriteError: mongo.WriteError{Index: i, Code: 11000}}
	}
	for name, row := range map[string]struct {
		err  error
		want int
		ok   bool
	}{
		"Nothing":     {nil, 0, true},
		"Two":         {mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{taken(1), taken(3)}}, 2, true},
		"Another":     {mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{taken(1), {WriteError: mongo.WriteError{Code: 2}}}}, 0, false},
		"Unconfirmed": {mongo.BulkWriteException{WriteErrors: []mongo.BulkWriteError{taken(1)}, WriteConcernError: &mongo.WriteConcernError{Code: 64}}, 0, false},
		"Elsewhere":   {mongo.ErrClientDisconnected, 0, false},
	} {
		places, ok := duplicates(row.err)
		if len(places) != row.want && row.ok || ok != row.ok {
			t.Errorf("%s: %v, %v", name, places, ok)
		}
	}
}

func TestAURIThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"", "localhost:27017", "postgres://x", "mongodb://"} {
		if _, err := Open(t.Context(), Config{URI: uri}); memory.CodeOf(err) != memory.CodeInvalid {
			t.Errorf("%q: %v", uri, err)
		}
	}
}
