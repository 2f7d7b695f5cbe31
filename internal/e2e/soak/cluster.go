package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/client"
)

// key is the API key of every server started here.
const key = "sk_soak"

// cluster is a set of processes with everything around them.
type cluster struct {
	binary    string
	env       []string // of the processes, beyond what they need
	dir, data string
	processes []*process
	apis      []*wire // one before each API
	llm       *wire
	temporal  *wire // nil: the process has its own
	engine    *testservers.Process
	log       log
	restarts  sync.WaitGroup
	failed    chan error // a process that did not come up again
}

// open starts the processes of a topology.
func open(ctx context.Context, o *options, topology string, m *model) (c *cluster, err error) {
	c = &cluster{binary: o.binary, dir: filepath.Join(o.dir, topology), failed: make(chan error, 100)}
	c.data = filepath.Join(c.dir, "data")
	if o.env != "" {
		c.env = strings.Split(o.env, ",")
	}
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	w := newWires()
	if c.llm, err = w.wire("llm", m.address()); err != nil {
		return c, err
	}
	switch topology {
	case "split":
		if err = c.startEngine(w); err == nil {
			err = c.add(w, "serve", "serve", "worker", "worker")
		}
	case "dev":
		err = c.add(w, "dev")
	default:
		err = fmt.Errorf("there is no topology %q: split or dev", topology)
	}
	if err != nil {
		return c, err
	}
	for _, p := range c.processes {
		limited, cancel := context.WithTimeout(ctx, upTime)
		err := p.start(limited, c.binary)
		cancel()
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// upTime is how long a start may take.
const upTime = 3 * time.Minute

func (c *cluster) startEngine(w wires) (err error) {
	if c.engine, err = testservers.StartTemporal(filepath.Join(c.dir, "temporal")); err != nil {
		return fmt.Errorf("start Temporal: %w", err)
	}
	c.temporal, err = w.wire("temporal", c.engine.Ready)
	return err
}

// add adds a process of each command.
func (c *cluster) add(w wires, commands ...string) error {
	for i, command := range commands {
		p := &process{name: fmt.Sprintf("%s-%d", command, i), args: []string{command, "--data", c.data}}
		p.log = filepath.Join(c.dir, p.name+".log")
		p.env = environment(c.data, "SWITCHYARD_CHAT_BASE_URL=http://"+c.llm.address()+"/"+p.name+"/v1", "SWITCHYARD_CHAT_API_KEY=x")
		p.env = append(p.env, c.env...)
		if c.temporal != nil {
			p.env = append(p.env, "SWITCHYARD_TEMPORAL_ADDRESS="+c.temporal.address())
		}
		if command != "worker" {
			if err := c.addAPI(w, p); err != nil {
				return err
			}
		}
		c.processes = append(c.processes, p)
	}
	return nil
}

func (c *cluster) addAPI(w wires, p *process) (err error) {
	if p.listen, err = freeAddress(); err != nil {
		return err
	}
	p.args = append(p.args, "--listen", p.listen)
	api, err := w.wire(p.name, p.listen)
	c.apis = append(c.apis, api)
	return err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // local
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// clients returns a client of each API, through its proxy.
func (c *cluster) clients() (out []*client.Client, err error) {
	for _, w := range c.apis {
		cl, err := client.New("http://"+w.address(), key, client.Config{Retries: -1})
		if err != nil {
			return nil, err
		}
		out = append(out, cl)
	}
	return out, nil
}

// kill kills a process, and starts it again while the soak goes on.
func (c *cluster) kill(ctx context.Context, p *process) {
	p.kill()
	c.log.add(p.name, "kill", time.Now(), time.Now())
	c.restarts.Go(func() {
		limited, cancel := context.WithTimeout(ctx, upTime)
		defer cancel()
		if err := c.supervise(limited, p); err != nil && ctx.Err() == nil {
			c.failed <- err
		}
	})
}

// supervise starts a process, and again should it end at its start, as a supervisor does: the embedded store cannot be
// opened while a frozen process holds its lock.
func (c *cluster) supervise(ctx context.Context, p *process) error {
	for {
		err := p.start(ctx, c.binary)
		if !errors.Is(err, errEnded) || ctx.Err() != nil {
			return err
		}
		c.log.add(p.name, "start again", time.Now(), time.Now())
		sleep(ctx, time.Second)
	}
}

// replace stops a process in an orderly way and starts it again, as a deploy does.
func (c *cluster) replace(ctx context.Context, p *process) error {
	from := time.Now()
	err := p.stop(time.Minute)
	c.log.add(p.name, "stop", from, time.Now())
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	return p.start(limited, c.binary)
}

// strike deals a blow, which may last while the soak goes on.
func (c *cluster) strike(ctx context.Context, b blow) {
	c.restarts.Go(func() {
		if err := c.hit(ctx, b); err != nil && ctx.Err() == nil {
			c.failed <- fmt.Errorf("%s: %w", b.what, err)
		}
	})
}

// lateBeats is how long after Temporal is back attempts may run twice: it took them from workers that it did not hear.
const lateBeats = 90 * time.Second

func (c *cluster) hit(ctx context.Context, b blow) (err error) {
	p, from := c.processes[b.target], time.Now()
	process, after := "", time.Duration(0)
	switch b.what {
	case freeze:
		for !p.alive() && time.Since(from) < 15*time.Second {
			sleep(ctx, 50*time.Millisecond)
		}
		from = time.Now()
		if !p.halt(b.lasts) {
			return nil
		}
		process = p.name
	case cutLLM:
		err = c.llm.cut(b.lasts)
	case slowLLM:
		err = c.llm.slow(ctx, b.lasts)
	case cutAPI:
		err = c.apis[b.target%len(c.apis)].cut(b.lasts)
		process = "nobody" // no answer of the LLM is lost by it
	case cutTemporal:
		err, after = c.temporal.cut(b.lasts), lateBeats
	case endTemporal:
		err, after = c.restartEngine(b.lasts), lateBeats
	}
	c.log.add(process, string(b.what), from, time.Now().Add(after))
	return err
}

func (c *cluster) restartEngine(away time.Duration) error {
	_ = c.engine.Kill() // says that it was killed
	time.Sleep(away)
	engine, err := testservers.StartTemporal(filepath.Join(c.dir, "temporal"))
	if err != nil {
		return err
	}
	c.engine = engine
	return c.temporal.lead(engine.Ready)
}

// heal waits until everything is up again.
func (c *cluster) heal() error {
	c.restarts.Wait()
	select {
	case err := <-c.failed:
		return err
	default:
		return nil
	}
}

// close ends everything; processes that do not stop in an orderly way are an error.
func (c *cluster) close() error {
	c.restarts.Wait()
	var errs []error
	for _, p := range c.processes {
		if p.done != nil {
			errs = append(errs, p.stop(time.Minute))
		}
	}
	if c.engine != nil {
		errs = append(errs, c.engine.Stop())
	}
	return errors.Join(errs...)
}
