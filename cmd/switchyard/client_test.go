package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// playedAPI plays the server: each call, such as "GET /v1/batches/bat_1", has its answers in order, the last one for ever.
type playedAPI struct {
	answers map[string][]string // a status above 299 stands before the body: "404 {…}"

	mu   sync.Mutex
	seen []string
}

func (a *playedAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	call := r.Method + " " + r.URL.RequestURI()
	a.seen = append(a.seen, strings.TrimSpace(call+" "+heads(r.Header)+" "+string(body)))
	left := a.answers[call]
	if len(left) == 0 {
		left = []string{`404 {"code":"not_found","title":"Not found","detail":"nothing is here","status":404,"request_id":"req_1"}`}
	} else if len(left) > 1 {
		a.answers[call] = left[1:]
	}
	status, text := http.StatusOK, left[0]
	if !strings.HasPrefix(text, "{") {
		number, rest, _ := strings.Cut(text, " ")
		status, _ = strconv.Atoi(number)
		text = rest
	}
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}

// heads are the headers that say something.
func heads(h http.Header) string {
	var s []string
	for _, name := range []string{"Authorization", "Content-Type", "Content-Encoding", "Prefer"} {
		if v := h.Get(name); v != "" && v != "Bearer sk_dev" && v != "application/json" {
			s = append(s, name+":"+v)
		}
	}
	return strings.Join(s, " ")
}

// shell is a console that records, at a fixed time and place.
type shell struct {
	*console
	out, err *bytes.Buffer
}

func newShell(stdin string, env map[string]string) shell {
	out, errs := &bytes.Buffer{}, &bytes.Buffer{}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return shell{&console{
		in: strings.NewReader(stdin), out: out, err: errs, width: 80, zone: time.UTC,
		env: func(name string) string { return env[name] },
		now: func() time.Time { now = now.Add(time.Second); return now },
	}, out, errs}
}

const (
	done = `{"id":"mem_1","external_id":"oz-1","version":1,"status":"completed","track":"realtime","track_reason":"single memory, capacity free",
	 "content":"Dorothy lived in the midst of the great Kansas prairies, with Uncle Henry, who was a farmer, and Aunt Em, who was the farmer's wife.",
	 "metadata":{"book":"oz","year":1900},"use_cases":["knowing where Dorothy lives","telling who her family are"],"related":[{"id":"mem_0","score":0.8312}],
	 "graph":{"nodes":[{"id":"nod_1","type":"Person","name":"Dorothy"},{"id":"nod_2","type":"Place","name":"Kansas"},{"id":"nod_3","type":"Person","name":"Toto\u001b[31m"}],
	  "relationships":[{"from":"nod_1","type":"LIVES_IN","to":"nod_2"}]},
	 "steps":[{"name":"generate_use_cases","status":"completed","attempts":2,"duration_ms":412,"model":"gpt-4o-mini","tokens":321,"cost_usd":0.0012},
	  {"name":"find_related","status":"completed","attempts":1,"duration_ms":3,"model":"local/static","tokens":0,"cost_usd":0}],
	 "error":null,"created_at":"2026-01-02T03:00:00.000Z","updated_at":"2026-01-02T03:00:01.500Z","completed_at":"2026-01-02T03:00:01.500Z"}`
	queued = `{"id":"mem_2","version":1,"status":"queued","track":"durable","track_reason":"asked for","content":"Toto barked.",
	 "use_cases":[],"related":[],"graph":{"nodes":[],"relationships":[]},"error":null,"created_at":"2026-01-02T03:00:00.000Z","updated_at":"2026-01-02T03:00:00.000Z"}`
	failed = `{"id":"mem_3","version":2,"status":"failed","track":"durable","track_reason":"realtime is full","content":"x","use_cases":[],"related":[],
	 "graph":{"nodes":[],"relationships":[]},"steps":[{"name":"index_vectors","status":"failed","attempts":10,"duration_ms":61000,"tokens":0,"cost_usd":0,
	 "error":{"code":"patience_exhausted","detail":"the vector index stayed away","step":"index_vectors"}}],
	 "error":{"code":"patience_exhausted","detail":"the vector index stayed away","step":"index_vectors"},"created_at":"2026-01-02T03:00:00.000Z","updated_at":"2026-01-02T03:01:00.000Z"}`
	hits = `{"items":[{"memory":` + done + `,"score":0.8342,"scores":{"vector":0.81,"lexical":0.4},
	  "passage":"Dorothy lived in the midst of the great Kansas prairies, with Uncle Henry, who was a farmer, and Aunt Em, who was the farmer's wife."},
	 {"memory":` + queued + `,"score":0.5,"scores":{"vector":0.5},"passage":"Toto\u001b[2J barked."}],"graph":{"nodes":[],"relationships":[]}}`
)

