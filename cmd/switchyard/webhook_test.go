package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// listenWith runs webhook listen until the returned function is called, which waits for its end and returns what it
// printed.
func listenWith(t *testing.T, env map[string]string, args ...string) (address string, end func() string) {
	t.Helper()
	sh := newShell("", env)
	said, tell := io.Pipe()
	sh.console.err = tell
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		err := run(ctx, sh.console, append([]string{"webhook", "listen", "--listen", "127.0.0.1:0"}, args...))
		stopped <- err
		tell.CloseWithError(fmt.Errorf("listen ended: %w", err))
	}()
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address, _, _ = strings.Cut(strings.TrimPrefix(line, "listening on "), ",")
	return address, func() string {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		return sh.out.String()
	}
}

// deliver sends a body that is signed with the secret, and returns the status of the answer.
func deliver(t *testing.T, address, id, body, secret string) int {
	t.Helper()
	key, err := webhook.ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := webhook.SetHeaders(r.Header, id, time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC), []byte(body), key); err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "switchyard-test")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func headersFor(t *testing.T, secret string) http.Header {
	t.Helper()
	key, err := webhook.ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	if err := webhook.SetHeaders(h, "evt_1", time.Now(), nil, key); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestWebhookListen(t *testing.T) {
	t.Parallel()
	const event = `{"id":"evt_1","type":"batch.completed","data":{"id":"bat_1"}}`
	other := webhook.GenerateSecret().Text()

	t.Run("VerifiesAndPrints", func(t *testing.T) {
		t.Parallel()
		address, end := listenWith(t, nil, "--secret", testSecret)
		codes := []int{
			deliver(t, address, "evt_1", event, testSecret),
			deliver(t, address, "evt_2", event, other),
			deliver(t, address, "evt_3", "no \x1b[2J json", testSecret),
		}
		if diff := cmp.Diff([]int{204, 400, 204}, codes); diff != "" {
			t.Errorf("answers: %s", diff)
		}
		golden(t, "webhook-listen", end())
	})

	t.Run("FailsOnRequestAndCountsAttempts", func(t *testing.T) {
		t.Parallel()
		address, end := listenWith(t, nil, "--secret", other, "--secret", testSecret, "--fail", "2", "--verbose")
		var codes []int
		for range 3 {
			codes = append(codes, deliver(t, address, "evt_1", event, testSecret))
		}
		if diff := cmp.Diff([]int{500, 500, 204}, codes); diff != "" {
			t.Errorf("answers: %s", diff)
		}
		golden(t, "webhook-listen-fail", withoutSignatures(end()))
	})

	t.Run("SpeaksJSON", func(t *testing.T) {
		t.Parallel()
		address, end := listenWith(t, nil, "--secret", testSecret, "--json")
		deliver(t, address, "evt_1", event, testSecret)
		deliver(t, address, "evt_2", event, other)
		golden(t, "webhook-listen-json", end())
	})

	t.Run("AsksTheServerForTheSecret", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(&playedAPI{answers: map[string][]string{"GET /v1/workspace/webhook-secret": {`{"secret":"` + testSecret + `"}`}}})
		defer server.Close()
		address, end := listenWith(t, map[string]string{"SWITCHYARD_URL": server.URL})
		if code := deliver(t, address, "evt_1", event, testSecret); code != http.StatusNoContent {
			t.Errorf("answered %d", code)
		}
		end()
	})

	t.Run("SaysOnceThatEndpointsSignWithTheirOwn", func(t *testing.T) {
		t.Parallel()
		sh := newShell("", nil)
		l := &listener{remote: &remote{console: sh.console}, asked: true, attempts: map[string]int{}, verifier: webhook.Verifier{Keys: []webhook.Key{webhook.GenerateSecret()}}}
		for _, h := range []http.Header{{}, headersFor(t, other), headersFor(t, other)} {
			l.judge(&http.Request{Header: h, Body: io.NopCloser(strings.NewReader(event))})
		}
		if n := strings.Count(sh.err.String(), "--secret"); n != 1 {
			t.Errorf("it says so %d times: %s", n, sh.err)
		}
	})

	t.Run("SaysWhatToDoWithoutASecret", func(t *testing.T) {
		t.Parallel()
		server := httptest.NewServer(&playedAPI{answers: map[string][]string{"GET /v1/workspace/webhook-secret": {`403 {"code":"forbidden","title":"Not allowed for this key"}`}}})
		defer server.Close()
		sh := newShell("", map[string]string{"SWITCHYARD_URL": server.URL})
		code := sh.report(run(t.Context(), sh.console, list("webhook", "listen")))
		if got := sh.err.String(); code != exitFault || !strings.Contains(got, "--key") || !strings.Contains(got, "--secret") {
			t.Errorf("exit %d: %s", code, got)
		}
	})

	t.Run("RefusesASecretThatIsNone", func(t *testing.T) {
		t.Parallel()
		sh := newShell("", nil)
		if code := sh.report(run(t.Context(), sh.console, list("webhook", "listen", "--secret", "hunter2"))); code != exitFault || strings.Contains(sh.err.String(), "hunter2") {
			t.Errorf("exit %d: %s", code, sh.err)
		}
	})
}

// withoutSignatures takes out the line that another run may break elsewhere.
func withoutSignatures(s string) string {
	var kept []string
	for line := range strings.Lines(s) {
		if !strings.Contains(line, "Webhook-Signature") && !strings.Contains(line, "Accept-Encoding") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
