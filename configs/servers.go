package configs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Mongo says where the documents are: memories, batches, keys, endpoints, deliveries.
type Mongo struct {
	// URI is mongodb://… or mongodb+srv://…, with users, TLS (tls=true&tlsCAFile=…&tlsCertificateKeyFile=…) and the replica
	// set as MongoDB has it. Default "": the embedded store.
	URI string `yaml:"uri"`
	// Database is the one to work in. Default "switchyard".
	Database string `yaml:"database"`
	// Pool is how many connections to a server this process opens at most. Default 512.
	Pool int `yaml:"pool"`
}

// Qdrant says where the vectors are.
type Qdrant struct {
	// Addr is host:port of its gRPC interface, 6334 by default there. Default "": the embedded store.
	Addr string `yaml:"addr"`
	// APIKey is what it asks for. Default "".
	APIKey string `yaml:"api_key"`
	// TLS says how to speak TLS.
	TLS TLS `yaml:"tls"`
	// Prefix begins the names of the collections. Default "switchyard".
	Prefix string `yaml:"prefix"`
	// OnDisk keeps vectors and indexes of new collections on disk rather than in memory. Default false.
	OnDisk bool `yaml:"on_disk"`
	// Shards is how many pieces new collections have. Default 0: what the server is set to.
	Shards uint32 `yaml:"shards"`
	// Replicas is how many copies of each piece new collections have. Default 0: what the server is set to.
	Replicas uint32 `yaml:"replicas"`
}

// Neo4j says where the graph is.
type Neo4j struct {
	// URI is neo4j://, bolt:// or, for TLS, neo4j+s:// or bolt+s://. Default "": the embedded store.
	URI string `yaml:"uri"`
	// User to log in as. Default "neo4j".
	User string `yaml:"user"`
	// Password of the user. Default "": no log-in, for servers that ask for none.
	Password string `yaml:"password"`
	// Database is the one to work in. Default "": the user's home database.
	Database string `yaml:"database"`
	// Pool is how many connections this process opens at most. Default: that of the adapter, which is far from the driver's.
	Pool int `yaml:"pool"`
	// TLS says how to speak TLS, where the URI says that it is spoken; the certificate must have the URI's host.
	TLS TLS `yaml:"tls"`
}

// Redis says where live progress and the shared rate budget meet.
type Redis struct {
	// URL is redis://… or, for TLS, rediss://…. Default "": each process knows its own progress only; watchers of what
	// another one does see it a second later, and rate budgets are each process's own.
	URL string `yaml:"url"`
	// TLS says how to speak TLS, where the URL says that it is spoken.
	TLS TLS `yaml:"tls"`
}

// Temporal says where the durable engine is.
type Temporal struct {
	// Address is host:port of a Temporal frontend. Default "": the embedded server.
	Address string `yaml:"address"`
	// Namespace is the one to work in. Default "default".
	Namespace string `yaml:"namespace"`
	// APIKey is for Temporal Cloud, or another frontend that takes such keys. It asks for TLS. Default "".
	APIKey string `yaml:"api_key"`
	// TLS says how to speak TLS.
	TLS TLS `yaml:"tls"`
	// UIListen is where the embedded server's web UI listens; "none" for no UI. Default "127.0.0.1:8233", or a free
	// port where that one is taken.
	UIListen string `yaml:"ui_listen"`
}

// TLS says how to speak TLS. Setting any of its fields is enough to speak it.
type TLS struct {
	// Enabled speaks TLS with what is set and the system's authorities. Default: whether another field, or an API key, is
	// set.
	Enabled bool `yaml:"enabled"`
	// CAFile has the authorities to trust, in PEM. Default "": those of the system.
	CAFile string `yaml:"ca_file"`
	// CertFile is the client's certificate, in PEM; it is read at every handshake, so it may be renewed. Default "": none.
	CertFile string `yaml:"cert_file"`
	// KeyFile is the key of CertFile. Default "".
	KeyFile string `yaml:"key_file"`
	// ServerName is the name that the server's certificate must have. Default "": the host of the address.
	ServerName string `yaml:"server_name"`
}

