// Command eval measures how well searches find what answers questions: it uploads a file of memories to a fresh
// `switchyard dev` and asks each question of another file in each mode, within its conversation. `make eval` runs it.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sync/errgroup"

	"github.com/switchyard-ai/switchyard/internal/e2e"
	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func main() {
	binary := flag.String("binary", "bin/switchyard", "the built binary")
	memories := flag.String("memories", "", "an NDJSON file of memories, each with an external_id and metadata.conversation")
	questions := flag.String("questions", "", `an NDJSON file of {"question", "conversation", "category", "evidence": [external ids]}`)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *binary, *memories, *questions); err != nil {
		fmt.Fprintln(os.Stderr, "eval:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context, binary, memories, questions string) error {
	lines, err := os.ReadFile(memories)
	if err != nil {
		return fmt.Errorf("read the memories (-memories): %w", err)
	}
	qs, err := readQuestions(questions)
	if err != nil {
		return fmt.Errorf("read the questions (-questions): %w", err)
	}
	data, err := os.MkdirTemp("", "switchyard-eval")
	if err != nil {
		return fmt.Errorf("make a data folder: %w", err)
	}
	defer os.RemoveAll(data)
	p := &e2e.Process{Binary: binary, Data: data}
	if err := p.Start(ctx); err != nil {
		return err
	}
	defer func() { _ = p.Stop() }()
	return measure(ctx, p.Client(), lines, qs)
}

// question is one of the file's, with the external ids of the memories that answer it.
type question struct {
	Question     string   `json:"question"`
	Conversation string   `json:"conversation"`
	Category     int      `json:"category"`
	Evidence     []string `json:"evidence"`
}

func readQuestions(file string) ([]question, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []question
	s := bufio.NewScanner(bytes.NewReader(raw))
	for s.Scan() {
		var q question
		if err := json.Unmarshal(s.Bytes(), &q); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(out)+1, err)
		}
		out = append(out, q)
	}
	return out, s.Err()
}

func measure(ctx context.Context, c *client.Client, lines []byte, qs []question) error {
	b, err := c.UploadBatch(ctx, bytes.NewReader(lines), client.BatchOptions{Name: "eval"})
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if b, err = c.WaitForBatch(ctx, b.ID, nil); err != nil {
		return fmt.Errorf("wait for the batch: %w", err)
	}
	if b.Status != memory.BatchCompleted {
		return fmt.Errorf("the batch ended %s: %+v", b.Status, b.Counts)
	}
	fmt.Printf("%d memories, %d questions; each asked within its conversation\n\n", b.Counts.Total, len(qs))
	for _, mode := range []client.Mode{client.Hybrid, client.Vector, client.Lexical} {
		s, err := ask(ctx, c, mode, qs)
		if err != nil {
			return fmt.Errorf("%s search: %w", mode, err)
		}
		s.print(string(mode))
	}
	return nil
}

// depth is how many memories are asked for.
const depth = 10

// ask asks all questions, a few at a time.
func ask(ctx context.Context, c *client.Client, mode client.Mode, qs []question) (scores, error) {
	found := make([][]string, len(qs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for i, q := range qs {
		g.Go(func() error {
			r, err := c.Search(ctx, client.SearchQuery{
				Query: q.Question, Mode: mode, Limit: depth, Filter: map[string]any{"metadata.conversation": q.Conversation}})
			for _, h := range r.Items {
				found[i] = append(found[i], h.Memory.ExternalID)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	s := scores{}
	for i, q := range qs {
		s.add(q, found[i])
	}
	return s, nil
}
