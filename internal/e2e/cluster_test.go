//go:build e2e

package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/client"
)

// cluster is a production set-up: MongoDB, Qdrant, Neo4j, Redis and Temporal, each in a process of its own and behind a
// proxy that can take it away; two API processes and two workers, one for what asks language models and one for the rest,
// which share nothing else, not even a folder.
type cluster struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // the time that the whole story has
	env     []string
	config  string
	proxies map[string]*testservers.Proxy
	a, b    *Process // serve
	workers map[string]*Process
}

const clusterKey = "sk_cluster_admin"

// newCluster starts the servers that it needs, makes what they need, and starts the processes. more is added to their
// configuration.
func newCluster(t *testing.T, more string) *cluster {
	t.Helper()
	c := newServers(t, more)
	c.migrate()
	c.a, c.b = c.process("serve"), c.process("serve")
	c.workers["store"], c.workers["llm"] = c.process("worker", "SWITCHYARD_WORK=store"), c.process("worker", "SWITCHYARD_WORK=llm")
	for _, p := range []*Process{c.a, c.b, c.workers["store"], c.workers["llm"]} {
		again(t, p)
	}
	return c
}

// newServers are the servers of a cluster alone.
func newServers(t *testing.T, more string) *cluster {
	t.Helper()
	c := &cluster{t: t, ctx: limited(t, 9*time.Minute), proxies: map[string]*testservers.Proxy{}, workers: map[string]*Process{}}
	name := strings.ToLower(id.New("e2e_"))
	c.config = filepath.Join(t.TempDir(), "switchyard.yaml")
	yaml := fmt.Sprintf("mongo: {database: %[1]q}\nqdrant: {prefix: %[1]q}\nwebhooks: {task_queue: %[1]q}\nbatch:\n  task_queue: \"%[1]s-store\"\n"+
		"  llm_task_queue: \"%[1]s-llm\"\n  round_backoff: 500ms\n  max_round_backoff: 2s\n  search_attributes: true\n%[2]s", name, more)
	must(t, os.WriteFile(c.config, []byte(yaml), 0o600))
	c.env = []string{
		"SWITCHYARD_DEV_KEY=" + clusterKey, "SWITCHYARD_WEBHOOK_ALLOW=127.0.0.0/8",
		"SWITCHYARD_WEBHOOK_KEY=" + base64.StdEncoding.EncodeToString([]byte(name + strings.Repeat("=", 32))[:32]),
	}
	c.server("SWITCHYARD_MONGO_URI", testservers.Mongo(t))
	c.server("SWITCHYARD_QDRANT_ADDR", testservers.Qdrant(t))
	c.server("SWITCHYARD_NEO4J_URI", emptyNeo4j(t))
	c.server("SWITCHYARD_REDIS_URL", testservers.Redis(t))
	c.server("SWITCHYARD_TEMPORAL_ADDRESS", testservers.Temporal(t))
	return c
}

// emptyNeo4j is one with nothing in it, since the workspace of all clusters is the same and the community edition has one
// database: what clusters before have left is removed. One that is given is not touched; each cluster cleans up at its end.
func emptyNeo4j(t *testing.T) string {
	t.Helper()
	uri := testservers.Neo4j(t)
	if os.Getenv("SWITCHYARD_TEST_NEO4J_URI") != "" {
		return uri
	}
	driver, err := neo4j.NewDriverWithContext(uri, neo4j.NoAuth())
	must(t, err)
	defer driver.Close(t.Context())
	_, err = neo4j.ExecuteQuery(t.Context(), driver, "MATCH (n) DETACH DELETE n", nil, neo4j.EagerResultTransformer)
	must(t, err)
	return uri
}

// server puts a proxy before a server and its address into the environment of the processes.
func (c *cluster) server(setting, address string) {
	c.t.Helper()
	before, hostPort, behind := testservers.SplitAddress(address)
	p, err := testservers.NewProxy(hostPort)
	must(c.t, err)
	c.t.Cleanup(func() { _ = p.Close() })
	c.proxies[setting] = p
	c.env = append(c.env, setting+"="+before+p.Addr()+behind)
}

func (c *cluster) process(what string, env ...string) *Process {
	p := &Process{Binary: binary, Do: what, Data: c.t.TempDir(), Key: clusterKey, Env: append(append([]string(nil), c.env...), env...), Args: []string{"--config", c.config}}
	c.t.Cleanup(func() {
		_ = p.Kill()
		if c.t.Failed() {
			c.t.Logf("the log of a %s ends:\n%s", what, p.LogTail())
		}
	})
	return p
}

// hold lets the durable track stand still, so that what is begun on it is still under way, until work is called.
func (c *cluster) hold() (work func()) {
	c.t.Helper()
	each := func(s syscall.Signal) {
		for _, w := range c.workers {
			must(c.t, w.Signal(s))
		}
	}
	each(syscall.SIGSTOP)
	work = sync.OnceFunc(func() { each(syscall.SIGCONT) })
	c.t.Cleanup(work)
	return work
}

// configured writes the configuration of the cluster for one process that is to have more in a section of it, such as
// "batch:".
func (c *cluster) configured(section, more string) (file string) {
	c.t.Helper()
	all, err := os.ReadFile(c.config)
	must(c.t, err)
	file = filepath.Join(c.t.TempDir(), "switchyard.yaml")
	must(c.t, os.WriteFile(file, []byte(strings.Replace(string(all), section, section+"\n  "+more, 1)), 0o600))
	return file
}

// run runs a command of the binary to its end with the settings of the cluster.
func (c *cluster) run(args ...string) (string, error) { return c.runWith(nil, args...) }

// runWith is run with more in the environment.
func (c *cluster) runWith(env []string, args ...string) (string, error) {
	cmd := commandOf(c.ctx, append(args, "--config", c.config)...)
	cmd.Env = append(c.environment(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// environment is that of a command.
func (c *cluster) environment() []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.t.TempDir()}, c.env...)
}

// migrate makes what the servers need, and again, which changes nothing.
func (c *cluster) migrate() {
	c.t.Helper()
	for range 2 {
		out, err := c.run("migrate")
		if err != nil {
			c.t.Fatalf("migrate: %v\n%s", err, out)
		}
		c.t.Logf("migrate:\n%s", out)
	}
}

// ready is what /readyz of a process says: its status, and how each dependency is.
func ready(t *testing.T, p *Process) (status string, checks map[string]string) {
	t.Helper()
	res, err := http.Get(p.URL() + "/readyz") //nolint:noctx // local, answers within its own patience
	must(t, err)
	defer res.Body.Close()
	var r struct {
		Status any               `json:"status"`
		Checks map[string]string `json:"checks"`
	}
	must(t, json.NewDecoder(res.Body).Decode(&r))
	return fmt.Sprint(r.Status), r.Checks
}

// erase deletes all memories where the servers are somebody's; our own are emptied before the next cluster comes.
func (c *cluster) erase() {
	c.t.Helper()
	if os.Getenv("SWITCHYARD_TEST_NEO4J_URI") == "" {
		return
	}
	for m, err := range c.a.Client().ListMemories(c.ctx, client.MemoryQuery{}) {
		must(c.t, err)
		_, err = c.a.Client().DeleteMemory(c.ctx, m.ID)
		must(c.t, err)
	}
}