// On reports whether TLS is to be spoken.
func (t TLS) On() bool { return t.Enabled || t.CAFile != "" || t.CertFile != "" || t.ServerName != "" }

// Config is what the standard library needs to speak it; nil where it is not to be spoken.
func (t TLS) Config() (*tls.Config, error) {
	if !t.On() {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the authorities (ca_file): %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s has no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile == "" {
		return c, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the client's certificate (cert_file, key_file): %w", err)
		}
		return &pair, nil
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	_, err := load() // a mistake is told now, not at the first handshake
	return c, err
}

func (t TLS) validate(part string) error {
	if (t.CertFile == "") != (t.KeyFile == "") {
		return fmt.Errorf("%s.tls: cert_file and key_file belong together; one of them is not set", part)
	}
	return nil
}

// validateBy is validate for a server whose address says whether TLS is spoken. That must not be overheard: a password
// would go over the wire as it is.
func (t TLS) validateBy(part, address string, schemes ...string) error {
	scheme, _, _ := strings.Cut(address, "://")
	if t.On() && !slices.Contains(schemes, scheme) {
		return fmt.Errorf("%s.tls is set, and the address speaks no TLS: it must begin with %s://", part, strings.Join(schemes, ":// or "))
	}
	return t.validate(part)
}

func (c *Config) validateTLS() error {
	neo4j := c.Neo4j.TLS.validateBy("neo4j", c.Neo4j.URI, "neo4j+s", "bolt+s")
	if c.Neo4j.TLS.ServerName != "" {
		neo4j = errors.Join(neo4j, errors.New("neo4j.tls.server_name cannot be set: the certificate must have the host of the URI"))
	}
	return errors.Join(c.Temporal.TLS.validate("temporal"), c.Qdrant.TLS.validate("qdrant"), neo4j, c.Redis.TLS.validateBy("redis", c.Redis.URL, "rediss"))
}

func (c *Config) validateServers() error {
	return errors.Join(
		hostPort("temporal.address (SWITCHYARD_TEMPORAL_ADDRESS)", c.Temporal.Address, "temporal.example.com:7233"),
		hostPort("qdrant.addr (SWITCHYARD_QDRANT_ADDR)", c.Qdrant.Addr, "qdrant.example.com:6334"),
		scheme("mongo.uri (SWITCHYARD_MONGO_URI)", c.Mongo.URI, "mongodb", "mongodb+srv"),
		scheme("neo4j.uri (SWITCHYARD_NEO4J_URI)", c.Neo4j.URI, "neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc"),
		scheme("redis.url (SWITCHYARD_REDIS_URL)", c.Redis.URL, "redis", "rediss"),
		c.validateTLS(),
	)
}

func hostPort(name, address, example string) error {
	if address == "" {
		return nil
	}
	if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" || strings.Contains(address, "/") {
		return fmt.Errorf("%s is %q; it must be host:port, such as %s", name, address, example)
	}
	return nil
}

// scheme checks how an address begins. No error shows the address: it may have a password in it.
func scheme(name, address string, schemes ...string) error {
	if address == "" {
		return nil
	}
	s, _, ok := strings.Cut(address, "://")
	if !ok || !slices.Contains(schemes, s) {
		return fmt.Errorf("%s must begin with %s://", name, strings.Join(schemes, ":// or "))
	}
	return nil
}

// Embedded names the parts that run embedded, in this process or its data folder, by what would move them out.
func (c *Config) Embedded() []string {
	var parts []string
	for _, p := range []struct{ name, set string }{
		{"SWITCHYARD_MONGO_URI", c.Mongo.URI},
		{"SWITCHYARD_QDRANT_ADDR", c.Qdrant.Addr},
		{"SWITCHYARD_NEO4J_URI", c.Neo4j.URI},
		{"SWITCHYARD_TEMPORAL_ADDRESS", c.Temporal.Address},
	} {
		if p.set == "" {
			parts = append(parts, p.name)
		}
	}
	return parts
}

// Hide is an address without its password, for people to see.
func Hide(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	if i := strings.LastIndex(address, "@"); i >= 0 {
		return address[i+1:]
	}
	return "(an address that cannot be read)"
}
