package client

import (
	"context"
	"io"
	"sync"
)

// stream is content that is read as it is sent, from a reader that stays the caller's to close.
type stream struct {
	source io.Reader
	start  int64 // where source stood at first; -1 where it cannot go back

	touched bool          // something was read; settled once done is closed
	done    chan struct{} // closed when the try is over with the reader
}

func newStream(source io.Reader) *stream {
	s := &stream{source: source, start: -1}
	if seeker, ok := source.(io.Seeker); ok {
		if at, err := seeker.Seek(0, io.SeekCurrent); err == nil { // a pipe has the method too, and fails
			s.start = at
		}
	}
	return s
}

// begin returns the content for one try.
func (s *stream) begin() io.ReadCloser {
	s.done = make(chan struct{})
	done := s.done
	return &tryBody{stream: s, close: sync.OnceFunc(func() { close(done) })}
}

// rewind makes the content ready for another try, and answers false where that is not possible. It waits for the try
// before: an HTTP transport may still be reading when its answer is there.
func (s *stream) rewind(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.done:
	}
	if !s.touched {
		return true
	}
	seeker, ok := s.source.(io.Seeker)
	if !ok || s.start < 0 {
		return false
	}
	_, err := seeker.Seek(s.start, io.SeekStart)
	return err == nil
}

type tryBody struct {
	stream *stream
	close  func()
}

func (b *tryBody) Read(p []byte) (int, error) {
	b.stream.touched = true
	return b.stream.source.Read(p)
}

func (b *tryBody) Close() error {
	b.close()
	return nil
}
