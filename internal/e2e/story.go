package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Lines are memories as NDJSON, each with an external id made of the prefix and its number.
func Lines(prefix string, texts []string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for i, t := range texts {
		_ = enc.Encode(memory.Input{Content: t, ExternalID: fmt.Sprintf("%s-%d", prefix, i)}) // strings and a buffer do not fail
	}
	return b.Bytes()
}

// Upload sends the lines as a batch, waits until it is over and for the webhook that says so, and returns both and how
// long the batch took.
func Upload(ctx context.Context, c *client.Client, r *Receiver, name string, lines []byte) (memory.Batch, Hook, time.Duration, error) {
	start := time.Now()
	b, err := c.UploadBatch(ctx, bytes.NewReader(lines), client.BatchOptions{Name: name, WebhookURL: r.URL})
	if err != nil {
		return b, Hook{}, 0, fmt.Errorf("upload: %w", err)
	}
	b, err = c.WaitForBatch(ctx, b.ID, nil)
	if err != nil {
		return b, Hook{}, 0, fmt.Errorf("wait for the batch: %w", err)
	}
	took := time.Since(start)
	h, err := final(ctx, r, b.ID)
	return b, h, took, err
}

// final waits for the event that ends the batch.
func final(ctx context.Context, r *Receiver, batchID string) (Hook, error) {
	for {
		select {
		case h := <-r.Came():
			if bytes.Contains(h.Body, []byte(batchID)) && h.Type() != memory.EventBatchProgress {
				return h, nil
			}
		case <-ctx.Done():
			return Hook{}, fmt.Errorf("wait for the final webhook: %w", ctx.Err())
		}
	}
}

// Neighbours finds the node of a name and returns the names around it.
func Neighbours(ctx context.Context, c *client.Client, name string) (map[string]bool, error) {
	names := map[string]bool{}
	for n, err := range c.Nodes(ctx, name, "") {
		if err != nil {
			return nil, fmt.Errorf("nodes named %s: %w", name, err)
		}
		g, err := c.Neighbours(ctx, n.ID, 1)
		if err != nil {
			return nil, fmt.Errorf("neighbours of %s: %w", name, err)
		}
		for _, o := range g.Nodes {
			names[o.Name] = true
		}
	}
	return names, nil
}

// FoundAt is the place, from 1, of the first hit whose content holds the fragment; 0 where none does.
func FoundAt(hits []client.Hit, fragment string) int {
	for i, h := range hits {
		if strings.Contains(strings.ToLower(h.Memory.Content), fragment) {
			return i + 1
		}
	}
	return 0
}