// batchState is a state of bat_1: status, then total, queued, processing, completed, failed, rejected.
func batchState(status string, n ...int) string {
	eta, end := "null", `"2026-01-02T03:01:30.000Z"`
	if n[1]+n[2] > 0 {
		eta, end = "84", "null"
	}
	return fmt.Sprintf(`{"id":"bat_1","name":"oz.ndjson","status":%q,"track":"durable","counts":{"total":%d,"queued":%d,"processing":%d,"completed":%d,
	 "degraded":0,"failed":%d,"cancelled":0,"rejected":%d},"tokens":1234,"cost_usd":0.02,"eta_seconds":%s,
	 "created_at":"2026-01-02T03:00:00.000Z","started_at":"2026-01-02T03:00:00.000Z","completed_at":%s}`,
		status, n[0], n[1], n[2], n[3], n[4], n[5], eta, end)
}

// play is the batch that most cases watch.
func play(end string) map[string][]string {
	return map[string][]string{
		"POST /v1/batches?name=oz.ndjson": {"202 " + batchState("queued", 100, 98, 0, 0, 0, 2)},
		"GET /v1/batches/bat_1":           {batchState("queued", 100, 98, 0, 0, 0, 2), batchState("processing", 100, 40, 10, 48, 0, 2), batchState("processing", 100, 10, 10, 75, 3, 2), end},
	}
}

// commandCase is a command line that is run against a server that plays the API.
type commandCase struct {
	name  string
	args  []string
	stdin string
	env   map[string]string
	api   map[string][]string
	live  bool // on a terminal, in colour
}

// run compares what was sent, printed and returned with the golden file.
func (c commandCase) run(t *testing.T) {
	t.Helper()
	a := &playedAPI{answers: c.api}
	server := httptest.NewServer(a)
	defer server.Close()
	sh := newShell(c.stdin, with(c.env, "SWITCHYARD_URL", server.URL))
	sh.live, sh.colour, sh.colourErr = c.live, c.live, c.live
	code := sh.report(run(t.Context(), sh.console, c.args))
	dir, err := files()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, c.name, strings.NewReplacer(server.URL, "http://server", dir, "folder").Replace(transcript(c.args, sh, code, a.seen)))
}

