// Package storage stands in for the client of Google Cloud Storage, which Temporal compiles against for archives on
// gs:// addresses. NewClient fails, so none of the other methods is ever reached; each fails all the same.
package storage

import (
	"context"
	"errors"

	"google.golang.org/api/option"
)

// ScopeFullControl is the permission Temporal asks for.
const ScopeFullControl = "https://www.googleapis.com/auth/devstorage.full_control"

var errAbsent = errors.New("Google Cloud Storage is not part of this build")

type (
	// Client would talk to Google Cloud Storage.
	Client struct{}

	// BucketHandle would be a bucket.
	BucketHandle struct{}

	// ObjectHandle would be an object.
	ObjectHandle struct{}

	// ObjectIterator would walk over objects.
	ObjectIterator struct{}

	// Writer would write an object.
	Writer struct{}

	// Reader would read an object.
	Reader struct{}

	// Query selects objects.
	Query struct{ Prefix string }

	// BucketAttrs describes a bucket.
	BucketAttrs struct{}

	// ObjectAttrs describes an object.
	ObjectAttrs struct{ Name string }
)

// NewClient always fails.
func NewClient(context.Context, ...option.ClientOption) (*Client, error) { return nil, errAbsent }

// Bucket returns a bucket that does nothing.
func (*Client) Bucket(string) *BucketHandle { return &BucketHandle{} }

// Object returns an object that does nothing.
func (*BucketHandle) Object(string) *ObjectHandle { return &ObjectHandle{} }

// Objects returns an iterator that fails.
func (*BucketHandle) Objects(context.Context, *Query) *ObjectIterator { return &ObjectIterator{} }

// Attrs always fails.
func (*BucketHandle) Attrs(context.Context) (*BucketAttrs, error) { return nil, errAbsent }

// NewWriter returns a writer that fails.
func (*ObjectHandle) NewWriter(context.Context) *Writer { return &Writer{} }

// NewReader always fails.
func (*ObjectHandle) NewReader(context.Context) (*Reader, error) { return nil, errAbsent }

// Attrs always fails.
func (*ObjectHandle) Attrs(context.Context) (*ObjectAttrs, error) { return nil, errAbsent }

// Next always fails.
func (*ObjectIterator) Next() (*ObjectAttrs, error) { return nil, errAbsent }

// Write always fails.
func (*Writer) Write([]byte) (int, error) { return 0, errAbsent }

// Close always fails: nothing was written.
func (*Writer) Close() error { return errAbsent }

// CloseWithError succeeds: there is nothing to give up.
func (*Writer) CloseWithError(error) error { return nil }

// Read always fails.
func (*Reader) Read([]byte) (int, error) { return 0, errAbsent }

// Close succeeds.
func (*Reader) Close() error { return nil }
