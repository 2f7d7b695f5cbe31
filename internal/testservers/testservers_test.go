//go:build e2e

package testservers

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestMongoTakesConnectionsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	p, err := StartMongo("", 0)
	if err != nil {
		Missing(t, "MongoDB", err)
	}
	address := strings.TrimPrefix(MongoURI(p), "mongodb://")
	conn, err := dial(t, address)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if conn, err := dial(t, address); err == nil {
		_ = conn.Close()
		t.Error("it takes connections after it was stopped")
	}
}

func dial(t *testing.T, address string) (net.Conn, error) {
	t.Helper()
	d := net.Dialer{Timeout: time.Second}
	return d.DialContext(t.Context(), "tcp", address)
}
