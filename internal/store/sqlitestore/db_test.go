package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func openAt(tb testing.TB, path string) *Store {
	tb.Helper()
	s, err := Open(context.Background(), path, Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// openNew opens a store in a folder of its own.
func openNew(tb testing.TB) *Store {
	tb.Helper()
	return openAt(tb, filepath.Join(tb.TempDir(), "store.db"))
}

// table makes a table to write to.
func table(t *testing.T, s *Store) {
	t.Helper()
	err := s.write(t.Context(), func(tx *tx) error {
		_, err := tx.exec("CREATE TABLE things (id INTEGER PRIMARY KEY)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func insert(id int) func(*tx) error {
	return func(tx *tx) error {
		_, err := tx.exec("INSERT INTO things VALUES (?)", id)
		return err
	}
}

func count(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.queryRow(t.Context(), "SELECT count(*) FROM things").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWrite(t *testing.T) {
	t.Parallel()

	t.Run("IsThereForReadsWhenItReturns", func(t *testing.T) {
		t.Parallel()
		s := openNew(t)
		table(t, s)
		for i := range 50 {
			if err := s.write(t.Context(), insert(i)); err != nil {
				t.Fatal(err)
			}
			if got := count(t, s); got != i+1 {
				t.Fatalf("%d rows after %d writes", got, i+1)
			}
		}
	})

	t.Run("OneThatFailsIsUndoneAlone", func(t *testing.T) {
		t.Parallel()
		s := openNew(t)
		table(t, s)
		broken := errors.New("broken")
		errs := together(s,
			insert(1),
			func(tx *tx) error { return errors.Join(insert(2)(tx), broken) },
			insert(3),
			func(tx *tx) error { _ = insert(4)(tx); panic("oh") },
			insert(5),
			insert(1), // twice
		)
		for i, want := range []memory.Code{"", memory.CodeInternal, "", memory.CodeInternal, "", memory.CodeConflict} {
			if got := memory.CodeOf(errs[i]); got != want {
				t.Errorf("write %d: %v; want code %q", i, errs[i], want)
			}
		}
		if !errors.Is(errs[1], broken) {
			t.Errorf("cause lost: %v", errs[1])
		}
		if got := count(t, s); got != 3 {
			t.Errorf("%d rows, want 3", got)
		}
	})

	t.Run("AFullDiskIsUnavailableAndNothingIsHalfWritten", func(t *testing.T) {
		t.Parallel()
		s := openNew(t)
		table(t, s)
		limit := func(pages int) func(*tx) error {
			return func(tx *tx) error {
				_, err := tx.conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", pages))
				return err
			}
		}
		huge := func(tx *tx) error {
			if err := insert(2)(tx); err != nil {
				return err
			}
			_, err := tx.exec("CREATE TABLE big AS SELECT zeroblob(10000000)")
			return err
		}
		errs := together(s, limit(1), insert(1), huge, insert(3), limit(1_000_000), insert(4))
		if memory.CodeOf(errs[2]) != memory.CodeUnavailable {
			t.Errorf("got %v", errs[2])
		}
		want := 0
		for _, i := range []int{1, 2, 3, 5} {
			if errs[i] == nil {
				want++
			}
		}
		if got := count(t, s); got != want {
			t.Errorf("%d rows of %d acknowledged", got, want)
		}
		if err := s.write(t.Context(), insert(5)); err != nil {
			t.Error(err)
		}
	})

	t.Run("DoesNotRunWhereItsCallerLeftBeforeItsTurn", func(t *testing.T) {
		t.Parallel()
		s := openNew(t)
		entered, leave := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.write(t.Context(), func(*tx) error { close(entered); <-leave; return nil }) })
		<-entered
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- s.write(ctx, func(*tx) error { t.Error("ran although its caller left"); return nil }) }()
		for len(s.writer.queue) == 0 {
			runtime.Gosched()
		}
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) { // it answers at once, not when its turn comes
			t.Errorf("got %v", err)
		}
		close(leave)
		wg.Wait()
		if err := s.write(ctx, func(*tx) error { t.Error("ran although its context had ended"); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("CloseFinishesWhatWaitsAndRefusesTheRest", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "store.db")
		s := openAt(t, path)
		table(t, s)
		var wg sync.WaitGroup
		var mu sync.Mutex
		taken := 0
		for i := range 200 {
			wg.Go(func() {
				switch err := s.write(context.Background(), insert(i)); memory.CodeOf(err) {
				case "":
					mu.Lock()
					taken++
					mu.Unlock()
				case memory.CodeUnavailable:
				default:
					t.Error(err)
				}
			})
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
		if err := s.Ping(t.Context()); memory.CodeOf(err) != memory.CodeUnavailable {
			t.Errorf("ping of a closed store: %v", err)
		}
		if got := count(t, openAt(t, path)); got != taken {
			t.Errorf("%d rows of %d acknowledged", got, taken)
		}
	})
}

// together runs writes in one group, in order.
func together(s *Store, fns ...func(*tx) error) []error {
	entered, leave := make(chan struct{}), make(chan struct{})
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.write(context.Background(), func(*tx) error { close(entered); <-leave; return nil }) })
	<-entered
	ops := make([]*op, len(fns))
	for i, fn := range fns {
		ops[i] = &op{fn: fn, done: make(chan struct{})}
		_ = s.writer.enqueue(context.Background(), ops[i])
	}
	close(leave)
	for i, o := range ops {
		<-o.done
		errs[i] = wrap(o.err)
	}
	wg.Wait()
	return errs
}

func TestOpen(t *testing.T) {
	t.Parallel()

	t.Run("TakesAnyFileName", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a b?c#d%20é.db")
		openAt(t, path)
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})

	t.Run("Twice", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "store.db")
		a, b := openAt(t, path), openAt(t, path)
		table(t, a)
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if err := []*Store{a, b}[i%2].write(t.Context(), insert(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := count(t, b); got != 100 {
			t.Errorf("%d rows, want 100", got)
		}
	})

	for name, spoil := range map[string]func(db *sql.DB) error{
		"RefusesAFileOfAnotherProgram": func(db *sql.DB) error { _, err := db.Exec("CREATE TABLE theirs (x)"); return err },
		"RefusesAFileOfANewerVersion": func(db *sql.DB) error {
			_, err := db.Exec(fmt.Sprintf(`PRAGMA application_id = %d; CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT, applied_at INTEGER);
				INSERT INTO migrations VALUES (9999, '9999_future', 0)`, applicationID))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "store.db")
			db, err := pool(path, Config{}.withDefaults(), 1<<20, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(spoil(db), db.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), path, Config{}); memory.CodeOf(err) != memory.CodeConflict {
				t.Errorf("got %v", err)
			}
		})
	}

	t.Run("RefusesAFileThatIsNoDatabase", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, []byte("this is no database, whatever its name may say"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), path, Config{}); err == nil {
			t.Error("opened")
		} else {
			t.Log(err)
		}
	})

	t.Run("SaysThatAnotherProcessKeepsItLocked", func(t *testing.T) {
		t.Parallel()
		path, unlock := locked(t)
		_, err := Open(t.Context(), path, Config{BusyTimeout: 1e6, Patience: -1})
		unlock()
		if memory.CodeOf(err) != memory.CodeUnavailable {
			t.Errorf("got %v", err)
		}
	})

	t.Run("WaitsForAProcessThatKeepsItLockedAndSaysSo", func(t *testing.T) {
		t.Parallel()
		path, unlock := locked(t)
		told := &lines{told: make(chan string, 100)}
		var wg sync.WaitGroup
		wg.Go(func() { // it is locked until the second attempt has failed too
			<-told.told
			<-told.told
			unlock()
		})
		b, err := Open(t.Context(), path, Config{BusyTimeout: time.Millisecond, Log: slog.New(slog.NewTextHandler(told, nil))})
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})

	t.Run("GivesUpWhenPatienceEnds", func(t *testing.T) {
		t.Parallel()
		path, unlock := locked(t)
		start := time.Now()
		_, err := Open(t.Context(), path, Config{BusyTimeout: time.Millisecond, Patience: 600 * time.Millisecond})
		took := time.Since(start)
		unlock()
		if memory.CodeOf(err) != memory.CodeUnavailable || took < leastOpenPause {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// locked returns a file on which a write goes on until unlock is called, as that of another process might.
func locked(t *testing.T) (path string, unlock func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "store.db")
	s := openAt(t, path)
	entered, leave := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.write(context.Background(), func(*tx) error { close(entered); <-leave; return nil }) })
	<-entered
	return path, func() { close(leave); wg.Wait() }
}

// lines passes on what is logged.
type lines struct{ told chan string }

func (l *lines) Write(b []byte) (int, error) {
	l.told <- string(b)
	return len(b), nil
}
