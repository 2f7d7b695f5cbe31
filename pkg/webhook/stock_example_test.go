package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

func receive(secret string, take func(id string, event []byte)) (http.HandlerFunc, error) {
	wh, err := standardwebhooks.NewWebhook(secret) // whsec_…
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || wh.Verify(body, r.Header) != nil {
			http.Error(w, "not for us", http.StatusBadRequest)
			return
		}
		take(r.Header.Get("webhook-id"), body) // stores it under its id, once; the work is done later
		w.WriteHeader(http.StatusNoContent)
	}, nil
}

// The stock library of Standard Webhooks receives what we sign. The receiver is the one that the documentation shows.
func Example_stockReceiver() {
	key := webhook.GenerateSecret()
	handler, err := receive(key.Text(), func(id string, event []byte) { fmt.Println(id, string(event)) })
	if err != nil {
		panic(err)
	}
	body := []byte(`{"type":"batch.completed"}`)
	for _, sent := range []string{string(body), `{"type":"batch.failed"}`} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", strings.NewReader(sent))
		if err := webhook.SetHeaders(r.Header, "evt_1", time.Now(), body, key); err != nil {
			panic(err)
		}
		w := httptest.NewRecorder()
		handler(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// evt_1 {"type":"batch.completed"}
	// 204
	// 400
}

func TestTheDocumentationShowsTheExample(t *testing.T) {
	t.Parallel()
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	_, source, _ := strings.Cut(read("stock_example_test.go"), "\nfunc receive(")
	source, _, _ = strings.Cut(source, "\n}\n")
	if !strings.Contains(read("../../internal/docs/webhooks.md"), "```go\nfunc receive("+source+"\n}\n```") {
		t.Error("internal/docs/webhooks.md shows another receiver")
	}
}
