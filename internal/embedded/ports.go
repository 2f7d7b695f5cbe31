//go:build !lean

package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const loopback = "127.0.0.1"

// Ports are taken below 32768, where Linux begins to give ports to outgoing connections: one of those could take a port
// between the look at it and its use.
const firstPort, endPort = 16384, 32768

// freePorts returns n ports of loopback that nobody listens on. It holds them all while it looks, so they differ.
func freePorts(n int) (_ []int, err error) {
	ports := make([]int, 0, n)
	for tries := 0; len(ports) < n; tries++ {
		port := firstPort + rand.IntN(endPort-firstPort)
		listener, listenErr := net.Listen("tcp", hostPort(port))
		if listenErr == nil {
			defer func() { err = errors.Join(err, listener.Close()) }()
			ports = append(ports, port)
		} else if tries >= 100*n {
			return nil, fmt.Errorf("find a free port of loopback: %w", listenErr)
		}
	}
	return ports, nil
}

func hostPort(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
