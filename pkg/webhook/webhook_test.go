package webhook_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	stock "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// The vectors are those of the reference implementation's own tests.
const (
	vectorID      = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorSeconds = 1614265330
	vectorBody    = `{"test": 2432232314}`
	vectorSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorV1      = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	vectorPrivate = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="
	vectorV1a     = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="
)

func parse(tb testing.TB, text string) webhook.Key {
	tb.Helper()
	k, err := webhook.ParseKey(text)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func headers(id string, at time.Time, signature string) http.Header {
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
	h.Set("webhook-signature", signature)
	return h
}

func TestVectors(t *testing.T) {
	t.Parallel()
	at := time.Unix(vectorSeconds, 0)
	for _, tt := range []struct{ key, want string }{{vectorSecret, vectorV1}, {vectorPrivate, vectorV1a}} {
		key := parse(t, tt.key)
		got, err := webhook.Sign(vectorID, at, []byte(vectorBody), key)
		if err != nil || got != tt.want {
			t.Errorf("Sign with %v = %q, %v; want %q", key, got, err, tt.want)
		}
		v := webhook.Verifier{Keys: []webhook.Key{key}, Now: func() time.Time { return at }}
		m, err := v.Verify(headers(vectorID, at, tt.want), []byte(vectorBody))
		if err != nil || m.ID != vectorID || !m.Time.Equal(at) || string(m.Body) != vectorBody {
			t.Errorf("Verify with %v = %+v, %v", key, m, err)
		}
	}
}

func TestBothKeysOfARotationVerify(t *testing.T) {
	t.Parallel()
	old, fresh, pair := webhook.GenerateSecret(), webhook.GenerateSecret(), webhook.GenerateKey()
	body := []byte(`{"a":1}`)
	h := http.Header{}
	if err := webhook.SetHeaders(h, "evt_1", time.Now(), body, fresh, old, pair); err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(h.Get("webhook-signature"))); n != 3 {
		t.Fatalf("%d signatures for 3 keys", n)
	}
	for _, k := range []webhook.Key{old, fresh, pair, pair.Public()} {
		if err := webhook.Verify(h, body, k); err != nil {
			t.Errorf("with %v: %v", k, err)
		}
	}
	if err := webhook.Verify(h, body, webhook.GenerateSecret()); !errors.Is(err, webhook.ErrSignature) {
		t.Errorf("with another secret: %v", err)
	}
	if err := webhook.Verify(h, body, webhook.GenerateKey().Public()); !errors.Is(err, webhook.ErrSignature) {
		t.Errorf("with another public key: %v", err)
	}
}

