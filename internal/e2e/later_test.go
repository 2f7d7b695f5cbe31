//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestServersComeLater starts the processes while every server is away, and lets one after the other come, empty, as at a
// first installation. Readiness names those that are away. A memory is accepted once MongoDB is there, and gets as far as
// the servers that are there allow; before that it is refused with nothing half done. No process is started again.
func TestServersComeLater(t *testing.T) {
	c := newServers(t, "")
	for _, p := range c.proxies {
		p.Cut()
	}
	c.a, c.workers["all"] = c.process("serve"), c.process("worker")
	must(t, c.a.Launch(c.ctx))
	must(t, c.workers["all"].Launch(c.ctx))
	api := c.a.Client()
	early := memory.Input{Content: "Dorothy wore silver shoes on the yellow road.", ExternalID: "shoes"}

	c.waitsFor("503", "mongo", "qdrant", "neo4j", "redis", "temporal")
	c.refuses(http.MethodPost, "/v1/memories", `{"content": "Dorothy wore silver shoes on the yellow road.", "external_id": "shoes"}`)
	c.refuses(http.MethodPost, "/v1/memories/search", `{"query": "shoes"}`)
	c.refuses(http.MethodGet, "/v1/memories", "")

	c.proxies["SWITCHYARD_MONGO_URI"].Mend("")
	c.waitsFor("503", "mongo", "qdrant", "neo4j", "redis", "temporal") // its indexes are missing
	c.makes("mongo")
	c.waitsFor("degraded", "qdrant", "neo4j", "redis", "temporal")
	m := add(c.ctx, t, api, early)
	if m.Version != 1 {
		t.Errorf("version %d: what was refused left something", m.Version)
	}
	durable := add(c.ctx, t, api, memory.Input{Content: "The Emerald City was green through spectacles.", Track: memory.TrackDurable})

	c.comes("SWITCHYARD_TEMPORAL_ADDRESS", "temporal")
	c.waitsFor("degraded", "qdrant", "neo4j", "redis")
	c.waitsAt(m.ID, memory.StepRelated)
	c.waitsAt(durable.ID, memory.StepRelated)

	c.comes("SWITCHYARD_QDRANT_ADDR", "qdrant")
	c.waitsFor("degraded", "neo4j", "redis")
	poll(c.ctx, t, "a memory that is found before it has a graph", func() (bool, error) {
		res, err := api.Search(c.ctx, client.SearchQuery{Query: "What did the girl wear?", Limit: 1})
		return len(res.Items) == 1 && res.Items[0].Memory.ID == m.ID, err
	})
	c.waitsAt(m.ID, memory.StepRelationships)

	c.comes("SWITCHYARD_NEO4J_URI", "neo4j")
	c.waitsFor("degraded", "redis")
	c.proxies["SWITCHYARD_REDIS_URL"].Mend("")
	c.waitsFor("ready")
	for _, id := range []string{m.ID, durable.ID} {
		if got := finished(c.ctx, t, api, id); got.Status != memory.StatusCompleted {
			t.Errorf("%s ended %s: %+v", id, got.Status, got.Error)
		}
	}
	for name, p := range map[string]*Process{"serve": c.a, "worker": c.workers["all"]} {
		if p.Ended() {
			t.Errorf("the %s did not survive", name)
		}
	}
	c.erase()
}

// waitsFor waits until the readiness of both processes is so and names just these servers.
func (c *cluster) waitsFor(status string, away ...string) {
	c.t.Helper()
	slices.Sort(away)
	for _, p := range []*Process{c.a, c.workers["all"]} {
		poll(c.ctx, c.t, "a "+p.Do+" that is "+status+" without "+strings.Join(away, ", "), func() (bool, error) {
			now, checks := ready(c.t, p)
			maps.DeleteFunc(checks, func(_, says string) bool { return says == "ok" })
			return now == status && slices.Equal(slices.Sorted(maps.Keys(checks)), away), nil
		})
	}
}

// refuses checks that a request is answered 503 in the form of all errors, with a time to come back.
func (c *cluster) refuses(method, path, body string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.ctx, method, c.a.URL()+path, strings.NewReader(body))
	must(c.t, err)
	req.Header.Set("Authorization", "Bearer "+clusterKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer res.Body.Close()
	var problem struct {
		Status int
		Code   string
	}
	err = json.NewDecoder(res.Body).Decode(&problem)
	if err != nil || res.StatusCode != http.StatusServiceUnavailable || problem.Status != res.StatusCode || problem.Code != string(memory.CodeUnavailable) ||
		res.Header.Get("Content-Type") != "application/problem+json" || res.Header.Get("Retry-After") == "" {
		c.t.Errorf("%s %s: %s, %v, %+v (%v)", method, path, res.Status, res.Header, problem, err)
	}
}

// comes lets a server come, and makes what it needs.
func (c *cluster) comes(setting, name string) {
	c.t.Helper()
	c.proxies[setting].Mend("")
	c.makes(name)
}

// makes runs migrate for a server that is there; of those that are not it says that they failed.
func (c *cluster) makes(name string) {
	c.t.Helper()
	poll(c.ctx, c.t, "what "+name+" needs", func() (bool, error) {
		out, _ := c.run("migrate")
		for line := range strings.SplitSeq(out, "\n") {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
				return fields[1] != "failed:", nil
			}
		}
		return false, nil
	})
}

// waitsAt waits until a memory says that the step waits for a server.
func (c *cluster) waitsAt(id, step string) {
	c.t.Helper()
	poll(c.ctx, c.t, id+" to wait at "+step, func() (bool, error) {
		m, err := c.a.Client().GetMemory(c.ctx, id)
		r, ok := m.Receipt(step)
		return ok && !m.Status.Final() && r.Error != nil && r.Error.Code.Retryable(), err
	})
}