// TestCommands runs command lines against a server that plays the API; the golden files hold what was sent, printed
// and returned.
func TestCommands(t *testing.T) {
	t.Parallel()
	oz := file(t, "oz.ndjson", "{\"content\":\"a\"}\n{\"content\":\"b\"}\n")
	for _, row := range []commandCase{
		{name: "memory-add", args: list("memory", "add", "Toto barked."), api: map[string][]string{"POST /v1/memories": {"202 " + queued}}},
		{name: "memory-add-wait", live: true, args: list("memory", "add", "Dorothy …", "--wait", "30s"), api: map[string][]string{"POST /v1/memories": {done}}},
		{name: "memory-add-wait-failed", args: list("memory", "add", "x", "--wait=2s"), api: map[string][]string{"POST /v1/memories": {failed}}},
		{
			name: "memory-add-all-flags", stdin: "from standard input\n", api: map[string][]string{"POST /v1/memories": {queued}},
			args: list("memory", "add", "-", "--external-id", "n/1", "-m", "year=1900", "-m", "zip=01234", "-m", "ok=true", "-m", `n="42"`, "-m", "eq=a=b", "-m", "null=null",
				"--occurred-at", "1900-05-17", "--track", "durable", "--priority", "bulk", "--webhook-url", "https://x.test", "--json"),
		},
		{name: "memory-add-invalid", args: list("memory", "add", ""), api: map[string][]string{"POST /v1/memories": {
			`422 {"title":"Invalid request","code":"invalid","detail":"content: must not be empty","errors":[{"pointer":"/content","detail":"must not be empty"}],"request_id":"req_7"}`,
		}}},
		{name: "memory-add-bad-metadata", args: list("memory", "add", "x", "-m", "topic")},
		{name: "memory-add-unquoted", args: list("memory", "add", "two", "words")},
		{name: "memory-get", args: list("memory", "get", "mem_1"), api: map[string][]string{"GET /v1/memories/mem_1": {done}}},
		{name: "memory-get-failed", args: list("memory", "get", "mem_3"), api: map[string][]string{"GET /v1/memories/mem_3": {failed}}},
		{name: "memory-get-missing", args: list("memory", "get", "mem_9")},
		{name: "memory-list", args: list("memory", "list", "--limit", "2", "--status", "queued,failed", "-m", "book=oz"), api: map[string][]string{
			"GET /v1/memories?limit=2&metadata.book=oz&status=queued&status=failed": {`{"items":[` + done + `,` + queued + `],"next_cursor":"c"}`},
		}},
		{name: "memory-list-json", args: list("memory", "list", "--limit", "0", "--json"), api: map[string][]string{
			"GET /v1/memories?limit=500":          {`{"items":[` + queued + `],"next_cursor":"c"}`},
			"GET /v1/memories?cursor=c&limit=500": {`{"items":[` + failed + `]}`},
		}},
		{name: "memory-search", args: list("memory", "search", "Who lived in Kansas?", "--filter", `{"metadata.book":"oz"}`, "--mode", "hybrid", "--limit", "3"), api: map[string][]string{"POST /v1/memories/search": {hits}}},
		{name: "memory-search-colour", live: true, args: list("memory", "search", "Kansas"), api: map[string][]string{"POST /v1/memories/search": {hits}}},
		{name: "memory-search-rerank", args: list("memory", "search", "Kansas", "--rerank"), api: map[string][]string{"POST /v1/memories/search": {
			`{"items":[{"memory":` + done + `,"score":0.9,"scores":{"vector":0.81,"lexical":0.4,"rerank":0.9},"passage":"Dorothy lived in Kansas."}],"degraded":"the graph is unavailable"}`,
		}}},
		{name: "memory-search-bad-filter", args: list("memory", "search", "x", "--filter", "topic=travel")},
		{name: "memory-search-nothing", args: list("memory", "search", "x"), api: map[string][]string{"POST /v1/memories/search": {`{"items":[]}`}}},
		{name: "memory-update", args: list("memory", "update", "mem_2", "--content", "Toto barked.", "-m", "book=oz", "--occurred-at", "1900-05-17", "--track", "durable"), api: map[string][]string{"PATCH /v1/memories/mem_2": {"202 " + queued}}},
		{name: "memory-update-nothing", args: list("memory", "update", "mem_2", "--wait", "3s")},
		{name: "memory-retry", args: list("memory", "retry", "mem_1", "--wait", "30s"), api: map[string][]string{"POST /v1/memories/mem_1/retry": {done}}},
		{name: "memory-retry-too-patient", args: list("memory", "retry", "mem_1", "--wait", "2h")},
		{name: "memory-explain", args: list("memory", "explain", "mem_1"), api: map[string][]string{"GET /v1/memories/mem_1/explain": {
			`{"id":"mem_1","version":2,"status":"degraded","track":"durable","track_reason":"retries used up: overloaded","batch_id":"bat_1","priority":"bulk",
			"error":{"code":"timeout","detail":"too slow","step":"generate_schema"},"took":{"attempts":5,"duration_ms":1500,"tokens":1234,"cost_usd":0.02},
			"steps":[{"name":"index_vectors","status":"completed","track":"realtime","attempts":1,"duration_ms":12,"model":"local/m"}],
			"written":{"documents":true,"vectors":{"written":true,"model":"local/m","dimensions":256},"graph":{"written":false,"nodes":0,"relationships":0}}}`,
		}}},
		{name: "memory-explain-unfinished", args: list("memory", "explain", "mem_1"), api: map[string][]string{"GET /v1/memories/mem_1/explain": {
			`{"id":"mem_1","version":1,"status":"processing","track":"realtime","track_reason":"single memory","error":null,"took":{"attempts":0,"duration_ms":null,"tokens":0,"cost_usd":0},"steps":[],
			"written":{"documents":true,"vectors":{"written":false},"graph":{"written":true,"nodes":1,"relationships":2}}}`,
		}}},
		{name: "memory-delete", args: list("memory", "delete", "mem_1", "mem_2"), api: map[string][]string{
			"DELETE /v1/memories/mem_1": {`202 {"id":"mem_1","erased":["vectors","graph","documents"],"erased_at":"2026-01-02T03:00:00.000Z"}`},
			"DELETE /v1/memories/mem_2": {`202 {"id":"mem_2","erased":["vectors","graph","documents"],"erased_at":"2026-01-02T03:00:00.000Z"}`},
		}},
		{name: "batch-submit", args: list("batch", "submit", oz), api: play("")},
		{name: "batch-submit-watch", args: list("batch", "submit", oz, "--watch"), api: play(batchState("completed", 100, 0, 0, 100, 0, 0))},
		{name: "batch-submit-watch-bar", live: true, args: list("batch", "submit", oz, "--watch"), api: play(batchState("completed_with_errors", 100, 0, 0, 95, 3, 2))},
		{name: "batch-submit-watch-json", args: list("batch", "submit", oz, "--watch", "--json"), api: play(batchState("completed_with_errors", 100, 0, 0, 95, 3, 2))},
		{name: "batch-submit-watch-failed", args: list("batch", "submit", oz, "-w"), api: play(batchState("failed", 100, 0, 0, 0, 98, 2))},
		{
			name: "batch-submit-stdin", stdin: "{\"content\":\"a\"}\n", args: list("batch", "submit", "-", "--name", "n", "--priority", "normal", "--webhook-url", "https://x.test"),
			api: map[string][]string{"POST /v1/batches?name=n&priority=normal&webhook_url=https%3A%2F%2Fx.test": {batchState("queued", 1, 1, 0, 0, 0, 0)}},
		},
		{
			name: "batch-submit-json", args: list("batch", "submit", file(t, "a.json", `[{"content": "a"}, {"content": 5}]`)),
			api: map[string][]string{"POST /v1/batches?name=a.json": {batchState("queued", 2, 1, 0, 0, 0, 1)}},
		},
		{
			name: "batch-submit-json-object", args: list("batch", "submit", file(t, "b.json", `{"memories": [{"content": "a"}]}`)),
			api: map[string][]string{"POST /v1/batches?name=b.json": {batchState("queued", 1, 1, 0, 0, 0, 0)}},
		},
		{name: "batch-submit-not-json", args: list("batch", "submit", file(t, "c.json", "{}\n{}\n"))},
		{
			name: "batch-submit-csv-gz", args: list("batch", "submit", file(t, "d.csv.gz", "(compressed)")),
			api: map[string][]string{"POST /v1/batches?name=d.csv.gz": {batchState("queued", 1, 1, 0, 0, 0, 0)}},
		},
		{name: "batch-submit-dry-run", args: list("batch", "submit", oz, "--dry-run"), api: map[string][]string{"POST /v1/batches?dry_run=true&name=oz.ndjson": {
			`{"total":3,"valid":2,"rejected":1,"duplicates":1,"rejects":[{"index":1,"line":2,"status":"rejected","pointer":"/content","error":{"code":"invalid","detail":"must not be empty"}}],
			"estimated_tokens":3000,"estimated_cost_usd":0.0006,"estimated_seconds":1}`,
		}}},
		{name: "batch-submit-missing-file", args: list("batch", "submit", "nowhere.ndjson")},
		{name: "batch-get", args: list("batch", "get", "bat_1"), api: map[string][]string{"GET /v1/batches/bat_1": {batchState("processing", 100, 40, 10, 48, 0, 2)}}},
		{name: "batch-get-watch", args: list("batch", "get", "bat_1", "--watch"), api: map[string][]string{"GET /v1/batches/bat_1": {batchState("cancelled", 1, 0, 0, 1, 0, 0)}}},
		{name: "batch-list", args: list("batch", "list"), api: map[string][]string{"GET /v1/batches": {`{"items":[` + batchState("processing", 100, 40, 10, 48, 0, 2) + `]}`}}},
		{name: "batch-items", args: list("batch", "items", "bat_1", "--status", "failed,rejected"), api: map[string][]string{"GET /v1/batches/bat_1/items?limit=500&status=failed&status=rejected": {
			`{"items":[{"index":0,"line":1,"memory_id":"mem_3","status":"failed","error":{"code":"timeout","detail":"too slow","step":"generate_schema"}},
			{"index":6,"line":7,"status":"rejected","pointer":"/content","error":{"code":"invalid","detail":"must not be empty"}}]}`,
		}}},
		{name: "batch-items-sent", args: list("batch", "items", "bat_1", "--sent"), api: map[string][]string{"GET /v1/batches/bat_1/items?limit=500&status=rejected": {
			`{"items":[{"index":6,"line":7,"status":"rejected","pointer":"/content","error":{"code":"invalid","detail":"must not be empty"},"sent":{"text":"{\"content\": \"\"}"}},
			{"index":7,"line":8,"status":"rejected","error":{"code":"malformed","detail":"is not valid UTF-8"},"sent":{"bytes":"Y2Fm6Q=="}},
			{"index":8,"line":9,"status":"rejected","error":{"code":"too_large","detail":"the line is longer than 1048576 bytes"},"sent":{"text":"{\"co","cut":true}}]}`,
		}}},
		{name: "batch-items-sent-and-status", args: list("batch", "items", "bat_1", "--sent", "--status", "failed")},
		{name: "batch-pause", args: list("batch", "pause", "bat_1"), api: map[string][]string{"POST /v1/batches/bat_1/pause": {batchState("paused", 100, 50, 0, 50, 0, 0)}}},
		{name: "batch-resume", args: list("batch", "resume", "bat_1"), api: map[string][]string{"POST /v1/batches/bat_1/resume": {batchState("processing", 100, 50, 0, 50, 0, 0)}}},
		{name: "batch-cancel-undo", args: list("batch", "cancel", "bat_1", "--undo"), api: map[string][]string{"POST /v1/batches/bat_1/cancel?undo=true": {
			"202 " + batchState("processing", 100, 50, 0, 50, 0, 0), batchState("cancelled", 100, 0, 0, 100, 0, 0),
		}}},
		{name: "batch-retry", args: list("batch", "retry", "bat_1"), api: map[string][]string{"POST /v1/batches/bat_1/retry": {
			`409 {"title":"Not possible in the present state","code":"conflict","detail":"the batch is not over","request_id":"req_8"}`,
		}}},
		{name: "keys-create", args: list("keys", "create", "--name", "importer", "--scope", "read,write"), api: map[string][]string{"POST /v1/keys": {
			`201 {"id":"key_1","name":"importer","scopes":["read","write"],"key":"sk_NEW","hint":"sk_N","created_at":"2026-01-02T03:00:00.000Z","last_used_at":null}`,
		}}},
		{name: "keys-create-bad-scope", args: list("keys", "create", "--scope", "all")},
		{name: "keys-list", args: list("keys", "list"), api: map[string][]string{"GET /v1/keys": {
			`{"items":[{"id":"key_1","name":"importer","scopes":["read","write"],"hint":"sk_N","created_at":"2026-01-02T03:00:00.000Z","last_used_at":null},
			{"id":"key_2","name":"","scopes":["admin"],"hint":"sk_d","created_at":"2026-01-02T03:00:00.000Z","last_used_at":"2026-01-02T03:04:00.000Z"}]}`,
		}}},
		{name: "keys-revoke", args: list("keys", "revoke", "key_1", "key_9"), api: map[string][]string{"DELETE /v1/keys/key_1": {"204 "}}},
		{name: "keys-revoke-nothing", args: list("keys", "revoke")},
		{name: "keys-workspace-without-direct", args: list("keys", "list", "--workspace", "w")},
		{name: "wrong-key", args: list("memory", "list", "--key", "sk_wrong"), api: map[string][]string{"GET /v1/memories?limit=50": {`401 {"title":"Not authenticated","code":"unauthorized","detail":"the key is not valid","request_id":"req_9"}`}}},
		{name: "key-of-the-environment", args: list("memory", "search", "x"), env: map[string]string{"SWITCHYARD_KEY": "sk_env"}, api: map[string][]string{"POST /v1/memories/search": {`{"items":[]}`}}},
		{name: "unknown-command", args: list("memry", "add")},
		{name: "unknown-subcommand", args: list("memory", "serch")},
		{name: "unknown-flag", args: list("memory", "get", "mem_1", "--jsn")},
		{name: "missing-argument", args: list("memory", "get")},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.run(t)
		})
	}
}

