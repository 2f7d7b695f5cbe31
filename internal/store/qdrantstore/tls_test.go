package qdrantstore

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/switchyard-ai/switchyard/internal/store/qdrantstore/qdranttest"
)

// TestTLSAndKey: only who knows the server's authority and has the key comes in, and nothing goes over the wire unencrypted.
func TestTLSAndKey(t *testing.T) {
	t.Parallel()
	made := httptest.NewTLSServer(nil) // for its certificate, which is its own authority, of 127.0.0.1 and example.com
	defer made.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(made.Certificate())
	address := serve(t, qdranttest.Config{APIKey: "right", Options: []grpc.ServerOption{
		grpc.Creds(credentials.NewServerTLSFromCert(&made.TLS.Certificates[0])),
	}})
	for name, row := range map[string]struct {
		cfg Config
		ok  bool
	}{
		"AuthorityAndKey":    {Config{APIKey: "right", TLS: true, TLSConfig: &tls.Config{RootCAs: trusted}}, true},
		"TheNameThatIsGiven": {Config{APIKey: "right", TLS: true, TLSConfig: &tls.Config{RootCAs: trusted, ServerName: "example.com"}}, true},
		"AnotherName":        {Config{APIKey: "right", TLS: true, TLSConfig: &tls.Config{RootCAs: trusted, ServerName: "qdrant.example.org"}}, false},
		"AnotherAuthority":   {Config{APIKey: "right", TLS: true, TLSConfig: &tls.Config{RootCAs: x509.NewCertPool()}}, false},
		"TheSystemsRoots":    {Config{APIKey: "right", TLS: true}, false},
		"AnotherKey":         {Config{APIKey: "wrong", TLS: true, TLSConfig: &tls.Config{RootCAs: trusted}}, false},
		"NoKey":              {Config{TLS: true, TLSConfig: &tls.Config{RootCAs: trusted}}, false},
		"NoTLS":              {Config{APIKey: "right"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row.cfg.Address = address
			s, err := Open(t.Context(), row.cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Ping(t.Context()); (err == nil) != row.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}
