package testservers

import (
	_ "embed"
	"strconv"
	"testing"
)

//go:embed MongoServe.java
var mongoServe []byte

var mongo = shared{name: "MongoDB", env: "SWITCHYARD_TEST_MONGO_URI", start: func() (string, error) {
	p, err := StartMongo("", 0)
	if err != nil {
		return "", err
	}
	return MongoURI(p), nil
}}

// Mongo returns the URI of SWITCHYARD_TEST_MONGO_URI, or of a server that speaks MongoDB's wire protocol: mongo-java-server,
// with its documents in memory. What that one cannot show about MongoDB says internal/docs/production-stores.md. Tests
// share it: each takes a database of its own.
func Mongo(tb testing.TB) string {
	tb.Helper()
	return mongo.get(tb)
}

// StartMongo starts a mongo-java-server of one's own on loopback: with its documents in the file, where one is named, so
// that they are there after the next start, and on the port (0: a free one). It needs java and mvn.
func StartMongo(file string, port int) (*Process, error) {
	classpath, err := Classpath("de.bwaldvogel:mongo-java-server:1.47.0", "de.bwaldvogel:mongo-java-server-h2-backend:1.47.0")
	if err != nil {
		return nil, err
	}
	args := []string{strconv.Itoa(port)}
	if file != "" {
		args = append(args, file)
	}
	return startJava(classpath, "MongoServe.java", mongoServe, args...)
}

// MongoURI is the URI of a server that StartMongo started.
func MongoURI(p *Process) string { return "mongodb://127.0.0.1:" + p.Ready }
