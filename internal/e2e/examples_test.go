//go:build e2e

package e2e

import (
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// notRun are the beginnings of examples that need more than a server and a shell, and what runs them instead.
var notRun = map[string]string{
	"switchyard serve":   "needs a Temporal server: the tests of split processes",
	"switchyard worker":  "needs a Temporal server: the tests of split processes",
	"switchyard migrate": "needs servers: the tests of split processes",
	"switchyard doctor":  "needs servers: the tests of split processes",
	"switchyard census":  "is run while nothing else has the store: its own tests",
	"OPENAI_API_KEY=":    "needs an account",
	"make ":              "is what CI runs",
	"kubectl ":           "needs a cluster",
	"docker ":            "needs Docker",
	"git ":               "needs the repository's address",
}

// TestExamplesRun runs every example of every command's help, and every command line of the README, as they stand there but
// for the address of the server, ids, which are replaced by some that exist, and files, which are there.
func TestExamplesRun(t *testing.T) {
	p := start(t)
	x := newExamples(t, p)
	lines := append(readmeLines(t), helpLines(t, nil)...)
	if len(lines) < 40 {
		t.Fatalf("only %d examples were found", len(lines))
	}
	for _, line := range lines {
		t.Run(line, func(t *testing.T) {
			for begin, why := range notRun {
				if strings.HasPrefix(bare(line), begin) {
					t.Skipf("not run here: %s", why)
				}
			}
			x.run(t, line)
		})
	}
}

// bare is a line without the settings before it and the folder of the program.
func bare(line string) string {
	line = regexp.MustCompile(`^(SWITCHYARD_[A-Z_]+=[^ $]* )+`).ReplaceAllString(line, "")
	return strings.TrimPrefix(line, "bin/")
}

// readmeLines are the command lines in the README's blocks of code.
func readmeLines(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	must(t, err)
	var out []string
	for _, block := range regexp.MustCompile("(?s)```[a-z]*\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		out = append(out, commandLines(block[1])...)
	}
	return out
}

var command = regexp.MustCompile(`^(\$ |)((?:[A-Z_]+=\S+ )*(?:bin/)?(?:switchyard|curl|make) .*)$`)

func commandLines(text string) (out []string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		if m := command.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			out = append(out, m[2])
		}
	}
	return out
}

// helpLines are the examples in the help of the command and of those below it.
func helpLines(t *testing.T, path []string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, append(path, "--help")...).Output()
	must(t, err)
	var lines []string
	if _, rest, ok := strings.Cut(string(out), "\nExamples:\n"); ok {
		examples, _, _ := strings.Cut(rest, "\n\nFlags:")
		examples, _, _ = strings.Cut(examples, "\n\nAvailable Commands:")
		for line := range strings.Lines(examples) {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, line)
			}
		}
	}
	_, rest, _ := strings.Cut(string(out), "\nAvailable Commands:\n")
	below, _, _ := strings.Cut(rest, "\n\n")
	for line := range strings.Lines(below) {
		if name := strings.Fields(line); len(name) > 0 && !slices.Contains([]string{"help", "completion"}, name[0]) {
			lines = append(lines, helpLines(t, append(slices.Clone(path), name[0]))...)
		}
	}
	return lines
}

// examples is where they run: a folder with the files that they name, and a server with something of everything.
type examples struct {
	dir, hook string
	server    *Process
}

func newExamples(t *testing.T, p *Process) *examples {
	t.Helper()
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(hook.Close)
	x := &examples{t.TempDir(), hook.URL + "/hooks", p}
	lines := `{"content":"Dorothy lived in Kansas.","external_id":"oz-1"}` + "\n" + `{"content":""}` + "\n"
	for name, content := range map[string]string{
		"memories.ndjson": lines, "note.txt": "Toto barked.\n", "import.csv": "content,topic\nToto barked.,dogs\n",
		"export.json": `[{"text":"Toto barked.","id":"n/1"}]`, "etc.yaml": "log_level: warn\n",
	} {
		must(t, os.WriteFile(filepath.Join(x.dir, name), []byte(content), 0o600))
	}
	f, err := os.Create(filepath.Join(x.dir, "import.ndjson.gz"))
	must(t, err)
	z := gzip.NewWriter(f)
	_, err = z.Write([]byte(lines))
	must(t, err)
	must(t, z.Close())
	must(t, f.Close())
	must(t, os.Mkdir(filepath.Join(x.dir, "bin"), 0o700))
	must(t, os.Symlink(absolute(t, binary), filepath.Join(x.dir, "bin", "switchyard")))
	return x
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	out, err := filepath.Abs(path)
	must(t, err)
	return out
}

