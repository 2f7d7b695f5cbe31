package testservers

import "strings"

// SplitAddress takes an address or URI apart, so that a proxy's can be put in its place: what comes before the host and
// port, these, and what follows.
func SplitAddress(address string) (before, hostPort, behind string) {
	hostPort = address
	if i := strings.Index(hostPort, "://"); i >= 0 {
		before, hostPort = hostPort[:i+3], hostPort[i+3:]
	}
	if i := strings.IndexAny(hostPort, "/?"); i >= 0 {
		hostPort, behind = hostPort[:i], hostPort[i:]
	}
	if i := strings.LastIndex(hostPort, "@"); i >= 0 {
		before, hostPort = before+hostPort[:i+1], hostPort[i+1:]
	}
	return before, hostPort, behind
}
