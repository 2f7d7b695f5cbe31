package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// write runs fn in a transaction of the one writer and returns when it is on disk. What fn did is undone where fn fails
// or panics, without harm to the writes that are committed with it. If ctx ends before fn's turn, fn does not run; once
// it runs, the call waits for the outcome.
//
// fn must not keep tx, nor call the store's other methods: it has the only connection that writes.
func (s *Store) write(ctx context.Context, fn func(tx *tx) error) error {
	return wrap(s.writer.do(ctx, fn))
}

// tx is what a write sees: the state of the file with all writes before it.
type tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// Statements are prepared once and kept: the text must be one of a few, what varies goes into args. They run without a
// context, for a transaction that others share must not break off in the middle.

func (t *tx) exec(text string, args ...any) (sql.Result, error) {
	stmt, err := t.statement(text)
	if err != nil {
		return nil, err
	}
	return stmt.Exec(args...)
}

// change is exec for statements of which it matters only how many rows they changed.
func (t *tx) change(text string, args ...any) (int, error) {
	res, err := t.exec(text, args...)
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// query's rows must be closed before fn returns.
func (t *tx) query(text string, args ...any) (*sql.Rows, error) {
	stmt, err := t.statement(text)
	if err != nil {
		return nil, err
	}
	return stmt.Query(args...)
}

func (t *tx) queryRow(text string, args ...any) row {
	stmt, err := t.statement(text)
	if err != nil {
		return row{err: err}
	}
	return row{Row: stmt.QueryRow(args...)}
}

// undo takes back what the write has done so far.
func (t *tx) undo() error {
	_, err := t.exec("ROLLBACK TO op")
	return err
}

func (t *tx) statement(text string) (*sql.Stmt, error) {
	if stmt, ok := t.stmts[text]; ok {
		return stmt, nil
	}
	stmt, err := t.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, err
	}
	t.stmts[text] = stmt
	return stmt, nil
}

// op is a write on its way. Whoever moves taken from false to true decides: the writer runs it, or its caller left.
type op struct {
	fn    func(*tx) error
	taken atomic.Bool
	err   error
	done  chan struct{}
}

// writer owns the connection that writes. One goroutine runs all operations.
type writer struct {
	cfg   Config
	tx    *tx
	queue chan *op
	ended chan struct{}

	mu     sync.RWMutex // held for reading while an operation goes into the queue
	closed bool
}

func startWriter(conn *sql.Conn, cfg Config) *writer {
	w := &writer{
		cfg:   cfg,
		tx:    &tx{conn: conn, stmts: map[string]*sql.Stmt{}},
		queue: make(chan *op, 4*cfg.GroupSize),
		ended: make(chan struct{}),
	}
	go w.run()
	return w
}

func (w *writer) do(ctx context.Context, fn func(*tx) error) error {
	o := &op{fn: fn, done: make(chan struct{})}
	if err := w.enqueue(ctx, o); err != nil {
		return err
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-o.done // it runs: what became of it is known in a moment
	}
	return o.err
}

func (w *writer) enqueue(ctx context.Context, o *op) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return errClosed()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case w.queue <- o:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop refuses new writes, finishes those that wait and gives the connection back.
func (w *writer) stop() error {
	w.mu.Lock()
	w.closed = true
	close(w.queue)
	w.mu.Unlock()
	<-w.ended
	var errs []error
	for _, stmt := range w.tx.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, w.tx.conn.Close())...)
}

func (w *writer) run() {
	defer close(w.ended)
	for first := range w.queue {
		w.group(first)
	}
}

// group runs the first operation and those that wait behind it in one transaction, and answers them when it is on disk.
func (w *writer) group(first *op) {
	if !first.taken.CompareAndSwap(false, true) {
		return
	}
	ran, err := w.transact(first)
	for _, o := range ran {
		if err != nil && o.err == nil {
			o.err = err
		}
		close(o.done)
	}
}

// transact returns the operations that it ran, each with its own error, and the error that undid all of them.
func (w *writer) transact(first *op) (ran []*op, err error) {
	if err := w.control("BEGIN IMMEDIATE"); err != nil {
		return []*op{first}, err
	}
	began := time.Now()
	for o := first; o != nil; o = w.next(len(ran), began) {
		ran = append(ran, o)
		if err := w.isolate(o); err != nil {
			return ran, errors.Join(err, w.rollback())
		}
	}
	if err := w.control("COMMIT"); err != nil {
		return ran, errors.Join(err, w.rollback())
	}
	return ran, nil
}

// next takes another operation into the group, if one waits and there is room and time.
func (w *writer) next(n int, began time.Time) *op {
	for n < w.cfg.GroupSize && time.Since(began) < w.cfg.GroupTime {
		select {
		case o, ok := <-w.queue:
			if !ok {
				return nil
			}
			if o.taken.CompareAndSwap(false, true) {
				return o
			}
		default:
			return nil
		}
	}
	return nil
}

// isolate runs one operation so that it can be undone alone. Its error is one that undoes the whole group: SQLite ends
// the transaction itself where the disk is full or broken.
func (w *writer) isolate(o *op) error {
	if err := w.control("SAVEPOINT op"); err != nil {
		return err
	}
	o.err = guard(o.fn, w.tx)
	if o.err == nil {
		return w.control("RELEASE op")
	}
	if err := w.control("ROLLBACK TO op"); err != nil {
		return fmt.Errorf("%w, after %w", err, o.err)
	}
	return w.control("RELEASE op")
}

func guard(fn func(*tx) error, t *tx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in a write: %v\n%s", r, debug.Stack())
		}
	}()
	return fn(t)
}

func (w *writer) rollback() error {
	err := w.control("ROLLBACK")
	if err != nil && isNoTransaction(err) {
		return nil // SQLite did it
	}
	return err
}

func (w *writer) control(text string) error {
	_, err := w.tx.exec(text)
	return err
}
