package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/testservers"
)

// server is what the processes are connected to, over a wire of its own.
type server struct {
	name    string
	setting string // by which the processes know its address
	given   string // the variable that names one to use instead
	start   func(dir string) (*testservers.Process, error)
	address func(*testservers.Process) string
	// orderly is for a stand-in that keeps its last moments in memory, which what it stands for does not: it is asked to
	// end, where the others are killed.
	orderly bool
	// costs says that answers of the LLM may be lost while it is away, and for so long after.
	costs bool
	after time.Duration

	mu      sync.Mutex
	process *testservers.Process // nil: a given one, which is not ended
	dir     string
	wire    *wire
}

// lateBeats is how long after Temporal is back attempts may run twice: it took them from workers that it did not hear.
const lateBeats = 90 * time.Second

// lateLeases is how long after MongoDB is back memories may be with another owner: leases that could not be renewed ran out.
const lateLeases = 15 * time.Second

func theTemporal() *server {
	return &server{
		name: onTemporal, setting: "SWITCHYARD_TEMPORAL_ADDRESS", given: "SWITCHYARD_TEST_TEMPORAL_ADDRESS", start: testservers.StartTemporal,
		address: func(p *testservers.Process) string { return p.Ready }, costs: true, after: lateBeats,
	}
}

// theStores are the servers of production beside Temporal.
func theStores() []*server {
	return []*server{
		{
			name: onMongo, setting: "SWITCHYARD_MONGO_URI", given: "SWITCHYARD_TEST_MONGO_URI", address: testservers.MongoURI,
			start: func(dir string) (*testservers.Process, error) {
				return testservers.StartMongo(filepath.Join(dir, "mongo"), 0)
			},
			orderly: true, costs: true, after: lateLeases,
		},
		{
			name: onQdrant, setting: "SWITCHYARD_QDRANT_ADDR", given: "SWITCHYARD_TEST_QDRANT_ADDR",
			start: func(dir string) (*testservers.Process, error) {
				return testservers.StartQdrant(filepath.Join(dir, "journal"), 0)
			},
			address: func(p *testservers.Process) string { return "127.0.0.1:" + p.Ready },
		},
		{
			name: onNeo4j, setting: "SWITCHYARD_NEO4J_URI", given: "SWITCHYARD_TEST_NEO4J_URI", address: testservers.Neo4jURI,
			start: func(dir string) (*testservers.Process, error) { return testservers.StartNeo4j(dir, 0) },
		},
		{
			name: onRedis, setting: "SWITCHYARD_REDIS_URL", given: "SWITCHYARD_TEST_REDIS_URL", address: testservers.RedisURL,
			start: func(string) (*testservers.Process, error) { return testservers.StartRedis(0) },
		},
	}
}

// startServers starts servers, or finds those that are given, and puts a wire before each.
func (c *cluster) startServers(w wires, all ...*server) error {
	for _, s := range all {
		s.dir = filepath.Join(c.dir, s.name)
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return err
		}
		address := os.Getenv(s.given)
		if address == "" {
			var err error
			if s.process, err = s.start(s.dir); err != nil {
				return fmt.Errorf("start %s: %w", s.name, err)
			}
			address = s.address(s.process)
		}
		before, hostPort, behind := testservers.SplitAddress(address)
		var err error
		if s.wire, err = w.wire(s.name, hostPort); err != nil {
			return err
		}
		c.servers[s.name] = s
		c.env = append(c.env, s.setting+"="+before+s.wire.address()+behind)
	}
	return nil
}

// own gives the cluster a database, a prefix and queues of its own, and makes what the servers need.
func (c *cluster) own(ctx context.Context) error {
	name := strings.ToLower(id.New("soak_"))
	file := filepath.Join(c.dir, "switchyard.yaml")
	yaml := fmt.Sprintf("mongo: {database: %[1]q}\nqdrant: {prefix: %[1]q}\nwebhooks: {task_queue: %[1]q}\nbatch: {task_queue: \"%[1]s-store\", llm_task_queue: \"%[1]s-llm\"}\n", name)
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		return err
	}
	c.args = append(c.args, "--config", file)
	c.env = append(c.env, "SWITCHYARD_WEBHOOK_KEY="+base64.StdEncoding.EncodeToString([]byte(name + strings.Repeat("=", 32))[:32]))
	cmd := exec.CommandContext(ctx, c.binary, append([]string{"migrate"}, c.args...)...)
	cmd.Env = append(environment(c.data), c.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate: %w\n%s", err, out)
	}
	return nil
}

// restart ends the server and starts it again on its files after a while. One that is given is cut off instead.
func (s *server) restart(away time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return s.wire.cut(away)
	}
	if s.orderly {
		_ = s.process.Stop() // some say that they were told to
	} else {
		_ = s.process.Kill() // says that it was killed
	}
	time.Sleep(away)
	p, err := s.start(s.dir)
	if err != nil {
		return err
	}
	s.process = p
	_, hostPort, _ := testservers.SplitAddress(s.address(p))
	return s.wire.lead(hostPort)
}

// strike deals the server a blow.
func (s *server) strike(ctx context.Context, b blow) error {
	switch b.what {
	case cut:
		return s.wire.cut(b.lasts)
	case slow:
		return s.wire.slow(ctx, b.lasts)
	case end:
		return s.restart(b.lasts)
	case freeze:
	}
	return errors.New("servers are not frozen")
}

func (s *server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	err := s.process.Stop()
	if s.name == onRedis { // says by its exit code that it was told to
		return nil
	}
	return err
}
