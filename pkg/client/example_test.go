package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
	"github.com/switchyard-ai/switchyard/pkg/webhook"
)

// example is a server that knows the answers of the examples.
func example() *httptest.Server {
	answers := map[string]string{
		"POST /v1/memories": `{"id":"mem_1","status":"completed","track":"realtime","use_cases":["knowing where Dorothy lives"]}`,
		"POST /v1/memories/search": `{"items":[{"memory":{"id":"mem_1"},"score":0.83,"passage":"Dorothy lived in Kansas."}],
			"graph":{"nodes":[],"relationships":[]}}`,
		"GET /v1/memories":      `{"items":[{"id":"mem_2"},{"id":"mem_1"}]}`,
		"POST /v1/batches":      `{"id":"bat_1","status":"queued"}`,
		"GET /v1/batches/bat_1": `{"id":"bat_1","status":"completed_with_errors","counts":{"total":2,"completed":1,"rejected":1}}`,
		"GET /v1/batches/bat_1/items": `{"items":[{"index":1,"line":2,"status":"rejected","pointer":"/content",
			"error":{"code":"invalid","detail":"must not be empty"}}]}`,
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, found := answers[r.Method+" "+r.URL.Path]
		if !found {
			w.WriteHeader(http.StatusNotFound)
			body = `{"code":"not_found","title":"Not found","detail":"the workspace has no such memory","request_id":"req_1"}`
		}
		_, _ = io.WriteString(w, body)
	}))
}

func connect(server *httptest.Server) *client.Client {
	c, err := client.New(server.URL, "sk_dev", client.Config{})
	if err != nil {
		panic(err)
	}
	return c
}

// A memory goes in, and is found by what it means.
func Example() {
	server := example()
	defer server.Close()
	ctx := context.Background()
	c, err := client.New(server.URL, "sk_dev", client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := c.AddMemory(ctx, memory.Input{Content: "Dorothy lived in Kansas."}, client.Wait(30*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.ID, m.Status, "on the", m.Track, "track:", m.UseCases)

	found, err := c.Search(ctx, client.SearchQuery{Query: "Where is Dorothy from?", Limit: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, hit := range found.Items {
		fmt.Println(hit.Score, hit.Memory.ID, hit.Passage)
	}
	// Output:
	// mem_1 completed on the realtime track: [knowing where Dorothy lives]
	// 0.83 mem_1 Dorothy lived in Kansas.
}

// A file goes in as a batch; what became of it is asked for once it is over.
func ExampleClient_UploadBatch() {
	server := example()
	defer server.Close()
	ctx, c := context.Background(), connect(server)

	file := strings.NewReader("{\"content\": \"Toto barked.\"}\n{\"content\": \"\"}\n")
	b, err := c.UploadBatch(ctx, file, client.BatchOptions{Name: "import"})
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err = c.WaitForBatch(ctx, b.ID, func(b memory.Batch) {
		fmt.Fprintf(os.Stderr, "%d open\n", b.Counts.Open())
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.Status, b.Counts.Completed, "completed")
	for item, err := range c.BatchItems(ctx, b.ID, memory.StatusFailed, memory.StatusRejected) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("line", item.Line, item.Pointer, item.Error.Detail)
	}
	// Output:
	// completed_with_errors 1 completed
	// line 2 /content must not be empty
}

// A list is gone through page by page, as far as it is needed.
func ExampleClient_ListMemories() {
	server := example()
	defer server.Close()
	for m, err := range connect(server).ListMemories(context.Background(), client.MemoryQuery{Statuses: []memory.Status{memory.StatusCompleted}}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.ID)
	}
	// Output:
	// mem_2
	// mem_1
}

// Branch on the code of an error; show its text to people.
func ExampleError() {
	server := example()
	defer server.Close()
	_, err := connect(server).GetMemory(context.Background(), "mem_9")
	var e *client.Error
	if errors.As(err, &e) && e.Code == memory.CodeNotFound {
		fmt.Println(err)
	}
	// Output: GET /v1/memories/mem_9: Not found: the workspace has no such memory (not_found, request req_1)
}

// A receiver verifies before it believes.
func ExampleVerify() {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // Client.WebhookSecret returns it
	receive := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil || client.Verify(r.Header, body, secret) != nil {
			http.Error(w, "not for us", http.StatusBadRequest)
			return
		}
		fmt.Println(r.Header.Get(webhook.HeaderID), string(body)) // an id that was seen before is a repetition
	}

	body := `{"type":"batch.completed"}`
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/hooks", strings.NewReader(body))
	key, err := webhook.ParseKey(secret)
	if err != nil {
		panic(err)
	}
	if err := webhook.SetHeaders(r.Header, "evt_1", time.Now(), []byte(body), key); err != nil {
		panic(err)
	}
	receive(httptest.NewRecorder(), r)

	forged := httptest.NewRecorder()
	r.Body = io.NopCloser(strings.NewReader(`{"type":"batch.failed"}`))
	receive(forged, r)
	fmt.Println(forged.Code)
	// Output:
	// evt_1 {"type":"batch.completed"}
	// 400
}
