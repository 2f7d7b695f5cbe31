package main

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/llm/llmtest"
	"github.com/switchyard-ai/switchyard/internal/llm/openai"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestReleases(t *testing.T) {
	t.Parallel()
	r := releases{needed: "1.19", tested: "1.20"}
	for version, want := range map[string]string{
		"1.19.0": "ok", "1.20.3": "ok", "v1.19.2": "ok", "1.9.8": "wrong", "1.18.9": "wrong", "0.99": "wrong", "1.21.0": "notice", "2.0.0": "notice", "": "ok",
	} {
		d := &diagnosis{}
		d.look("server", "version", "", func() (string, error) { return r.judge(version) })
		f := d.findings[0]
		got := map[bool]string{true: "ok", false: "wrong"}[f.OK]
		if f.Notice {
			got = "notice"
		}
		if got != want || !strings.Contains(f.Detail, "1.19 or later is needed") {
			t.Errorf("%s is %s, want %s: %s", version, got, want, f.Detail)
		}
		if (got == "ok") != (f.Mend == "") {
			t.Errorf("%s is %s, and the remedy %q", version, got, f.Mend)
		}
	}
}

func TestClocks(t *testing.T) {
	t.Parallel()
	before := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	after := before.Add(10 * time.Second) // a slow answer is no skew
	for at, ok := range map[time.Duration]bool{
		0: true, 5 * time.Second: true, 10 * time.Second: true, -maxSkew: true, 10*time.Second + maxSkew: true,
		-maxSkew - time.Second: false, 11*time.Second + maxSkew: false, time.Hour: false,
	} {
		d := &diagnosis{}
		d.clock("server", before.Add(at), before, after)
		if d.findings[0].OK != ok {
			t.Errorf("at %v: %+v", at, d.findings[0])
		}
	}
}

func TestModelNames(t *testing.T) {
	t.Parallel()
	srv, err := llmtest.NewServer(llmtest.Config{Key: "sk_right"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	model := new(llmtest.Fake).Model()
	refusing := func(status int) llmtest.Script {
		return func(c llmtest.Call) llmtest.Behaviour {
			if c.Method == "Models" {
				return llmtest.Status(status)
			}
			return nil
		}
	}
	for _, row := range []struct {
		name, key, model string
		script           llmtest.Script
		ok, notice       bool
		detail, mend     string
	}{
		{name: "Listed", model: model, ok: true, detail: "one of the"},
		{name: "Mistyped", model: strings.ToUpper(model[:1]) + model[1:] + "x", detail: "lists no model", mend: model},
		{name: "NoList", model: model, script: refusing(http.StatusNotFound), ok: true, notice: true, detail: "does not tell which models it has"},
		{name: "NoRightToTheList", model: model, script: refusing(http.StatusForbidden), ok: true, notice: true, detail: "does not tell which models it has"},
		{name: "WrongKey", key: "sk_wrong", model: model, detail: "401", mend: "the key"},
		{name: "OutOfOrder", model: model, script: refusing(http.StatusInternalServerError), detail: "500", mend: "address"},
	} {
		srv.SetScript(row.script)
		if row.key == "" {
			row.key = "sk_right"
		}
		e, err := openai.NewExtractor(openai.Config{BaseURL: srv.URL(), APIKey: row.key, Model: row.model})
		if err != nil {
			t.Fatal(err)
		}
		d := &diagnosis{}
		d.listed(t.Context(), "chat model", "SWITCHYARD_CHAT_MODEL", e.Model(), e)
		f := d.findings[0]
		if f.OK != row.ok || f.Notice != row.notice || !strings.Contains(f.Detail, row.detail) || !strings.Contains(f.Mend, row.mend) || (f.Mend == "") != (row.ok && !row.notice) {
			t.Errorf("%s: %+v", row.name, f)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNearestNames(t *testing.T) {
	t.Parallel()
	names := []string{"text-embedding-3-small", "gpt-6-luna", "gpt-6-sol", "whisper-1", "openai/gpt-6-luna-2026-01-02"}
	for name, want := range map[string][]string{
		"gpt-6-lunar":          {"gpt-6-luna"},
		"GPT-6-SOL":            {"gpt-6-sol"},
		"text-embeding-3-smal": {"text-embedding-3-small"},
		"gpt-6-luna-2026":      {"gpt-6-luna", "openai/gpt-6-luna-2026-01-02"},
	} {
		if diff := cmp.Diff(want, nearest(name, names, len(want))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// lookedUp answers one look-up of a key.
type lookedUp struct {
	store.Keys

	err error
}

func (k lookedUp) Lookup(context.Context, [sha256.Size]byte) (store.Key, error) {
	return store.Key{}, k.err
}

func TestTheDevelopmentKeyIsRefusedOnlyWhereTheStoresSaySo(t *testing.T) {
	t.Parallel()
	cfg := configs.Default()
	cfg.Mongo.URI = "mongodb://somewhere"
	for _, row := range []struct {
		err  error
		ok   bool
		says string
	}{
		{memory.Errorf(memory.CodeNotFound, "no such key"), true, "refused"},
		{nil, false, "is a key of these stores"},
		{memory.Errorf(memory.CodeUnavailable, "away"), false, "is not known"},
		{context.DeadlineExceeded, false, "is not known"},
	} {
		d := &diagnosis{}
		d.access(t.Context(), &server{cfg: cfg, stores: &stores{Keys: lookedUp{err: row.err}}})
		if f := d.findings[0]; f.OK != row.ok || !strings.Contains(f.Detail, row.says) || f.OK == (f.Mend != "") {
			t.Errorf("%v: %+v", row.err, f)
		}
	}
}

// TestNoticesAreNotWrong: what is worth knowing is shown, and the exit code says that all is well.
func TestNoticesAreNotWrong(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		says string
		code int
	}{
		{nil, "ok     part, check: fine", exitOK},
		{mild("do this", "odd"), "note   part, check: odd\n       → do this", exitOK},
		{ailment{context.Canceled, "do that", false}, "wrong  part, check: context canceled\n       → do that", exitPartly},
		{context.Canceled, "wrong  part, check: context canceled\n       → do something", exitPartly},
	} {
		for _, asJSON := range []bool{false, true} {
			sh, d := newShell("", nil), &diagnosis{}
			d.look("part", "check", "do something", func() (string, error) { return "fine", row.err })
			code := sh.report(d.print(sh.console, asJSON))
			if code != row.code || !asJSON && !strings.Contains(sh.out.String(), row.says) {
				t.Errorf("%v ends with %d, want %d; it says\n%s", row.err, code, row.code, sh.out)
			}
			if asJSON && strings.Contains(sh.out.String(), `"notice":true`) != (row.code == exitOK && row.err != nil) {
				t.Errorf("%v: %s", row.err, sh.out)
			}
		}
	}
}
