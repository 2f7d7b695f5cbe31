package webhooks

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Guard keeps webhooks away from addresses that they have no business with: those of the machine itself, of the networks
// around it, of cloud metadata services, and everything else that is not a plain public address.
//
// It judges twice. CheckURL, when an address comes in, gives its caller a clear error. What protects is the second time:
// the dialer of the guard's transport asks for each address that it is about to connect to, after names are resolved, so
// that no answer of any name server leads past it.
type Guard struct {
	config GuardConfig
	blocks []block
}

// GuardConfig says what a guard lets pass. Its zero value is the strictest.
type GuardConfig struct {
	// Allow are networks that may be reached although the guard forbids them. Default: none.
	Allow []netip.Prefix
	// Ports that may be reached. Default: 80, 443 and 1024 to 65535.
	Ports []PortRange
	// HTTPSOnly refuses http URLs. Default: false.
	HTTPSOnly bool
	// Proxy is what all requests go through; it is not judged itself. It resolves names anew, so it should have a guard
	// of its own. Proxies named by the environment are never used. Default: none.
	Proxy *url.URL
	// RootCAs verify the receivers' certificates. Default: those of the system.
	RootCAs *x509.CertPool
	// Resolver looks names up. Default: net.DefaultResolver.
	Resolver *net.Resolver
}

// lookupPatience is how long CheckURL waits for a name server.
const lookupPatience = 3 * time.Second

// NewGuard makes a guard.
func NewGuard(c GuardConfig) *Guard {
	if c.Ports == nil {
		c.Ports = []PortRange{{80, 80}, {443, 443}, {1024, 65535}}
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	return &Guard{config: c, blocks: append(forbidden4(), forbidden6()...)}
}

// PortRange is the ports from First to Last.
type PortRange struct{ First, Last uint16 }

// ParseAllow reads a list of networks (or addresses) separated by commas; "none" and "" are the empty list.
func ParseAllow(s string) ([]netip.Prefix, error) {
	var allow []netip.Prefix
	if s = strings.TrimSpace(s); s == "" || s == "none" {
		return nil, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		if a, err := netip.ParseAddr(part); err == nil && a.Zone() == "" {
			part = a.Unmap().String() + "/" + strconv.Itoa(a.Unmap().BitLen())
		}
		p, err := netip.ParsePrefix(part)
		if err != nil || p.Addr().Is4In6() {
			return nil, fmt.Errorf("%q is not a network such as 10.1.0.0/16 or fd00::/8", part)
		}
		allow = append(allow, p.Masked())
	}
	return allow, nil
}

// ParsePorts reads a list such as "443,8000-8999".
func ParsePorts(s string) ([]PortRange, error) {
	var ports []PortRange
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := strconv.ParseUint(last, 10, 16)
		if errA != nil || errB != nil || a == 0 || b < a {
			return nil, fmt.Errorf("%q is not a port or a range of ports such as 8000-8999", part)
		}
		ports = append(ports, PortRange{uint16(a), uint16(b)})
	}
	return ports, nil
}

// CheckURL says whether webhooks may be sent to an address that a caller gives: nil, or an error of CodeInvalid (it is
// no such address) or CodeForbiddenURL (it is, and is forbidden), with the pointer given.
//
// A name is looked up, and refused if any of its addresses is forbidden, or if it certainly does not exist: a typing
// error is best found now. If the name servers give no answer the name is accepted: it is judged again for each attempt.
func (g *Guard) CheckURL(ctx context.Context, pointer, raw string) error {
	u, err := g.parse(raw)
	if err == nil {
		err = g.checkHost(ctx, u.Hostname())
	}
	if e, ok := errors.AsType[*memory.Error](err); ok {
		e.Pointer = pointer
	}
	return err
}

// parse checks all that can be checked without looking a name up.
func (g *Guard) parse(raw string) (*url.URL, error) {
	if err := memory.ValidURL("", raw); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		return nil, memory.Errorf(memory.CodeInvalid, "must be an absolute http or https URL")
	}
	if u.Scheme != "https" && g.config.HTTPSOnly {
		return nil, memory.Errorf(memory.CodeForbiddenURL, "must be an https URL")
	}
	if err := g.checkPort(u); err != nil {
		return nil, err
	}
	u.Host = strings.TrimSuffix(u.Host, ":") // a port that is empty is none
	return u, validHost(u.Hostname())
}

