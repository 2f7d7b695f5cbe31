package webhooks

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// guardCase is an address that a caller gives, and what comes of it: "" (taken), or the code.
type guardCase struct {
	allow string // networks; "": none
	url   string
	want  memory.Code
}

const (
	taken     = memory.Code("")
	forbidden = memory.CodeForbiddenURL
	wrong     = memory.CodeInvalid
)

// guardCases are what people and attackers write; those of the blocks are made from the blocks themselves.
func guardCases(tb testing.TB) []guardCase {
	tb.Helper()
	var cases []guardCase
	add := func(want memory.Code, urls ...string) {
		for _, u := range urls {
			cases = append(cases, guardCase{"", u, want})
		}
	}
	for path, sum := range registries() {
		for _, r := range registry(tb, path, sum) {
			for _, a := range []netip.Addr{r.prefix.Addr(), last(r.prefix)} {
				add(forbidden, "http://"+netip.AddrPortFrom(a, 8080).String()+"/hook")
			}
		}
	}
	for _, v4 := range []string{
		"10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.1.1", "172.16.0.1", "172.31.255.254", "100.64.0.1", "100.100.100.200",
		"168.63.129.16", "192.0.0.192", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
	} {
		b := netip.MustParseAddr(v4).As4()
		hex := fmt.Sprintf("%02x%02x:%02x%02x", b[0], b[1], b[2], b[3])
		number := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		add(forbidden, "http://"+v4, "https://"+v4+"/hook?a=b", "http://"+v4+":8080/", "HTTP://"+v4+"/",
			"http://[::ffff:"+v4+"]/", "http://[::ffff:"+hex+"]/", "http://[::"+v4+"]/", "http://[::ffff:0:"+v4+"]/",
			"http://[64:ff9b::"+v4+"]/", "http://[64:ff9b:1::"+v4+"]/", "http://[2002:"+hex+"::1]/", "http://[2001:0:"+hex+"::1]/")
		add(wrong, fmt.Sprintf("http://%d/", number), fmt.Sprintf("http://0x%x/", number), fmt.Sprintf("http://0%o/", number),
			fmt.Sprintf("http://0x%x.0x%x.0x%x.0x%x/", b[0], b[1], b[2], b[3]), fmt.Sprintf("http://0%o.0%o.0%o.0%o/", b[0], b[1], b[2], b[3]),
			fmt.Sprintf("http://%d.%d/", b[0], number&0xffffff), "http://"+v4+"./", fmt.Sprintf("http://%s:8080", strings.Replace(v4, ".", ".0", 1)))
	}
	add(forbidden,
		"http://localhost/", "http://localhost./", "http://LOCALHOST:8080/", "http://a.localhost/", "http://A.LocalHost./", "https://localhost",
		"http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:0:0:1]/", "http://[fe80::1]/", "http://[fe80::1%25eth0]/",
		"http://[febf::1]/", "http://[fec0::1]/", "http://[fc00::1]/", "http://[fd00:ec2::254]/", "http://[ff02::1]/", "http://[ff0e::1]/",
		"http://[2001:db8::1]/", "http://[3fff::1]/", "http://[5f00::1]/", "http://[100::1]/", "http://[4000::1]/", "http://[e000::1]/",
		"http://[::ffff:8.8.8.8]/", "http://[64:ff9b::8.8.8.8]/", "http://[2002:808:808::1]/", "http://[2001:10::1]/", "http://[2001:20::1]/",
		"http://8.8.8.8:22/", "http://8.8.8.8:25/", "http://8.8.8.8:1023/", "https://8.8.8.8:79/", "http://example.test:23/",
		"http://private.test/", "http://loopback.test/", "http://mixed.test/", "http://mixed6.test/", "http://mapped.test/", "http://metadata.test/",
		"http://private.test./", "http://PRIVATE.test:8080/hook", "http://nat64.test/", "http://zero.test/",
	)
	add(wrong,
		"", " ", "/", "//x", "//example.test/x", "example.test", "example.test/hook", "ftp://example.test/x", "file:///etc/passwd", "gopher://x",
		"javascript:alert(1)", "data:text/plain,x", "unix:///tmp/s", "ws://example.test/", "http:", "http:/", "http://", "http:///hook", "http://:80/",
		"http:example.test", "http://u:p@example.test/", "http://u@example.test/", "http://@127.0.0.1/", "http://8.8.8.8@127.0.0.1/",
		"http://127.1/", "http://127.0.1/", "http://0/", "http://1/", "http://0x/", "http://0x7f.1/", "http://0177.1/", "http://1.2.3.4.5/",
		"http://256.256.256.256/", "http://1.2.3.0x4/", "http://a.1/", "http://a.0x1f/", "http://999/", "http://99999999999999999999/",
		"http://example.test:0/", "http://example.test:65536/", "http://example.test:99999/", "http://example.test:x/", "http://example.test:-1/",
		"http://exa mple.test/", "http://example.test\\@127.0.0.1/", "http://example..test/", "http://.example.test/", "http://example.test../",
		"http://\x00/", "http://example.test\n/", "http://\u00bd.test/", "http://127。0。0。1/", "http://\uff11\uff12\uff17.0.0.1/", "http://ⓛocalhost/",
		"http://münchen.test/", "http://%31%32%37.0.0.1/", "http://127.0.0.1%2f@example.test/", "http://example%2etest/", "http://[/", "http://[]/", "http://[fe80::1%25]/",
		"http://[::g]/", "http://[127.0.0.1/", "http://*.test/", "http://exa$mple.test/", "http://"+strings.Repeat("a", 64)+".test/",
		"http://"+strings.Repeat("a.", 130)+"test/", "http://nowhere.test/", "http://example.test/"+strings.Repeat("a", 2_048),
	)
	add(taken,
		"http://example.test/", "https://example.test/hook?a=b#c", "http://example.test./", "http://EXAMPLE.test:8080/", "http://example.test:80/",
		"https://example.test:443/", "http://example.test:1024/", "http://example.test:65535/", "http://six.test/", "http://both.test/",
		"http://8.8.8.8/", "https://1.1.1.1/hook", "http://[2606:4700:4700::1111]/", "http://[2001:4860:4860::8888]:8443/x", "http://unanswered.test/",
		"http://xn--mnchen-3ya.test/", "http://under_score.test/",
	)
	cases = append(cases,
		guardCase{"127.0.0.0/8", "http://127.0.0.1:9000/hook", taken},
		guardCase{"127.0.0.0/8", "http://127.255.255.254/", taken},
		guardCase{"127.0.0.0/8", "http://[::1]/", forbidden},
		guardCase{"127.0.0.0/8", "http://localhost/", forbidden}, // it is ::1 too
		guardCase{"127.0.0.0/8", "http://10.0.0.1/", forbidden},
		guardCase{"127.0.0.0/8", "http://127.1/", wrong},
		guardCase{"127.0.0.0/8", "http://[::ffff:127.0.0.1]/", forbidden},
		guardCase{"127.0.0.0/8", "http://127.0.0.1:22/", forbidden},
		guardCase{"127.0.0.0/8", "http://loopback.test/", taken},
		guardCase{"127.0.0.0/8,::1", "http://localhost:8080/", taken},
		guardCase{"127.0.0.0/8,::1/128", "http://[::1]:8080/", taken},
		guardCase{"127.0.0.1", "http://127.0.0.1/", taken},
		guardCase{"127.0.0.1", "http://127.0.0.2/", forbidden},
		guardCase{"10.0.0.0/8", "http://private.test/", taken},
		guardCase{"10.0.0.0/8", "http://mixed.test/", taken},
		guardCase{"192.168.0.0/16", "http://mixed.test/", forbidden},
		guardCase{"10.0.0.0/8", "http://[64:ff9b::10.0.0.1]/", forbidden},
		guardCase{"64:ff9b::/96", "http://[64:ff9b::8.8.8.8]/", taken},
		guardCase{"64:ff9b::/96", "http://[64:ff9b::10.0.0.1]/", forbidden},
		guardCase{"64:ff9b::/96", "http://[64:ff9b::169.254.169.254]/", forbidden},
		guardCase{"64:ff9b::/96,10.0.0.0/8", "http://[64:ff9b::10.0.0.1]/", taken},
		guardCase{"fd00::/8", "http://[fd12::1]/", taken},
		guardCase{"fd00::/8", "http://[fc12::1]/", forbidden},
		guardCase{"0.0.0.0/0", "http://10.0.0.1/", taken},
		guardCase{"0.0.0.0/0", "http://[fd12::1]/", forbidden},
	)
	return cases
}

