package webhooks

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// registries are IANA's files, with the sums under which they were published (see testdata/iana/README.md).
func registries() map[string]string {
	return map[string]string{
		"testdata/iana/iana-ipv4-special-registry-1.csv": "e3e39e76d00b1677335db8e9a805c7b9480ea2f4dc9e33f0b93cd3a905128d73",
		"testdata/iana/iana-ipv6-special-registry-1.csv": "775feea0621dec8735a44fbf30f762e721e8f0a1b3ab7eb341961a88cfce2139",
	}
}

type registered struct {
	prefix netip.Prefix
	name   string
}

func registry(tb testing.TB, path, sum string) []registered {
	tb.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if got := sha256.Sum256(raw); hex.EncodeToString(got[:]) != sum {
		tb.Fatalf("%s is not the file that IANA published", path)
	}
	rows, err := csv.NewReader(strings.NewReader(string(raw))).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	var all []registered
	for _, row := range rows[1:] {
		for cell := range strings.SplitSeq(row[0], ",") {
			text, _, _ := strings.Cut(strings.TrimSpace(cell), " ") // a footnote may follow
			all = append(all, registered{netip.MustParsePrefix(text), row[1]})
		}
	}
	return all
}

// last is the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func TestEverySpecialPurposeBlockIsForbidden(t *testing.T) {
	t.Parallel()
	g := NewGuard(GuardConfig{})
	n := 0
	for path, sum := range registries() {
		for _, r := range registry(t, path, sum) {
			n++
			end := last(r.prefix)
			for _, a := range []netip.Addr{r.prefix.Addr(), r.prefix.Addr().Next(), end.Prev(), end} {
				if name, forbidden := g.forbids(a); r.prefix.Contains(a) && (!forbidden || name == "") {
					t.Errorf("%s of %s (%s) may be reached", a, r.prefix, r.name)
				}
			}
		}
	}
	if n != 26+25 {
		t.Errorf("%d blocks read; the registries have 51", n)
	}
}

func TestBesideTheBlocksIsReachable(t *testing.T) {
	t.Parallel()
	g := NewGuard(GuardConfig{})
	for _, s := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "168.63.129.15",
		"168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0",
		"192.31.195.255", "192.31.197.0", "192.52.192.255", "192.52.194.0", "192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0",
		"192.175.47.255", "192.175.49.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0",
		"223.255.255.255", "2001:200::", "2001:200::1", "2001:4860:4860::8888", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::",
		"2003::1", "2400::1", "2606:4700:4700::1111", "2620:4f:7fff::1", "2620:4f:8001::1", "2a00::1", "3ffe:ffff::1", "3fff:1000::1",
		"2000::1",
	} {
		if name, forbidden := g.forbids(netip.MustParseAddr(s)); forbidden {
			t.Errorf("%s is taken for %s", s, name)
		}
	}
}

func TestOutsideGlobalUnicastIsForbidden(t *testing.T) {
	t.Parallel()
	g := NewGuard(GuardConfig{})
	for first := range 256 {
		if first>>5 == 1 {
			continue // 2000::/3
		}
		a := netip.AddrFrom16([16]byte{byte(first), 0x12, 0x34, 15: 1})
		if _, forbidden := g.forbids(a); !forbidden {
			t.Errorf("%s may be reached", a)
		}
	}
	if _, forbidden := g.forbids(netip.Addr{}); !forbidden {
		t.Error("no address may be reached")
	}
}
