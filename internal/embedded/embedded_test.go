package embedded

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	t.Run("ZeroValuesHaveDefaults", func(t *testing.T) {
		t.Parallel()
		want := Config{Namespace: "default", Retention: 72 * time.Hour, LogLevel: slog.LevelWarn}
		got := Config{}.withDefaults()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Config{}, "Logger")); diff != "" || got.Logger == nil {
			t.Error(diff)
		}
	})
	t.Run("MistakesAreErrors", func(t *testing.T) {
		t.Parallel()
		valid := Config{Dir: t.TempDir()}.withDefaults()
		if err := valid.validate(); err != nil {
			t.Error(err)
		}
		for _, cfg := range []Config{
			{},
			{Dir: t.TempDir(), Retention: time.Minute},
			{Dir: t.TempDir(), Retention: -time.Hour},
		} {
			if err := cfg.withDefaults().validate(); err == nil {
				t.Errorf("%+v was taken", cfg)
			}
		}
	})
	t.Run("TheUIStaysOnLoopback", func(t *testing.T) {
		t.Parallel()
		for address, ok := range map[string]bool{
			"127.0.0.1:8233": true, "127.0.0.1:0": true, "localhost:8233": true, "[::1]:8233": true,
			"0.0.0.0:8233": false, ":8233": false, "[::]:8233": false, "192.0.2.1:8233": false, "example.com:80": false, "8233": false,
		} {
			if err := (Config{Dir: t.TempDir(), UIListen: address}).withDefaults().validate(); (err == nil) != ok {
				t.Errorf("%s: %v", address, err)
			}
		}
	})
}
