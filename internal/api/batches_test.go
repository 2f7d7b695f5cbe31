package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/api"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const threeLines = `{"content":"a"}
{"content":""}
{"content":"b"}
`

func (r *rig) upload(tb testing.TB, target, body string, headers ...string) memory.Batch {
	tb.Helper()
	var b memory.Batch
	headers = append([]string{"Content-Type", "application/x-ndjson"}, headers...)
	r.call(tb, http.MethodPost, target, body, headers...).want(tb, http.StatusAccepted).into(tb, &b)
	return b
}

func TestUploads(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, threeLines)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		target, body string
		headers      []string
	}{
		"NDJSON":      {"/v1/batches?name=n&priority=normal", threeLines, []string{"Content-Type", "application/x-ndjson; charset=utf-8"}},
		"NDJSONGzip":  {"/v1/batches?name=n&priority=normal", zipped.String(), []string{"Content-Type", "application/x-ndjson", "Content-Encoding", "gzip"}},
		"JSON":        {"/v1/batches", `{"memories":[{"content":"a"},{"content":""},{"content":"b"}],"name":"n","priority":"normal"}`, nil},
		"CSV":         {"/v1/batches?name=n&priority=normal", "content,topic\na,x\n,y\nb,z\n", []string{"Content-Type", "text/csv"}},
		"JSONWithout": {"/v1/batches?name=n&priority=normal", `{"memories":[{"content":"a"},{"content":""},{"content":"b"}]}`, []string{"Content-Type", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b memory.Batch
			a := r.call(t, http.MethodPost, tc.target, tc.body, tc.headers...).want(t, http.StatusAccepted)
			a.into(t, &b)
			if a.Header.Get("Location") != "/v1/batches/"+b.ID || a.Header.Get("Retry-After") == "" {
				t.Errorf("headers %v", a.Header)
			}
			want := memory.Counts{Total: 3, Queued: 2, Rejected: 1}
			if b.Counts != want || b.Name != "n" || b.Priority != memory.PriorityNormal || b.Status != memory.BatchQueued || b.Track != memory.TrackDurable {
				t.Errorf("got %+v", b)
			}
			var again memory.Batch
			r.call(t, http.MethodGet, "/v1/batches/"+b.ID, "").want(t, http.StatusOK).into(t, &again)
			if diff := cmp.Diff(b, again); diff != "" {
				t.Errorf("read again, -want +got:\n%s", diff)
			}
			var items struct{ Items []memory.Item }
			r.call(t, http.MethodGet, "/v1/batches/"+b.ID+"/items?status=rejected", "").want(t, http.StatusOK).into(t, &items)
			if len(items.Items) != 1 || items.Items[0].Index != 1 || items.Items[0].Error == nil || items.Items[0].Pointer != "/content" {
				t.Errorf("rejected %+v", items)
			}
		})
	}
}

func TestADryRunMakesNoBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	var report struct{ Total, Valid, Rejected int }
	r.call(t, http.MethodPost, "/v1/batches?dry_run=true", threeLines, "Content-Type", "application/x-ndjson").want(t, http.StatusOK).into(t, &report)
	if report.Total != 3 || report.Valid != 2 || report.Rejected != 1 {
		t.Errorf("report %+v", report)
	}
	var l struct{ Items []memory.Batch }
	r.call(t, http.MethodGet, "/v1/batches", "").into(t, &l)
	if len(l.Items) != 0 {
		t.Errorf("there is %+v", l.Items)
	}
}

// TestAnUploadThatBreaksOff sends half of a body over a real connection and closes it.
func TestAnUploadThatBreaksOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	srv := listen(t, r)
	body, w := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/v1/batches", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", adminKey)
	req.Header.Set("Content-Type", "application/x-ndjson")
	go func() {
		_, _ = io.WriteString(w, strings.Repeat(threeLines, 100))
		w.CloseWithError(fmt.Errorf("the caller's process died"))
	}()
	if res, err := srv.Client().Do(req); err == nil {
		res.Body.Close()
		t.Errorf("answered %d", res.StatusCode)
	}
	counts, err := r.store.Batches().Count(t.Context(), workspace)
	if err != nil || len(counts) != 0 {
		t.Errorf("there are batches: %v, %v", counts, err)
	}
}

// TestAnUploadIsNotBuffered holds the whole way from the socket to the store to it that no more is read than a little
// ahead of what is stored.
func TestAnUploadIsNotBuffered(t *testing.T) {
	t.Parallel()
	line := []byte(`{"content":"` + strings.Repeat("x", 1_000) + "\"}\n")
	source := &endless{line: line, left: 10_000}
	ahead := &aheadOf{source: source, line: len(line)}
	r := newRig(t, options{})
	parts := r.parts
	in := r.newIntake(ahead.over(parts.Batches))
	parts.Intake, parts.Registry = in, nil
	a := api.New(parts, api.Config{})
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/batches", source)
	req.Header.Set("X-API-Key", adminKey)
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set(keyHeader, "k") // what hashes the body must not hold it either
	w := httptest.NewRecorder()
	a.ServeHTTP(w, req)
	if w.Code != http.StatusAccepted || ahead.most > 128<<10 || ahead.stored != 10_000 {
		t.Errorf("status %d, at most %d bytes ahead, %d stored: %s", w.Code, ahead.most, ahead.stored, w.Body)
	}
}

