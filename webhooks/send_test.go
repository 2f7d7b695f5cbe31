package webhooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	stock "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

func serve(tb testing.TB, h http.HandlerFunc) *httptest.Server {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s
}

// to is a sender that may reach loopback and waits for as long as the test says.
func to(tb testing.TB, timeout time.Duration, gc GuardConfig) *sender {
	tb.Helper()
	gc.Allow = append(gc.Allow, loopback()...)
	g := NewGuard(gc)
	c := Config{Timeout: timeout}.withDefaults(g)
	tb.Cleanup(func() {
		if t, ok := c.Transport.(*http.Transport); ok {
			t.CloseIdleConnections()
		}
	})
	return newSender(g, c)
}

func testMessage(url string) message {
	return message{url: url, id: "evt_1", kind: "memory.completed", body: []byte(" {\"a\": 1, \"b\": \"<é>\"}\n"), keys: []webhook.Key{webhook.GenerateSecret()}}
}

func send(tb testing.TB, s *sender, m message) answer {
	tb.Helper()
	a, err := s.send(tb.Context(), m)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func TestSendsWhatTheStockLibraryVerifies(t *testing.T) {
	t.Parallel()
	m := testMessage("")
	old := webhook.GenerateSecret()
	m.keys = append(m.keys, old)
	m.headers = http.Header{"X-Env": {"prod"}, "Authorization": {"Bearer t"}}
	var verdicts []error
	var got *http.Request
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		for _, k := range m.keys {
			lib, errLib := stock.NewWebhook(k.Text())
			verdicts = append(verdicts, errors.Join(err, errLib, lib.Verify(body, r.Header)))
		}
		got = r
	})
	m.url = s.URL + "/hook?a=b"
	if a := send(t, to(t, 0, GuardConfig{}), m); a.status != 200 || !a.ok() {
		t.Fatalf("%+v", a)
	}
	if err := errors.Join(verdicts...); err != nil || len(verdicts) != 2 {
		t.Errorf("the stock library refuses: %v", err)
	}
	if got.Method != http.MethodPost || got.RequestURI != "/hook?a=b" || got.ContentLength != int64(len(m.body)) || got.Host != strings.TrimPrefix(s.URL, "http://") {
		t.Errorf("%s %s, %d bytes to %s", got.Method, got.RequestURI, got.ContentLength, got.Host)
	}
	for name, want := range map[string]string{
		"Webhook-Id": "evt_1", "Content-Type": "application/json", "User-Agent": userAgent, "X-Env": "prod", "Authorization": "Bearer t",
		"Accept-Encoding": "", "Cookie": "", "Referer": "",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
}

func TestOnly2xxCounts(t *testing.T) {
	t.Parallel()
	var target atomic.Int64
	var visited atomic.Int64
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { visited.Add(1) })
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", elsewhere.URL)
		w.WriteHeader(int(target.Load()))
	})
	out := to(t, 0, GuardConfig{})
	for code := 200; code < 600; code++ {
		target.Store(int64(code))
		if a := send(t, out, testMessage(s.URL)); a.status != code || a.ok() != (code < 300) || a.fault != "" {
			t.Errorf("%d: %+v", code, a)
		}
	}
	if visited.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	handlers := map[string]http.HandlerFunc{
		"Endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(bytes.Repeat([]byte("a"), 32<<10)); err != nil {
					return
				}
			}
		},
		"StopsInTheMiddle": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // so that the server notices when the connection ends
			w.Write(bytes.Repeat([]byte("a"), 2_000))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"CutInARune": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a"+strings.Repeat("ä", 1_000)) },
		"NotText":    func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte{0xff}, 2_000)) },
		"Empty":      func(http.ResponseWriter, *http.Request) {},
	}
	for name, h := range handlers {
		t.Run(name, func(t *testing.T) {
			s := serve(t, h)
			a := send(t, to(t, time.Second, GuardConfig{}), testMessage(s.URL))
			if !a.ok() || len(a.kept) > keptAnswerBytes || !utf8.ValidString(a.kept) || (name == "Endless" && len(a.kept) != keptAnswerBytes) {
				t.Errorf("%d, %d bytes kept", a.status, len(a.kept))
			}
		})
	}
}

func TestHeadersOfTheAnswerAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Long", strings.Repeat("a", 64<<10)) })
	if a := send(t, to(t, 0, GuardConfig{}), testMessage(s.URL)); a.status != 0 || a.fault == "" {
		t.Errorf("%+v", a)
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	hole, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	closer := listen(t, "127.0.0.1:0")
	gone, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	garbage := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		fmt.Fprint(c, "not http at all\r\n\r\n")
		c.Close()
	})
	tlsOnly := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer tlsOnly.Close()
	names := serveNames(t)
	names.says("private.test", addresses("10.0.0.1"))
	names.says("empty.test", nil)
	for url, want := range map[string]string{
		"http://" + hole.Addr().String():   "no answer in time",
		"http://" + closer.Addr().String(): "the connection was closed before an answer",
		"http://" + gone.Addr().String():   "the connection was refused",
		garbage.URL:                        "no valid answer",
		tlsOnly.URL:                        "the certificate was not accepted: ",
		"http://nowhere.test":              "the host name does not resolve",
		"http://empty.test":                "the host name does not resolve",
		"http://private.test":              "the host leads to a private address: webhooks are not sent there",
		"http://10.0.0.1":                  "the host leads to a private address: webhooks are not sent there",
		"http://127.0.0.1:22":              "port 22 is not one that webhooks are sent to",
		"http://127.1":                     "has a host that is neither",
		"ftp://x":                          "must be an absolute http or https URL",
	} {
		patience := time.Minute // a busy machine must not make it the reason
		if want == "no answer in time" {
			patience = 300 * time.Millisecond
		}
		a := send(t, to(t, patience, GuardConfig{Resolver: names.resolver()}), testMessage(url))
		if a.status != 0 || a.ok() || !strings.HasPrefix(a.fault, want) {
			t.Errorf("%s: %+v, want %q", url, a, want)
		}
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	pool := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if a := send(t, to(t, 0, GuardConfig{RootCAs: pool}), testMessage(s.URL)); !a.ok() {
		t.Errorf("with its authority known: %+v", a)
	}
	names := serveNames(t)
	names.says("other.test", addresses("127.0.0.1"))
	u, _ := url.Parse(s.URL)
	out := to(t, 0, GuardConfig{RootCAs: pool, Resolver: names.resolver()})
	if a := send(t, out, testMessage("https://other.test:"+u.Port())); a.ok() || !strings.HasPrefix(a.fault, "the certificate was not accepted") {
		t.Errorf("under another name: %+v", a)
	}
}

func TestNoProxyFromTheEnvironment(t *testing.T) {
	proxy := listen(t, "127.0.0.1:0")
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://"+proxy.Addr().String())
	}
	if NewGuard(GuardConfig{}).Transport().Proxy != nil {
		t.Error("the transport asks for a proxy")
	}
	names := serveNames(t)
	names.says("receiver.test", addresses("127.0.0.1"))
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	u, _ := url.Parse(s.URL)
	if a := send(t, to(t, 0, GuardConfig{Resolver: names.resolver()}), testMessage("http://receiver.test:"+u.Port())); !a.ok() || proxy.connections() > 0 {
		t.Errorf("%+v, %d connections to the proxy", a, proxy.connections())
	}
}

func TestExplicitProxy(t *testing.T) {
	t.Parallel()
	var asked []string
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		w.WriteHeader(http.StatusAccepted)
	})
	names := serveNames(t)
	names.says("receiver.test", addresses("93.184.216.34"))
	names.says("private.test", addresses("10.0.0.1"))
	p, _ := url.Parse(proxy.URL)
	g := NewGuard(GuardConfig{Proxy: p, Resolver: names.resolver()}) // the proxy's own address is not judged
	out := newSender(g, Config{}.withDefaults(g))
	if a := send(t, out, testMessage("http://receiver.test/hook")); a.status != http.StatusAccepted {
		t.Errorf("%+v", a)
	}
	for _, u := range []string{"http://private.test/", "http://10.0.0.1/", "http://127.0.0.1:8080/", "http://receiver.test:22/"} {
		if a := send(t, out, testMessage(u)); a.fault == "" {
			t.Errorf("%s went through the proxy: %+v", u, a)
		}
	}
	if len(asked) != 1 || asked[0] != "http://receiver.test/hook" {
		t.Errorf("the proxy was asked for %v", asked)
	}
}

func TestEachAttemptIsSignedAnew(t *testing.T) {
	t.Parallel()
	var headers []http.Header
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { headers = append(headers, r.Header) })
	out, m := to(t, 0, GuardConfig{}), testMessage(s.URL)
	now := time.Unix(1_700_000_000, 0)
	out.now = func() time.Time { return now }
	send(t, out, m)
	now = now.Add(time.Hour)
	send(t, out, m)
	a, b := headers[0], headers[1]
	if a.Get("Webhook-Id") != b.Get("Webhook-Id") || a.Get("Webhook-Timestamp") == b.Get("Webhook-Timestamp") || a.Get("Webhook-Signature") == b.Get("Webhook-Signature") {
		t.Errorf("first %v, then %v", a, b)
	}
	v := webhook.Verifier{Keys: m.keys, Now: func() time.Time { return now }}
	if _, err := v.Verify(b, m.body); err != nil {
		t.Error(err)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 5_000)) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	out := to(t, 0, GuardConfig{})
	for range 5 {
		send(t, out, testMessage(s.URL))
	}
	if opened.Load() != 1 {
		t.Errorf("%d connections for 5 attempts", opened.Load())
	}
}

func TestUnsignableIsAnError(t *testing.T) {
	t.Parallel()
	m := testMessage("http://127.0.0.1:65535/")
	m.keys = nil
	if a, err := to(t, 0, GuardConfig{}).send(t.Context(), m); err == nil {
		t.Errorf("it was sent unsigned: %+v", a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a, err := to(t, 0, GuardConfig{}).send(ctx, testMessage("http://127.0.0.1:65535/")); err != nil || a.fault != "we were shutting down" {
		t.Errorf("%+v, %v", a, err)
	}
}
