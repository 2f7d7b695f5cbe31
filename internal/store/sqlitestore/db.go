// Package sqlitestore keeps everything that Switchyard stores in one SQLite file: the embedded default, with the same
// promises as the servers it stands in for.
//
// Reads go through a pool of read-only connections, each read a snapshot. Writes go through one connection that takes
// all that wait, commits them together and answers only when they are on disk: that makes thousands of small writes a
// second of what would be some hundreds.
package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
	_ "modernc.org/sqlite/vec" // adds vec0 to every connection

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Config tunes a store. Its zero value works.
type Config struct {
	// Readers is how many reads run at the same time. Default: 8.
	Readers int
	// GroupSize is how many writes are committed together at most. Default: 256.
	GroupSize int
	// GroupTime is how long a group goes on taking writes that came in meanwhile. Default: 20ms.
	GroupTime time.Duration
	// BusyTimeout is how long to wait for another process that writes to the same file. Default: 5s.
	BusyTimeout time.Duration
	// Patience is for how long Open tries again while another process keeps the file locked, which one that is frozen or
	// its machine's disk may do for a while: once a process serves, that only fails writes, but here it would end it. Below
	// zero: it tries once. Default: 1m.
	Patience time.Duration
	// Log is told of each wait. Default: nobody is.
	Log *slog.Logger
	// Synchronous is SQLite's setting of that name: FULL keeps what was acknowledged through a loss of power, NORMAL
	// only through the end of the process. Default: "FULL".
	Synchronous string
	// WriterCache is how much memory the writing connection may use for pages, in bytes. Default: 16 MiB.
	WriterCache int
	// ReaderCache is the same for each reading connection. Default: 4 MiB.
	ReaderCache int
	// SketchBytes bounds the memory of what makes Nearest fast: some 40 bytes for each passage of 256 dimensions of the
	// workspaces that were asked for last. The one in use is kept whole in any case. Default: 64 MiB.
	SketchBytes int
	// CheckpointPages is how long the write-ahead log gets, in pages of 4 KiB, before it is folded into the file.
	// Default: 4,000.
	CheckpointPages int
}

func (c Config) withDefaults() Config {
	c.Readers = orElse(c.Readers, 8)
	c.GroupSize = orElse(c.GroupSize, 256)
	c.GroupTime = orElse(c.GroupTime, 20*time.Millisecond)
	c.BusyTimeout = orElse(c.BusyTimeout, 5*time.Second)
	c.Patience = orElse(c.Patience, time.Minute)
	c.Log = orElse(c.Log, slog.New(slog.DiscardHandler))
	c.Synchronous = orElse(c.Synchronous, "FULL")
	c.WriterCache = orElse(c.WriterCache, 16<<20)
	c.ReaderCache = orElse(c.ReaderCache, 4<<20)
	c.SketchBytes = orElse(c.SketchBytes, 64<<20)
	c.CheckpointPages = orElse(c.CheckpointPages, 4000)
	return c
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Store is an open file. Its methods Memories, Runs and so on, each beside the type that it returns, give the ports; all
// of them are safe for concurrent use.
type Store struct {
	writes   *sql.DB // one connection, the writer's
	reads    *sql.DB // query_only
	stmts    sync.Map
	writer   *writer
	sketches *sketches
	close    sync.Once
	closed   error
}

// Open opens the file at path, makes it where there is none, and brings its tables up to date. A file that belongs to
// another program, or was made by a newer version of this one, or that another process keeps locked for longer than
// Config.Patience, is refused.
//
// Several processes may have the file open at the same time: each write is a transaction of its own, so they wait for
// each other for up to Config.BusyTimeout.
func Open(ctx context.Context, path string, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	start, pause := time.Now(), leastOpenPause
	for {
		s, err := open(ctx, path, cfg)
		if err == nil {
			return s, nil
		}
		if !isLocked(err) || time.Since(start)+pause > cfg.Patience {
			return nil, wrap(fmt.Errorf("open %s: %w", path, err))
		}
		cfg.Log.WarnContext(ctx, "another process keeps the store locked; opening it is tried again", "file", path, "waited", time.Since(start), "patience", cfg.Patience)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("open %s: %w", path, ctx.Err())
		case <-time.After(pause):
		}
		pause = min(2*pause, longestOpenPause)
	}
}

