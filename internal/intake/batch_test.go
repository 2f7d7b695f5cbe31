package intake_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// rig is an intake over fakes.
type rig struct {
	*intake.Intake
	memories *memories
	runs     *runs
	batches  *batches
	realtime *realtime
	durable  *durable
	guard    *guard
}

func newRig(cfg intake.Config) rig {
	r := rig{
		memories: &memories{kind: store.Created}, runs: &runs{}, batches: &batches{},
		realtime: &realtime{}, durable: newDurable(), guard: &guard{forbidden: "http://10.0.0.1/"},
	}
	r.realtime.load.Limit = 10
	r.Intake = intake.New(intake.Parts{
		Memories: r.memories, Runs: r.runs, Batches: r.batches, Erasures: &erasures{}, Realtime: r.realtime, Durable: r.durable, Guard: r.guard,
	}, cfg)
	return r
}

// line is what the tests compare of an entry.
type line struct {
	Index, Line int
	Content     string
	Code        memory.Code
	Pointer     string
}

func lines(entries []store.Entry) []line {
	var out []line
	for _, e := range entries {
		l := line{Index: e.Item.Index, Line: e.Item.Line, Pointer: e.Item.Pointer}
		if e.Item.Error != nil {
			l.Code = e.Item.Error.Code
		}
		if e.Input != nil {
			l.Content = e.Input.Content
		}
		if (e.Input == nil) != (e.Item.Status == memory.StatusRejected) {
			l.Content = "an entry is rejected or has an input, not " + string(e.Item.Status)
		}
		out = append(out, l)
	}
	return out
}

