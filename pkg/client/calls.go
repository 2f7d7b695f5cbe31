package client

import (
	"context"
	"net/http"
)

// read sends the request and returns the answer.
func read[T any](ctx context.Context, c *Client, r *request) (T, error) {
	var v T
	err := c.do(ctx, r, &v)
	return v, err
}

// post creates something of in by a POST that can be repeated, and returns it.
func post[T any](ctx context.Context, c *Client, in any, options []CallOption, path ...string) (T, error) {
	r, err := create(in, path...)
	if err != nil {
		var none T
		return none, err
	}
	for _, o := range options {
		o(r)
	}
	return read[T](ctx, c, r)
}

// act has the server do something to what exists, and returns the answer.
func act[T any](ctx context.Context, c *Client, path ...string) (T, error) {
	r, err := send(http.MethodPost, nil, path...)
	if err != nil {
		var none T
		return none, err
	}
	return read[T](ctx, c, r)
}

func (c *Client) delete(ctx context.Context, path ...string) error {
	r, err := send(http.MethodDelete, nil, path...)
	if err != nil {
		return err
	}
	return c.do(ctx, r, nil)
}
