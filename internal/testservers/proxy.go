package testservers

import (
	"errors"
	"io"
	"net"
	"sync"
)

// A Proxy stands before a server, at an address that stays, and takes it away and brings it back: what a network, a
// restart on another machine or a full disk do to clients.
type Proxy struct {
	listener net.Listener

	mu       sync.Mutex
	upstream string
	mode     mode
	conns    map[net.Conn]struct{}
	wg       sync.WaitGroup
}

type mode int

const (
	passes mode = iota
	cut         // connections are closed as soon as they are made
	frozen      // connections are made, and nothing ever answers
)

// NewProxy starts a proxy before upstream, host:port. Close it.
func NewProxy(upstream string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // local
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, upstream: upstream, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut takes the server away: connections break, and new ones break at once.
func (p *Proxy) Cut() { p.set(cut) }

// Freeze lets the server fall silent: connections stay, nothing comes through, as when a packet filter swallows them.
func (p *Proxy) Freeze() { p.set(frozen) }

// Mend brings the server back, at another address where one is given. What was frozen stays lost.
func (p *Proxy) Mend(upstream string) {
	p.mu.Lock()
	if upstream != "" {
		p.upstream = upstream
	}
	p.mu.Unlock()
	p.set(passes)
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.set(cut)
	p.wg.Wait()
	return err
}

// set changes the mode. Frozen connections are closed with the change from it: their bytes are lost already.
func (p *Proxy) set(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m == cut || p.mode == frozen && m != frozen {
		for c := range p.conns {
			_ = c.Close()
		}
	}
	p.mode = m
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			p.wg.Go(func() { p.serve(c) })
		}
	}
}

func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	upstream, m := p.keep(c)
	defer p.forget(c)
	switch m {
	case cut:
		return
	case frozen:
		_, _ = io.Copy(io.Discard, c)
		return
	}
	u, err := net.Dial("tcp", upstream) //nolint:noctx // local
	if err != nil {
		return
	}
	defer u.Close()
	p.keep(u)
	defer p.forget(u)
	var both sync.WaitGroup
	both.Go(func() { p.pass(u, c) })
	both.Go(func() { p.pass(c, u) })
	both.Wait()
}

// pass copies until one side ends; then the other one is ended too. While frozen, what comes is dropped.
func (p *Proxy) pass(to, from net.Conn) {
	_, _ = io.Copy(thawed{p, to}, from)
	_ = to.Close()
	_ = from.Close()
}

// thawed writes only while the proxy is not frozen.
type thawed struct {
	p  *Proxy
	to io.Writer
}

func (t thawed) Write(b []byte) (int, error) {
	t.p.mu.Lock()
	lost := t.p.mode == frozen
	t.p.mu.Unlock()
	if lost {
		return len(b), nil
	}
	return t.to.Write(b)
}

func (p *Proxy) keep(c net.Conn) (upstream string, m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return p.upstream, p.mode
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
