//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// snippets are the programs of a language in the documentation of webhooks, in their order.
func snippets(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/webhooks.md")
	must(t, err)
	var found []string
	for rest := string(text); ; {
		_, after, ok := strings.Cut(rest, "```"+language+"\n")
		if !ok {
			return found
		}
		program, after, _ := strings.Cut(after, "```\n")
		found, rest = append(found, program), after
	}
}

// program is a receiver of the documentation at work.
type program struct {
	url   string
	lines chan string // what it prints
	log   *bytes.Buffer
}

// runProgram starts a receiver with its key and returns when it takes connections.
func runProgram(t *testing.T, cmd *exec.Cmd, env ...string) *program {
	t.Helper()
	address, err := freeAddress()
	must(t, err)
	_, port, _ := strings.Cut(address, ":")
	p := &program{url: "http://" + address + "/", lines: make(chan string, 64), log: &bytes.Buffer{}}
	cmd.Env = append(append(os.Environ(), "PORT="+port), env...)
	cmd.Stderr = p.log
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the receiver said:\n%s", p.log)
		}
	})
	for ctx := limited(t, 30*time.Second); ; {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader("{}"))
		must(t, err)
		if res, err := http.DefaultClient.Do(r); err == nil { // without headers: it is to answer no
			_ = res.Body.Close()
			return p
		}
		if ctx.Err() != nil {
			t.Fatalf("the receiver does not start:\n%s", p.log)
		}
		time.Sleep(50 * time.Millisecond) // a stranger's program says nothing when it is ready
	}
}

// relayed keeps the requests that come in and hands them on, so that a test can send them again, changed.
type relayed struct {
	*httptest.Server
	came chan Hook
	to   *url.URL
}

func relayTo(t *testing.T, address string) *relayed {
	t.Helper()
	to, err := url.Parse(address)
	must(t, err)
	r := &relayed{came: make(chan Hook, 64), to: to}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		in.Body = io.NopCloser(bytes.NewReader(body))
		r.came <- Hook{Header: in.Header.Clone(), Body: body}
		proxy.ServeHTTP(w, in)
	}))
	t.Cleanup(r.Close)
	return r
}

func post(t *testing.T, address string, h http.Header, body []byte) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(body))
	must(t, err)
	r.Header = h.Clone()
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	defer res.Body.Close()
	return res.StatusCode
}

// TestReceiversOfTheDocumentation runs the receivers that the documentation shows, with the stock libraries of Standard
// Webhooks, and has the real sender deliver to them: what is signed verifies, and what was changed does not.
func TestReceiversOfTheDocumentation(t *testing.T) {
	python, ts := snippets(t, "python"), snippets(t, "ts")
	if len(python) != 2 || len(ts) != 1 {
		t.Fatalf("the documentation has %d Python and %d TypeScript programs", len(python), len(ts))
	}
	p := start(t)
	c := p.Client()
	for _, receiver := range []struct {
		name, signing string
		command       func(t *testing.T) *exec.Cmd
	}{
		{"Python", "v1", func(t *testing.T) *exec.Cmd { return pythonProgram(t, python[0]) }},
		{"TypeScript", "v1", func(t *testing.T) *exec.Cmd { return typescriptProgram(t, ts[0]) }},
		{"PythonV1a", "v1a", func(t *testing.T) *exec.Cmd { return pythonProgram(t, python[1]) }},
	} {
		t.Run(receiver.name, func(t *testing.T) {
			ctx := limited(t, 2*time.Minute)
			cmd := receiver.command(t)
			private, err := c.CreateEndpoint(ctx, client.EndpointInput{URL: "http://127.0.0.1:9999/", Events: []string{memory.EventTest, memory.EventBatchCompleted}, Signing: receiver.signing})
			must(t, err)
			program := runProgram(t, cmd, "WEBHOOK_SECRET="+private.Secret, "WEBHOOK_PUBLIC_KEY="+private.PublicKey)
			between := relayTo(t, program.url)
			_, err = c.UpdateEndpoint(ctx, private.ID, client.EndpointChange{URL: &between.URL})
			must(t, err)
			verified(ctx, t, c, program, between, private.ID)
			rotated(ctx, t, c, program, between, private.ID)
			disabled := false
			_, err = c.UpdateEndpoint(ctx, private.ID, client.EndpointChange{Enabled: &disabled})
			must(t, err)
		})
	}
}

// verified holds that a test event and a batch's end are taken, and refused where a byte or the time was changed.
func verified(ctx context.Context, t *testing.T, c *client.Client, to *program, between *relayed, endpoint string) {
	t.Helper()
	d, err := c.TestEndpoint(ctx, endpoint)
	must(t, err)
	taken(ctx, t, to, between, d.EventID)
	b, err := c.SubmitBatch(ctx, []memory.Input{{Content: "Grüße aus Kansas: “Toto” & <Dorothy> \U0001F300."}}, client.BatchOptions{Name: "Zyklon “Grüße” \u2028 <&>"})
	must(t, err)
	hook := taken(ctx, t, to, between, "")
	var event struct{ Data struct{ ID string } }
	must(t, json.Unmarshal(hook.Body, &event))
	if event.Data.ID != b.ID {
		t.Errorf("the event is about %s, not %s", event.Data.ID, b.ID)
	}
	changed := bytes.Replace(hook.Body, []byte(b.ID), []byte("bat_"+strings.Repeat("0", 26)), 1)
	if code := post(t, to.url, hook.Header, changed); code != http.StatusBadRequest {
		t.Errorf("a body that was changed is answered %d", code)
	}
	old := hook.Header.Clone()
	old.Set("webhook-timestamp", "1700000000")
	if code := post(t, to.url, old, hook.Body); code != http.StatusBadRequest {
		t.Errorf("a timestamp that was changed is answered %d", code)
	}
	if code := post(t, to.url, hook.Header, hook.Body); code != http.StatusNoContent {
		t.Errorf("what was not changed is answered %d: the test shows nothing", code)
	}
	<-to.lines // it is printed once more
}

