package webhooks

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers over UDP on loopback what a test tells it to, and counts how often it is asked.
type nameServer struct {
	conn net.PacketConn

	mu      sync.Mutex
	answers map[string]func(asked int) []netip.Addr // by name without the last dot; asked counts from 0, per kind
	asked   map[string]int
}

func serveNames(tb testing.TB) *nameServer {
	tb.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(tb.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &nameServer{conn: conn, answers: map[string]func(int) []netip.Addr{}, asked: map[string]int{}}
	done := make(chan struct{})
	go func() { defer close(done); s.serve() }()
	tb.Cleanup(func() { conn.Close(); <-done })
	return s
}

func addresses(list ...string) []netip.Addr {
	out := make([]netip.Addr, len(list))
	for i, a := range list {
		out[i] = netip.MustParseAddr(a)
	}
	return out
}

// says makes the server answer a name with the first list to the first question of each kind, and so on; the last list
// stays.
func (s *nameServer) says(name string, lists ...[]netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[name] = func(asked int) []netip.Addr { return lists[min(asked, len(lists)-1)] }
}

// resolver asks this server and no other.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

func (s *nameServer) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if reply := s.reply(buf[:n]); reply != nil {
			_, _ = s.conn.WriteTo(reply, from)
		}
	}
}

func (s *nameServer) reply(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Authoritative, m.RecursionAvailable, m.Additionals = true, true, true, nil
	list, known := s.answer(strings.ToLower(strings.TrimSuffix(q.Name.String(), ".")), q.Type)
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range list {
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && !a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}

func (s *nameServer) answer(name string, kind dnsmessage.Type) ([]netip.Addr, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.answers[name]
	if !ok {
		return nil, false
	}
	key := name + " " + kind.String()
	asked := s.asked[key]
	s.asked[key]++
	return f(asked), true
}

// listener counts the connections that reach it, and closes them.
type listener struct {
	net.Listener
	mu    sync.Mutex
	count int
}

func listen(tb testing.TB, address string) *listener {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", address)
	if err != nil {
		tb.Skipf("%s: %v", address, err)
	}
	out := &listener{Listener: l}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			out.mu.Lock()
			out.count++
			out.mu.Unlock()
			c.Close()
		}
	}()
	tb.Cleanup(func() { l.Close(); <-done })
	return out
}

func (l *listener) connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (l *listener) port() string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// serveNothing is a resolver whose servers never answer.
func serveNothing() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrClosedPipe }}
}
