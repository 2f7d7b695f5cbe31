package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/switchyard-ai/switchyard/pkg/client"
)

// source is what is uploaded, with what the server is to be told of it.
type source struct {
	io.Reader
	io.Closer
	options []client.CallOption
}

// open opens the file of a submission; its name says what is in it. What was read of it is told to progress.
func (r *remote) open(s submission, p *progress) (source, error) {
	out := source{Reader: r.in, Closer: io.NopCloser(nil)}
	if s.key != "" {
		out.options = append(out.options, client.IdempotencyKey(s.key))
	}
	if s.file == "-" {
		return out, nil
	}
	f, size, err := openFile(s.file)
	if err != nil {
		return out, err
	}
	out.Closer = f
	name, gzipped := strings.CutSuffix(strings.ToLower(s.file), ".gz")
	if gzipped {
		out.options = append(out.options, client.Gzipped())
	}
	out.Reader = &counted{file: f, size: size, told: p.upload}
	switch filepath.Ext(name) {
	case ".csv":
		out.options = append(out.options, client.CSV())
	case ".json":
		if out.Reader, err = linesOf(f, gzipped); err != nil {
			return out, errors.Join(fmt.Errorf("%s: %w", s.file, err), f.Close())
		}
	}
	return out, nil
}

func openFile(name string) (*os.File, int64, error) {
	f, err := os.Open(name) //nolint:gosec // the user names the file
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("there is no file %s", name)
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// linesOf turns a JSON array of memories, or an object that holds one as "memories", into NDJSON. Whether an element is
// a valid memory is for the server to say, one by one.
func linesOf(f io.Reader, gzipped bool) (io.Reader, error) {
	if gzipped {
		return nil, errors.New("a compressed file holds NDJSON or CSV")
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	var object struct {
		Memories []json.RawMessage `json:"memories"`
	}
	if json.Unmarshal(b, &object) != nil || object.Memories == nil {
		if err := json.Unmarshal(b, &object.Memories); err != nil {
			return nil, fmt.Errorf("is not a JSON array of memories (one memory a line is NDJSON: name the file .ndjson): %w", err)
		}
	}
	var lines bytes.Buffer
	for _, m := range object.Memories {
		if err := json.Compact(&lines, m); err != nil {
			return nil, err
		}
		lines.WriteByte('\n')
	}
	return bytes.NewReader(lines.Bytes()), nil
}

// counted tells how far the reading of a file has got.
type counted struct {
	file io.ReadSeeker
	size int64
	at   int64
	told func(at, size int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	c.at += int64(n)
	c.told(c.at, c.size)
	return n, err
}

func (c *counted) Seek(offset int64, whence int) (int64, error) {
	at, err := c.file.Seek(offset, whence)
	c.at = at
	return at, err
}
