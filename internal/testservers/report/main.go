// Command report reads what go test -json writes and prints the tests as they end, the output of those that failed or were
// skipped, and at the end a table: how many tests of which package passed, and on which servers they ran.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/switchyard-ai/switchyard/internal/testservers"
)

// An event is a line of go test -json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

type counts struct{ pass, fail, skip int }

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	r := report{counts: map[string]*counts{}, output: map[string][]string{}}
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text()) // of the build
			continue
		}
		r.take(e)
	}
	r.print()
	if r.failed || lines.Err() != nil || len(r.counts) == 0 {
		os.Exit(1)
	}
}

type report struct {
	counts map[string]*counts
	output map[string][]string
	failed bool
}

func (r *report) take(e event) {
	key := e.Package + " " + e.Test
	pkg := strings.TrimPrefix(e.Package, "github.com/switchyard-ai/switchyard/")
	if r.counts[pkg] == nil && e.Test != "" {
		r.counts[pkg] = &counts{}
	}
	switch e.Action {
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "build-output":
		fmt.Print(e.Output)
	case "pass", "fail", "skip":
		r.end(e, pkg, key)
	case "build-fail":
		r.failed = true
	}
}

func (r *report) end(e event, pkg, key string) {
	defer delete(r.output, key)
	r.failed = r.failed || e.Action == "fail"
	if e.Action != "pass" {
		fmt.Print(strings.Join(r.output[key], ""))
	}
	if e.Test == "" {
		fmt.Printf("%s\t%s\t%.1fs\n", e.Action, pkg, e.Elapsed)
		return
	}
	switch c := r.counts[pkg]; e.Action {
	case "pass":
		c.pass++
	case "fail":
		c.fail++
	case "skip":
		c.skip++
	}
}

func (r *report) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "\npackage\tpassed\tfailed\tskipped")
	for _, pkg := range slices.Sorted(maps.Keys(r.counts)) {
		c := r.counts[pkg]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", pkg, c.pass, c.fail, c.skip)
	}
	fmt.Fprintln(w, "\nserver\tran on")
	for _, s := range []struct{ name, env, own string }{
		{"MongoDB", "SWITCHYARD_TEST_MONGO_URI", "mongo-java-server, a stand-in by others: see internal/docs/production-stores.md for what it cannot show"},
		{"Qdrant", "SWITCHYARD_TEST_QDRANT_ADDR", "a stand-in of ours over Qdrant's own gRPC services, held against Qdrant's engine"},
		{"Neo4j", "SWITCHYARD_TEST_NEO4J_URI", "Neo4j " + testservers.Neo4jVersion + ", in a process of its own"},
		{"Redis", "SWITCHYARD_TEST_REDIS_URL", "redis-server, in a process of its own"},
		{"Temporal", "SWITCHYARD_TEST_TEMPORAL_ADDRESS", "Temporal's server, in a process of its own"},
	} {
		on := s.own
		if os.Getenv(s.env) != "" {
			on = "the server that " + s.env + " names"
		}
		fmt.Fprintf(w, "%s\t%s\n", s.name, on)
	}
}