type endless struct {
	line, rest []byte
	left, read int
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.left == 0 {
			return 0, io.EOF
		}
		e.rest, e.left = e.line, e.left-1
	}
	n := copy(p, e.rest)
	e.rest, e.read = e.rest[n:], e.read+n
	return n, nil
}

// aheadOf measures how much was read that is not stored yet.
type aheadOf struct {
	store.Batches
	source       *endless
	line         int
	stored, most int
}

func (a *aheadOf) over(b store.Batches) *aheadOf { a.Batches = b; return a }

func (a *aheadOf) AddPage(ctx context.Context, p store.Page) error {
	a.stored += len(p.Entries)
	a.most = max(a.most, a.source.read-a.stored*a.line)
	return a.Batches.AddPage(ctx, p)
}

func TestItemsAsAStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	b := r.upload(t, "/v1/batches", strings.Repeat(threeLines, 400))
	a := r.call(t, http.MethodGet, "/v1/batches/"+b.ID+"/items?status=rejected&limit=1", "", "Accept", "application/x-ndjson").want(t, http.StatusOK)
	if a.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("it is %s", a.Header.Get("Content-Type"))
	}
	n := 0
	for s := bufio.NewScanner(bytes.NewReader(a.body)); s.Scan(); n++ {
		var it memory.Item
		if err := json.Unmarshal(s.Bytes(), &it); err != nil || it.Line != 3*n+2 || it.Status != memory.StatusRejected {
			t.Fatalf("line %d is %s: %v", n, s.Text(), err)
		}
	}
	if n != 400 {
		t.Errorf("%d of 400", n)
	}
	var page struct {
		Items []memory.Item
		Next  *string `json:"next_cursor"`
	}
	r.call(t, http.MethodGet, "/v1/batches/"+b.ID+"/items?status=rejected&status=queued&limit=2", "").into(t, &page)
	if len(page.Items) != 2 || page.Next == nil {
		t.Errorf("page %+v", page)
	}
}

func TestOrders(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	b := r.upload(t, "/v1/batches", threeLines)
	for _, step := range []struct {
		verb string
		then memory.BatchStatus
	}{{"pause", memory.BatchPaused}, {"resume", memory.BatchProcessing}, {"cancel", memory.BatchProcessing}} {
		var got memory.Batch
		r.call(t, http.MethodPost, "/v1/batches/"+b.ID+"/"+step.verb, "").want(t, http.StatusAccepted).into(t, &got)
		if got.ID != b.ID || got.Status != step.then {
			t.Errorf("%s: got %+v", step.verb, got)
		}
	}
	if diff := cmp.Diff([]string{"pause", "resume", "cancel"}, r.steered.orders); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r.steered.err = memory.Errorf(memory.CodeUnavailable, "the durable engine is away")
	r.call(t, http.MethodPost, "/v1/batches/"+b.ID+"/pause", "").want(t, http.StatusServiceUnavailable)
	r.call(t, http.MethodPost, "/v1/batches/"+b.ID+"/retry", "").want(t, http.StatusConflict)
	r.end(t, b.ID, memory.BatchCancelled)
	for _, verb := range []string{"pause", "resume", "cancel"} {
		r.call(t, http.MethodPost, "/v1/batches/"+b.ID+"/"+verb, "").want(t, http.StatusConflict)
	}
	r.call(t, http.MethodPost, "/v1/batches/"+b.ID+"/retry", "").want(t, http.StatusConflict) // nothing failed
}

