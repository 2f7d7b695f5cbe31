package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/routing"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Spec is what a batch is told beside its memories.
type Spec struct {
	Name       string
	WebhookURL string
	Priority   memory.Priority
	DryRun     bool
}

// maxNameBytes bounds the name of a batch.
const maxNameBytes = 255

// Upload is a batch as it comes in.
type Upload struct {
	Workspace  string
	ResourceID string // the id that the batch gets; "": a new one
	Spec       Spec   // a JSON body may say other things: they win, but for DryRun, which stays true once it is
	Format     Format
	Gzip       bool
	Body       io.Reader
}

// Received is what became of an upload: a batch, or, for a dry run, what would have become of it.
type Received struct {
	Batch  memory.Batch
	Report *Report // of a dry run; else nil
}

// Batch stores an upload page by page as it arrives and then starts it. A memory that is not valid is stored as rejected
// and stops nothing. Where the body breaks off, cannot be read on or holds no memory at all, there is no batch: sending
// the same again, under the same id too, begins anew. After the last byte the batch is completed even if ctx ends.
func (in *Intake) Batch(ctx context.Context, u Upload) (Received, error) {
	if u.ResourceID == "" {
		u.ResourceID = id.New(id.Batch)
	}
	if err := in.checkSpec(ctx, &u.Spec); err != nil {
		return Received{}, err
	}
	p, err := in.receive(ctx, &u)
	if err != nil {
		return Received{}, err
	}
	if err := in.checkSpec(ctx, &u.Spec); err != nil { // a JSON body may have changed it
		return Received{}, err
	}
	if u.Spec.DryRun {
		return Received{Report: p.report.finish(in.cfg.Estimate)}, nil
	}
	if p.sealed != nil {
		return p.repeated()
	}
	b := p.batch
	b.Name, b.Priority, b.WebhookURL, b.Pages = u.Spec.Name, u.Spec.Priority, u.Spec.WebhookURL, p.pages
	sealed, err := in.seal(ctx, b)
	return Received{Batch: sealed}, err
}

// receive reads the upload to its end and stores it, unsealed.
func (in *Intake) receive(ctx context.Context, u *Upload) (*pager, error) {
	p := newPager(in, u)
	f, err := openFeed(u, in.cfg)
	if err != nil {
		return nil, err
	}
	if !u.Spec.DryRun {
		if err := p.begin(ctx); err != nil {
			return nil, err
		}
	}
	for {
		it, err := f.next()
		if err == io.EOF { //nolint:errorlint // feeds return it as it is
			break
		}
		if err != nil {
			return nil, err
		}
		if err := p.add(ctx, it); err != nil {
			return nil, err
		}
	}
	if p.items == 0 {
		return nil, at("memories", "there must be at least one")
	}
	return p, p.flush(ctx)
}

// begin begins the upload. That a batch of the id is sealed means that an earlier try of the same request got to the end of
// the upload, and died before it was answered: then this one is read and compared, and nothing is stored.
func (p *pager) begin(ctx context.Context) error {
	refused := p.in.parts.Batches.Create(ctx, p.batch)
	if memory.CodeOf(refused) != memory.CodeConflict {
		return refused
	}
	b, err := p.in.parts.Batches.Get(ctx, p.batch.Workspace, p.batch.ID)
	if err != nil {
		return refused
	}
	p.sealed = &b
	return nil
}

// repeated answers an upload whose batch an earlier try has sealed.
func (p *pager) repeated() (Received, error) {
	if p.items != p.sealed.Counts.Total {
		return Received{}, memory.Errorf(memory.CodeKeyReused, "an upload of %d memories was sent under this key before; this one has %d", p.sealed.Counts.Total, p.items)
	}
	return Received{Batch: *p.sealed}, nil
}

func (in *Intake) newBatch(u *Upload) memory.Batch {
	d := routing.Decide(routing.Request{Batch: true}, in.Load(), in.cfg.Policy)
	return memory.Batch{
		ID: u.ResourceID, Workspace: u.Workspace, Name: u.Spec.Name, Status: memory.BatchUploading, Track: d.Track, Reason: d.Reason,
		Priority: u.Spec.Priority, WebhookURL: u.Spec.WebhookURL, CreatedAt: memory.Now(),
	}
}

func (in *Intake) seal(ctx context.Context, b memory.Batch) (memory.Batch, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), in.cfg.WriteTimeout)
	defer cancel()
	sealed, err := in.parts.Batches.Seal(ctx, b)
	if err != nil {
		return memory.Batch{}, err
	}
	in.startBatch(store.BatchRef{Workspace: b.Workspace, ID: b.ID, Run: 1, Pages: b.Pages, Priority: b.Priority})
	return sealed, nil
}

