package webhooks

import (
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// addressee is what is known of where deliveries go: an endpoint with its keys and headers opened, or a workspace, whose
// keys sign what goes to its one-off addresses.
type addressee struct {
	endpoint *store.Endpoint // nil for a workspace
	to       *url.URL        // the endpoint's; nil where the guard refuses it
	headers  http.Header
	keys     []webhook.Key
}

// freshFor is how long an addressee is taken for what it was when it was read. What this process changes is seen at
// once, what another one does after that time: a moment in which requests were on their way anyway.
const freshFor = time.Second

// maxKnown bounds how many are kept: beyond it, those that are no longer fresh are dropped.
const maxKnown = 4_096

// known remembers addressees for a moment, so that a hundred deliveries to one endpoint do not read it a hundred times.
type known struct {
	mu    sync.Mutex
	until map[string]time.Time
	all   map[string]addressee
	reads int64 // grows when something is forgotten: what was read before that may be old
}

func newKnown() *known { return &known{until: map[string]time.Time{}, all: map[string]addressee{}} }

// get returns an addressee that is fresh, or what put wants to know.
func (k *known) get(id string, now time.Time) (a addressee, since int64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[id], k.reads, now.Before(k.until[id])
}

// put remembers what was read since get, for as long as its oldest secret lives.
func (k *known) put(id string, a addressee, secrets []store.Secret, now time.Time, since int64) {
	until := now.Add(freshFor)
	for _, s := range secrets {
		if !s.Expires.IsZero() && s.Expires.After(now) && s.Expires.Before(until) {
			until = s.Expires
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.reads != since {
		return // it was changed while it was read
	}
	if len(k.all) >= maxKnown {
		maps.DeleteFunc(k.all, func(id string, _ addressee) bool { return !now.Before(k.until[id]) })
		maps.DeleteFunc(k.until, func(_ string, t time.Time) bool { return !now.Before(t) })
	}
	if len(k.all) < maxKnown {
		k.all[id], k.until[id] = a, until
	}
}

// forget makes sure that what is read from now on is used.
func (k *known) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, id)
	delete(k.until, id)
	k.reads++
}