// guardNames are the names that the cases use.
func guardNames(tb testing.TB) *nameServer {
	tb.Helper()
	s := serveNames(tb)
	for name, list := range map[string][]string{
		"example.test": {"93.184.216.34"}, "six.test": {"2606:4700::1"}, "both.test": {"93.184.216.34", "2606:4700::1"},
		"xn--mnchen-3ya.test": {"93.184.216.34"}, "under_score.test": {"93.184.216.34"},
		"private.test": {"10.0.0.1"}, "loopback.test": {"127.0.0.1"}, "metadata.test": {"169.254.169.254"}, "zero.test": {"0.0.0.0"},
		"mixed.test": {"93.184.216.34", "10.0.0.1"}, "mixed6.test": {"93.184.216.34", "fd00::1"}, "mapped.test": {"::ffff:10.0.0.1"},
		"nat64.test": {"64:ff9b::a00:1"},
	} {
		s.says(name, addresses(list...))
	}
	return s
}

func TestGuardTable(t *testing.T) {
	t.Parallel()
	cases := guardCases(t)
	if len(cases) < 300 {
		t.Errorf("%d cases; 300 were promised", len(cases))
	}
	names := guardNames(t)
	resolver := names.resolver()
	silent := resolver.Dial
	resolver.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if ctx.Value(unanswered{}) != nil {
			return nil, io.ErrClosedPipe
		}
		return silent(ctx, network, address)
	}
	guards := map[string]*Guard{}
	for _, c := range cases {
		g := guards[c.allow]
		if g == nil {
			allow, err := ParseAllow(c.allow)
			if err != nil {
				t.Fatal(err)
			}
			g = NewGuard(GuardConfig{Allow: allow, Resolver: resolver})
			guards[c.allow] = g
		}
		ctx := t.Context()
		if strings.Contains(c.url, "unanswered") {
			ctx = context.WithValue(ctx, unanswered{}, true)
		}
		err := g.CheckURL(ctx, "/url", c.url)
		if memory.CodeOf(err) != c.want {
			t.Errorf("allow %q: %q: %v; want %q", c.allow, c.url, err, c.want)
		}
		if e, ok := err.(*memory.Error); err != nil && (!ok || e.Pointer != "/url" || e.Message == "") { //nolint:errorlint // it is to be one
			t.Errorf("%q: %#v has no pointer or message", c.url, err)
		}
	}
	t.Logf("%d cases", len(cases))
}

