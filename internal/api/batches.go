package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/intake"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func (a *API) batchRoutes() {
	serve(a, route{
		id: "create-batch", method: http.MethodPost, path: "/v1/batches", tag: "Batches", scope: store.ScopeWrite,
		status: http.StatusAccepted, creates: id.Batch, stream: true,
		summary: "Hand in many memories",
		about: "As one JSON object, or as a stream: NDJSON, a memory a line, or CSV, with a header row. `Content-Encoding: gzip` is taken for all of them. " +
			"A stream is stored as it arrives; if it breaks off, nothing of it is processed. A memory that is not valid is counted `rejected` and stops nothing. " +
			"In CSV, the columns `content`, `external_id`, `occurred_at`, `track`, `priority` and `webhook_url` are what they are called, the others are metadata.\n\n" +
			"What a JSON body says beside its memories, a stream says as query parameters. `dry_run` stores nothing and says what would become of it.",
		request: `{"name":"import","memories":[` + exampleInput + `]}`, answer: exampleBatch,
	}, a.createBatch)
	serve(a, route{
		id: "list-batches", method: http.MethodGet, path: "/v1/batches", tag: "Batches", scope: store.ScopeRead,
		summary: "List batches, newest first", answer: `{"items":[` + exampleBatch + `],"next_cursor":null}`,
	}, a.listBatches)
	serve(a, route{
		id: "get-batch", method: http.MethodGet, path: "/v1/batches/{id}", tag: "Batches", scope: store.ScopeRead,
		summary: "Read a batch", about: "Its counts add up to `total` at every moment.", answer: exampleBatch,
	}, a.getBatch)
	serve(a, route{
		id: "list-batch-items", method: http.MethodGet, path: "/v1/batches/{id}/items", tag: "Batches", scope: store.ScopeRead,
		summary: "List the items of a batch",
		about: "In the order of their lines. With `Accept: application/x-ndjson` all of them are streamed, one a line, whatever `limit` says: " +
			"`?status=rejected` gives the list of what to mend and send again, each with its line number, what is wrong with it, and `sent`: the line as it came.",
		answer: `{"items":[{"index":0,"line":1,"memory_id":"mem_01K5A0QZ5T8VJ4M3N2P1R0S9W7","version":1,"status":"completed"},` +
			`{"index":1,"line":2,"status":"rejected","error":{"code":"invalid","detail":"content must not be empty"},"pointer":"/content","sent":{"text":"{\"content\":\"\"}"}}],"next_cursor":null}`,
	}, a.listItems)
	a.batchActionRoutes()
}

func (a *API) batchActionRoutes() {
	action := func(verb, summary, about string, h func(context.Context, *batchActionInput) (*batchAnswer, error)) {
		serve(a, route{
			id: verb + "-batch", method: http.MethodPost, path: "/v1/batches/{id}/" + verb, tag: "Batches", scope: store.ScopeWrite,
			status: http.StatusAccepted, errors: []int{http.StatusConflict}, summary: summary, about: about, answer: exampleBatch,
		}, h)
	}
	action("pause", "Pause a batch", "No more of its items are begun; those at work are finished.", a.order("pause", memory.BatchPaused))
	action("resume", "Let a paused batch go on", "", a.order("resume", memory.BatchProcessing))
	action("retry", "Run the failed items of a batch again", "Each from its first unfinished step. For a batch that is over.", a.retryBatch)
	serve(a, route{
		id: "cancel-batch", method: http.MethodPost, path: "/v1/batches/{id}/cancel", tag: "Batches", scope: store.ScopeWrite,
		status: http.StatusAccepted, errors: []int{http.StatusConflict}, summary: "Cancel a batch",
		about: "Items that are not over become cancelled. With `undo=true` the memories that the batch wrote are erased as well, from every store: " +
			"200 when all are gone, 202 while there are some left; then the same request goes on.",
		answer: exampleBatch,
	}, a.cancelBatch)
	serve(a, route{
		id: "watch-batch", method: http.MethodGet, path: "/v1/batches/{id}/events", tag: "Batches", scope: store.ScopeRead,
		summary: "Watch a batch",
		about:   aboutEvents + "\n\n`batch`: the batch with its counts, at most twice a second. The last one has a final status.",
	}, a.watchBatch)
}

