package testservers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// An Authority vouches for a server on 127.0.0.1 and for a client. Each one trusts itself only.
type Authority struct {
	CAFile   string // the authority's certificate
	CertFile string // the client's certificate
	KeyFile  string // its key
	PairFile string // both, as MongoDB has them

	pool   *x509.CertPool
	server tls.Certificate
}

// NewAuthority makes one, with its files in a folder of the test.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	dir := tb.TempDir()
	a := &Authority{
		CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"),
		PairFile: filepath.Join(dir, "pair.pem"), pool: x509.NewCertPool(),
	}
	if err := a.issue(); err != nil {
		tb.Fatal(err)
	}
	return a
}

func (a *Authority) issue() error {
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority for tests"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	ca, caKey, err := certificate(root, root, nil)
	if err != nil {
		return err
	}
	a.pool.AddCert(ca)
	server, serverKey, err := certificate(&x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"server.example.com"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, caKey)
	if err != nil {
		return err
	}
	a.server = tls.Certificate{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}
	client, clientKey, err := certificate(&x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "switchyard"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, caKey)
	if err != nil {
		return err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(clientKey)
	if err != nil {
		return err
	}
	cert, key := pemOf("CERTIFICATE", client.Raw), pemOf("PRIVATE KEY", raw)
	return errors.Join(writeFile(a.CAFile, pemOf("CERTIFICATE", ca.Raw)), writeFile(a.CertFile, cert), writeFile(a.KeyFile, key),
		writeFile(a.PairFile, append(cert, key...)))
}

// certificate makes a key and signs a certificate of it by the parent's, or by itself where there is none.
func certificate(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parentKey == nil {
		parentKey = key
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, nil, err
	}
	made, err := x509.ParseCertificate(raw)
	return made, key, err
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Front puts TLS before a server, host:port, which speaks none: it lets in clients that the authority vouches for, and
// returns its address.
func (a *Authority) Front(tb testing.TB, upstream string) string {
	tb.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{a.server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		tb.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				all.Go(func() { join(c, upstream) })
			}
		}
	})
	tb.Cleanup(func() { _ = l.Close(); all.Wait() })
	return l.Addr().String()
}

// join passes on what comes, both ways, until one side ends.
func join(c net.Conn, upstream string) {
	defer c.Close()
	u, err := net.Dial("tcp", upstream) //nolint:noctx // local
	if err != nil {
		return
	}
	defer u.Close()
	var both sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{c: u, u: c} {
		both.Go(func() {
			_, _ = io.Copy(to, from) // its end is the other side's
			_ = to.Close()
			_ = from.Close()
		})
	}
	both.Wait()
}
