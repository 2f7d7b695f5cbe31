package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Hook is a webhook as it came in.
type Hook struct {
	Header http.Header
	Body   []byte
}

// Type is the event's.
func (h Hook) Type() string {
	var e struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(h.Body, &e)
	return e.Type
}

// Verify checks the signature with the public Standard Webhooks library, as a customer would.
func (h Hook) Verify(secret string) error {
	wh, err := standard.NewWebhook(secret)
	if err != nil {
		return err
	}
	return wh.Verify(h.Body, h.Header)
}

// Receiver takes webhooks in on a loopback port.
type Receiver struct {
	*httptest.Server
	mu    sync.Mutex
	hooks []Hook
	came  chan Hook
}

// NewReceiver starts a receiver. Close it.
func NewReceiver() *Receiver {
	r := &Receiver{came: make(chan Hook, 1024)}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	return r
}

func (r *Receiver) take(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h := Hook{Header: req.Header.Clone(), Body: body}
	r.mu.Lock()
	r.hooks = append(r.hooks, h)
	r.mu.Unlock()
	r.came <- h
	w.WriteHeader(http.StatusNoContent)
}

// Came gives the webhooks as they come in.
func (r *Receiver) Came() <-chan Hook { return r.came }

// Hooks are those that came in so far.
func (r *Receiver) Hooks() []Hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Hook(nil), r.hooks...)
}
