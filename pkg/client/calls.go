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
	return read[T](ctx, c, r.with(options))
}

// sendFor sends in (nil: nothing) by the method and returns the answer.
func sendFor[T any](ctx context.Context, c *Client, method string, in any, options []CallOption, path ...string) (T, error) {
	r, err := send(method, in, path...)
	if err != nil {
		var none T
		return none, err
	}
	return read[T](ctx, c, r.with(options))
}

// act has the server do something to what exists, and returns the answer.
func act[T any](ctx context.Context, c *Client, path ...string) (T, error) {
	return sendFor[T](ctx, c, http.MethodPost, nil, nil, path...)
}

func (c *Client) delete(ctx context.Context, path ...string) error {
	_, err := sendFor[struct{}](ctx, c, http.MethodDelete, nil, nil, path...)
	return err
}
