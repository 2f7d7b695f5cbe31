//go:build e2e

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const cloudKey = "a key of Temporal Cloud"

// cloud stands before a Temporal server as Temporal Cloud's frontend does: TLS, a certificate of the client, an API key.
func cloud(t *testing.T, temporal string) configs.Temporal {
	t.Helper()
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: temporal})
	proxy.Transport, proxy.FlushInterval = &http.Transport{Protocols: protocols}, -1
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+cloudKey {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", "16")
			w.Header().Set("Grpc-Message", "who are you?")
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	srv.EnableHTTP2, srv.TLS = true, &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	t.Cleanup(srv.Close)

	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	key, err := x509.MarshalPKCS8PrivateKey(srv.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := write("cert.pem", "CERTIFICATE", srv.Certificate().Raw)
	return configs.Temporal{
		Address: strings.TrimPrefix(srv.URL, "https://"), Namespace: "default", APIKey: cloudKey,
		TLS: configs.TLS{CAFile: cert, CertFile: cert, KeyFile: write("key.pem", "PRIVATE KEY", key), ServerName: "example.com"},
	}
}

func health(t *testing.T, settings configs.Temporal) error {
	t.Helper()
	tc, err := dialTemporal(settings, "test", quietLog())
	if err != nil {
		return err
	}
	defer tc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = tc.CheckHealth(ctx, &client.CheckHealthRequest{})
	return err
}

func TestTemporalCloudsWays(t *testing.T) {
	good := cloud(t, testservers.Temporal(t))
	if err := health(t, good); err != nil {
		t.Fatalf("with certificate and key: %v", err)
	}
	for name, spoil := range map[string]func(*configs.Temporal){
		"AnotherKey":        func(c *configs.Temporal) { c.APIKey = "another" },
		"NoKey":             func(c *configs.Temporal) { c.APIKey = "" },
		"NoCertificate":     func(c *configs.Temporal) { c.TLS.CertFile, c.TLS.KeyFile = "", "" },
		"AnotherName":       func(c *configs.Temporal) { c.TLS.ServerName = "temporal.example.org" },
		"UnknownAuthority":  func(c *configs.Temporal) { c.TLS.CAFile = "" },
		"NoTLS":             func(c *configs.Temporal) { c.TLS, c.APIKey = configs.TLS{}, "" },
		"NoSuchCertificate": func(c *configs.Temporal) { c.TLS.CertFile = "/nowhere.pem" },
	} {
		bad := good
		spoil(&bad)
		if err := health(t, bad); err == nil {
			t.Errorf("%s: it is let in", name)
		}
	}
}

func TestSearchAttributesAreRegisteredOnce(t *testing.T) {
	tc, err := dialTemporal(configs.Temporal{Address: testservers.Temporal(t), Namespace: "default"}, "test", quietLog())
	if err != nil {
		t.Fatal(err)
	}
	defer tc.Close()
	for range 2 {
		if err := migrateTemporal(t.Context(), tc, "default"); err != nil {
			t.Fatal(err)
		}
		if err := checkTemporal(t.Context(), tc, "default"); err != nil {
			t.Error(err)
		}
	}
}

// TestStrangersAreSeen: a worker with a data folder of its own and one with servers only must not share a queue.
func TestStrangersAreSeen(t *testing.T) {
	address, queue := testservers.Temporal(t), id.New("queue_")
	tc, err := dialTemporal(configs.Temporal{Address: address, Namespace: "default"}, identity("prc_folder"), quietLog())
	if err != nil {
		t.Fatal(err)
	}
	defer tc.Close()
	w := worker.New(tc, queue, worker.Options{})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for memory.CodeOf(strangers(ctx, tc, queue, "")) != memory.CodeConflict { // until the first poll is known
		select {
		case <-ctx.Done():
			t.Fatal("the worker with a folder is not seen from a process without one")
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err := strangers(ctx, tc, queue, "prc_folder"); err != nil {
		t.Errorf("from the same folder: %v", err)
	}
	if err := strangers(ctx, tc, queue, "prc_another"); memory.CodeOf(err) != memory.CodeConflict {
		t.Errorf("from another folder: %v", err)
	}
}