type createBatchInput struct {
	ContentType     string          `header:"Content-Type" hidden:"true"`
	ContentEncoding string          `header:"Content-Encoding" doc:"How the body is compressed: gzip, or not at all." example:"gzip"`
	Name            string          `query:"name" maxLength:"255" doc:"A name for people." example:"import"`
	WebhookURL      string          `query:"webhook_url" doc:"Where to report the end of the batch." example:"https://example.com/hook"`
	Priority        memory.Priority `query:"priority" enum:"interactive,normal,bulk" doc:"Its place among batches. Default bulk."`
	DryRun          bool            `query:"dry_run" doc:"Store nothing; say what would become of it."`
	body            io.Reader
}

// Resolve takes the body unread.
func (in *createBatchInput) Resolve(ctx huma.Context) []error {
	in.body = ctx.BodyReader()
	return nil
}

// batchAnswer is a batch, or the report of a dry run.
type batchAnswer struct {
	Status     int
	Location   string `header:"Location" doc:"Where to read the batch."`
	RetryAfter string `header:"Retry-After" doc:"When to look again, in seconds."`
	Body       any
}

func (a *API) createBatch(ctx context.Context, in *createBatchInput) (*batchAnswer, error) {
	format, err := formatOf(in.ContentType)
	if err != nil {
		return nil, err
	}
	gzip := strings.EqualFold(in.ContentEncoding, "gzip")
	if !gzip && in.ContentEncoding != "" && !strings.EqualFold(in.ContentEncoding, "identity") {
		return nil, memory.Errorf(memory.CodeUnsupported, "Content-Encoding %q is not taken here; gzip is", in.ContentEncoding)
	}
	got, err := a.parts.Intake.Batch(ctx, intake.Upload{
		Workspace: workspaceOf(ctx), ResourceID: resourceID(ctx), Format: format, Gzip: gzip, Body: in.body,
		Spec: intake.Spec{Name: in.Name, WebhookURL: in.WebhookURL, Priority: in.Priority, DryRun: in.DryRun},
	})
	switch {
	case err != nil:
		return nil, err
	case got.Report != nil:
		return &batchAnswer{Status: http.StatusOK, Body: got.Report}, nil
	}
	noteOf(ctx).batch = got.Batch.ID
	return acceptedBatch(got.Batch), nil
}

func acceptedBatch(b memory.Batch) *batchAnswer {
	return &batchAnswer{Status: http.StatusAccepted, Location: "/v1/batches/" + b.ID, RetryAfter: "1", Body: timed(b)}
}

