package api

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// begun turns requests away for as long as the process waits for what it needs; those about the process itself pass.
func (a *API) begun(ctx huma.Context, next func(huma.Context)) {
	if scopeOf(ctx.Operation()) != "" {
		if err := a.waits(); err != nil {
			a.fail(ctx, memory.Wrap(memory.CodeUnavailable, err, "the service is starting and waits for its stores; /readyz says for which"))
			return
		}
	}
	next(ctx)
}

func (a *API) waits() error {
	if a.parts.Waiting == nil {
		return nil
	}
	return a.parts.Waiting()
}

// Probes serves /healthz, /readyz and /metrics of a process that has no API. Waiting is as in [Parts].
func Probes(checks []Check, waiting func() error, registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, "application/json", http.StatusOK, Health{"ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ready, missing := readiness(r.Context(), checks, Config{}.withDefaults().CheckTimeout)
		why := missing + " is not available"
		if missing == "" && waiting() != nil {
			missing, why = "work", waiting().Error()
		}
		if missing == "" {
			writeJSON(w, "application/json", http.StatusOK, ready)
			return
		}
		p := problemOf(memory.Errorf(memory.CodeUnavailable, "%s", why))
		p.Checks = ready.Checks
		writeJSON(w, p.ContentType(""), p.Status, p)
	})
	return mux
}

func writeJSON(w http.ResponseWriter, kind string, status int, v any) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // values of ours; and whoever asked may have left
}

// readiness asks after all dependencies at once. missing is the first that is away and cannot be done without.
func readiness(ctx context.Context, checks []Check, patience time.Duration) (r Readiness, missing string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := make([]string, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { answers[i] = verdict(c.Probe(ctx)) })
	}
	wg.Wait()
	r = Readiness{Status: "ready", Checks: make(map[string]string, len(checks))}
	for i, c := range checks {
		r.Checks[c.Name] = answers[i]
		switch {
		case answers[i] == "ok":
		case c.Optional:
			r.Status = "degraded"
		case missing == "":
			missing = c.Name
		}
	}
	return r, missing
}

// verdict is what strangers may know of a check: this route asks for no key.
func verdict(err error) string {
	if err == nil {
		return "ok"
	}
	return string(memory.CodeOf(err))
}
