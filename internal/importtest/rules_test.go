package importtest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// imports says what each package of the module imports: its own packages by their path from the root, others by their
// full path.
type imports map[string][]string

// A row says which packages of this module a package may import. It may use the standard library always, and other
// modules unless the row says std or homes gives them another home.
type row struct {
	pkg string // a pattern of path.Match
	may []string
	std bool // no other module at all
}

// allowed is the table "Where things live" of the design, down to the last package: one direction of imports. Adapters
// are in nobody's list but that of cmd.
var allowed = []row{
	{pkg: "pkg/memory", std: true},
	{pkg: "pkg/webhook", std: true},
	{pkg: "pkg/client", may: list("pkg/memory pkg/webhook"), std: true},

	{pkg: "internal/id"},
	{pkg: "internal/store", may: list("internal/id pkg/memory")},
	{pkg: "internal/store/storetest", may: list("internal/id internal/store pkg/memory")},
	{pkg: "internal/store/*store", may: list("internal/id internal/store pkg/memory")},
	{pkg: "internal/store/qdrantstore/qdranttest"}, // for tests only
	{pkg: "internal/llm", may: list("pkg/memory")},
	{pkg: "internal/llm/budget", may: list("internal/llm pkg/memory")},
	{pkg: "internal/llm/llmtest", may: list("internal/llm pkg/memory")},
	{pkg: "internal/llm/pace", may: list("internal/llm pkg/memory")},
	{pkg: "internal/llm/openai", may: list("internal/llm pkg/memory")},
	{pkg: "internal/llm/local", may: list("internal/llm internal/llm/local/static pkg/memory")},
	{pkg: "internal/llm/local/static"},

	{pkg: "internal/pipeline", may: list("internal/llm internal/store pkg/memory")},
	{pkg: "internal/routing", may: list("pkg/memory")},
	{pkg: "internal/live", may: list("internal/id pkg/memory")},
	{pkg: "internal/intake", may: list("internal/id internal/routing internal/store pkg/memory")},
	{pkg: "internal/reindex", may: list("internal/llm internal/store pkg/memory")},
	{pkg: "internal/census", may: list("internal/id internal/store pkg/memory")},
	{pkg: "internal/search", may: list("internal/llm internal/store pkg/memory")},
	{pkg: "realtime", may: list("internal/id internal/llm internal/pipeline internal/routing internal/store pkg/memory")},
	{pkg: "batch", may: list("internal/id internal/pipeline internal/store pkg/memory")},
	{pkg: "webhooks", may: list("internal/id internal/store pkg/memory pkg/webhook")},
	{pkg: "internal/api", may: list("internal/id internal/intake internal/live internal/llm internal/routing internal/search internal/store pkg/memory webhooks")},
	{pkg: "internal/embedded"},

	{pkg: "configs", may: list("batch internal/api internal/intake internal/pipeline internal/routing internal/search realtime webhooks")},
	{pkg: "cmd/switchyard", may: list("*")},
	{pkg: "internal/faults", may: list("internal/llm internal/pipeline internal/store pkg/memory")}, // behind the tag failpoints
	{pkg: "internal/e2e", may: list("pkg/client pkg/memory")},                                       // its tests: internal/testservers, internal/id too
	{pkg: "internal/e2e/eval", may: list("internal/e2e pkg/client pkg/memory")},
	{pkg: "internal/e2e/soak", may: list("internal/id internal/llm/llmtest internal/testservers pkg/client pkg/memory")},
	{pkg: "internal/e2e/demo", may: list("internal/e2e pkg/client pkg/memory")},
	{pkg: "internal/testservers"},                                                             // for tests only
	{pkg: "internal/testservers/qdrantd", may: list("internal/store/qdrantstore/qdranttest")}, // for tests only
	{pkg: "internal/parity"},     // tests only
	{pkg: "internal/replaytest"}, // for tests only
	{pkg: "internal/importtest"}, // tests only
	{pkg: "internal/testservers/temporald", may: list("internal/embedded")},
	{pkg: "internal/testservers/report", may: list("internal/testservers")},
}

// A home says where a module may be imported, and so what has to change when it does.
type home struct {
	module string
	pkgs   []string
}