// formatOf is how the body of a content type is written.
func formatOf(header string) (intake.Format, error) {
	t, _, err := mime.ParseMediaType(header)
	switch {
	case header == "", err == nil && t == "application/json":
		return intake.JSON, nil
	case err == nil && slices.Contains([]string{"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}, t):
		return intake.NDJSON, nil
	case err == nil && t == "text/csv":
		return intake.CSV, nil
	}
	return "", memory.Errorf(memory.CodeUnsupported, "send application/json, application/x-ndjson or text/csv, not %q", header)
}

// timed adds when the batch may be done, reckoning with the pace so far.
func timed(b memory.Batch) memory.Batch {
	done := b.Counts.Total - b.Counts.Rejected - b.Counts.Open()
	if b.ETASeconds != nil || b.Status != memory.BatchProcessing || b.StartedAt == nil || done <= 0 {
		return b
	}
	pace := time.Since(b.StartedAt.Time).Seconds() / float64(done)
	eta := int(math.Ceil(pace * float64(b.Counts.Open())))
	b.ETASeconds = &eta
	return b
}

// OfBatch names the batch that a request is about.
type OfBatch struct {
	ID string `path:"id" doc:"The batch's id." example:"bat_01K5A0R2M7C3X9D8F6G5H4J2K1"`
}

// batch reads the batch that a request is about.
func (a *API) batch(ctx context.Context, in *OfBatch) (memory.Batch, error) {
	noteOf(ctx).batch = in.ID
	return a.parts.Batches.Get(ctx, workspaceOf(ctx), in.ID)
}

func (a *API) getBatch(ctx context.Context, in *OfBatch) (*body[memory.Batch], error) {
	b, err := a.batch(ctx, in)
	return &body[memory.Batch]{timed(b)}, err
}

func (a *API) listBatches(ctx context.Context, in *Paging) (*body[List[memory.Batch]], error) {
	found, cursor, err := a.parts.Batches.List(ctx, workspaceOf(ctx), in.Limit, in.Cursor)
	for i := range found {
		found[i] = timed(found[i])
	}
	return listOf(found, cursor), err
}

type listItemsInput struct {
	OfBatch
	Paging
	Status []memory.Status `query:"status,explode" enum:"queued,processing,completed,degraded,failed,cancelled,rejected" doc:"Only those of the status; may be repeated."`
	Accept string          `header:"Accept" hidden:"true"`
}

const ndjson = "application/x-ndjson"

// listItems answers with a page, or with all items as a stream.
func (a *API) listItems(ctx context.Context, in *listItemsInput) (*huma.StreamResponse, error) {
	if _, err := a.batch(ctx, &in.OfBatch); err != nil {
		return nil, err
	}
	q := store.ItemQuery{Workspace: workspaceOf(ctx), BatchID: in.ID, Statuses: in.Status, Limit: in.Limit, Cursor: in.Cursor}
	all := strings.Contains(in.Accept, ndjson)
	if all {
		q.Limit = store.PageSize // few enough that whole pages of what was sent fit into memory
	}
	items, cursor, err := a.parts.Batches.Items(ctx, q) // the first page before the status line, so that errors have theirs
	if err != nil {
		return nil, err
	}
	if !all {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			hc.SetHeader("Content-Type", "application/json")
			_ = json.NewEncoder(hc.BodyWriter()).Encode(listOf(items, cursor).Body) // the caller may have left
		}}, nil
	}
	return stream(func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", ndjson)
		noteEnd(ctx, a.streamItems(ctx, w, q, items, cursor))
	}), nil
}

func (a *API) streamItems(ctx context.Context, w io.Writer, q store.ItemQuery, items []memory.Item, cursor string) error {
	enc := json.NewEncoder(w)
	for {
		for _, it := range items {
			if err := enc.Encode(it); err != nil {
				return err
			}
		}
		if cursor == "" {
			return nil
		}
		q.Cursor = cursor
		var err error
		if items, cursor, err = a.parts.Batches.Items(ctx, q); err != nil {
			panic(http.ErrAbortHandler) // the stream must not look whole
		}
	}
}

type batchActionInput struct {
	OfBatch
}

// order gives the run of a batch an order, and shows that it is obeyed as the status.
func (a *API) order(order string, then memory.BatchStatus) func(context.Context, *batchActionInput) (*batchAnswer, error) {
	return func(ctx context.Context, in *batchActionInput) (*batchAnswer, error) {
		b, err := a.give(ctx, &in.OfBatch, order)
		if err != nil {
			return nil, err
		}
		if _, err := a.parts.BatchRuns.Advance(ctx, b.ID, then); err != nil { // false: it ended meanwhile
			return nil, err
		}
		if b, err = a.parts.Batches.Get(ctx, b.Workspace, b.ID); err != nil {
			return nil, err
		}
		return acceptedBatch(b), nil
	}
}