// end ends a batch as the durable track does.
func (r *rig) end(tb testing.TB, id string, s memory.BatchStatus) {
	tb.Helper()
	if ok, err := r.store.BatchRuns().Finish(context.Background(), id, s, nil); err != nil || !ok {
		tb.Errorf("finished %v: %v", ok, err)
	}
}

func TestRetryingABatch(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	run(t, r.intake.Run)
	b := r.upload(t, "/v1/batches", threeLines)
	failed := memory.Item{Index: 0, Status: memory.StatusFailed, MemoryID: "mem_1", Version: 1, Error: &memory.Fault{Code: memory.CodeBadAnswer}}
	done := memory.Item{Index: 2, Status: memory.StatusCompleted, MemoryID: "mem_2", Version: 1}
	if err := r.store.BatchRuns().SetItems(t.Context(), b.ID, 0, []memory.Item{failed, done}); err != nil {
		t.Fatal(err)
	}
	r.end(t, b.ID, memory.BatchCompletedWithErrors)
	var got memory.Batch
	r.call(t, http.MethodPost, "/v1/batches/"+b.ID+"/retry", "").want(t, http.StatusAccepted).into(t, &got)
	if want := (memory.Counts{Total: 3, Queued: 1, Completed: 1, Rejected: 1}); got.Counts != want || got.Status != memory.BatchQueued {
		t.Errorf("got %+v", got)
	}
	ref, err := r.store.BatchRuns().Current(t.Context(), workspace, b.ID)
	if err != nil || ref.Run != 2 {
		t.Errorf("run %+v, %v", ref, err)
	}
}

func TestUndo(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	b := r.upload(t, "/v1/batches", threeLines)
	kept := r.post(t, `{"content":"not of the batch"}`)
	m := memory.Memory{ID: "mem_of_the_batch", Workspace: workspace, BatchID: b.ID, Status: memory.StatusQueued, Track: memory.TrackDurable, Content: "a", CreatedAt: memory.Now(), UpdatedAt: memory.Now()}
	if _, err := r.store.Memories().Put(t.Context(), []store.Intake{{Memory: m}}); err != nil {
		t.Fatal(err)
	}
	r.steered.on = func(ref store.BatchRef, _ string) { r.end(t, ref.ID, memory.BatchCancelled) }
	var got memory.Batch
	r.call(t, http.MethodPost, "/v1/batches/"+b.ID+"/cancel?undo=true", "").want(t, http.StatusOK).into(t, &got)
	if got.Status != memory.BatchCancelled {
		t.Errorf("it is %s", got.Status)
	}
	r.call(t, http.MethodGet, "/v1/memories/"+m.ID, "").want(t, http.StatusNotFound)
	r.call(t, http.MethodGet, "/v1/memories/"+kept, "").want(t, http.StatusOK)
	r.call(t, http.MethodPost, "/v1/batches/"+b.ID+"/cancel?undo=true", "").want(t, http.StatusOK) // again: nothing is left to do
	t.Run("SaysWhereItIsNotThroughYet", func(t *testing.T) {
		r := newRig(t, options{api: api.Config{UndoTime: time.Millisecond}})
		b := r.upload(t, "/v1/batches", threeLines) // the order is given, but its run goes on
		a := r.call(t, http.MethodPost, "/v1/batches/"+b.ID+"/cancel?undo=true", "").want(t, http.StatusAccepted)
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("headers %v", a.Header)
		}
	})
}

func TestETA(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	b := r.upload(t, "/v1/batches", strings.Repeat(`{"content":"x"}`+"\n", 4))
	if b.ETASeconds != nil {
		t.Errorf("before it began: %d s", *b.ETASeconds)
	}
	if _, err := r.store.BatchRuns().Advance(t.Context(), b.ID, memory.BatchProcessing); err != nil {
		t.Fatal(err)
	}
	if err := r.store.BatchRuns().SetItems(t.Context(), b.ID, 0, []memory.Item{{Index: 0, Status: memory.StatusCompleted}}); err != nil {
		t.Fatal(err)
	}
	r.call(t, http.MethodGet, "/v1/batches/"+b.ID, "").into(t, &b)
	if b.ETASeconds == nil || *b.ETASeconds < 0 || *b.ETASeconds > 60 {
		t.Errorf("got %v", b.ETASeconds)
	}
}