// RetryBatch runs the failed items of a batch that is over again. CodeConflict where there are none.
func (in *Intake) RetryBatch(ctx context.Context, workspace, batchID string) (memory.Batch, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), in.cfg.WriteTimeout)
	defer cancel()
	ref, n, err := in.parts.BatchRuns.Reopen(ctx, workspace, batchID)
	switch {
	case err != nil:
		return memory.Batch{}, err
	case n == 0:
		return memory.Batch{}, memory.Errorf(memory.CodeConflict, "no item of the batch failed: there is nothing to retry")
	}
	in.startBatch(ref)
	return in.parts.Batches.Get(ctx, workspace, batchID)
}

func (in *Intake) checkSpec(ctx context.Context, s *Spec) error {
	var errs []error
	if len(s.Name) > maxNameBytes || !utf8.ValidString(s.Name) {
		errs = append(errs, at("name", fmt.Sprintf("must be valid UTF-8 of at most %d bytes", maxNameBytes)))
	}
	if !slices.Contains([]memory.Priority{"", memory.PriorityInteractive, memory.PriorityNormal, memory.PriorityBulk}, s.Priority) {
		errs = append(errs, at("priority", "must be one of interactive, normal, bulk"))
	}
	if err := memory.ValidURL("/webhook_url", s.WebhookURL); err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, in.checkURL(ctx, s.WebhookURL))
	}
	return errors.Join(errs...)
}

// A pager gathers items into pages and stores those, unless the run is dry.
type pager struct {
	in      *Intake
	spec    *Spec
	batch   memory.Batch
	entries []store.Entry
	items   int              // so far
	pages   int              // stored so far
	sealed  *memory.Batch    // what an earlier try has made; nil: nothing
	bytes   int              // of the entries that wait for their page, as they came
	urls    map[string]error // what the guard says, by URL
	report  tally
}

func newPager(in *Intake, u *Upload) *pager {
	p := &pager{in: in, spec: &u.Spec, batch: in.newBatch(u), urls: map[string]error{}}
	if u.Spec.DryRun || u.Format == JSON { // a JSON body may say so at its end
		p.report.seen = map[uint64]struct{}{}
	}
	return p
}

// urlsKnown bounds how many answers of the guard are kept during one upload.
const urlsKnown = 1_000

func (p *pager) add(ctx context.Context, it item) error {
	if it.err == nil {
		it.err = p.checkURL(ctx, it.input.WebhookURL)
	}
	e := store.Entry{Item: memory.Item{Index: p.items, Line: it.line, Status: memory.StatusQueued}}
	if it.err != nil {
		e.Item.Status = memory.StatusRejected
		e.Item.Error, e.Item.Pointer = rejection(it.err)
		e.Item.Sent = p.sent(it.raw)
	} else {
		e.Input = &it.input
	}
	p.report.add(e)
	p.entries = append(p.entries, e)
	p.items++
	p.bytes += len(it.raw)
	if len(p.entries) == store.PageSize || p.bytes >= pageBytes {
		return p.flush(ctx)
	}
	return nil
}

const (
	// pageBytes is about how much a page holds at most, since stores limit the size of a document.
	pageBytes = 8 << 20
	// longKept is how much is kept of a rejected line that is longer than is read.
	longKept = 1 << 10
)

// sent is what is kept of a rejected line: all of it, unless it is too long to be a memory.
func (p *pager) sent(raw []byte) *memory.Sent {
	if len(raw) <= p.in.cfg.MaxLineBytes {
		return memory.SentOf(raw)
	}
	raw = raw[:longKept]
	for len(raw) > longKept-utf8.UTFMax && !utf8.Valid(raw) { // it may end within a rune
		raw = raw[:len(raw)-1]
	}
	s := memory.SentOf(raw)
	s.Cut = true
	return s
}

func (p *pager) checkURL(ctx context.Context, url string) error {
	if err, known := p.urls[url]; known || url == "" {
		return err
	}
	if len(p.urls) == urlsKnown {
		clear(p.urls)
	}
	p.urls[url] = p.in.checkURL(ctx, url)
	return p.urls[url]
}

func (p *pager) flush(ctx context.Context) error {
	entries := p.entries
	p.entries, p.bytes = nil, 0 // the store may keep what it is given
	if len(entries) == 0 || p.spec.DryRun || p.sealed != nil {
		return nil
	}
	err := p.in.parts.Batches.AddPage(ctx, store.Page{
		Workspace: p.batch.Workspace, BatchID: p.batch.ID, Number: p.pages, Entries: entries,
	})
	p.pages++
	return err
}