// made are ids of things that the server has, by their prefix, new for each example: many change what they name.
func (x *examples) made(t *testing.T, line string) string {
	t.Helper()
	ctx, c := limited(t, time.Minute), x.server.Client()
	replace := func(prefix string, create func() string) {
		if re := regexp.MustCompile(prefix + `_01K[0-9A-Z]{23}`); re.MatchString(line) {
			line = re.ReplaceAllString(line, create())
		}
	}
	endpoint := func() client.Endpoint {
		e, err := c.CreateEndpoint(ctx, client.EndpointInput{URL: x.hook})
		must(t, err)
		return e
	}
	replace("mem", func() string {
		m, err := c.AddMemory(ctx, memory.Input{Content: "Dorothy lived in Kansas."}, client.Wait(30*time.Second))
		must(t, err)
		return m.ID
	})
	replace("bat", func() string {
		b, err := c.SubmitBatch(ctx, []memory.Input{{Content: "Toto barked."}, {}}, client.BatchOptions{})
		must(t, err)
		if strings.Contains(line, " pause ") || strings.Contains(line, " cancel ") || strings.Contains(line, " resume ") {
			return b.ID
		}
		b, err = c.WaitForBatch(ctx, b.ID, nil)
		must(t, err)
		return b.ID
	})
	replace("whe", func() string { return endpoint().ID })
	replace("dlv", func() string {
		d, err := c.TestEndpoint(ctx, endpoint().ID)
		must(t, err)
		return d.ID
	})
	replace("key", func() string {
		k, err := c.CreateKey(ctx, "", []client.Scope{client.ScopeRead})
		must(t, err)
		return k.ID
	})
	return line
}

// mayFail are examples whose state cannot be had here; that the command line is understood is checked all the same: the
// exit code is not that of misuse.
var mayFail = regexp.MustCompile(` (retry|pause|resume|cancel|redeliver) |--watch|--sent|whsec_…|Bearer …`)

func (x *examples) run(t *testing.T, line string) {
	line = x.made(t, line)
	line = strings.NewReplacer(
		"localhost:8080", strings.TrimPrefix(x.server.URL(), "http://"), "http://127.0.0.1:8080", x.server.URL(), "https://example.com/hooks", x.hook,
		"https://example.com/hook", x.hook, "--listen 127.0.0.1:9090", "--listen 127.0.0.1:0", "--listen 127.0.0.1:9000", "--listen 127.0.0.1:0", "http://127.0.0.1:9090/", x.hook,
		"http://127.0.0.1:8081", x.hook, "/tmp/switchyard", filepath.Join(x.dir, "state"),
		"/etc/switchyard.yaml", "etc.yaml", "http://127.0.0.1:9464", x.server.URL()).Replace(line)
	serves := regexp.MustCompile(`switchyard (dev|webhook listen)`).MatchString(line)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -o pipefail; "+line)
	if serves { // it goes on until it is told to stop
		cmd = exec.CommandContext(ctx, "timeout", "--preserve-status", "-s", "INT", "8", "bash", "-c", line)
	}
	cmd.Dir = x.dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(x.dir, "bin")+":"+os.Getenv("PATH"), "SWITCHYARD_URL="+x.server.URL(),
		"SWITCHYARD_LISTEN=127.0.0.1:0", "SWITCHYARD_TEMPORAL_UI_LISTEN=none", "SWITCHYARD_DATA_DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	code := cmd.ProcessState.ExitCode()
	switch {
	case serves && (strings.Contains(string(out), "listening on") || strings.Contains(string(out), "ready in")):
	case code == 2, code == 127, err != nil && !mayFail.MatchString(line):
		t.Errorf("%s\nended with %d: %s", line, code, out)
	case strings.HasPrefix(line, "curl") && (len(out) == 0 || strings.Contains(string(out), `"status":4`)):
		t.Errorf("%s\nsaid %s", line, out)
	}
}
