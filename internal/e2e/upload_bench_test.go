//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

var uploadLines = flag.Int("lines", 1_000_000, "how many lines BenchmarkUpload sends")

// BenchmarkUpload sends a huge file and tells by how much the server's memory grew from its start to its highest.
func BenchmarkUpload(b *testing.B) {
	texts, err := Book("../..")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p := &Process{Binary: binary, Data: b.TempDir()}
		if err := p.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		before := status(b, p, "VmRSS")
		start := time.Now()
		got, err := p.Client().UploadBatch(b.Context(), lines(b.Context(), texts, *uploadLines), client.BatchOptions{Name: "huge"})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(got.Counts.Total)/time.Since(start).Seconds(), "lines/s")
		b.ReportMetric(float64(status(b, p, "VmHWM")-before)/1024, "MB-grown")
		if err := p.Kill(); err != nil {
			b.Fatal(err)
		}
	}
}

// lines streams n memories made of the texts.
func lines(ctx context.Context, texts []string, n int) io.Reader {
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { _ = w.CloseWithError(ctx.Err()) })
	go func() {
		buffered := bufio.NewWriter(w)
		enc := json.NewEncoder(buffered)
		for i := range n {
			text := texts[i%len(texts)]
			text = strings.ToValidUTF8(text[:min(100, len(text))], "")
			if err := enc.Encode(memory.Input{Content: fmt.Sprint(text, " ", i)}); err != nil {
				return // the reader has left
			}
		}
		_ = w.CloseWithError(buffered.Flush())
	}()
	return r
}

// status reads a figure in kB of what Linux says of the process.
func status(tb testing.TB, p *Process, name string) int {
	tb.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		tb.Skip("memory is read from /proc, which this system does not have:", err)
	}
	for line := range bytes.Lines(raw) {
		if rest, ok := strings.CutPrefix(string(line), name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				tb.Fatal(err)
			}
			return n
		}
	}
	tb.Fatalf("no %s in %s", name, raw)
	return 0
}
