//go:build e2e

package mongostore

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestCheckWantsWhatMigrateMakes(t *testing.T) {
	t.Parallel()
	s := openBare(t)
	err := s.Check(t.Context())
	if memory.CodeOf(err) != memory.CodeConflict || !strings.Contains(err.Error(), "switchyard migrate") || !strings.Contains(err.Error(), "memories_external") {
		t.Errorf("Check of an empty database says: %v", err)
	}
	for range 2 { // the second time changes nothing
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestCheckSeesEachIndexThatIsMissing(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	for _, x := range indexes() {
		if err := s.db.Collection(x.collection).Indexes().DropOne(t.Context(), x.name); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), x.name+" missing") {
			t.Errorf("Check without %s says: %v", x.name, err)
		}
		if _, err := s.db.Collection(x.collection).Indexes().CreateOne(t.Context(), x.model()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMigrateMendsAnIndexOfAnotherForm(t *testing.T) {
	t.Parallel()
	s := openNew(t)
	for name, wrong := range map[string]mongo.IndexModel{
		"memories_external": {Keys: doc("external", 1), Options: options.Index().SetSparse(true)},                               // not unique
		"memories_leases":   {Keys: doc("lease_until", 1, "track", 1), Options: options.Index()},                                // not partial
		"memories_listed":   {Keys: doc("workspace", 1, "status", 1, "created_at", 1, "_id", 1), Options: options.Index()},      // another order
		"memories_owed":     {Keys: doc("owed.timestamp", 1), Options: options.Index().SetPartialFilterExpression(doc("a", 1))}, // not sparse
	} {
		wrong.Options.SetName(name)
		ix := s.memories.Indexes()
		if err := ix.DropOne(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if _, err := ix.CreateOne(t.Context(), wrong); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), name+" different") {
			t.Errorf("Check says of another %s: %v", name, err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestMigrateGivesIndexesTheTimeTheyNeed(t *testing.T) {
	t.Parallel()
	var longest atomic.Int64
	s := openBare(t, func(o *options.ClientOptions) {
		o.SetMonitor(&event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) {
			if ms, err := e.Command.LookupErr("maxTimeMS"); err == nil && e.CommandName == "createIndexes" {
				longest.Store(max(longest.Load(), ms.AsInt64()))
			}
		}})
	})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ms := longest.Load(); ms != 0 && ms < time.Hour.Milliseconds() {
		t.Errorf("an index may take %d ms to be made", ms)
	}
}
