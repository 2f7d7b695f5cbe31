package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// BatchOptions are what can be said about a batch besides its memories; the zero value says nothing.
type BatchOptions struct {
	Name       string          `json:"name,omitempty"`
	WebhookURL string          `json:"webhook_url,omitempty"` // is told, signed with the workspace's secret, when the batch is over
	Priority   memory.Priority `json:"priority,omitempty"`    // default bulk
}

// SubmitBatch hands in memories that are at hand, all in one request. A memory that is not valid is counted rejected
// and does not fail the others. For many, or a file, see [Client.UploadBatch].
func (c *Client) SubmitBatch(ctx context.Context, memories []memory.Input, o BatchOptions, options ...CallOption) (memory.Batch, error) {
	in := struct {
		Memories []memory.Input `json:"memories"`
		BatchOptions
	}{memories, o}
	return post[memory.Batch](ctx, c, in, options, "batches")
}

// UploadBatch hands in memories as NDJSON, one a line, read from lines as it is sent: any number of them take no memory
// here or there. Nothing is processed before the upload is complete.
//
// An upload that broke off is sent again from the start where lines is an [io.Seeker], such as a file. With
// [IdempotencyKey] the caller can do that too, even after the process ended.
func (c *Client) UploadBatch(ctx context.Context, lines io.Reader, o BatchOptions, options ...CallOption) (memory.Batch, error) {
	return read[memory.Batch](ctx, c, upload(lines, o, options))
}

func upload(lines io.Reader, o BatchOptions, options []CallOption) *request {
	r := &request{
		method: http.MethodPost,
		path:   join([]string{"batches"}),
		query:  queryOf("name", o.Name, "webhook_url", o.WebhookURL, "priority", string(o.Priority)),
		stream: newStream(lines),
	}
	r.set("Content-Type", "application/x-ndjson")
	r.set("Expect", "100-continue") // a refusal comes before the upload, not after it
	r.makeRepeatable()
	return r.with(options)
}

// Gzipped says that an upload is compressed with gzip already.
func Gzipped() CallOption {
	return func(r *request) { r.set("Content-Encoding", "gzip") }
}

// CSV says that an upload is CSV, not NDJSON: the header row names the fields of a memory, such as content and
// external_id; every other column is metadata.
func CSV() CallOption {
	return func(r *request) { r.set("Content-Type", "text/csv") }
}

// Forecast says what would become of an upload.
type Forecast struct {
	Total      int           `json:"total"`
	Valid      int           `json:"valid"`
	Rejected   int           `json:"rejected"`
	Duplicates int           `json:"duplicates"` // valid ones whose external id came before in the same upload
	Rejects    []memory.Item `json:"rejects"`    // the first 100
	Tokens     int           `json:"estimated_tokens"`
	CostUSD    float64       `json:"estimated_cost_usd"`
	Seconds    int           `json:"estimated_seconds"`
}

// TryBatch is a dry run of [Client.UploadBatch]: nothing is stored.
func (c *Client) TryBatch(ctx context.Context, lines io.Reader, o BatchOptions, options ...CallOption) (Forecast, error) {
	r := upload(lines, o, options)
	r.query.Set("dry_run", "true")
	return read[Forecast](ctx, c, r)
}

// GetBatch returns a batch with its counts, which add up at every moment.
func (c *Client) GetBatch(ctx context.Context, id string) (memory.Batch, error) {
	return read[memory.Batch](ctx, c, get(nil, "batches", id))
}

// ListBatches goes through the batches of the workspace, newest first.
func (c *Client) ListBatches(ctx context.Context) iter.Seq2[memory.Batch, error] {
	return list[memory.Batch](ctx, c, nil, "batches")
}

// BatchItems goes through the items of a batch in the order of their lines: those of the statuses, or all where none is
// given.
func (c *Client) BatchItems(ctx context.Context, id string, statuses ...memory.Status) iter.Seq2[memory.Item, error] {
	q := url.Values{"limit": {"500"}}
	for _, s := range statuses {
		q.Add("status", string(s))
	}
	return list[memory.Item](ctx, c, q, "batches", id, "items")
}

// PauseBatch stops a batch from taking up more of its items.
func (c *Client) PauseBatch(ctx context.Context, id string) (memory.Batch, error) {
	return act[memory.Batch](ctx, c, "batches", id, "pause")
}

// ResumeBatch lets a paused batch go on.
func (c *Client) ResumeBatch(ctx context.Context, id string) (memory.Batch, error) {
	return act[memory.Batch](ctx, c, "batches", id, "resume")
}

// CancelBatch ends a batch: items that are not over become cancelled.
func (c *Client) CancelBatch(ctx context.Context, id string) (memory.Batch, error) {
	return act[memory.Batch](ctx, c, "batches", id, "cancel")
}

// UndoBatch ends a batch, if it is not over, and erases the memories that it wrote. Where there are many, one call does
// not erase them all: left says so, and the same call goes on.
func (c *Client) UndoBatch(ctx context.Context, id string) (b memory.Batch, left bool, err error) {
	r, err := send(http.MethodPost, nil, "batches", id, "cancel")
	if err != nil {
		return b, false, err
	}
	r.query = url.Values{"undo": {"true"}}
	r.repeatable = true // what is gone stays gone
	err = c.do(ctx, r, &b)
	return b, r.status == http.StatusAccepted, err
}

// RetryBatch runs the failed items of a batch again, each from its first unfinished step.
func (c *Client) RetryBatch(ctx context.Context, id string) (memory.Batch, error) {
	return act[memory.Batch](ctx, c, "batches", id, "retry")
}

const (
	pollFirst = 200 * time.Millisecond
	pollLast  = 2 * time.Second
	// absence is how long a server may be away, for a deploy, say, before a wait gives up.
	absence = 2 * time.Minute
)

// WaitForBatch returns the batch once it is over, whatever came of it; see its status. Each state seen on the way is
// given to watch, where that is not nil. A server that is away for a moment does not end the wait; ctx does.
func (c *Client) WaitForBatch(ctx context.Context, id string, watch func(memory.Batch)) (memory.Batch, error) {
	seen := time.Now()
	for pause := pollFirst; ; pause = min(pause*3/2, pollLast) {
		b, err := c.GetBatch(ctx, id)
		switch {
		case err == nil:
			seen = time.Now()
			if watch != nil {
				watch(b)
			}
			if b.Status.Final() {
				return b, nil
			}
		case ctx.Err() != nil || !passing(err) || time.Since(seen) > absence:
			return b, err
		}
		if err := sleep(ctx, pause); err != nil {
			return b, err
		}
	}
}
