package testservers

import (
	_ "embed"
	"strconv"
	"testing"
)

// Neo4jVersion is what StartNeo4j starts: the version with long-term support.
const Neo4jVersion = "5.26.30"

//go:embed Neo4jServe.java
var neo4jServe []byte

var neo4j = shared{name: "Neo4j", env: "SWITCHYARD_TEST_NEO4J_URI", start: func() (string, error) {
	p, err := StartNeo4j("", 0)
	if err != nil {
		return "", err
	}
	return Neo4jURI(p), nil
}}

// Neo4j returns the URI of SWITCHYARD_TEST_NEO4J_URI, where user and password may stand before the host, or of a Neo4j
// (community edition) that asks for neither. Tests share its one database: each takes a workspace of its own.
func Neo4j(tb testing.TB) string {
	tb.Helper()
	return neo4j.get(tb)
}

// StartNeo4j starts a Neo4j of one's own on loopback: with its data in the folder, where one is named, so that it is there
// after the next start, and on the port (0: a free one). It needs java and mvn.
func StartNeo4j(dir string, port int) (*Process, error) {
	classpath, err := Classpath("org.neo4j:neo4j:" + Neo4jVersion)
	if err != nil {
		return nil, err
	}
	if port == 0 {
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	args := []string{strconv.Itoa(port)}
	if dir != "" {
		args = append(args, dir)
	}
	return startJava(classpath, "Neo4jServe.java", neo4jServe, args...)
}

// Neo4jURI is the URI of a server that StartNeo4j started.
func Neo4jURI(p *Process) string { return "bolt://127.0.0.1:" + p.Ready }
