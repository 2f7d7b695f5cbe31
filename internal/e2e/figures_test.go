//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestAlertsAndDashboardGoByFiguresThatAreThere compares what they ask for with what a process shows, names and labels, and
// the other way round: no figure of ours is left out.
func TestAlertsAndDashboardGoByFiguresThatAreThere(t *testing.T) {
	p := start(t)
	ctx := limited(t, 2*time.Minute)
	for _, track := range []memory.Track{memory.TrackRealtime, memory.TrackDurable} {
		m := add(ctx, t, p.Client(), memory.Input{Content: "Dorothy lived in Kansas.", Track: track})
		finished(ctx, t, p.Client(), m.ID)
	}
	text := figures(t, p)
	poll(ctx, t, "the figures of the store", func() (bool, error) {
		text = figures(t, p)
		return strings.Contains(text, "\nswitchyard_memories_open{"), nil
	})
	for _, counted := range []string{
		`switchyard_memories_finished_total{status="completed",track="realtime"} 1`, `switchyard_memories_finished_total{status="completed",track="durable"} 1`,
		`switchyard_dependency_up{dependency="temporal"} 1`, `switchyard_memories_orphaned 0`,
	} {
		if !strings.Contains(text, counted+"\n") {
			t.Errorf("it does not show %s", counted)
		}
	}
	shown := shownIn(text)
	// These have labels only once something has happened that did not happen here.
	for name, label := range map[string]string{"switchyard_webhook_attempts_total": "result", "switchyard_realtime_breaker_open": "dependency"} {
		if shown[name] == nil {
			shown[name] = map[string]bool{label: true}
		}
	}
	shown["up"] = map[string]bool{"job": true, "instance": true} // Prometheus's own
	wanted := map[string]bool{}
	for _, expr := range slices.Concat(alerts(t), panels(t)) {
		for _, w := range asked(expr) {
			wanted[w.name] = true
			if shown[w.name] == nil {
				t.Errorf("no process shows %s, which %q goes by", w.name, expr)
			}
			for _, label := range w.labels {
				if !shown[w.name][label] && label != "job" && label != "instance" && label != "le" {
					t.Errorf("%s has no label %s, which %q goes by; it has %v", w.name, label, expr, slices.Sorted(maps.Keys(shown[w.name])))
				}
			}
		}
	}
	for name := range shown {
		histogram := strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count") + "_bucket"
		if strings.HasPrefix(name, "switchyard_") && !wanted[name] && !wanted[histogram] {
			t.Errorf("%s is shown, and neither an alert nor the dashboard goes by it", name)
		}
	}
	if len(wanted) < 15 {
		t.Errorf("only %d figures were found in the files", len(wanted))
	}
}

var (
	sample   = regexp.MustCompile(`(?m)^([a-z_]+)(?:\{([^}]*)\})? `)
	selector = regexp.MustCompile(`\b((?:switchyard|temporal|process|http)_[a-z_]+|up)\b(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"`)
	grouping = regexp.MustCompile(`\b(?:by|on) \(([a-z_, ]+)\)`)
)

// figures is what a process shows at /metrics.
func figures(t *testing.T, p *Process) string {
	t.Helper()
	res, err := http.Get(p.URL() + "/metrics") //nolint:noctx // local, answers at once
	must(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(t, err)
	return string(text)
}

// shownIn are the names of figures, with the labels of each.
func shownIn(text string) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		if out[m[1]] == nil {
			out[m[1]] = map[string]bool{}
		}
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			out[m[1]][l[1]] = true
		}
	}
	return out
}

type figure struct {
	name   string
	labels []string
}

// asked are the figures that an expression goes by, each with the labels that it selects or groups by.
func asked(expr string) (out []figure) {
	var groups []string
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		groups = append(groups, strings.Split(strings.ReplaceAll(g[1], " ", ""), ",")...)
	}
	for _, m := range selector.FindAllStringSubmatch(grouping.ReplaceAllString(expr, ""), -1) {
		f := figure{name: m[1], labels: slices.Clone(groups)}
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			f.labels = append(f.labels, l[1])
		}
		out = append(out, f)
	}
	return out
}

func alerts(t *testing.T) (exprs []string) {
	t.Helper()
	raw, err := os.ReadFile("../../configs/prometheus/alerts.yaml")
	must(t, err)
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	must(t, yaml.Unmarshal(raw, &file))
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			exprs = append(exprs, r.Expr)
		}
	}
	return exprs
}

func panels(t *testing.T) (exprs []string) {
	t.Helper()
	raw, err := os.ReadFile("../../configs/grafana/switchyard.json")
	must(t, err)
	var file struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal(raw, &file))
	for _, p := range file.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	return exprs
}
