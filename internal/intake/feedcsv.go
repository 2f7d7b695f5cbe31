package intake

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// csvFeed reads rows under a header. The columns content, external_id, occurred_at, track, priority and webhook_url are
// what they are called; every other one is metadata, with or without "metadata." before its name. An empty cell is an
// absent field. Metadata from CSV are strings.
type csvFeed struct {
	budget *limited
	r      *csv.Reader
	rows   *rows
	header []string
}

// rows keeps what was read and not yet given back by take, so that a row can be shown as it came.
type rows struct {
	r    io.Reader
	kept []byte
	from int64 // where kept begins
}

func (k *rows) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	k.kept = append(k.kept, p[:n]...)
	return n, err
}

// take returns what was read up to the offset and forgets it at the next Read.
func (k *rows) take(to int64) []byte {
	n := to - k.from
	out := k.kept[:n]
	k.kept, k.from = k.kept[n:], to
	return out
}

func newCSVFeed(r io.Reader) (*csvFeed, error) {
	f := &csvFeed{budget: &limited{r: r, left: elementBytes}}
	f.rows = &rows{r: f.budget}
	f.r = csv.NewReader(f.rows)
	f.r.FieldsPerRecord = -1 // a row of another length is that row's fault
	header, err := f.r.Read()
	switch {
	case err == io.EOF:
		return nil, memory.Errorf(memory.CodeInvalid, "the file has no header row")
	case err != nil:
		return nil, unreadable(err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // a byte order mark
	f.header = slices.Clone(header)
	if !slices.Contains(f.header, "content") {
		return nil, memory.Errorf(memory.CodeInvalid, "the header row names no column content")
	}
	f.r.ReuseRecord = true
	f.rows.take(f.r.InputOffset())
	return f, nil
}

func (f *csvFeed) next() (item, error) {
	f.budget.left = elementBytes
	row, err := f.r.Read()
	var bad *csv.ParseError
	switch {
	case err == io.EOF:
		return item{}, io.EOF
	case errors.As(err, &bad):
		return item{line: bad.StartLine, raw: f.taken(), err: memory.Errorf(memory.CodeMalformed, "is not valid CSV: %s", bad.Err)}, nil
	case err != nil:
		return item{}, unreadable(err)
	}
	line, _ := f.r.FieldPos(0)
	it := item{line: line, raw: f.taken()}
	it.input, it.err = f.parse(row)
	return it, nil
}

// taken is the row that was just read, without the blank lines around it.
func (f *csvFeed) taken() []byte {
	return bytes.Trim(f.rows.take(f.r.InputOffset()), "\r\n")
}

func unreadable(err error) error {
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		return memory.Errorf(memory.CodeMalformed, "the header row is not valid CSV: %s", bad.Err)
	}
	return broken(err)
}

func (f *csvFeed) parse(row []string) (memory.Input, error) {
	var in memory.Input
	if len(row) != len(f.header) {
		return in, memory.Errorf(memory.CodeInvalid, "the row has %d cells, the header %d", len(row), len(f.header))
	}
	for i, cell := range row {
		if !utf8.ValidString(cell) {
			return in, at(f.header[i], "is not valid UTF-8")
		}
		if cell == "" {
			continue
		}
		if err := set(&in, f.header[i], strings.Clone(cell)); err != nil {
			return in, err
		}
	}
	return in, in.Validate()
}

func set(in *memory.Input, column, cell string) error {
	switch column {
	case "content":
		in.Content = cell
	case "external_id":
		in.ExternalID = cell
	case "webhook_url":
		in.WebhookURL = cell
	case "track":
		in.Track = memory.Track(cell)
	case "priority":
		in.Priority = memory.Priority(cell)
	case "occurred_at":
		in.OccurredAt = new(memory.Time)
		if in.OccurredAt.UnmarshalText([]byte(cell)) != nil {
			return at(column, "must be an RFC 3339 time")
		}
	default:
		if in.Metadata == nil {
			in.Metadata = memory.Metadata{}
		}
		in.Metadata[strings.TrimPrefix(column, "metadata.")] = cell
	}
	return nil
}