func (g *Guard) checkPort(u *url.URL) error {
	text := u.Port()
	if text == "" {
		text = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return memory.Errorf(memory.CodeInvalid, "has an impossible port")
	}
	return g.judgePort(uint16(port))
}

func (g *Guard) judgePort(port uint16) error {
	for _, r := range g.config.Ports {
		if r.First <= port && port <= r.Last {
			return nil
		}
	}
	return memory.Errorf(memory.CodeForbiddenURL, "port %d is not one that webhooks are sent to", port)
}

// validHost accepts addresses in their usual form and names of the form that DNS has, in ASCII. Numbers that some
// programs read as addresses (2130706433, 0x7f.1, 0177.0.0.1, 127.1) are neither.
func validHost(host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return memory.Errorf(memory.CodeForbiddenURL, "an address with a zone is not reachable from here")
		}
		return nil
	}
	name := strings.TrimSuffix(host, ".")
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if !validLabel(l) {
			return memory.Errorf(memory.CodeInvalid, "has a host that is no name; write names in ASCII, as DNS has them")
		}
	}
	if last := labels[len(labels)-1]; len(name) > 253 || isNumber(last) {
		return memory.Errorf(memory.CodeInvalid, "has a host that is neither a name nor an address in its usual form")
	}
	return nil
}

func validLabel(l string) bool {
	for i := range len(l) {
		c := l[i] | 0x20 // lower case, for letters
		if (c < 'a' || c > 'z') && (l[i] < '0' || l[i] > '9') && l[i] != '-' && l[i] != '_' {
			return false
		}
	}
	return l != "" && len(l) <= 63
}

// isNumber reports whether a program could take the last label for a part of an IPv4 address.
func isNumber(label string) bool {
	l := strings.ToLower(label)
	if hex, ok := strings.CutPrefix(l, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(l, "0123456789") == ""
}

func (g *Guard) checkHost(ctx context.Context, host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		return g.judge(a, host)
	}
	addresses, err := g.lookup(ctx, host)
	var missing *net.DNSError
	if errors.As(err, &missing) && missing.IsNotFound {
		return memory.Errorf(memory.CodeInvalid, "%s does not resolve to an address", host)
	}
	for _, a := range addresses { // none where the name servers gave no answer
		if err := g.judge(a.Unmap(), host); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guard) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if name := strings.ToLower(strings.TrimSuffix(host, ".")); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	return g.config.Resolver.LookupNetIP(ctx, "ip", host)
}

// judge says whether an address may be reached. Errors name what the caller wrote, never what a name resolved to: that
// would read out the name servers of the network around us.
func (g *Guard) judge(a netip.Addr, written string) error {
	name, forbidden := g.forbids(a)
	switch {
	case !forbidden:
		return nil
	case written == a.String():
		return memory.Errorf(memory.CodeForbiddenURL, "%s is %s: webhooks are not sent there", written, name)
	}
	return memory.Errorf(memory.CodeForbiddenURL, "%s leads to %s: webhooks are not sent there", written, name)
}

// forbids returns the name of the block that forbids a.
func (g *Guard) forbids(a netip.Addr) (string, bool) {
	if a.Zone() != "" {
		return "an address with a zone", true
	}
	for _, p := range g.config.Allow {
		if !p.Contains(a) {
			continue
		}
		if nat64.Contains(a) {
			return g.forbids(inNAT64(a))
		}
		return "", false
	}
	for _, b := range g.blocks {
		if b.prefix.Contains(a) {
			return b.name, true
		}
		if a.Is4In6() && b.prefix.Addr().Is6() && b.prefix.Contains(netip.AddrFrom16(a.As16())) {
			return b.name, true
		}
	}
	return "", !a.IsValid()
}

// control is asked by the dialer before each connection, with the address that it is about to connect to.
func (g *Guard) control(network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || (network != "tcp4" && network != "tcp6") {
		return memory.Errorf(memory.CodeForbiddenURL, "webhooks are not sent over %s", network)
	}
	if err := g.judgePort(to.Port()); err != nil {
		return err
	}
	return g.judge(to.Addr().Unmap(), "the host")
}
