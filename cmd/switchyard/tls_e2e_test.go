//go:build e2e

package main

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/configs"
	"github.com/switchyard-ai/switchyard/internal/testservers"
)

// hostOf is the host and port of an address, with or without a scheme.
func hostOf(t *testing.T, address string) string {
	t.Helper()
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// TestServersOverTLS: each server behind a front that asks for the client's certificate, with an authority of the
// company's own. What does not fit is refused, by one side or the other.
func TestServersOverTLS(t *testing.T) {
	ours, theirs := testservers.NewAuthority(t), testservers.NewAuthority(t)
	good := configs.TLS{CAFile: ours.CAFile, CertFile: ours.CertFile, KeyFile: ours.KeyFile}
	mongo, qdrant := ours.Front(t, hostOf(t, testservers.Mongo(t))), ours.Front(t, testservers.Qdrant(t))
	neo4j, redis := ours.Front(t, hostOf(t, testservers.Neo4j(t))), ours.Front(t, hostOf(t, testservers.Redis(t)))
	temporal := ours.Front(t, testservers.Temporal(t))
	bad := map[string]configs.TLS{
		"AnotherAuthority":      {CAFile: theirs.CAFile, CertFile: good.CertFile, KeyFile: good.KeyFile},
		"TheSystemsAuthorities": {CertFile: good.CertFile, KeyFile: good.KeyFile},
		"NoClientCertificate":   {CAFile: good.CAFile},
		"AnothersClient":        {CAFile: good.CAFile, CertFile: theirs.CertFile, KeyFile: theirs.KeyFile},
	}
	for part, set := range map[string]func(*configs.Config, configs.TLS){
		"mongo": func(c *configs.Config, s configs.TLS) {
			q := url.Values{"tls": {"true"}, "directConnection": {"true"}}
			if s.CAFile != "" {
				q.Set("tlsCAFile", s.CAFile)
			}
			if pair := map[string]string{ours.CertFile: ours.PairFile, theirs.CertFile: theirs.PairFile}[s.CertFile]; pair != "" {
				q.Set("tlsCertificateKeyFile", pair)
			}
			c.Mongo.URI = "mongodb://" + mongo + "/?" + q.Encode()
		},
		"qdrant":   func(c *configs.Config, s configs.TLS) { c.Qdrant.Addr, c.Qdrant.TLS = qdrant, s },
		"neo4j":    func(c *configs.Config, s configs.TLS) { c.Neo4j.URI, c.Neo4j.TLS = "bolt+s://"+neo4j, s },
		"redis":    func(c *configs.Config, s configs.TLS) { c.Redis.URL, c.Redis.TLS = "rediss://"+redis, s },
		"temporal": func(c *configs.Config, s configs.TLS) { c.Temporal.Address, c.Temporal.TLS = temporal, s },
	} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			if err := answers(t, part, 30*time.Second, func(c *configs.Config) { set(c, good) }); err != nil {
				t.Fatalf("with the right authority and certificate: %v", err)
			}
			for name, s := range bad {
				if err := answers(t, part, 5*time.Second, func(c *configs.Config) { set(c, s) }); err == nil {
					t.Errorf("%s: it is let in", name)
				}
			}
			if part == "qdrant" || part == "redis" || part == "temporal" { // the others take the name of the address
				named := good
				for name, ok := range map[string]bool{"server.example.com": true, "another.example.com": false} {
					named.ServerName = name
					if err := answers(t, part, map[bool]time.Duration{true: 30 * time.Second, false: 5 * time.Second}[ok], func(c *configs.Config) { set(c, named) }); (err == nil) != ok {
						t.Errorf("asked to be %s: %v", name, err)
					}
				}
			}
		})
	}
}

// answers opens what is set, as every process does, and asks one server for a sign of life.
func answers(t *testing.T, part string, patience time.Duration, set func(*configs.Config)) error {
	t.Helper()
	c := configs.Default()
	c.DataDir = t.TempDir()
	set(&c)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := openAside(t.Context(), c)
	if err != nil {
		return err
	}
	defer func() {
		if err := s.closers.close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, d := range s.stores.Servers {
		if d.name == part {
			return d.ping(ctx)
		}
	}
	t.Fatalf("%s was not opened", part)
	return nil
}