func TestUploads(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		format intake.Format
		body   string
		want   []line
	}{
		"NDJSONCountsLinesAndSkipsBlankOnes": {intake.NDJSON, "\ufeff" + `{"content":"a"}` + "\r\n\n  \n" + `{"content":"b"}`,
			[]line{{0, 1, "a", "", ""}, {1, 4, "b", "", ""}}},
		"NDJSONRejectsEachBadLineWithItsReason": {intake.NDJSON, `{"content":""}
not json
{"content":"ok","topic":"x"}
{"content":5}
{"metadata":{"a":{}},"content":"x"}
[1]
null
{"content":"x","track":"fast"}
{"content":"x","Content":"y"}
{"content":"` + "\xff" + `"}
{"content":"x","webhook_url":"http://10.0.0.1/"}
{"content":"x","metadata":{"a/b":[]}}
`, []line{
			{0, 1, "", memory.CodeInvalid, "/content"},
			{1, 2, "", memory.CodeMalformed, ""},
			{2, 3, "", memory.CodeInvalid, "/topic"},
			{3, 4, "", memory.CodeInvalid, "/content"},
			{4, 5, "", memory.CodeInvalid, "/metadata/a"},
			{5, 6, "", memory.CodeInvalid, ""},
			{6, 7, "", memory.CodeInvalid, ""},
			{7, 8, "", memory.CodeInvalid, "/track"},
			{8, 9, "", memory.CodeInvalid, "/Content"},
			{9, 10, "", memory.CodeMalformed, ""},
			{10, 11, "", memory.CodeForbiddenURL, "/webhook_url"},
			{11, 12, "", memory.CodeInvalid, "/metadata/a~1b"},
		}},
		"NDJSONRejectsALineThatIsTooLongAndGoesOn": {intake.NDJSON,
			`{"content":"` + strings.Repeat("x", 200_000) + "\"}\n" + `{"content":"b"}`,
			[]line{{0, 1, "", memory.CodeTooLarge, ""}, {1, 2, "b", "", ""}}},
		"JSONTakesItsMembersInAnyOrder": {intake.JSON, `{"name":"n","memories":[{"content":"a"},{"content":""}],"priority":"normal"}`,
			[]line{{0, 0, "a", "", ""}, {1, 0, "", memory.CodeInvalid, "/content"}}},
		"CSVTakesOtherColumnsForMetadata": {intake.CSV, "content,external_id,topic\n\"a\nb\",1,x\nc,2,\nd,3\n,4,y\n",
			[]line{{0, 2, "a\nb", "", ""}, {1, 4, "c", "", ""}, {2, 5, "", memory.CodeInvalid, ""}, {3, 6, "", memory.CodeInvalid, "/content"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(intake.Config{MaxLineBytes: 100_000})
			got, err := r.Batch(t.Context(), intake.Upload{Workspace: "w", ResourceID: "bat_1", Format: tc.format, Body: strings.NewReader(tc.body)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lines(r.batches.entries())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got.Batch.ID != "bat_1" || got.Batch.Pages != 1 || len(r.batches.sealed) != 1 {
				t.Errorf("got %+v, sealed %d", got.Batch, len(r.batches.sealed))
			}
		})
	}
}

func TestUploadsThatAreNoBatch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		upload  intake.Upload
		code    memory.Code
		pointer string
	}{
		"NothingInNDJSON":      {intake.Upload{Format: intake.NDJSON, Body: strings.NewReader("\n\n")}, memory.CodeInvalid, "/memories"},
		"NothingInJSON":        {intake.Upload{Format: intake.JSON, Body: strings.NewReader(`{"memories":[]}`)}, memory.CodeInvalid, "/memories"},
		"NoList":               {intake.Upload{Format: intake.JSON, Body: strings.NewReader(`{}`)}, memory.CodeInvalid, "/memories"},
		"NoBody":               {intake.Upload{Format: intake.JSON, Body: strings.NewReader("")}, memory.CodeMalformed, ""},
		"NotJSON":              {intake.Upload{Format: intake.JSON, Body: strings.NewReader("{nope")}, memory.CodeMalformed, ""},
		"CutJSON":              {intake.Upload{Format: intake.JSON, Body: strings.NewReader(`{"memories":[{"content":"a"},`)}, memory.CodeMalformed, ""},
		"AListOnly":            {intake.Upload{Format: intake.JSON, Body: strings.NewReader(`[{"content":"a"}]`)}, memory.CodeInvalid, ""},
		"MoreAfterTheEnd":      {intake.Upload{Format: intake.JSON, Body: strings.NewReader(`{"memories":[{"content":"a"}]} {}`)}, memory.CodeMalformed, ""},
		"MemoriesTwice":        {intake.Upload{Format: intake.JSON, Body: strings.NewReader(`{"memories":[{"content":"a"}],"memories":[]}`)}, memory.CodeInvalid, "/memories"},
		"MemoriesNoList":       {intake.Upload{Format: intake.JSON, Body: strings.NewReader(`{"memories":{}}`)}, memory.CodeInvalid, ""},
		"UnknownMember":        {intake.Upload{Format: intake.JSON, Body: strings.NewReader(`{"memories":[{"content":"a"}],"nmae":"x"}`)}, memory.CodeInvalid, "/nmae"},
		"WrongType":            {intake.Upload{Format: intake.JSON, Body: strings.NewReader(`{"memories":[{"content":"a"}],"dry_run":"yes"}`)}, memory.CodeInvalid, "/dry_run"},
		"LateForbiddenURL":     {intake.Upload{Format: intake.JSON, Body: strings.NewReader(`{"memories":[{"content":"a"}],"webhook_url":"http://10.0.0.1/"}`)}, memory.CodeForbiddenURL, "/webhook_url"},
		"ForbiddenURL":         {intake.Upload{Format: intake.NDJSON, Body: strings.NewReader(`{"content":"a"}`), Spec: intake.Spec{WebhookURL: "http://10.0.0.1/"}}, memory.CodeForbiddenURL, "/webhook_url"},
		"URLWithoutAHost":      {intake.Upload{Format: intake.NDJSON, Body: strings.NewReader(`{"content":"a"}`), Spec: intake.Spec{WebhookURL: "//x"}}, memory.CodeInvalid, "/webhook_url"},
		"UnknownPriority":      {intake.Upload{Format: intake.NDJSON, Body: strings.NewReader(`{"content":"a"}`), Spec: intake.Spec{Priority: "high"}}, memory.CodeInvalid, "/priority"},
		"LongName":             {intake.Upload{Format: intake.NDJSON, Body: strings.NewReader(`{"content":"a"}`), Spec: intake.Spec{Name: strings.Repeat("n", 256)}}, memory.CodeInvalid, "/name"},
		"NotGzip":              {intake.Upload{Format: intake.NDJSON, Gzip: true, Body: strings.NewReader(`{"content":"a"}`)}, memory.CodeMalformed, ""},
		"CutGzip":              {intake.Upload{Format: intake.NDJSON, Gzip: true, Body: bytes.NewReader(zip(t, `{"content":"a"}`+"\n")[:20])}, memory.CodeMalformed, ""},
		"BrokenOff":            {intake.Upload{Format: intake.NDJSON, Body: io.MultiReader(strings.NewReader(`{"content":"a"}`+"\n"), failing{})}, memory.CodeMalformed, ""},
		"OverTheLimit":         {intake.Upload{Format: intake.NDJSON, Body: strings.NewReader(strings.Repeat(`{"content":"a"}`+"\n", 1000))}, memory.CodeTooLarge, ""},
		"OverTheLimitUnpacked": {intake.Upload{Format: intake.NDJSON, Gzip: true, Body: bytes.NewReader(zip(t, strings.Repeat(`{"content":"a"}`+"\n", 1000)))}, memory.CodeTooLarge, ""},
		"NoHeader":             {intake.Upload{Format: intake.CSV, Body: strings.NewReader("")}, memory.CodeInvalid, ""},
		"NoContentColumn":      {intake.Upload{Format: intake.CSV, Body: strings.NewReader("a,b\n1,2\n")}, memory.CodeInvalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(intake.Config{MaxUploadBytes: 10_000})
			_, err := r.Batch(t.Context(), tc.upload)
			var e *memory.Error
			if !errors.As(err, &e) || e.Code != tc.code || e.Pointer != tc.pointer {
				t.Errorf("got %v, want %s at %q", err, tc.code, tc.pointer)
			}
			if len(r.batches.sealed) != 0 {
				t.Error("it was sealed all the same")
			}
		})
	}
}