// rotated holds that a receiver which knows the old secret only goes on verifying during the grace period, and not after.
func rotated(ctx context.Context, t *testing.T, c *client.Client, to *program, between *relayed, endpoint string) {
	t.Helper()
	_, err := c.RotateEndpoint(ctx, endpoint, time.Hour)
	must(t, err)
	d, err := c.TestEndpoint(ctx, endpoint)
	must(t, err)
	if n := len(strings.Fields(taken(ctx, t, to, between, d.EventID).Header.Get("webhook-signature"))); n != 2 {
		t.Errorf("%d signatures in the grace period", n)
	}
	_, err = c.RotateEndpoint(ctx, endpoint, 0)
	must(t, err)
	d, err = c.TestEndpoint(ctx, endpoint)
	must(t, err)
	<-between.came
	for len(d.Attempts) == 0 {
		time.Sleep(50 * time.Millisecond)
		d, err = c.GetDelivery(ctx, d.ID)
		must(t, err)
	}
	if got := d.Attempts[0].StatusCode; got != http.StatusBadRequest {
		t.Errorf("signed with a secret that it does not know, it answers %d", got)
	}
}

// taken waits until the receiver has printed the id of a webhook, which it does once it has verified it.
func taken(ctx context.Context, t *testing.T, to *program, between *relayed, id string) Hook {
	t.Helper()
	var hook Hook
	select {
	case hook = <-between.came:
	case <-ctx.Done():
		t.Fatal("nothing was sent")
	}
	got := hook.Header.Get("webhook-id")
	if id != "" && got != id {
		t.Fatalf("%s came, not %s", got, id)
	}
	select {
	case line := <-to.lines:
		if !strings.HasPrefix(line, got) {
			t.Fatalf("it printed %q about %s", line, got)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("it did not verify %s, signed %s", got, hook.Header.Get("webhook-signature"))
	}
	return hook
}

func pythonProgram(t *testing.T, text string) *exec.Cmd {
	t.Helper()
	python, file := testservers.WebhooksPython(t), filepath.Join(t.TempDir(), "receiver.py")
	must(t, os.WriteFile(file, []byte(text), 0o600))
	return exec.CommandContext(context.WithoutCancel(t.Context()), python, file)
}

// typescriptProgram compiles a program strictly and gives the command that runs it.
func typescriptProgram(t *testing.T, text string) *exec.Cmd {
	t.Helper()
	modules, dir := testservers.WebhooksNode(t), t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "receiver.mts"), []byte(text), 0o600))
	must(t, os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(dir, "node_modules")))
	compile := exec.CommandContext(t.Context(), "node", filepath.Join(modules, "node_modules", "typescript", "bin", "tsc"),
		"--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "receiver.mts")
	compile.Dir = dir
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exec.CommandContext(context.WithoutCancel(t.Context()), "node", filepath.Join(dir, "receiver.mjs"))
}

// TestPaprReceiversVerify delivers a real batch to an endpoint of the format papr, and verifies as receivers in the field
// do: over the raw bytes, and over what Python makes of them when it writes them again.
func TestPaprReceiversVerify(t *testing.T) {
	ctx := limited(t, 3*time.Minute)
	p, r := start(t), NewReceiver()
	defer r.Close()
	c := p.Client()
	e, err := c.CreateEndpoint(ctx, client.EndpointInput{URL: r.URL, Format: "papr", Events: []string{memory.EventBatchWithErrors}})
	must(t, err)
	b, err := c.SubmitBatch(ctx, []memory.Input{{Content: "Toto barked."}, {Content: ""}}, client.BatchOptions{Name: "“Grüße”"})
	must(t, err)
	var hook Hook
	select {
	case hook = <-r.Came():
	case <-ctx.Done():
		t.Fatal("nothing was sent")
	}
	python := testservers.WebhooksPython(t)
	check := exec.CommandContext(ctx, python, "-c", `
import hashlib, hmac, json, sys
secret, signature, batch = sys.argv[1:]
raw = sys.stdin.buffer.read()
body = json.loads(raw)
for data in (raw, json.dumps(body, sort_keys=True).encode()):
    assert hmac.compare_digest(signature, "sha256=" + hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()), data
assert body["batch_id"] == batch and len(body["memory_ids"]) == 1 and len(body["errors"]) == 1, body
assert (body["status"], body["total_memories"], body["successful_memories"], body["failed_memories"]) == ("partial", 2, 1, 1), body
`, e.Secret, hook.Header.Get("X-Webhook-Signature"), b.ID)
	check.Stdin = bytes.NewReader(hook.Body)
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	must(t, hook.Verify(e.Secret)) // the headers of Standard Webhooks are sent too
}
