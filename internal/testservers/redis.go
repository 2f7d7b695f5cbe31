package testservers

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var redis = shared{name: "Redis", env: "SWITCHYARD_TEST_REDIS_URL", start: func() (string, error) {
	p, err := StartRedis(0)
	if err != nil {
		return "", err
	}
	return RedisURL(p), nil
}}

// Redis returns the URL of SWITCHYARD_TEST_REDIS_URL, or of a Redis that keeps nothing on disk. Tests share it: each takes
// names of its own.
func Redis(tb testing.TB) string {
	tb.Helper()
	return redis.get(tb)
}

// StartRedis starts a Redis of one's own on loopback, on the port (0: a free one). It keeps nothing on disk, so the next
// start is empty. It needs redis-server, which root gets from Debian.
func StartRedis(port int) (*Process, error) {
	path, err := redisServer()
	if err != nil {
		return nil, err
	}
	if port == 0 {
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	p := strconv.Itoa(port)
	cmd := exec.Command("sh", "-c", endWithInput, "sh", path, //nolint:noctx // arguments of ours; it ends with its standard input
		"--bind", "127.0.0.1", "--port", p, "--dir", os.TempDir(), "--save", "", "--appendonly", "no")
	return start(cmd, func(line string) (string, bool) { return p, strings.Contains(line, "Ready to accept connections") })
}

// endWithInput turns the shell into the program of its arguments, and lets a child end it when standard input ends.
const endWithInput = `exec 3<&0; { read -r line <&3; kill -TERM $$; } 2>/dev/null >&2 & exec "$@" 3<&- </dev/null`

// RedisURL is the URL of a server that StartRedis started.
func RedisURL(p *Process) string { return "redis://127.0.0.1:" + p.Ready }

// redisServer finds the program. For root on a Debian, which is what CI is, it installs it, without starting the service.
var redisServer = sync.OnceValues(func() (string, error) {
	path, missing := exec.LookPath("redis-server")
	if _, err := exec.LookPath("apt-get"); missing == nil || err != nil || os.Getuid() != 0 {
		return path, missing
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	err := command(ctx, "sh", "-c", "export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; "+
		"apt-get -qq update && apt-get -qq install -y --no-install-recommends redis-server")
	if err != nil {
		return "", errors.Join(missing, err)
	}
	return exec.LookPath("redis-server")
})