func list(args ...string) []string { return args }

func with(env map[string]string, name, value string) map[string]string {
	out := map[string]string{name: value}
	maps.Copy(out, env)
	return out
}

var files = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "switchyard-cli") })

// file writes a file; all of a run are in one folder.
func file(t *testing.T, name, content string) string {
	t.Helper()
	dir, err := files()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	return path
}

func transcript(args []string, sh shell, code int, seen []string) string {
	visible := strings.NewReplacer("\x1b", "␛", "\r", "␍\n")
	return fmt.Sprintf("$ switchyard %s\n\n== sent\n%s\n== out\n%s== err\n%s== exit %d\n", strings.Join(args, " "),
		strings.Join(append(seen, ""), "\n"), visible.Replace(sh.out.String()), visible.Replace(sh.err.String()), code)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got (go test ./cmd/switchyard -update writes it anew):\n%s", diff)
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	server.Close() // its port is free again
	sh := newShell("", map[string]string{"SWITCHYARD_URL": server.URL})
	code := sh.report(run(t.Context(), sh.console, list("memory", "list")))
	if got := sh.err.String(); code != exitFault || !strings.Contains(got, "Is the server running?") || !strings.Contains(got, "make run") {
		t.Errorf("exit %d: %s", code, got)
	}
}

func TestAKeyIsAskedForUnlessTheServerIsLocal(t *testing.T) {
	t.Parallel()
	for address, local := range map[string]bool{
		"http://127.0.0.1:1": true, "http://localhost": true, "http://[::1]:8080": true, "http://127.9.9.9": true,
		"http://10.0.0.1": false, "https://switchyard.example": false, "http://localhost.example": false, "http://127.0.0.1.example": false,
	} {
		r := &remote{console: newShell("", nil).console, url: address}
		_, err := r.client()
		if (err == nil) != local || local && r.key != "sk_dev" {
			t.Errorf("%s: key %q, %v", address, r.key, err)
		}
	}
	r := &remote{console: newShell("", map[string]string{"SWITCHYARD_DEV_KEY": "sk_mine"}).console}
	if _, err := r.client(); err != nil || r.key != "sk_mine" || r.url != defaultURL {
		t.Errorf("%s with %s, %v", r.url, r.key, err)
	}
}

func TestWatchingCanBeInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, batchState("processing", 100, 40, 10, 48, 0, 2))
		cancel()
	}))
	defer server.Close()
	sh := newShell("", map[string]string{"SWITCHYARD_URL": server.URL})
	code := sh.report(run(ctx, sh.console, list("batch", "get", "bat_1", "--watch")))
	if got := sh.err.String(); code != exitInterrupted || !strings.Contains(got, "the batch goes on") {
		t.Errorf("exit %d: %s", code, got)
	}
}

func TestProgressSaysHowFastItGoes(t *testing.T) {
	t.Parallel()
	sh := newShell("", nil)
	now := time.Now()
	sh.now = func() time.Time { return now }
	sh.live = true
	p := (&remote{console: sh.console}).newProgress()
	p.upload(0, 2_000_000)
	now = now.Add(50 * time.Millisecond)
	p.upload(500_000, 2_000_000) // too soon to be drawn
	now = now.Add(50 * time.Millisecond)
	p.upload(1_000_000, 2_000_000)
	p.upload(2_000_000, 2_000_000)
	p.end()
	p.upload(3, 3) // a late reader
	want := "\r\x1b[Kuploading  [                    ]   0 % 0 bytes of 2.0 MB" +
		"\r\x1b[Kuploading  [==========          ]  50 % 1.0 MB of 2.0 MB" +
		"\r\x1b[Kuploading  [====================] 100 % 2.0 MB of 2.0 MB\n"
	if diff := cmp.Diff(want, sh.err.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTextIsWrapped(t *testing.T) {
	t.Parallel()
	got := wrap("a bb ccc  dddd\n eeeee ffffffffffff g\x1b[31m", 8)
	want := []string{"a bb ccc", "dddd", "eeeee", "ffffffffffff", "g[31m"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := squeeze("a  b\tc déf", 6); got != "a b c…" {
		t.Errorf("%q", got)
	}
}
