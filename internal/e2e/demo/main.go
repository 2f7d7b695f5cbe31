// Command demo tells the main story with a real text: a file of memories goes in as one batch, a receiver verifies the
// webhook with the public Standard Webhooks library, and what came of it is searched. `make demo` runs it.
package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/e2e"
	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func main() {
	binary := flag.String("binary", "bin/switchyard", "the built binary")
	file := flag.String("file", "", "an NDJSON file of memories instead of the book")
	query := flag.String("query", "the man behind the screen", "what to search for")
	name := flag.String("name", "Dorothy", "whose neighbours to show")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *binary, *file, *query, *name); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context, binary, file, query, name string) error {
	lines, title, err := read(file)
	if err != nil {
		return err
	}
	data, err := os.MkdirTemp("", "switchyard-demo")
	if err != nil {
		return fmt.Errorf("make a data folder: %w", err)
	}
	defer os.RemoveAll(data)
	p := &e2e.Process{Binary: binary, Data: data}
	fmt.Println("starting", binary, "dev on an empty data folder …")
	if err := p.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = p.Stop() }()
	r := e2e.NewReceiver()
	defer r.Close()
	return tell(ctx, p.Client(), r, title, lines, query, name)
}

func read(file string) (lines []byte, title string, err error) {
	if file != "" {
		lines, err = os.ReadFile(file)
		return lines, file, err
	}
	texts, err := e2e.Book(".")
	return e2e.Lines("oz", texts), "The Wonderful Wizard of Oz, by paragraphs", err
}

func tell(ctx context.Context, c *client.Client, r *e2e.Receiver, title string, lines []byte, query, name string) error {
	b, err := upload(ctx, c, r, title, lines)
	if err != nil {
		return err
	}
	if err := search(ctx, c, query); err != nil {
		return err
	}
	if err := neighbours(ctx, c, name); err != nil {
		return err
	}
	again, _, took, err := e2e.Upload(ctx, c, r, "again", lines)
	if err != nil {
		return err
	}
	fmt.Printf("\nthe same file again: %d completed in %.1f s, %d tokens: nothing was done twice\n", again.Counts.Completed, took.Seconds(), again.Tokens)
	if b.Status != memory.BatchCompleted || again.Status != memory.BatchCompleted {
		return fmt.Errorf("the batches ended %s and %s", b.Status, again.Status)
	}
	return nil
}

func upload(ctx context.Context, c *client.Client, r *e2e.Receiver, title string, lines []byte) (memory.Batch, error) {
	fmt.Printf("uploading %s: %d lines\n", title, bytes.Count(lines, []byte("\n")))
	b, hook, took, err := e2e.Upload(ctx, c, r, "demo", lines)
	if err != nil {
		return b, err
	}
	fmt.Printf("batch %s: %s in %.1f s, %.0f memories a second\n  counts %+v\n", b.ID, b.Status, took.Seconds(),
		float64(b.Counts.Total)/took.Seconds(), b.Counts)
	secret, err := c.WebhookSecret(ctx)
	if err != nil {
		return b, fmt.Errorf("read the webhook secret: %w", err)
	}
	if err := hook.Verify(secret); err != nil {
		return b, fmt.Errorf("verify the webhook: %w", err)
	}
	fmt.Printf("webhook %s: %s, signature verified by the Standard Webhooks library\n", hook.Header.Get("webhook-id"), hook.Type())
	return b, nil
}

func search(ctx context.Context, c *client.Client, query string) error {
	start := time.Now()
	res, err := c.Search(ctx, client.SearchQuery{Query: query, Limit: 3})
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	fmt.Printf("\nsearch %q (%d ms):\n", query, time.Since(start).Milliseconds())
	for i, h := range res.Items {
		fmt.Printf("  %d. %.2f  %s  %s\n", i+1, h.Score, h.Memory.ID, short(h.Passage, 100))
	}
	return nil
}

func short(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

func neighbours(ctx context.Context, c *client.Client, name string) error {
	names, err := e2e.Neighbours(ctx, c, name)
	if err != nil {
		return err
	}
	all := make([]string, 0, len(names))
	for n := range names {
		all = append(all, n)
	}
	sort.Strings(all)
	w := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(w, "\nthe graph around %s: %d nodes, among them %s\n", name, len(all), short(strings.Join(all, ", "), 200))
	return w.Flush()
}
