package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// streams answers each connection in turn; "": 204.
func streams(t *testing.T, answers ...string) (*client.Client, func() []string) {
	t.Helper()
	var seen []string
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.Path+" "+r.Header.Get("Last-Event-ID"))
		i := int(n.Add(1)) - 1
		if i >= len(answers) || answers[i] == "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if answers[i] == "404" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"code":"not_found","title":"Not found","detail":"there is no memory of that id","status":404}`)
			return
		}
		fmt.Fprint(w, answers[i])
	}))
	t.Cleanup(s.Close)
	c, err := client.New(s.URL, "sk_dev", client.Config{Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c, func() []string { return seen }
}

func TestWatchingGoesOnWhereTheConnectionBroke(t *testing.T) {
	t.Parallel()
	c, seen := streams(t,
		": alive\n\nid: 1\nevent: step\ndata: {\"name\":\"index_vectors\",\"status\":\"completed\"}\n\nid: 2\nevent: news\ndata: {}\n\nid: 3\nevent: mem",
		"id: 4\nevent: memory\ndata: {\"id\":\"mem_1\",\n\n",
	)
	var got []string
	for e, err := range c.WatchMemory(t.Context(), "mem_1") {
		switch {
		case err != nil:
			got = append(got, "error")
		case e.Step != nil:
			got = append(got, e.Step.Name)
		default:
			got = append(got, e.Memory.ID)
		}
	}
	if diff := cmp.Diff([]string{"index_vectors", "error"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/v1/memories/mem_1/events ", "/v1/memories/mem_1/events 2"}, seen()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWatchingABatchEndsWithIt(t *testing.T) {
	t.Parallel()
	c, seen := streams(t, "id: a\nevent: batch\ndata: {\"id\":\"bat_1\",\"status\":\"processing\"}\n\n", "id: b\nevent: batch\ndata: {\"id\":\"bat_1\",\"status\":\"completed\"}\n\n", "")
	var got []memory.BatchStatus
	for b, err := range c.WatchBatch(t.Context(), "bat_1") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b.Status)
	}
	if diff := cmp.Diff([]memory.BatchStatus{memory.BatchProcessing, memory.BatchCompleted}, got); diff != "" || len(seen()) != 3 {
		t.Errorf("-want +got:\n%s, after %v", diff, seen())
	}
}

func TestWatchingWhatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	c, seen := streams(t, "404")
	for _, err := range c.WatchMemory(t.Context(), "mem_9") {
		if memory.CodeOf(err) != memory.CodeNotFound {
			t.Errorf("got %v", err)
		}
	}
	if len(seen()) != 1 {
		t.Errorf("asked %v", seen())
	}
}

func TestWatchingCanBeLeft(t *testing.T) {
	t.Parallel()
	c, _ := streams(t, "id: a\nevent: batch\ndata: {\"id\":\"bat_1\"}\n\nid: b\nevent: batch\ndata: {\"id\":\"bat_1\"}\n\n")
	n := 0
	for _, err := range c.WatchBatch(t.Context(), "bat_1") {
		if err != nil {
			t.Fatal(err)
		}
		n++
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range c.WatchBatch(ctx, "bat_1") {
		if err == nil {
			t.Error("something came after the end of the context")
		}
		n++
	}
	if n != 2 {
		t.Errorf("came round %d times", n)
	}
}

func ExampleClient_WatchBatch() {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Last-Event-ID") != "" { // it was over
			w.WriteHeader(http.StatusNoContent)
			return
		}
		fmt.Fprint(w, "id: 1\nevent: batch\ndata: {\"id\":\"bat_1\",\"status\":\"completed\",\"counts\":{\"total\":2,\"completed\":2}}\n\n")
	}))
	defer s.Close()
	for b, err := range connect(s).WatchBatch(context.Background(), "bat_1") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(b.Status, b.Counts.Completed, "of", b.Counts.Total)
	}
	// Output: completed 2 of 2
}
