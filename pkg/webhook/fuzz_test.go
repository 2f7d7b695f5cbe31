package webhook_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// FuzzVerify lets strangers send what they like: nothing verifies that was not signed with a key.
func FuzzVerify(f *testing.F) {
	at := time.Unix(vectorSeconds, 0)
	f.Add(vectorID, "1614265330", vectorV1, []byte(vectorBody))
	f.Add(vectorID, "1614265330", vectorV1a, []byte(vectorBody))
	f.Add("", "", "v1,,v1a, v1", []byte{})
	f.Add("a.b", "-1", "v1,AAAA", []byte("1614265330.x"))
	v := webhook.Verifier{Keys: []webhook.Key{parse(f, vectorSecret), parse(f, vectorPrivate).Public()}, Now: func() time.Time { return at }}
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature}}
		m, err := v.Verify(h, body)
		if err != nil {
			return
		}
		genuine := strings.Contains(signature, vectorV1) || strings.Contains(signature, vectorV1a[:len(vectorV1a)-3])
		if m.ID != vectorID || timestamp != "1614265330" || string(body) != vectorBody || !genuine {
			t.Errorf("taken: %q %q %q %q", id, timestamp, signature, body)
		}
	})
}

// FuzzRoundTrip holds that what is signed verifies, and not with one byte more.
func FuzzRoundTrip(f *testing.F) {
	f.Add("evt_1", int64(1614265330), []byte(vectorBody))
	f.Add("x", int64(0), []byte{})
	secret, pair := webhook.GenerateSecret(), webhook.GenerateKey()
	f.Fuzz(func(t *testing.T, id string, seconds int64, body []byte) {
		at := time.Unix(seconds, 0)
		h := http.Header{}
		if err := webhook.SetHeaders(h, id, at, body, secret, pair); err != nil || seconds < 0 {
			return
		}
		for _, k := range []webhook.Key{secret, pair.Public()} {
			v := webhook.Verifier{Keys: []webhook.Key{k}, Tolerance: -1}
			if m, err := v.Verify(h, body); err != nil || m.ID != id || m.Time.Unix() != seconds {
				t.Fatalf("with %v: %+v, %v", k, m, err)
			}
			if _, err := v.Verify(h, append(slices.Clip(body), 0)); err == nil {
				t.Fatal("a longer body verifies")
			}
		}
	})
}

// FuzzParseKey holds that what parses has one text form and can do what its prefix says.
func FuzzParseKey(f *testing.F) {
	for _, s := range []string{vectorSecret, vectorPrivate, parse(f, vectorPrivate).Public().Text(), "whsec_", "whsk_AA=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := webhook.ParseKey(text)
		if err != nil {
			return
		}
		again, err := webhook.ParseKey(k.Text())
		if err != nil || again.Text() != k.Text() {
			t.Fatalf("%q does not survive: %v", text, err)
		}
		if _, err := webhook.Sign("evt_1", time.Unix(1, 0), nil, k); (err == nil) == strings.HasPrefix(text, "whpk_") {
			t.Fatalf("%v signs: %v", k, err)
		}
	})
}