func TestStockLibraryVerifiesWhatWeSign(t *testing.T) {
	t.Parallel()
	for range 50 {
		key, other := webhook.GenerateSecret(), webhook.GenerateSecret()
		lib, err := stock.NewWebhook(key.Text())
		if err != nil {
			t.Fatal(err)
		}
		body := []byte(`{"id":"evt_1","text":"Grüße\n"}`)
		h := http.Header{}
		if err := webhook.SetHeaders(h, "evt_1", time.Now(), body, other, key); err != nil {
			t.Fatal(err)
		}
		if err := lib.Verify(body, h); err != nil {
			t.Fatalf("the stock library refuses: %v", err)
		}
		theirs, err := lib.Sign("evt_2", time.Now(), body)
		if err != nil {
			t.Fatal(err)
		}
		if err := webhook.Verify(headers("evt_2", time.Now(), theirs), body, key); err != nil {
			t.Fatalf("we refuse the stock library's: %v", err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	secret, pair := parse(t, vectorSecret), parse(t, vectorPrivate)
	both := vectorV1 + " " + vectorV1a
	raw := strings.TrimPrefix(vectorV1, "v1,")
	tests := []struct {
		name   string
		change func(h http.Header)
		body   string
		keys   []webhook.Key
		want   error
	}{
		{name: "NoID", change: func(h http.Header) { h.Del("webhook-id") }, want: webhook.ErrHeaders},
		{name: "EmptyID", change: func(h http.Header) { h.Set("webhook-id", "") }, want: webhook.ErrHeaders},
		{name: "TwoIDs", change: func(h http.Header) { h.Add("webhook-id", "msg_2") }, want: webhook.ErrHeaders},
		{name: "FullStopInID", change: func(h http.Header) { h.Set("webhook-id", "msg.1") }, want: webhook.ErrHeaders},
		{name: "SpaceInID", change: func(h http.Header) { h.Set("webhook-id", "msg 1") }, want: webhook.ErrHeaders},
		{name: "LongID", change: func(h http.Header) { h.Set("webhook-id", strings.Repeat("m", 300)) }, want: webhook.ErrHeaders},
		{name: "NoTimestamp", change: func(h http.Header) { h.Del("webhook-timestamp") }, want: webhook.ErrHeaders},
		{name: "TwoTimestamps", change: func(h http.Header) { h.Add("webhook-timestamp", "1") }, want: webhook.ErrHeaders},
		{name: "WordTimestamp", change: func(h http.Header) { h.Set("webhook-timestamp", "now") }, want: webhook.ErrHeaders},
		{name: "NegativeTimestamp", change: func(h http.Header) { h.Set("webhook-timestamp", "-1") }, want: webhook.ErrHeaders},
		{name: "PlusTimestamp", change: func(h http.Header) { h.Set("webhook-timestamp", "+1614265330") }, want: webhook.ErrHeaders},
		{name: "ZeroTimestamp", change: func(h http.Header) { h.Set("webhook-timestamp", "01614265330") }, want: webhook.ErrHeaders},
		{name: "HugeTimestamp", change: func(h http.Header) { h.Set("webhook-timestamp", "99999999999999999999") }, want: webhook.ErrHeaders},
		{name: "NoSignature", change: func(h http.Header) { h.Del("webhook-signature") }, want: webhook.ErrHeaders},
		{name: "BlankSignature", change: func(h http.Header) { h.Set("webhook-signature", "  ") }, want: webhook.ErrHeaders},
		{name: "ManySignatures", change: func(h http.Header) { h.Set("webhook-signature", strings.Repeat("v1,AA== ", 33)+both) }, want: webhook.ErrHeaders},
		{name: "NoScheme", change: func(h http.Header) { h.Set("webhook-signature", raw) }, want: webhook.ErrSignature},
		{name: "EmptyV1", change: func(h http.Header) { h.Set("webhook-signature", "v1,") }, want: webhook.ErrSignature},
		{name: "EmptyV1a", change: func(h http.Header) { h.Set("webhook-signature", "v1a,") }, want: webhook.ErrSignature},
		{name: "MacUnderV1a", change: func(h http.Header) { h.Set("webhook-signature", "v1a,"+raw) }, want: webhook.ErrSignature},
		{name: "OtherScheme", change: func(h http.Header) { h.Set("webhook-signature", "v2,"+raw) }, want: webhook.ErrSignature},
		{name: "NotBase64", change: func(h http.Header) { h.Set("webhook-signature", "v1,????") }, want: webhook.ErrSignature},
		{name: "CutSignature", change: func(h http.Header) { h.Set("webhook-signature", vectorV1[:20]) }, want: webhook.ErrSignature},
		{name: "OtherID", change: func(h http.Header) { h.Set("webhook-id", "msg_other") }, want: webhook.ErrSignature},
		{name: "OtherTimestamp", change: func(h http.Header) { h.Set("webhook-timestamp", "1614265331") }, want: webhook.ErrSignature},
		{name: "OtherBody", body: vectorBody + " ", want: webhook.ErrSignature},
		{name: "EmptyBody", body: "\x00", want: webhook.ErrSignature},
		{name: "NoKeys", keys: []webhook.Key{}, want: webhook.ErrSignature},
		{name: "ZeroKey", keys: []webhook.Key{{}}, want: webhook.ErrSignature},
		{name: "OtherKeys", keys: []webhook.Key{webhook.GenerateSecret(), webhook.GenerateKey()}, want: webhook.ErrSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := time.Unix(vectorSeconds, 0)
			h, body, keys := headers(vectorID, at, both), vectorBody, []webhook.Key{secret, pair.Public()}
			if tt.change != nil {
				tt.change(h)
			}
			if tt.body != "" {
				body = tt.body
			}
			if tt.keys != nil {
				keys = tt.keys
			}
			v := webhook.Verifier{Keys: keys, Now: func() time.Time { return at }}
			if _, err := v.Verify(h, []byte(body)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSignatureIsFoundAmongOthers(t *testing.T) {
	t.Parallel()
	at := time.Unix(vectorSeconds, 0)
	noise := "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,anything ,, v1 "
	for _, tt := range []struct{ key, signature string }{{vectorSecret, vectorV1}, {vectorPrivate, vectorV1a}} {
		v := webhook.Verifier{Keys: []webhook.Key{webhook.GenerateSecret(), parse(t, tt.key)}, Now: func() time.Time { return at }}
		h := headers(vectorID, at, noise+tt.signature+" "+noise)
		if _, err := v.Verify(h, []byte(vectorBody)); err != nil {
			t.Errorf("%v", err)
		}
		h = headers(vectorID, at, noise)
		h.Add("webhook-signature", tt.signature) // a proxy may split a list into two headers
		if _, err := v.Verify(h, []byte(vectorBody)); err != nil {
			t.Errorf("in a second header: %v", err)
		}
	}
}

func TestTolerance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		tolerance, age time.Duration
		want           error
	}{
		{0, 0, nil},
		{0, 5 * time.Minute, nil},
		{0, 5*time.Minute + time.Second, webhook.ErrTooOld},
		{0, -5 * time.Minute, nil},
		{0, -5*time.Minute - time.Second, webhook.ErrTooNew},
		{time.Hour, 59 * time.Minute, nil},
		{time.Hour, 61 * time.Minute, webhook.ErrTooOld},
		{time.Second, -2 * time.Second, webhook.ErrTooNew},
		{-1, 100 * 365 * 24 * time.Hour, nil},
		{-1, -100 * 365 * 24 * time.Hour, nil},
	} {
		sent := time.Unix(4_000_000_000, 0)
		key := webhook.GenerateSecret()
		h := http.Header{}
		if err := webhook.SetHeaders(h, "evt_1", sent, nil, key); err != nil {
			t.Fatal(err)
		}
		v := webhook.Verifier{Keys: []webhook.Key{key}, Tolerance: tt.tolerance, Now: func() time.Time { return sent.Add(tt.age) }}
		if _, err := v.Verify(h, nil); !errors.Is(err, tt.want) {
			t.Errorf("tolerance %s, age %s: got %v, want %v", tt.tolerance, tt.age, err, tt.want)
		}
	}
}

func TestTimestampIsJudgedOnlyWhenSigned(t *testing.T) {
	t.Parallel()
	h := headers("evt_1", time.Unix(1, 0), vectorV1)
	if err := webhook.Verify(h, nil, parse(t, vectorSecret)); !errors.Is(err, webhook.ErrSignature) {
		t.Errorf("an unsigned old timestamp: %v", err)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	key := webhook.GenerateSecret()
	request := func(body []byte) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hook", bytes.NewReader(body))
		if err := webhook.SetHeaders(r.Header, "evt_1", time.Now(), body, key); err != nil {
			t.Fatal(err)
		}
		return r
	}
	v := webhook.Verifier{Keys: []webhook.Key{key}, MaxBytes: 10}
	m, err := v.Request(request([]byte("0123456789")))
	if err != nil || string(m.Body) != "0123456789" || m.ID != "evt_1" {
		t.Errorf("a body of the limit: %+v, %v", m, err)
	}
	if _, err := v.Request(request([]byte("0123456789a"))); !errors.Is(err, webhook.ErrTooLarge) {
		t.Errorf("a body over the limit: %v", err)
	}
	v.MaxBytes = 0
	if _, err := v.Request(request(make([]byte, webhook.DefaultMaxBytes))); err != nil {
		t.Errorf("a body of the default limit: %v", err)
	}
	if _, err := v.Request(request(make([]byte, webhook.DefaultMaxBytes+1))); !errors.Is(err, webhook.ErrTooLarge) {
		t.Errorf("a body over the default limit: %v", err)
	}
	broken := request(nil)
	broken.Body = http.MaxBytesReader(nil, request([]byte("0123456789")).Body, 3)
	if _, err := v.Request(broken); err == nil {
		t.Error("a body that breaks off is taken")
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	key := webhook.GenerateSecret()
	for _, id := range []string{"", "a.b", "a b", "a\nb", "ä", strings.Repeat("a", 257)} {
		if _, err := webhook.Sign(id, time.Now(), nil, key); err == nil {
			t.Errorf("id %q is signed", id)
		}
		if err := webhook.SetHeaders(http.Header{}, id, time.Now(), nil, key); err == nil {
			t.Errorf("headers for id %q are set", id)
		}
	}
	for name, keys := range map[string][]webhook.Key{
		"none": nil, "zero": {{}}, "public": {webhook.GenerateKey().Public()}, "one of two": {key, {}},
	} {
		if s, err := webhook.Sign("evt_1", time.Now(), nil, keys...); err == nil {
			t.Errorf("keys %s: signed as %q", name, s)
		}
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	b64 := func(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n)) }
	for _, text := range []string{
		"whsec_" + b64(24), "whsec_" + b64(32), "whsec_" + b64(64), "whsk_" + b64(32), "whpk_" + b64(32),
		webhook.GenerateSecret().Text(), webhook.GenerateKey().Text(), webhook.GenerateKey().Public().Text(),
	} {
		if k, err := webhook.ParseKey(text); err != nil || k.Text() != text {
			t.Errorf("%q: %v; its text is %q", text, err, k.Text())
		}
	}
	for _, text := range []string{
		"", "whsec_", "whsk_", "whpk_", "secret", b64(32), "whsec_" + b64(23), "whsec_" + b64(65), "whsec_" + b64(1),
		"whsec_" + strings.Repeat("?", 44), "whsec_" + strings.TrimRight(b64(32), "="), "whsec_" + b64(32) + "\n",
		"whsk_" + b64(31), "whsk_" + b64(33), "whsk_" + b64(64), "whpk_" + b64(31), "whpk_" + b64(64), " whsec_" + b64(32),
		"WHSEC_" + b64(32), "whsec_" + base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)),
	} {
		if k, err := webhook.ParseKey(text); err == nil {
			t.Errorf("%q is taken as %v", text, k)
		} else if raw := strings.TrimPrefix(text, "whsec_"); len(raw) > 8 && strings.Contains(err.Error(), raw[:8]) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}

func TestLongPrivateKey(t *testing.T) {
	t.Parallel()
	seed, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(vectorPrivate, "whsk_"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(parse(t, vectorPrivate).Public().Text(), "whpk_"))
	if err != nil {
		t.Fatal(err)
	}
	long := parse(t, "whsk_"+base64.StdEncoding.EncodeToString(append(seed, public...)))
	if got, err := webhook.Sign(vectorID, time.Unix(vectorSeconds, 0), []byte(vectorBody), long); err != nil || got != vectorV1a {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPrintingAKeyShowsNothingOfIt(t *testing.T) {
	t.Parallel()
	secret, pair := webhook.GenerateSecret(), webhook.GenerateKey()
	for _, k := range []webhook.Key{secret, pair} {
		private := k.Text()[strings.Index(k.Text(), "_")+1:]
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if s := fmt.Sprintf(verb, k); strings.Contains(s, private[:6]) {
				t.Errorf("%s prints %s", verb, s)
			}
			if s := fmt.Sprintf(verb, struct{ K webhook.Key }{k}); strings.Contains(s, private[:6]) {
				t.Errorf("%s of a struct prints %s", verb, s)
			}
		}
	}
	if secret.Public().Text() != "" || secret.Public().Scheme() != "" {
		t.Error("a secret has a public key")
	}
	if pair.Public().Scheme() != webhook.V1a || secret.Scheme() != webhook.V1 {
		t.Error("schemes are mixed up")
	}
}

func BenchmarkSign(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 2_000)
	for name, k := range map[string]webhook.Key{"v1": webhook.GenerateSecret(), "v1a": webhook.GenerateKey()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := webhook.Sign("evt_1", time.Unix(1, 0), body, k); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