func TestOneElementWithoutEndIsNotBuffered(t *testing.T) {
	t.Parallel()
	r := newRig(intake.Config{})
	endless := &counted{r: io.MultiReader(strings.NewReader(`{"memories":[{"content":"`), endless{})}
	_, err := r.Batch(t.Context(), intake.Upload{Format: intake.JSON, Body: endless})
	if memory.CodeOf(err) != memory.CodeTooLarge || endless.n > 10<<20 {
		t.Errorf("got %v after %d bytes", err, endless.n)
	}
}

func TestABatchIsStartedWhenItIsSealed(t *testing.T) {
	t.Parallel()
	r := newRig(intake.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	body := `{"memories":[{"content":"a"}],"name":"late","priority":"normal","webhook_url":"https://example.com/"}`
	got, err := r.Batch(t.Context(), intake.Upload{Workspace: "w", Format: intake.JSON, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	want := store.BatchRef{Workspace: "w", ID: got.Batch.ID, Run: 1, Pages: 1, Priority: memory.PriorityNormal}
	if ref := <-r.durable.batches; ref != want {
		t.Errorf("started %+v, want %+v", ref, want)
	}
	if b := r.batches.sealed[0]; b.Name != "late" || b.WebhookURL != "https://example.com/" {
		t.Errorf("sealed %+v: what the body named last is lost", b)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAnUploadIsStoredAsItArrives(t *testing.T) {
	t.Parallel()
	const n = 20_000
	content := strings.Repeat("x", 1_000)
	source := &generated{left: n, line: fmt.Appendf(nil, "{\"content\":%q}\n", content)}
	r := newRig(intake.Config{})
	stored := 0
	r.batches.onPage = func(p store.Page) error {
		stored += len(p.Entries)
		if ahead := source.given - stored*len(source.line); ahead > 128<<10 {
			return fmt.Errorf("%d bytes were read ahead of what is stored", ahead)
		}
		return nil
	}
	if _, err := r.Batch(t.Context(), intake.Upload{Format: intake.NDJSON, Body: source}); err != nil {
		t.Fatal(err)
	}
	if stored != n {
		t.Errorf("stored %d of %d", stored, n)
	}
}

func TestPagesAreFullAndNumbered(t *testing.T) {
	t.Parallel()
	r := newRig(intake.Config{})
	if _, err := r.Batch(t.Context(), intake.Upload{Format: intake.NDJSON, Body: &generated{left: 2*store.PageSize + 1, line: []byte("{\"content\":\"a\"}\n")}}); err != nil {
		t.Fatal(err)
	}
	var got [][2]int
	for _, p := range r.batches.pages {
		got = append(got, [2]int{p.Number, len(p.Entries)})
	}
	if diff := cmp.Diff([][2]int{{0, store.PageSize}, {1, store.PageSize}, {2, 1}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if r.batches.sealed[0].Pages != 3 {
		t.Errorf("sealed with %d pages", r.batches.sealed[0].Pages)
	}
}

func TestPagesOfLongItemsAreShort(t *testing.T) {
	t.Parallel()
	r := newRig(intake.Config{})
	line := []byte(`{"content":1,"x":"` + strings.Repeat("x", 1_000_000) + "\"}\n")
	if _, err := r.Batch(t.Context(), intake.Upload{Format: intake.NDJSON, Body: &generated{left: 20, line: line}}); err != nil {
		t.Fatal(err)
	}
	if len(r.batches.entries()) != 20 {
		t.Fatalf("stored %d items", len(r.batches.entries()))
	}
	for _, p := range r.batches.pages {
		if len(p.Entries) > 9 {
			t.Errorf("page %d has %d items of a megabyte", p.Number, len(p.Entries))
		}
	}
}

// TestWhatWasRejectedIsKeptAsItCame is what lets people mend lines and send them again.
func TestWhatWasRejectedIsKeptAsItCame(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		format intake.Format
		body   string
		want   []string // of the rejected ones
		cut    bool
	}{
		"NDJSON":       {intake.NDJSON, "{\"content\":\"ok\"}\n  {\"content\": 5, \"a\":  1}\r\n\nnot json", []string{`{"content": 5, "a":  1}`, "not json"}, false},
		"NotUTF8":      {intake.NDJSON, "{\"content\":\"caf\xe9\"}\n", []string{"{\"content\":\"caf\xe9\"}"}, false},
		"TooLong":      {intake.NDJSON, "\"" + strings.Repeat("é", 100_000) + "\"\n{\"content\":\"ok\"}", []string{"\"" + strings.Repeat("é", 511)}, true},
		"ForbiddenURL": {intake.NDJSON, `{"content":"x","webhook_url":"http://10.0.0.1/"}`, []string{`{"content":"x","webhook_url":"http://10.0.0.1/"}`}, false},
		"JSON":         {intake.JSON, `{"memories":[{"content":"ok"}, {"content": ""} ,7],"name":"n"}`, []string{`{"content": ""}`, "7"}, false},
		"CSV": {intake.CSV, "content,topic\r\nok,x\r\n\r\n\"two\nlines\",\"a \"\"b\"\"\",3\r\nshort\r\nbare \" quote,x\r\n,\"empty\"\r\n\"open,x",
			[]string{"\"two\nlines\",\"a \"\"b\"\"\",3", "short", "bare \" quote,x", ",\"empty\"", "\"open,x"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(intake.Config{MaxLineBytes: 100_000})
			if _, err := r.Batch(t.Context(), intake.Upload{Format: tc.format, Body: strings.NewReader(tc.body)}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range r.batches.entries() {
				if (e.Item.Sent != nil) != (e.Item.Status == memory.StatusRejected) {
					t.Errorf("an item is %s and %v was kept", e.Item.Status, e.Item.Sent)
				}
				if e.Item.Sent != nil {
					got = append(got, string(e.Item.Sent.Raw()))
					if e.Item.Sent.Cut != tc.cut {
						t.Errorf("%q is cut: %v", e.Item.Sent.Raw(), e.Item.Sent.Cut)
					}
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTheGuardIsAskedOnceAURL(t *testing.T) {
	t.Parallel()
	r := newRig(intake.Config{})
	body := &generated{left: 500, line: []byte(`{"content":"a","webhook_url":"https://example.com/"}` + "\n")}
	if _, err := r.Batch(t.Context(), intake.Upload{Format: intake.NDJSON, Body: body}); err != nil {
		t.Fatal(err)
	}
	if len(r.guard.asked) != 1 {
		t.Errorf("asked %d times", len(r.guard.asked))
	}
}

func TestADryRunStoresNothing(t *testing.T) {
	t.Parallel()
	const rows = `{"content":"abcd","external_id":"1"}
{"content":"","external_id":"2"}
{"content":"abcd","external_id":"1"}
`
	for name, u := range map[string]intake.Upload{
		"NDJSON": {Format: intake.NDJSON, Spec: intake.Spec{DryRun: true}, Body: strings.NewReader(rows)},
		"JSONThatSaysOtherwise": {Format: intake.JSON, Spec: intake.Spec{DryRun: true}, Body: strings.NewReader(
			`{"dry_run":false,"memories":[` + strings.ReplaceAll(strings.TrimSpace(rows), "\n", ",") + `]}`)},
		"JSON": {Format: intake.JSON, Body: strings.NewReader(
			`{"memories":[` + strings.ReplaceAll(strings.TrimSpace(rows), "\n", ",") + `],"dry_run":true}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(intake.Config{Estimate: intake.Estimate{TokensPerMemory: 100, USDPerMillionTokens: 1e6}})
			got, err := r.Batch(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			rep := got.Report
			if rep == nil || rep.Total != 3 || rep.Valid != 2 || rep.Rejected != 1 || rep.Duplicates != 1 || len(rep.Rejects) != 1 {
				t.Fatalf("got %+v", rep)
			}
			if rep.Tokens != 206 || rep.CostUSD != 206 || rep.Seconds != 1 {
				t.Errorf("estimates %d tokens, %g USD, %d s", rep.Tokens, rep.CostUSD, rep.Seconds)
			}
			if len(r.batches.sealed) != 0 {
				t.Error("it was sealed")
			}
		})
	}
}

// TestARepeatedUpload sends an upload again whose first try was stored and not answered: the process died in between.
func TestARepeatedUpload(t *testing.T) {
	t.Parallel()
	send := func(r rig, workspace, body string) (intake.Received, error) {
		return r.Batch(t.Context(), intake.Upload{Workspace: workspace, ResourceID: "bat_1", Format: intake.NDJSON, Body: strings.NewReader(body)})
	}
	const body = "{\"content\":\"a\"}\n{}\n"
	r := newRig(intake.Config{})
	if _, err := send(r, "w", body); err != nil {
		t.Fatal(err)
	}
	got, err := send(r, "w", body)
	if err != nil || got.Batch.ID != "bat_1" || len(r.batches.sealed) != 1 || len(r.batches.created) != 1 {
		t.Errorf("got %+v, %v; %d were sealed", got.Batch, err, len(r.batches.sealed))
	}
	if _, err := send(r, "w", body+body); memory.CodeOf(err) != memory.CodeKeyReused {
		t.Errorf("another upload under the same id: %v", err)
	}
	if _, err := send(r, "other", body); memory.CodeOf(err) != memory.CodeConflict {
		t.Errorf("in another workspace: %v", err)
	}
}

func TestRetryBatch(t *testing.T) {
	t.Parallel()
	b := &batches{}
	d := newDurable()
	in := intake.New(intake.Parts{Batches: b, BatchRuns: batchRuns{}, Durable: d}, intake.Config{})
	if _, err := in.RetryBatch(t.Context(), "w", "bat_1"); memory.CodeOf(err) != memory.CodeConflict {
		t.Errorf("got %v where nothing failed", err)
	}
}

// FuzzUpload holds every format to it that an upload, whatever it is, is refused or taken whole: no panic, entries
// numbered without a gap, each of them valid or rejected with a reason.
func FuzzUpload(f *testing.F) {
	for _, s := range []string{
		"{\"content\":\"a\"}\n{}\n", `{"memories":[{"content":"a"},5],"name":"n"}`, "content,topic\n\"a\",b\n", "{\"content\":\"a\",\"metadata\":{\"k\":1e400}}",
		`{"memories":[{"content":"\ud800","occurred_at":"2024-01-01T00:00:00Z"}]}`, "content\n\"", "\x1f\x8b\x08",
	} {
		for i := range 3 {
			f.Add([]byte(s), i, false)
			f.Add([]byte(s), i, true)
		}
	}
	formats := []intake.Format{intake.JSON, intake.NDJSON, intake.CSV}
	f.Fuzz(func(t *testing.T, body []byte, format int, packed bool) {
		r := newRig(intake.Config{MaxLineBytes: 1000, MaxUploadBytes: 100_000})
		u := intake.Upload{Format: formats[uint(format)%3], Gzip: packed, Body: bytes.NewReader(body)}
		if packed && !bytes.HasPrefix(body, []byte("\x1f\x8b")) {
			u.Body = bytes.NewReader(zip(t, string(body)))
		}
		_, err := r.Batch(t.Context(), u)
		if err != nil {
			if memory.CodeOf(err) == memory.CodeInternal {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		for i, e := range r.batches.entries() {
			if e.Item.Index != i {
				t.Fatalf("entry %d has index %d", i, e.Item.Index)
			}
			if e.Input == nil && (e.Item.Error == nil || e.Item.Error.Code == "" || e.Item.Error.Detail == "") {
				t.Fatalf("entry %d is rejected without a reason", i)
			}
			if e.Input != nil && e.Input.Validate() != nil {
				t.Fatalf("entry %d is not valid: %v", i, e.Input.Validate())
			}
		}
	})
}

func zip(tb testing.TB, s string) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write([]byte(s)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// generated gives the same line again and again.
type generated struct {
	line  []byte
	left  int
	rest  []byte
	given int
}

func (g *generated) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		if g.left == 0 {
			return 0, io.EOF
		}
		g.rest, g.left = g.line, g.left-1
	}
	n := copy(p, g.rest)
	g.rest, g.given = g.rest[n:], g.given+n
	return n, nil
}
