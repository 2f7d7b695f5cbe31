//go:build !lean

package embedded

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	persistencespb "go.temporal.io/server/api/persistence/v1"
	"go.temporal.io/server/common/log/tag"
	"go.temporal.io/server/common/primitives"
)

func TestLaunch(t *testing.T) {
	t.Parallel()
	t.Run("TakesOtherPortsWhereOneIsTaken", func(t *testing.T) {
		t.Parallel()
		cfg, files := prepared(t)
		taken := takenPort(t)
		tries := 0
		e, err := launch(t.Context(), cfg, files, func() (ports, error) {
			chosen, err := choosePorts()
			if tries++; tries == 1 {
				chosen[primitives.HistoryService] = taken
			}
			return chosen, err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := e.stop(); err != nil {
				t.Error(err)
			}
		}()
		if tries != 2 {
			t.Errorf("took %d tries, want 2", tries)
		}
		if err := awaitNamespace(t.Context(), e.address, cfg.Namespace); err != nil {
			t.Error(err)
		}
	})
	t.Run("GivesUpWithTheCause", func(t *testing.T) {
		t.Parallel()
		cfg, files := prepared(t)
		taken := takenPort(t)
		_, err := launch(t.Context(), cfg, files, func() (ports, error) {
			chosen, err := choosePorts()
			chosen[primitives.MatchingService] = taken
			return chosen, err
		})
		if err == nil || !strings.Contains(err.Error(), "address already in use") {
			t.Errorf("launch: %v", err)
		}
	})
}

func TestFreePorts(t *testing.T) {
	t.Parallel()
	ports, err := freePorts(50)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range ports {
		if port < firstPort || port >= endPort || seen[port] {
			t.Errorf("port %d is out of range or there twice", port)
		}
		seen[port] = true
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	t.Run("IsMadeWholeOrNotAtAll", func(t *testing.T) {
		t.Parallel()
		file := sqliteConfig(filepath.Join(t.TempDir(), "x.db"))
		statements, err := schemaStatements()
		if err != nil {
			t.Fatal(err)
		}
		if err := makeSchema(t.Context(), file, append(statements[:3:3], "no SQL")); err == nil {
			t.Fatal("a statement that is none was taken")
		}
		for range 2 { // the second finds it made
			if err := makeSchema(t.Context(), file, statements); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("OldFilesAreNamed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		for _, name := range []string{"temporal-0.1.db", "temporal-0.1.db-wal", executionsFile, visibilityFile(nil)} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		warnOfOldFiles(dir, slog.New(slog.NewTextHandler(&out, nil)))
		if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "temporal-0.1.db ") {
			t.Errorf("logged %q, want one line that names temporal-0.1.db", got)
		}
	})
}

func TestSearchAttributes(t *testing.T) {
	t.Parallel()
	t.Run("KeepTheirColumns", func(t *testing.T) {
		t.Parallel()
		config := &persistencespb.NamespaceConfig{CustomSearchAttributeAliases: map[string]string{
			"Keyword02": "b", "Keyword01": "theirs", "Text01": "c",
		}}
		if err := addAliases(config, []string{"a", "b", "d"}); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"Keyword01": "theirs", "Keyword02": "b", "Keyword03": "a", "Keyword04": "d", "Text01": "c"}
		if diff := cmp.Diff(want, config.GetCustomSearchAttributeAliases()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("CanRunOut", func(t *testing.T) {
		t.Parallel()
		if err := addAliases(&persistencespb.NamespaceConfig{}, strings.Split("abcdefghijk", "")); err == nil {
			t.Error("eleven attributes fit into ten columns")
		}
	})
}

func TestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	cfg := Config{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))}.withDefaults()
	var stopping atomic.Bool
	l := newLogger(cfg, &stopping)
	l.Info("too low")
	l.With(tag.NewInt("shard", 1)).Error("shown", tag.NewStringTag("why", "because"))
	l.SLog().With("a", 1).WithGroup("g").Info("too low as well")
	l.Warn(noNexus + ". Nobody asked.")
	stopping.Store(true)
	l.Error("stopping")
	if diff := cmp.Diff("level=ERROR msg=shown component=temporal shard=1 why=because\n", out.String()); diff != "" {
		t.Error(diff)
	}
	defer func() {
		if cause, ok := recover().(fatal); !ok || cause.Error() != "the end, port: 7" {
			t.Errorf("Fatal left %v", cause)
		}
	}()
	l.Fatal("the end", tag.NewInt("port", 7))
}

// prepared returns files that are ready for a launch.
func prepared(t *testing.T) (Config, files) {
	t.Helper()
	cfg := Config{Dir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}.withDefaults()
	files, err := openFiles(t.Context(), cfg.Dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, files
}

// takenPort returns a port that somebody listens on until the test ends.
func takenPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return listener.Addr().(*net.TCPAddr).Port
}

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
