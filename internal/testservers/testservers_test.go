//go:build e2e

package testservers

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestServersTakeConnectionsUntilTheyAreStopped(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]struct {
		start func() (*Process, error)
		url   func(*Process) string
	}{
		"MongoDB": {func() (*Process, error) { return StartMongo("", 0) }, MongoURI},
		"Neo4j":   {func() (*Process, error) { return StartNeo4j(t.TempDir(), 0) }, Neo4jURI},
		"Redis":   {func() (*Process, error) { return StartRedis(0) }, RedisURL},
	} {
		for how, end := range map[string]func(*Process) error{"Stopped": (*Process).Stop, "Killed": (*Process).Kill} {
			t.Run(name+how, func(t *testing.T) {
				t.Parallel()
				p, err := s.start()
				if err != nil {
					Missing(t, name, err)
				}
				_, address, _ := strings.Cut(s.url(p), "://")
				conn, err := dial(t, address)
				if err != nil {
					t.Fatal(err)
				}
				_ = conn.Close()
				if err := end(p); err != nil {
					t.Error(err)
				}
				if conn, err := dial(t, address); err == nil {
					_ = conn.Close()
					t.Error("it takes connections after its end")
				}
			})
		}
	}
}

func TestQdrantStartsAgainOnItsJournal(t *testing.T) {
	t.Parallel()
	journal := filepath.Join(t.TempDir(), "journal")
	for range 2 {
		p, err := StartQdrant(journal, 0)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := dial(t, "127.0.0.1:"+p.Ready)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}
}

func dial(t *testing.T, address string) (net.Conn, error) {
	t.Helper()
	d := net.Dialer{Timeout: time.Second}
	return d.DialContext(t.Context(), "tcp", address)
}