var homes = []home{
	{"github.com/labstack/echo", list("internal/api internal/console")},
	{"github.com/danielgtaylor/huma", list("internal/api internal/console")},
	{"github.com/failsafe-go/failsafe-go", list("realtime")},
	{"go.temporal.io", list("batch webhooks internal/embedded internal/replaytest cmd/switchyard")},
	{"go.temporal.io/server", list("internal/embedded")},
	{"github.com/temporalio", list("internal/embedded")},
	{"modernc.org/sqlite", list("internal/store/sqlitestore")},
	{"go.mongodb.org/mongo-driver", list("internal/store/mongostore")},
	{"github.com/qdrant/go-client", list("internal/store/qdrantstore internal/store/qdrantstore/qdranttest")},
	{"github.com/neo4j/neo4j-go-driver", list("internal/store/neo4jstore")},
	{"github.com/openai/openai-go", list("internal/llm/openai")},
	{"github.com/redis/go-redis", list("internal/live internal/llm/budget cmd/switchyard")},
	{"github.com/spf13/cobra", list("cmd/switchyard")},
	{"github.com/goccy/go-yaml", list("configs")},
	{"github.com/Shopify/toxiproxy", list("internal/e2e/soak")},
	{"github.com/rs/zerolog", list("internal/e2e/soak")}, // which toxiproxy logs with
}

// A ban says what a package must not reach, by whatever way through the packages of this module.
type ban struct {
	pkg   string
	never []string
}

var bans = []ban{
	{"internal/pipeline", list("github.com/labstack/echo github.com/failsafe-go/failsafe-go go.temporal.io modernc.org/sqlite go.mongodb.org/mongo-driver " +
		"github.com/qdrant/go-client github.com/neo4j/neo4j-go-driver github.com/openai/openai-go")},
	{"realtime", list("batch go.temporal.io github.com/labstack/echo")},
	{"batch", list("realtime github.com/failsafe-go/failsafe-go github.com/labstack/echo")},
	{"pkg/*", list("internal cmd batch realtime webhooks configs")},
}

func list(words string) []string { return strings.Fields(words) }

// violations says which imports break a rule, in order.
func violations(all imports) []string {
	var out []string
	for _, pkg := range slices.Sorted(maps.Keys(all)) {
		r := slices.IndexFunc(allowed, func(r row) bool { return match(r.pkg, pkg) })
		if r < 0 {
			out = append(out, pkg+" has no row: say in allowed what it may import")
			continue
		}
		for _, imported := range all[pkg] {
			out = append(out, judge(all, allowed[r], pkg, imported)...)
		}
	}
	return append(out, banned(all)...)
}

// judge says what is wrong with one import.
func judge(all imports, r row, pkg, imported string) []string {
	if _, own := all[imported]; own {
		if !matchAny(r.may, imported) {
			return []string{fmt.Sprintf("%s must not import %s", pkg, imported)}
		}
		return nil
	}
	if !strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
		return nil // the standard library
	}
	if r.std {
		return []string{fmt.Sprintf("%s must import the standard library only, not %s", pkg, imported)}
	}
	var out []string
	for _, h := range homes {
		if below(imported, h.module) && !slices.Contains(h.pkgs, pkg) {
			out = append(out, fmt.Sprintf("%s must not import %s: that is for %s", pkg, imported, strings.Join(h.pkgs, ", ")))
		}
	}
	return out
}

func banned(all imports) []string {
	var out []string
	for _, pkg := range slices.Sorted(maps.Keys(all)) {
		for _, b := range bans {
			if !match(b.pkg, pkg) {
				continue
			}
			for _, reached := range slices.Sorted(maps.Keys(reach(all, pkg))) {
				if slices.ContainsFunc(b.never, func(n string) bool { return below(reached, n) }) {
					out = append(out, fmt.Sprintf("%s must never reach %s", pkg, reached))
				}
			}
		}
	}
	return out
}

// reach returns everything that a package imports, itself or through others of the module.
func reach(all imports, pkg string) map[string]bool {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(p string) {
		for _, imported := range all[p] {
			if !seen[imported] {
				seen[imported] = true
				walk(imported)
			}
		}
	}
	walk(pkg)
	return seen
}

// below reports whether a package is the named one or one in a folder of it.
func below(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

func match(pattern, pkg string) bool {
	ok, err := path.Match(pattern, pkg)
	return ok && err == nil
}

func matchAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return p == "*" || match(p, pkg) })
}