func (a *API) give(ctx context.Context, in *OfBatch, order string) (memory.Batch, error) {
	b, err := a.batch(ctx, in)
	switch {
	case err != nil:
		return b, err
	case b.Status.Final():
		return b, memory.Errorf(memory.CodeConflict, "the batch is over: %s", b.Status)
	}
	ref, err := a.parts.BatchRuns.Current(ctx, b.Workspace, b.ID)
	if err != nil {
		return b, err
	}
	if err := a.parts.Steering.Control(ctx, ref, order); err != nil {
		return b, err
	}
	return b, nil
}

func (a *API) retryBatch(ctx context.Context, in *batchActionInput) (*batchAnswer, error) {
	noteOf(ctx).batch = in.ID
	b, err := a.parts.Intake.RetryBatch(ctx, workspaceOf(ctx), in.ID)
	if err != nil {
		return nil, err
	}
	return acceptedBatch(b), nil
}

type cancelBatchInput struct {
	OfBatch
	Undo bool `query:"undo" doc:"Also erase the memories that the batch wrote."`
}

func (a *API) cancelBatch(ctx context.Context, in *cancelBatchInput) (*batchAnswer, error) {
	b, err := a.batch(ctx, &in.OfBatch)
	if err != nil {
		return nil, err
	}
	if !b.Status.Final() || !in.Undo { // to undo, one that is over will do
		if b, err = a.give(ctx, &in.OfBatch, "cancel"); err != nil {
			return nil, err
		}
	}
	if !in.Undo {
		return acceptedBatch(b), nil
	}
	return a.undo(ctx, b)
}

// undo erases what the batch wrote, once its run is over, as far as one request may take.
func (a *API) undo(ctx context.Context, b memory.Batch) (*batchAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.UndoTime)
	defer cancel()
	err := a.follow(ctx, b.Workspace, b.ID, func() (more bool, err error) {
		b, err = a.parts.Batches.Get(ctx, b.Workspace, b.ID)
		return !b.Status.Final(), err
	})
	for more := b.Status.Final(); err == nil && ctx.Err() == nil; {
		if !more {
			answer := acceptedBatch(b)
			answer.Status, answer.RetryAfter = http.StatusOK, ""
			return answer, nil
		}
		more, err = a.parts.Intake.Undo(ctx, b.Workspace, b.ID, store.PageSize)
	}
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	return acceptedBatch(b), nil
}

type batchEventsInput struct {
	OfBatch
	Resuming
}

func (a *API) watchBatch(ctx context.Context, in *batchEventsInput) (*huma.StreamResponse, error) {
	b, err := a.batch(ctx, &in.OfBatch)
	if err != nil {
		return nil, err
	}
	seen := in.LastEventID
	if b.Status.Final() && seen == stateOfBatch(b) {
		return stream(func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }), nil
	}
	return stream(func(w http.ResponseWriter) {
		s := newSSE(w, a.cfg.Heartbeat)
		beat, sent := a.beats(s)
		noteEnd(ctx, a.follow(ctx, b.Workspace, b.ID, func() (bool, error) {
			b, err := a.parts.Batches.Get(ctx, b.Workspace, b.ID)
			if err != nil || seen == stateOfBatch(b) {
				return err == nil && !b.Status.Final(), cmpOr(err, beat)
			}
			seen = stateOfBatch(b)
			sent()
			if err := s.send(seen, "batch", timed(b)); err != nil || b.Status.Final() {
				return false, err
			}
			return true, pause(ctx, a.cfg.ProgressInterval)
		}))
	}), nil
}

// stateOfBatch is the id of the event that shows the batch as it is.
func stateOfBatch(b memory.Batch) string {
	c := b.Counts
	return fmt.Sprintf("%s:%d,%d,%d,%d,%d,%d,%d,%d", b.Status, c.Total, c.Queued, c.Processing, c.Completed, c.Degraded, c.Failed, c.Cancelled, c.Rejected)
}

func cmpOr(err error, otherwise func() error) error {
	if err != nil {
		return err
	}
	return otherwise()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
