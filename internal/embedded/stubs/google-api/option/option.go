// Package option stands in for the one option that Temporal takes from Google's API client.
package option

import "golang.org/x/oauth2"

// ClientOption would set up a client of Google's APIs.
type ClientOption interface{ unused() }

// WithTokenSource returns an option that nobody reads.
func WithTokenSource(oauth2.TokenSource) ClientOption { return none{} }

type none struct{}

func (none) unused() {}
