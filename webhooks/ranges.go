package webhooks

import "net/netip"

// block is a range of addresses that webhooks do not reach unless the configuration allows it.
type block struct {
	prefix netip.Prefix
	name   string
}

// Every block of IANA's special-purpose registries is forbidden, also those that are globally reachable: what lives in
// them are protocols, not receivers. Added to them are multicast, which has registries of its own, and an address of a
// cloud's metadata service that looks public. A test holds this list against the registries.
//
// The order matters for the name only: the first block that contains an address gives it.
func forbidden4() []block {
	return []block{
		{netip.MustParsePrefix("0.0.0.0/8"), "an address of this network"},
		{netip.MustParsePrefix("10.0.0.0/8"), "a private address"},
		{netip.MustParsePrefix("100.64.0.0/10"), "a carrier's shared address"},
		{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address"},
		{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's metadata address"},
		{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"}, // with most clouds' metadata
		{netip.MustParsePrefix("172.16.0.0/12"), "a private address"},
		{netip.MustParsePrefix("192.0.0.0/24"), "an address of a protocol"},
		{netip.MustParsePrefix("192.0.2.0/24"), "a documentation address"},
		{netip.MustParsePrefix("192.31.196.0/24"), "an address of a protocol"}, // AS112
		{netip.MustParsePrefix("192.52.193.0/24"), "an address of a protocol"}, // AMT
		{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay address"},
		{netip.MustParsePrefix("192.168.0.0/16"), "a private address"},
		{netip.MustParsePrefix("192.175.48.0/24"), "an address of a protocol"}, // AS112
		{netip.MustParsePrefix("198.18.0.0/15"), "a benchmarking address"},
		{netip.MustParsePrefix("198.51.100.0/24"), "a documentation address"},
		{netip.MustParsePrefix("203.0.113.0/24"), "a documentation address"},
		{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
		{netip.MustParsePrefix("255.255.255.255/32"), "the broadcast address"},
		{netip.MustParsePrefix("240.0.0.0/4"), "a reserved address"},
	}
}

// Of IPv6 only global unicast (2000::/3) is reachable at all: what is outside is forbidden by the last block, so that a
// range which is given a use tomorrow is not open today. The blocks before it that lie outside are there for the name.
func forbidden6() []block {
	return []block{
		{netip.MustParsePrefix("::1/128"), "the loopback address"},
		{netip.MustParsePrefix("::/128"), "the unspecified address"},
		{netip.MustParsePrefix("::ffff:0:0/96"), "an IPv4-mapped address"},
		{netip.MustParsePrefix("::/96"), "an IPv4-compatible address"},
		{nat64, "a NAT64 address"},
		{netip.MustParsePrefix("64:ff9b:1::/48"), "a NAT64 address"},
		{netip.MustParsePrefix("100::/64"), "a discard address"},
		{netip.MustParsePrefix("100:0:0:1::/64"), "a dummy address"},
		{netip.MustParsePrefix("2001::/32"), "a Teredo address"},
		{netip.MustParsePrefix("2001:2::/48"), "a benchmarking address"},
		{netip.MustParsePrefix("2001:10::/28"), "an ORCHID"},
		{netip.MustParsePrefix("2001:20::/28"), "an ORCHID"},
		{netip.MustParsePrefix("2001::/23"), "an address of a protocol"},
		{netip.MustParsePrefix("2001:db8::/32"), "a documentation address"},
		{netip.MustParsePrefix("2002::/16"), "a 6to4 address"},
		{netip.MustParsePrefix("2620:4f:8000::/48"), "an address of a protocol"}, // AS112
		{netip.MustParsePrefix("3fff::/20"), "a documentation address"},
		{netip.MustParsePrefix("5f00::/16"), "a segment routing address"},
		{netip.MustParsePrefix("fc00::/7"), "a private address"},
		{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
		{netip.MustParsePrefix("fec0::/10"), "a site-local address"},
		{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
		{netip.MustParsePrefix("::/3"), "not a global unicast address"},
		{netip.MustParsePrefix("4000::/2"), "not a global unicast address"},
		{netip.MustParsePrefix("8000::/1"), "not a global unicast address"},
	}
}

// nat64 is how IPv6-only networks reach IPv4: where it is allowed, the address inside is judged as well.
var nat64 = netip.MustParsePrefix("64:ff9b::/96") //nolint:gochecknoglobals // a constant, as far as Go lets a prefix be one

func inNAT64(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}
