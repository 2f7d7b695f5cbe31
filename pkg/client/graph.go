package client

import (
	"context"
	"iter"
	"net/url"
	"strconv"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Nodes goes through the nodes of the workspace's graph by name (case does not matter; "": any) and type ("": any),
// those that most memories speak of first.
func (c *Client) Nodes(ctx context.Context, name, kind string) iter.Seq2[memory.Node, error] {
	return list[memory.Node](ctx, c, queryOf("name", name, "type", kind), "graph", "nodes")
}

// Neighbours returns what is within depth (1 to 3) relationships of a node, with the memories it comes from.
func (c *Client) Neighbours(ctx context.Context, nodeID string, depth int) (memory.Graph, error) {
	q := url.Values{"depth": {strconv.Itoa(depth)}}
	return read[memory.Graph](ctx, c, get(q, "graph", "nodes", nodeID, "neighbours"))
}
