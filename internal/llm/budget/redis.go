package budget

import (
	"context"
	_ "embed"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Redis counts for all processes. Each call is one script, which Redis runs alone, and its clock is Redis's: those of the
// processes may differ.
type Redis struct{ client *redis.Client }

var _ Counters = Redis{}

// NewRedis makes counters on the client.
func NewRedis(client *redis.Client) Redis { return Redis{client} }

//go:embed take.lua
var takeScript string

//nolint:gochecknoglobals // a constant, which knows its digest
var take = redis.NewScript(takeScript)

// Take implements [Counters].
func (c Redis) Take(ctx context.Context, model string, l Limits, tokens int) (time.Duration, error) {
	return c.run(ctx, model, l, 1, tokens)
}

// Give implements [Counters].
func (c Redis) Give(ctx context.Context, model string, l Limits, tokens int) error {
	_, err := c.run(ctx, model, l, 0, -tokens)
	return err
}

func (c Redis) run(ctx context.Context, model string, l Limits, requests, tokens int) (time.Duration, error) {
	ms, err := take.Run(ctx, c.client, []string{"switchyard:budget:" + model}, l.Requests, burst(l.Requests), l.Tokens, burst(l.Tokens), requests, tokens).Int64()
	return time.Duration(ms) * time.Millisecond, memory.Wrap(memory.CodeUnavailable, err, "the shared rate budget is not available")
}
