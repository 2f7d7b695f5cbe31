//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/testservers"
)

// TestTheAPIIsAsItsDocumentSays has schemathesis try every operation of the document: its examples, the borders of what
// it allows and forbids, made-up requests, and runs of requests that build on each other's answers. None may be answered
// by a server error, a status or form that the document does not name, or a success where it forbids the request.
func TestTheAPIIsAsItsDocumentSays(t *testing.T) {
	schemathesis := testservers.Schemathesis(t)
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(hook.Close)
	p := start(t)
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "openapi"))))
	must(t, os.WriteFile(filepath.Join(dir, "openapi.json"), testable(t, p.URL()+"/openapi.json", hook.URL+"/hook"), 0o600))

	cmd := exec.CommandContext(limited(t, 15*time.Minute), schemathesis, "run", "openapi.json", "--url", p.URL(),
		"--header", "Authorization: Bearer "+Key, "--max-examples", examplesEach, "--continue-on-failure", "--request-timeout", "30")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, phase := range []string{"✅ Examples", "✅ Coverage", "✅ Fuzzing", "✅ Stateful"} {
		if !strings.Contains(string(out), phase) {
			t.Errorf("there is no %q in\n%s", phase, out)
		}
	}
	if _, err := p.Client().Workspace(t.Context()); err != nil { // or most of it was only refused
		t.Errorf("at the end the key is not good any more: %v", err)
	}
	t.Logf("%s", out[max(0, len(out)-600):])
}

// examplesEach is how many requests are made up for each operation.
const examplesEach = "20"

// testable is the document with the two things changed that cannot be tried as they are: addresses, which have to resolve
// and be reachable, are that of a receiver of ours; and two headers are left out whose values mean something only together
// with a body (a made-up Idempotency-Key that comes twice is refused, a body that is called gzip has to be it). They have
// tests of their own.
func testable(t *testing.T, url, hook string) []byte {
	t.Helper()
	res, err := http.Get(url) //nolint:noctx // local, answers at once
	must(t, err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	must(t, err)
	var d document
	must(t, json.Unmarshal([]byte(strings.ReplaceAll(string(raw), "https://example.com/hook", hook)), &d))
	for _, item := range d.at("paths") {
		for _, op := range item.(map[string]any) {
			o := document(op.(map[string]any))
			if params, ok := o["parameters"].([]any); ok {
				o["parameters"] = slices.DeleteFunc(params, func(p any) bool {
					name := p.(map[string]any)["name"]
					return name == "Idempotency-Key" || name == "Content-Encoding"
				})
			}
		}
	}
	schemas := d.at("components", "schemas")
	schemas.at("EndpointInput", "properties")["url"] = map[string]any{"enum": []any{hook}}
	schemas.at("EndpointPatch", "properties")["url"] = map[string]any{"enum": []any{hook, nil}}
	schemas.at("MemoryInput", "properties")["webhook_url"] = map[string]any{"enum": []any{hook, nil}}
	out, err := json.Marshal(d)
	must(t, err)
	return out
}

type document map[string]any

// at goes down by the names.
func (d document) at(names ...string) document {
	for _, n := range names {
		d = d[n].(map[string]any)
	}
	return d
}
