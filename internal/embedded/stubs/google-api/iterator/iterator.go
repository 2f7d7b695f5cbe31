// Package iterator stands in for the one value that Temporal takes from Google's API client.
package iterator

import "errors"

// Done says that an iterator has no more items.
var Done = errors.New("no more items in iterator")
