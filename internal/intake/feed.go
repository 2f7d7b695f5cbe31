package intake

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Format says how an upload is written.
type Format string

// The formats.
const (
	JSON   Format = "json"   // {"memories": […], "name": …}
	NDJSON Format = "ndjson" // a memory a line
	CSV    Format = "csv"    // a header row; content and other known columns, the rest is metadata
)

// readBuffer is how far a feed reads ahead of the item that it gives.
const readBuffer = 64 << 10

// An item is one memory of an upload, or why it is none.
type item struct {
	line  int // in the upload, from 1; 0 where it has no lines
	input memory.Input
	err   error  // not nil: the item is rejected
	raw   []byte // as it came, until next is called again; of one that is too long at least its beginning
}

// A feed gives the items of an upload one by one, holding one in memory at a time. The error of next is io.EOF at the
// end; any other one is coded and ends the upload.
type feed interface {
	next() (item, error)
}

// openFeed starts to read an upload. What a JSON body says beside its memories goes to spec.
func openFeed(u *Upload, cfg Config) (feed, error) {
	body := io.Reader(&limited{r: u.Body, left: cfg.MaxUploadBytes})
	if u.Gzip {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, broken(err)
		}
		body = &limited{r: unpacked, left: cfg.MaxUploadBytes}
	}
	switch u.Format {
	case JSON:
		return newJSONFeed(body, &u.Spec), nil
	case CSV:
		return newCSVFeed(body)
	}
	return &ndjsonFeed{r: bufio.NewReaderSize(body, readBuffer), most: cfg.MaxLineBytes}, nil
}

// ndjsonFeed reads a memory a line. Blank lines are skipped but counted.
type ndjsonFeed struct {
	r    *bufio.Reader
	most int
	line int
	buf  []byte
}

func (f *ndjsonFeed) next() (item, error) {
	for {
		raw, err := f.readLine()
		if len(raw) == 0 && err != nil {
			return item{}, err
		}
		if f.line == 1 {
			raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")) // a byte order mark
		}
		if raw = bytes.TrimSpace(raw); len(raw) == 0 {
			continue
		}
		return f.parse(raw), nil
	}
}

func (f *ndjsonFeed) parse(raw []byte) item {
	it := item{line: f.line, raw: raw}
	if len(raw) > f.most {
		it.err = memory.Errorf(memory.CodeTooLarge, "the line is longer than %d bytes", f.most)
		return it
	}
	it.input, it.err = ParseInput(raw)
	return it
}

// readLine returns the next line, without more of it than is needed to see that it is too long. The error may come with
// the last line: io.EOF, or a coded one.
func (f *ndjsonFeed) readLine() ([]byte, error) {
	f.line++
	f.buf = f.buf[:0]
	for {
		part, err := f.r.ReadSlice('\n')
		if room := f.most + 1 - len(f.buf); len(part) > room {
			part = part[:room]
		}
		f.buf = append(f.buf, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF:
			return f.buf, io.EOF
		case err != nil:
			return nil, broken(err)
		default:
			return f.buf, nil
		}
	}
}

var errTooMuch = errors.New("over the limit")

// limited ends in errTooMuch instead of reading on past its limit. Resetting left to a budget before each element keeps
// a decoder from buffering one that has no end.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooMuch
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// broken codes an error that ended the reading of an upload.
func broken(err error) error {
	var coded *memory.Error
	switch {
	case errors.As(err, &coded):
		return err
	case errors.Is(err, errTooMuch):
		return memory.Wrap(memory.CodeTooLarge, err, "the upload, or one memory in it, is larger than is taken here")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		return memory.Wrap(memory.CodeMalformed, err, "the body is not valid gzip")
	}
	return memory.Wrap(memory.CodeMalformed, err, "the upload broke off; nothing of it is processed, send it again")
}