// Between two attempts at opening a locked file, beyond the time that each attempt waits itself.
const (
	leastOpenPause   = 250 * time.Millisecond
	longestOpenPause = 4 * time.Second
)

func open(ctx context.Context, path string, cfg Config) (_ *Store, err error) {
	s := &Store{sketches: newSketches(cfg.SketchBytes)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closePools())
		}
	}()
	if s.writes, err = pool(path, cfg, cfg.WriterCache, 1); err != nil {
		return nil, err
	}
	if s.reads, err = pool(path, cfg, cfg.ReaderCache, cfg.Readers, "query_only(1)"); err != nil {
		return nil, err
	}
	conn, err := s.writes.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s.writer = startWriter(conn, cfg)
	return s, nil
}

// pool opens a pool of up to size connections, all set up alike.
func pool(path string, cfg Config, cache, size int, pragmas ...string) (*sql.DB, error) {
	name, err := dsn(path, append([]string{
		"busy_timeout(" + strconv.FormatInt(cfg.BusyTimeout.Milliseconds(), 10) + ")",
		"synchronous(" + cfg.Synchronous + ")",
		"cache_size(" + strconv.Itoa(-cache/1024) + ")",
		"wal_autocheckpoint(" + strconv.Itoa(cfg.CheckpointPages) + ")",
		"journal_size_limit(" + strconv.Itoa(64<<20) + ")",
		"temp_store(MEMORY)",
		"foreign_keys(0)",
	}, pragmas...))
	if err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(name)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

func dsn(path string, pragmas []string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") { // C:/…
		abs = "/" + abs
	}
	q := url.Values{"_pragma": pragmas}
	return (&url.URL{Scheme: "file", Path: abs, RawQuery: q.Encode()}).String(), nil
}

// Close finishes the writes that wait, refuses later ones, and closes the file. Closing again changes nothing.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.closed = wrap(errors.Join(s.writer.stop(), s.closeStatements(), s.closePools()))
	})
	return s.closed
}

func (s *Store) closePools() error {
	var errs []error
	for _, db := range []*sql.DB{s.reads, s.writes} { // the writer last: it folds the log into the file
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

func (s *Store) closeStatements() error {
	var errs []error
	s.stmts.Range(func(_, stmt any) bool {
		errs = append(errs, stmt.(*sql.Stmt).Close())
		return true
	})
	return errors.Join(errs...)
}

// Ping reports whether the file can be read and its lock for writing be had.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.reads.PingContext(ctx); err != nil {
		return wrap(err)
	}
	return s.write(ctx, func(*tx) error { return nil })
}

// query reads with a statement that is prepared once for each connection. The text must be one of a few: what varies
// goes into args.
func (s *Store) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	stmt, err := s.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// queryRow is query for one row. [sql.ErrNoRows] comes from its Scan.
func (s *Store) queryRow(ctx context.Context, text string, args ...any) row {
	stmt, err := s.statement(ctx, text)
	if err != nil {
		return row{err: err}
	}
	return row{Row: stmt.QueryRowContext(ctx, args...)}
}

// row is a *sql.Row, or the reason why there is none.
type row struct {
	*sql.Row
	err error
}

func (r row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.Row.Scan(dest...)
}

func (s *Store) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if stmt, ok := s.stmts.Load(text); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := s.reads.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if first, loaded := s.stmts.LoadOrStore(text, stmt); loaded {
		return first.(*sql.Stmt), stmt.Close()
	}
	return stmt, nil
}

// collect reads all rows with scan and closes them.
func collect[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what it could say, Err has said
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// errClosed is what a closed store answers.
func errClosed() error { return memory.Errorf(memory.CodeUnavailable, "the store is closed") }
