package client_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func httpClient(s *script) *http.Client { return &http.Client{Transport: s} }

// lines is NDJSON that is large enough not to fit into the buffers of a connection.
func lines() string {
	return strings.Repeat(`{"content":"`+strings.Repeat("x", 1000)+`"}`+"\n", 4000)
}

// receiver is a server that takes uploads; before hangs up or answers at the first try.
func receiver(t *testing.T, first http.HandlerFunc) (c *client.Client, got *atomic.Value) {
	t.Helper()
	var tries atomic.Int32
	got = &atomic.Value{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 1 && first != nil {
			first(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got.Store(string(body))
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"id":"bat_1","status":"queued"}`)
	}))
	t.Cleanup(s.Close)
	c, err := client.New(s.URL, "sk_test", client.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return c, got
}

// breakOff reads a part of the upload and hangs up.
func breakOff(_ http.ResponseWriter, r *http.Request) {
	_, _ = bufio.NewReader(r.Body).ReadString('\n')
	panic(http.ErrAbortHandler)
}

// turnAway answers without a look at the upload.
func turnAway(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusTooManyRequests)
	fmt.Fprint(w, `{"code":"rate_limited","title":"Too many requests"}`)
}

func TestUploads(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		first  http.HandlerFunc
		source func(string) io.Reader
		want   bool // the batch came in
	}{
		{"ComeInWhole", nil, func(s string) io.Reader { return strings.NewReader(s) }, true},
		{"ThatBreakOffAreSentAgainFromTheStart", breakOff, func(s string) io.Reader { return strings.NewReader(s) }, true},
		{"FromAPipeAreNotSentTwice", breakOff, func(s string) io.Reader { return io.MultiReader(strings.NewReader(s)) }, false},
		{"FromAPipeThatNobodyTouchedAre", turnAway, func(s string) io.Reader { return io.MultiReader(strings.NewReader(s)) }, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c, got := receiver(t, row.first)
			want := lines()
			b, err := c.UploadBatch(t.Context(), row.source(want), client.BatchOptions{})
			if (err == nil) != row.want {
				t.Fatalf("err %v, came in: want %v", err, row.want)
			}
			if row.want && (got.Load() != want || b.ID != "bat_1") {
				t.Errorf("batch %+v; the upload differs from what was sent", b)
			}
			if !row.want && got.Load() != nil {
				t.Error("a second upload came in")
			}
		})
	}
}

func TestUploadsBeginWhereTheReaderStands(t *testing.T) {
	t.Parallel()
	c, got := receiver(t, breakOff)
	text := lines()
	r := strings.NewReader("header\n" + text)
	if _, err := r.Seek(7, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UploadBatch(t.Context(), r, client.BatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if got.Load() != text {
		t.Error("the second try did not begin where the first did")
	}
}

func TestUploadsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{ok(`{}`)}}
	_, err := dial(t, s).UploadBatch(t.Context(), strings.NewReader("x"), client.BatchOptions{Name: "a b", Priority: memory.PriorityBulk}, client.Gzipped(), client.IdempotencyKey("mine"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("POST /v1/batches?name=a+b&priority=bulk Idempotency-Key:mine x", s.sent(0, true)); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"} {
		if got := s.requests[0].Header.Get(name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
}

func TestDryRunsAreUploadsThatStoreNothing(t *testing.T) {
	t.Parallel()
	s := &script{answers: []answer{ok(`{"total":3,"valid":2,"rejected":1,"duplicates":0,"rejects":[{"index":1,"status":"rejected"}],"estimated_seconds":4}`)}}
	f, err := dial(t, s).TryBatch(t.Context(), strings.NewReader("x"), client.BatchOptions{Name: "n"}, client.CSV())
	if err != nil {
		t.Fatal(err)
	}
	want := client.Forecast{Total: 3, Valid: 2, Rejected: 1, Rejects: []memory.Item{{Index: 1, Status: memory.StatusRejected}}, Seconds: 4}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("POST /v1/batches?dry_run=true&name=n Idempotency-Key x", s.sent(0, false)); diff != "" {
		t.Error(diff)
	}
	if got := s.requests[0].Header.Get("Content-Type"); got != "text/csv" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestWaitForBatch(t *testing.T) {
	t.Parallel()
	state := func(s memory.BatchStatus) answer { return ok(fmt.Sprintf(`{"id":"bat_1","status":%q}`, s)) }
	t.Run("ReturnsTheFinalState", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []answer{state("queued"), {err: errCut}, state("processing"), state("paused"), state("completed_with_errors")}}
			var seen []memory.BatchStatus
			b, err := dial(t, s).WaitForBatch(t.Context(), "bat_1", func(b memory.Batch) { seen = append(seen, b.Status) })
			if err != nil || b.Status != memory.BatchCompletedWithErrors {
				t.Fatalf("%+v, %v", b, err)
			}
			want := []memory.BatchStatus{"queued", "processing", "paused", "completed_with_errors"}
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("OutlivesARestartOfTheServer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &script{answers: []answer{state("processing")}}
			for range 20 {
				s.answers = append(s.answers, answer{err: errRefused})
			}
			s.answers = append(s.answers, state("completed"))
			b, err := dial(t, s).WaitForBatch(t.Context(), "bat_1", nil)
			if err != nil || b.Status != memory.BatchCompleted {
				t.Fatalf("%+v, %v", b, err)
			}
		})
	})
	t.Run("GivesUpOnAServerThatStaysAway", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := &script{}
			for range 1000 {
				s.answers = append(s.answers, answer{err: errRefused})
			}
			start := time.Now()
			_, err := dial(t, s).WaitForBatch(t.Context(), "bat_1", nil)
			if waited := time.Since(start); !errors.Is(err, errRefused) || waited < 2*time.Minute || waited > 3*time.Minute {
				t.Errorf("after %v: %v", waited, err)
			}
		})
	})
	t.Run("EndsAtOnceWhereThereIsNoSuchBatch", func(t *testing.T) {
		t.Parallel()
		s := &script{answers: []answer{problem(404, memory.CodeNotFound)}}
		if _, err := dial(t, s).WaitForBatch(t.Context(), "bat_1", nil); memory.CodeOf(err) != memory.CodeNotFound {
			t.Error(err)
		}
	})
}
