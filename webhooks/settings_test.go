package webhooks

import (
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSettingsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	if err := (Settings{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
	hours := func(n int) Schedule { return Schedule{Delays: []time.Duration{0, time.Duration(n) * time.Hour}} }
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set  Settings
		says string
	}{
		{Settings{Guard: GuardSettings{Ports: "443,http"}}, "webhooks.guard.ports"},
		{Settings{Guard: GuardSettings{Proxy: "proxy:3128"}}, "webhooks.guard.proxy"},
		{Settings{Guard: GuardSettings{Proxy: "ftp://proxy"}}, "webhooks.guard.proxy"},
		{Settings{Guard: GuardSettings{Proxy: "http://user:hunter2@pro xy"}}, "webhooks.guard.proxy"},
		{Settings{Guard: GuardSettings{CAFile: empty + "x"}}, "webhooks.guard.ca_file"},
		{Settings{Guard: GuardSettings{CAFile: empty}}, "has no certificate"},
		{Settings{Delivery: Config{Schedule: Schedule{Delays: []time.Duration{-1}}}}, "webhooks.schedule.delays"},
		{Settings{Delivery: Config{Schedule: hours(721)}}, "webhooks.schedule.delays"},
		{Settings{Delivery: Config{Schedule: Schedule{Delays: []time.Duration{400 * time.Hour, 400 * time.Hour}}}}, "together"},
		{Settings{Delivery: Config{Schedule: Schedule{Jitter: 1.1}}}, "webhooks.schedule.jitter"},
		{Settings{Delivery: Config{Timeout: 2 * time.Minute}}, "webhooks.timeout"},
		{Settings{Delivery: Config{PerEndpoint: -1}}, "webhooks.per_endpoint"},
		{Settings{Relay: RelayConfig{Page: -1}}, "webhooks.relay.page"},
		{Settings{Events: EventsConfig{BaseURL: "api.example.com"}}, "webhooks.base_url"},
		{Settings{OldKeys: []string{"c2hvcnQ="}}, "webhooks.old_keys"},
	} {
		err := c.set.Validate()
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, which does not say %q", c.set, err, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

func TestOldKeysOpenWhatTheySealed(t *testing.T) {
	t.Parallel()
	old, fresh := SealKey{1}, SealKey{2}
	box := sealer(t, old).Seal("w", "p", []byte("text"))
	set := Settings{OldKeys: []string{base64.StdEncoding.EncodeToString(old[:])}}
	s, err := set.Sealer(fresh)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := s.Open("w", "p", box); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := sealer(t, old).Open("w", "p", s.Seal("w", "p", []byte("text"))); err == nil {
		t.Error("it goes on sealing with the old key")
	}
}

// What is set in the file reaches the dialer: ports, authorities, and whether http will do.
func TestGuardSettingsReachTheWire(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer receiver.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	port := receiver.URL[strings.LastIndex(receiver.URL, ":")+1:]
	status := func(set GuardSettings, url string) answer {
		c, err := set.Config("127.0.0.0/8")
		if err != nil {
			t.Fatal(err)
		}
		g := NewGuard(c)
		a, err := newSender(g, Config{}.withDefaults(g)).send(t.Context(), testMessage(url))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := status(GuardSettings{CAFile: file, Ports: port, HTTPSOnly: true}, receiver.URL); a.status != http.StatusNoContent {
		t.Errorf("not delivered: %+v", a)
	}
	if a := status(GuardSettings{Ports: port}, receiver.URL); !strings.Contains(a.fault, "certificate") {
		t.Errorf("without the authority: %+v", a)
	}
	if a := status(GuardSettings{CAFile: file, Ports: "443"}, receiver.URL); !strings.Contains(a.fault, "is not one that webhooks are sent to") {
		t.Errorf("at a port that is not allowed: %+v", a)
	}
	if a := status(GuardSettings{HTTPSOnly: true}, "http://127.0.0.1:"+port); !strings.Contains(a.fault, "https") {
		t.Errorf("over http: %+v", a)
	}
}
