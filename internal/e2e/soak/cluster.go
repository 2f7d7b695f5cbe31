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

	"github.com/switchyard-ai/switchyard/pkg/client"
)

// key is the API key of every server started here.
const key = "sk_soak"

// cluster is a set of processes with everything around them.
type cluster struct {
	binary    string
	env       []string // of the processes, beyond what they need
	args      []string // the same for arguments
	dir, data string
	processes []*process
	apis      []*wire    // one before each API
	serving   []*process // whose APIs they are
	llm       *wire
	servers   map[string]*server
	log       log
	restarts  sync.WaitGroup
	failed    chan error // a process that did not come up again
}

// open starts the processes of a topology.
func open(ctx context.Context, o *options, topology string, m *model) (c *cluster, err error) {
	c = &cluster{binary: o.binary, dir: filepath.Join(o.dir, topology), servers: map[string]*server{}, failed: make(chan error, 100)}
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
	if err = c.build(ctx, w, topology); err != nil {
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

// build makes the processes of a topology, and starts what they are connected to.
func (c *cluster) build(ctx context.Context, w wires, topology string) error {
	switch topology {
	case dev:
		return c.add(w, true, "dev")
	case split:
		if err := c.startServers(w, theTemporal()); err != nil {
			return err
		}
		return c.add(w, true, "serve", "serve", "worker", "worker")
	case servers:
		if err := c.startServers(w, append(theStores(), theTemporal())...); err != nil {
			return err
		}
		if err := c.own(ctx); err != nil {
			return err
		}
		return c.add(w, false, "serve", "serve", "worker", "worker")
	}
	return fmt.Errorf("there is no topology %q: %s, %s or %s", topology, split, dev, servers)
}

// add adds a process of each command; together says that they share one folder, and the store in it.
func (c *cluster) add(w wires, together bool, commands ...string) error {
	for i, command := range commands {
		p := &process{name: fmt.Sprintf("%s-%d", command, i)}
		p.log = filepath.Join(c.dir, p.name+".log")
		data := c.data
		if !together {
			data = filepath.Join(c.dir, p.name)
		}
		p.args = append([]string{command, "--data", data}, c.args...)
		p.env = environment(c.data, "SWITCHYARD_CHAT_BASE_URL=http://"+c.llm.address()+"/"+p.name+"/v1", "SWITCHYARD_CHAT_API_KEY=x")
		p.env = append(p.env, c.env...)
		var err error
		if p.listen, err = freeAddress(); err != nil {
			return err
		}
		if command == "worker" { // it says there whether it is ready
			p.env = append(p.env, "SWITCHYARD_METRICS_LISTEN="+p.listen)
		} else if err := c.addAPI(w, p); err != nil {
			return err
		}
		c.processes = append(c.processes, p)
	}
	return nil
}

func (c *cluster) addAPI(w wires, p *process) (err error) {
	p.args = append(p.args, "--listen", p.listen)
	api, err := w.wire(p.name, p.listen)
	c.apis, c.serving = append(c.apis, api), append(c.serving, p)
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
			c.failed <- fmt.Errorf("%s: %w", b.label(), err)
		}
	})
}

func (c *cluster) hit(ctx context.Context, b blow) (err error) {
	from, whose, after := time.Now(), "", time.Duration(0)
	switch s := c.servers[b.on]; {
	case b.what == freeze:
		p := c.processes[b.index]
		for !p.alive() && time.Since(from) < 15*time.Second {
			sleep(ctx, 50*time.Millisecond)
		}
		from, whose = time.Now(), p.name
		if !p.halt(b.lasts) {
			return nil
		}
	case b.on == onAPI:
		whose = nobody
		err = c.apis[b.index%len(c.apis)].cut(b.lasts)
	case b.on == onLLM && b.what == cut:
		err = c.llm.cut(b.lasts)
	case b.on == onLLM:
		err = c.llm.slow(ctx, b.lasts)
	default:
		if after = s.after; !s.costs {
			whose = nobody
		}
		err = s.strike(ctx, b)
	}
	c.log.add(whose, b.label(), from, time.Now().Add(after))
	return err
}

// nobody is whose answers of the LLM are lost by what is done to other things.
const nobody = "nobody"

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
	for _, s := range c.servers {
		errs = append(errs, s.stop())
	}
	return errors.Join(errs...)
}
