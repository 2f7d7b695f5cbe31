package webhook_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// A sender signs the exact bytes that it sends.
func ExampleSign() {
	key, err := webhook.ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		panic(err)
	}
	signature, err := webhook.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), key)
	if err != nil {
		panic(err)
	}
	fmt.Println(signature)
	// Output: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=
}

// A receiver lets the Verifier read the request, and answers 2xx once the message is safe.
func ExampleVerifier_Request() {
	key := webhook.GenerateSecret()
	verifier := webhook.Verifier{Keys: []webhook.Key{key}}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, err := verifier.Request(r)
		if err != nil {
			http.Error(w, "not for us", http.StatusBadRequest)
			return
		}
		fmt.Println(m.ID, string(m.Body)) // here: store it under m.ID, once
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()

	body := `{"type":"memory.completed"}`
	send := func(body, signed string) {
		r, err := http.NewRequest(http.MethodPost, receiver.URL, strings.NewReader(body)) //nolint:noctx // an example
		if err != nil {
			panic(err)
		}
		if err := webhook.SetHeaders(r.Header, "evt_1", time.Now(), []byte(signed), key); err != nil {
			panic(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			panic(err)
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
		fmt.Println(answer.StatusCode)
	}
	send(body, body)
	send(body+" ", body)
	// Output:
	// evt_1 {"type":"memory.completed"}
	// 204
	// 400
}

// During a rotation both keys sign; with v1a the receiver knows the public key only.
func ExampleGenerateKey() {
	old, fresh := webhook.GenerateKey(), webhook.GenerateKey()
	h := http.Header{}
	if err := webhook.SetHeaders(h, "evt_1", time.Now(), []byte("{}"), fresh, old); err != nil {
		panic(err)
	}
	public, err := webhook.ParseKey(old.Public().Text()) // what the receiver was given once
	fmt.Println(err, webhook.Verify(h, []byte("{}"), public))
	// Output: <nil> <nil>
}
