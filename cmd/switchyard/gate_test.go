package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestGate(t *testing.T) {
	t.Parallel()
	away := memory.Errorf(memory.CodeUnavailable, "away")

	t.Run("OpensByItselfOnceAllIsThere", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			back := time.Now().Add(time.Hour)
			g := newGate(quietLog(), condition{name: "a server", met: func(context.Context) error {
				if time.Now().Before(back) {
					return away
				}
				return nil
			}})
			began := make(chan time.Time, 1)
			parts := [][]part{{
				{"gate", g.run},
				{"work", g.behind(func(ctx context.Context) error { began <- time.Now(); <-ctx.Done(); return nil })},
			}}
			ended := make(chan error, 1)
			go func() { ended <- runStages(ctx, parts...) }()
			time.Sleep(time.Minute)
			if g.waiting() == nil || len(began) > 0 {
				t.Error("the work began while a server was away")
			}
			if late := (<-began).Sub(back); late > 2*time.Second {
				t.Errorf("the work began %v after the server was back", late)
			}
			if g.waiting() != nil {
				t.Error("the gate is open and says that it waits")
			}
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	})

	t.Run("StopsWhileItWaits", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			g := newGate(quietLog(), condition{name: "a server", met: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
			if err := runStages(ctx, []part{{"gate", g.run}, {"work", g.behind(func(context.Context) error { return errors.New("it began") })}}); err != nil {
				t.Error(err)
			}
		})
	})

	t.Run("EndsTheProcessWhereWaitingCannotMendIt", func(t *testing.T) {
		t.Parallel()
		wrong := errors.New("wrong stores")
		g := newGate(quietLog(), condition{met: func(context.Context) error { return wrong }, fatal: func(err error) bool { return errors.Is(err, wrong) }})
		if err := runStages(t.Context(), []part{{"gate", g.run}}); !errors.Is(err, wrong) {
			t.Errorf("got %v", err)
		}
	})
}

func TestDependencyIsAskedForItsSchemaUntilItIsThere(t *testing.T) {
	t.Parallel()
	asked, missing := 0, errors.New("index missing")
	d := &dependency{ping: func(context.Context) error { return nil }, check: func(context.Context) error {
		if asked++; asked < 3 {
			return missing
		}
		return nil
	}}
	for i, want := range []error{missing, missing, nil, nil} {
		if err := d.ready(t.Context()); !errors.Is(err, want) {
			t.Errorf("look %d: %v, want %v", i, err, want)
		}
	}
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}

func TestWorkable(t *testing.T) {
	t.Parallel()
	outside := func(change func(*configs.Config)) configs.Config {
		c := configs.Default()
		c.Temporal.Address, c.Mongo.URI, c.Qdrant.Addr, c.Neo4j.URI = "t:7233", "mongodb://m", "q:6334", "neo4j://n"
		c.WebhookKey, c.DataDir = strings.Repeat("0", 64), t.TempDir()
		change(&c)
		return c
	}
	for name, tc := range map[string]struct {
		change func(*configs.Config)
		want   string
	}{
		"AllOutside":              {func(*configs.Config) {}, ""},
		"NoTemporal":              {func(c *configs.Config) { c.Temporal.Address = "" }, "SWITCHYARD_TEMPORAL_ADDRESS"},
		"NoSharedKey":             {func(c *configs.Config) { c.WebhookKey = "" }, "SWITCHYARD_WEBHOOK_KEY"},
		"OneMachineOneDataFolder": {func(c *configs.Config) { c.Mongo.URI, c.WebhookKey = "", "" }, ""},
		"OnlyTheGraphEmbedded":    {func(c *configs.Config) { c.Neo4j.URI = "" }, ""},
		"DocumentsOutsideNoKey":   {func(c *configs.Config) { c.Neo4j.URI, c.WebhookKey = "", "" }, "SWITCHYARD_WEBHOOK_KEY"},
	} {
		err := workable(outside(tc.change))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q in it", name, err, tc.want)
		}
	}
}

func TestFolderKeepsItsName(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	c.DataDir = t.TempDir()
	first, err := folderOf(c)
	if err != nil || first == "" {
		t.Fatal(first, err)
	}
	if again, err := folderOf(c); again != first || err != nil {
		t.Errorf("%q the second time, %v", again, err)
	}
	c.Mongo.URI, c.Qdrant.Addr, c.Neo4j.URI = "m", "q", "n"
	if none, err := folderOf(c); none != "" || err != nil {
		t.Errorf("%q where nothing is embedded, %v", none, err)
	}
}
