package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// hooks is the customer's receiver. It refuses one webhook in ten the first time that it comes.
type hooks struct {
	*httptest.Server
	came    chan struct{} // hears of each one that is taken, while somebody listens
	mu      sync.Mutex
	seen    map[string]int             // attempts by webhook-id
	told    map[string]map[string]bool // by memory or batch: the ids of the final events that were taken
	repeats int                        // the same webhook-id taken once more
}

func newHooks() *hooks {
	h := &hooks{came: make(chan struct{}), seen: map[string]int{}, told: map[string]map[string]bool{}}
	h.Server = httptest.NewServer(http.HandlerFunc(h.take))
	return h
}

func (h *hooks) take(w http.ResponseWriter, r *http.Request) {
	var e struct {
		ID   string `json:"id"`
		Type string `json:"type"`
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || json.Unmarshal(raw, &e) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if !h.accept(r.Header.Get("Webhook-Id"), e.Type, e.Data.ID) {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	select {
	case h.came <- struct{}{}:
	default:
	}
}

func (h *hooks) accept(id, kind, subject string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen[id]++
	if h.seen[id] == 1 && len(h.seen)%10 == 0 {
		return false
	}
	if strings.HasSuffix(kind, ".progress") {
		return true
	}
	if h.told[subject] == nil {
		h.told[subject] = map[string]bool{}
	}
	if h.told[subject][id] {
		h.repeats++
	}
	h.told[subject][id] = true
	return true
}

// news is how many different final events of a memory or batch were taken.
func (h *hooks) news(subject string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.told[subject])
}
