package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// progress shows how an upload or a batch gets on: a bar on a terminal, which each state writes over, and plain lines
// elsewhere, where the status changes and every so often.
type progress struct {
	*console
	quiet bool

	mu     sync.Mutex // an upload is read by another goroutine, which may be at it still when the upload is over
	over   bool
	drawn  bool      // a bar stands on the terminal
	sent   int64     // what upload was told last
	told   time.Time // when something was shown last
	status memory.BatchStatus
	began  time.Time // of the rate
	base   int       // how many were done then
}

const (
	redraw    = 100 * time.Millisecond // an upload's bar at most this often
	lineEvery = 5 * time.Second        // a plain line at least this far from the last
)

func (r *remote) newProgress() *progress {
	return &progress{console: r.console, quiet: r.json && !r.live}
}

// upload shows that so many bytes were sent.
func (p *progress) upload(at, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || !p.live || size == 0 || p.drawn && at == p.sent || at < size && p.now().Sub(p.told) < redraw {
		return
	}
	p.told, p.sent = p.now(), at
	p.draw(fmt.Sprintf("uploading  %s %s of %s", bar(float64(at)/float64(size)), bytesText(at), bytesText(size)))
}

// batch shows the state of a batch.
func (p *progress) batch(b memory.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := b.Counts.Total - b.Counts.Open()
	if p.began.IsZero() {
		p.began, p.base = p.now(), done
	}
	text := p.figures(b, done)
	switch {
	case p.live:
		p.draw(fmt.Sprintf("%-10s %s %s", label(b.Status), bar(share(done, b.Counts.Total)), text))
	case !p.quiet && (b.Status != p.status || p.now().Sub(p.told) >= lineEvery):
		p.told = p.now()
		fmt.Fprintf(p.err, "%s %s: %s\n", b.ID, b.Status, text)
	}
	p.status = b.Status
}

// label fits in front of a bar.
func label(s memory.BatchStatus) string {
	if s.Final() {
		return "finished"
	}
	return string(s)
}

// figures says in words how far a batch is, how fast it goes, how long it will take, and what went wrong.
func (p *progress) figures(b memory.Batch, done int) string {
	parts := []string{fmt.Sprintf("%d/%d", done, b.Counts.Total)}
	if seconds := p.now().Sub(p.began).Seconds(); seconds > 0 && done > p.base {
		parts = append(parts, fmt.Sprintf("%.3g/s", float64(done-p.base)/seconds))
	}
	if b.ETASeconds != nil && !b.Status.Final() {
		parts = append(parts, "ETA "+duration(time.Duration(*b.ETASeconds)*time.Second))
	}
	if wrong := b.Counts.Failed + b.Counts.Rejected + b.Counts.Degraded; wrong > 0 {
		parts = append(parts, fmt.Sprintf("%d with errors", wrong))
	}
	return strings.Join(parts, ", ")
}

// draw writes a line over the one before.
func (p *progress) draw(line string) {
	p.drawn = true
	fmt.Fprint(p.err, "\r\x1b[K"+cut(line, p.width-1))
}

// end leaves the last state on the terminal and begins a new line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn && !p.over {
		fmt.Fprintln(p.err)
	}
	p.over = true
}

const barWidth = 20

func bar(share float64) string {
	n := min(barWidth, int(share*barWidth))
	return "[" + strings.Repeat("=", n) + strings.Repeat(" ", barWidth-n) + fmt.Sprintf("] %3.0f %%", share*100)
}

func share(done, total int) float64 {
	if total == 0 {
		return 0
	}
	return float64(done) / float64(total)
}

func bytesText(n int64) string {
	const k = 1000
	switch {
	case n >= k*k*k:
		return fmt.Sprintf("%.1f GB", float64(n)/(k*k*k))
	case n >= k*k:
		return fmt.Sprintf("%.1f MB", float64(n)/(k*k))
	case n >= k:
		return fmt.Sprintf("%.0f kB", float64(n)/k)
	}
	return fmt.Sprintf("%d bytes", n)
}