type unanswered struct{}

func TestErrorsDoNotReadOutTheNetworkAround(t *testing.T) {
	t.Parallel()
	g := NewGuard(GuardConfig{Resolver: guardNames(t).resolver()})
	for _, u := range []string{"http://private.test/", "http://mixed.test/", "http://metadata.test/"} {
		if err := g.CheckURL(t.Context(), "/url", u); err == nil || strings.Contains(err.Error(), "10.0") || strings.Contains(err.Error(), "169.") {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestHTTPSOnly(t *testing.T) {
	t.Parallel()
	g := NewGuard(GuardConfig{HTTPSOnly: true})
	if err := g.CheckURL(t.Context(), "", "http://8.8.8.8/"); memory.CodeOf(err) != forbidden {
		t.Error(err)
	}
	if err := g.CheckURL(t.Context(), "", "https://8.8.8.8/"); err != nil {
		t.Error(err)
	}
}

func TestParseAllow(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"": 0, "none": 0, " none ": 0, "127.0.0.0/8": 1, "127.0.0.0/8, ::1": 2, "10.1.2.3/8": 1, "::ffff:10.0.0.1": 1} {
		if got, err := ParseAllow(s); err != nil || len(got) != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"all", "localhost", "10.0.0.0/33", "10.0.0/8", "127.0.0.0/8,", "none,10.0.0.0/8", "fe80::1%eth0", "::ffff:10.0.0.0/104", "10.0.0.1-10.0.0.9"} {
		if got, err := ParseAllow(s); err == nil {
			t.Errorf("%q is taken as %v", s, got)
		}
	}
}

func TestParsePorts(t *testing.T) {
	t.Parallel()
	got, err := ParsePorts("443, 8000-8999")
	if err != nil || len(got) != 2 || got[1] != (PortRange{8000, 8999}) {
		t.Errorf("%v, %v", got, err)
	}
	g := NewGuard(GuardConfig{Ports: got})
	for u, want := range map[string]memory.Code{
		"https://8.8.8.8/": taken, "http://8.8.8.8/": forbidden, "http://8.8.8.8:8500/": taken, "http://8.8.8.8:9000/": forbidden,
	} {
		if err := g.CheckURL(t.Context(), "", u); memory.CodeOf(err) != want {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, s := range []string{"", "0", "http", "70000", "9-8", "1-", "-1", "1-2-3"} {
		if got, err := ParsePorts(s); err == nil {
			t.Errorf("%q is taken as %v", s, got)
		}
	}
}

// get sends a request through the guard's transport, past every check but the dialer's.
func get(tb testing.TB, g *Guard, url string) error {
	tb.Helper()
	rt := g.Transport()
	defer rt.CloseIdleConnections()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	response, err := rt.RoundTrip(r)
	if err == nil {
		response.Body.Close()
	}
	return err
}

func TestDialerRefusesWhatTheCheckCouldNotSee(t *testing.T) {
	t.Parallel()
	victim, victim6 := listen(t, "127.0.0.1:0"), listen(t, "[::1]:0")
	names := guardNames(t)
	public := addresses("93.184.216.34")
	names.says("rebinds.test", public, addresses("127.0.0.1"))
	names.says("rebinds6.test", addresses("2606:4700::1"), addresses("::1"))
	names.says("mapped-loopback.test", public, addresses("::ffff:127.0.0.1"))
	g := NewGuard(GuardConfig{Resolver: names.resolver()})
	for _, host := range []string{"rebinds.test", "mapped-loopback.test"} {
		u := "http://" + host + ":" + victim.port() + "/"
		if err := g.CheckURL(t.Context(), "/url", u); err != nil {
			t.Fatalf("the first answer is public: %v", err)
		}
		if err := get(t, g, u); memory.CodeOf(err) != forbidden {
			t.Errorf("%s: %v", u, err)
		}
	}
	if err := g.CheckURL(t.Context(), "/url", "http://rebinds6.test/"); err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{
		"http://rebinds6.test:" + victim6.port(), "http://[::1]:" + victim6.port(), "http://127.0.0.1:" + victim.port(),
		"http://localhost:" + victim.port(), "http://[::ffff:127.0.0.1]:" + victim.port(), "http://0.0.0.0:" + victim.port(),
		"http://[::]:" + victim6.port(), "http://loopback.test:" + victim.port(), "http://127.1:" + victim.port(), "http://0x7f000001:" + victim.port(),
	} {
		if err := get(t, g, u); err == nil {
			t.Errorf("%s was reached", u)
		}
	}
	if n := victim.connections() + victim6.connections(); n != 0 {
		t.Errorf("%d connections reached a forbidden listener", n)
	}
	if err := get(t, NewGuard(GuardConfig{Allow: loopback()}), "http://127.0.0.1:"+victim.port()); err == nil || victim.connections() != 1 {
		t.Errorf("the listener cannot be reached at all, so nothing was shown: %v", err)
	}
}

func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// Of a mixed answer only the allowed address is connected to. Both are loopback here: nothing leaves the machine.
func TestMixedAnswers(t *testing.T) {
	t.Parallel()
	victim := listen(t, "127.0.0.1:0")
	names := serveNames(t)
	names.says("mixed.test", addresses("127.0.0.2", "127.0.0.1"))
	names.says("mixed-back.test", addresses("127.0.0.1", "127.0.0.2"))
	g := NewGuard(GuardConfig{Resolver: names.resolver(), Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}})
	for _, host := range []string{"mixed.test", "mixed-back.test"} {
		if err := g.CheckURL(t.Context(), "/url", "http://"+host); memory.CodeOf(err) != forbidden {
			t.Errorf("%s: %v", host, err)
		}
		if err := get(t, g, "http://"+host+":"+victim.port()); err == nil {
			t.Errorf("%s was reached", host)
		}
	}
	if n := victim.connections(); n != 0 {
		t.Errorf("%d connections reached a forbidden listener", n)
	}
}

func TestPortsAreJudgedAtTheDialToo(t *testing.T) {
	t.Parallel()
	victim := listen(t, "127.0.0.1:0")
	g := NewGuard(GuardConfig{Allow: loopback(), Ports: []PortRange{{443, 443}}})
	if err := get(t, g, "http://127.0.0.1:"+victim.port()); memory.CodeOf(err) != forbidden || victim.connections() != 0 {
		t.Errorf("%v; %d connections", err, victim.connections())
	}
}

// reads is how a program that is generous with IPv4 addresses (inet_aton) reads a host.
func reads(host string) (netip.Addr, bool) {
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var number uint64
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 0, 64)
		if err != nil {
			return netip.Addr{}, false
		}
		if i == len(parts)-1 {
			number |= n
		} else {
			number |= (n & 0xff) << (24 - 8*i)
		}
	}
	return netip.AddrFrom4([4]byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)}), true
}

// FuzzCheckURL lets strangers write what they like: what is taken is the name of a host, or an address that is public
// however it is read.
func FuzzCheckURL(f *testing.F) {
	for _, c := range guardCases(f) {
		f.Add(c.url)
	}
	g := NewGuard(GuardConfig{Resolver: serveNothing()})
	f.Fuzz(func(t *testing.T, raw string) {
		if g.CheckURL(t.Context(), "", raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.Hostname() == "" {
			t.Fatalf("%q is taken", raw)
		}
		a, err := netip.ParseAddr(u.Hostname())
		if err != nil {
			var ok bool
			if a, ok = reads(u.Hostname()); !ok {
				return
			}
		}
		if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is4In6() {
			t.Fatalf("%q is taken, and read as %s", raw, a)
		}
	})
}
