package reindex

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/llm"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/qdrantstore"
	"github.com/switchyard-ai/switchyard/internal/store/qdrantstore/qdranttest"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// movable is what both adapters give.
type movable interface {
	store.Vectors
	store.Mover
}

// onBoth runs a test on the embedded store and on Qdrant.
func onBoth(t *testing.T, test func(*testing.T, movable)) {
	t.Helper()
	t.Run("Embedded", func(t *testing.T) {
		t.Parallel()
		s, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "switchyard.db"), sqlitestore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		test(t, s.Vectors().(movable))
	})
	t.Run("Qdrant", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
		if err != nil {
			t.Fatal(err)
		}
		server, err := qdranttest.New(qdranttest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = server.Serve(t.Context(), l) }()
		s, err := qdrantstore.Open(t.Context(), qdrantstore.Config{Address: l.Addr().String()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		test(t, s.Vectors().(movable))
	})
}

// model makes vectors of one direction for each number that a text is.
type model struct {
	id         string
	dimensions int

	mu       sync.Mutex
	embedded map[string]int
}

func newModel(id string, dimensions int) *model {
	return &model{id: id, dimensions: dimensions, embedded: map[string]int{}}
}

func (m *model) Model() string { return m.id }

func (m *model) is() store.Model { return store.Model{ID: m.id, Dimensions: m.dimensions} }

func (m *model) Embed(_ context.Context, texts []string) (llm.Vectors, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := llm.Vectors{Usage: llm.Usage{Model: m.id}}
	for _, text := range texts {
		n, _ := strconv.Atoi(text)
		v := make([]float32, m.dimensions)
		v[0], v[1+n%(m.dimensions-1)] = 1, float32(n)/1000
		out.Vectors = append(out.Vectors, v)
		m.embedded[text]++
	}
	return out, nil
}

func (m *model) Points(ctx context.Context, ms []memory.Memory) ([]store.Point, error) {
	texts := make([]string, len(ms))
	for i := range ms {
		texts[i] = ms[i].Content
	}
	answer, err := m.Embed(ctx, texts)
	out := make([]store.Point, len(ms))
	for i, d := range ms {
		out[i] = store.Point{Workspace: d.Workspace, MemoryID: d.ID, Version: d.Version, Text: d.Content, End: len(d.Content), Vector: answer.Vectors[i]}
	}
	return out, err
}

// documents are memories, newest first.
type documents struct {
	mu  sync.Mutex
	all []memory.Memory
}

func (d *documents) put(ms ...memory.Memory) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range ms {
		d.all = slices.DeleteFunc(d.all, func(o memory.Memory) bool { return o.ID == m.ID })
		d.all = append(d.all, m)
	}
	slices.SortFunc(d.all, func(a, b memory.Memory) int { return cmp.Compare(b.ID, a.ID) })
}

func (d *documents) delete(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = slices.DeleteFunc(d.all, func(m memory.Memory) bool { return m.ID == id })
}

func (d *documents) Get(_ context.Context, workspace string, ids ...string) (out []memory.Memory, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.all {
		if m.Workspace == workspace && slices.Contains(ids, m.ID) {
			out = append(out, m)
		}
	}
	return out, nil
}

func (d *documents) List(_ context.Context, q store.MemoryQuery) (out []memory.Memory, next string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.all {
		if m.Workspace != q.Workspace || q.Cursor != "" && m.ID >= q.Cursor {
			continue
		}
		if len(out) == q.Limit {
			return out, out[len(out)-1].ID, nil
		}
		out = append(out, m)
	}
	return out, "", nil
}

type workspaces []string

func (ws workspaces) List(context.Context) (out []store.Workspace, err error) {
	for _, id := range ws {
		out = append(out, store.Workspace{ID: id})
	}
	return out, nil
}

// indexed is the document of a memory that has been indexed.
func indexed(workspace string, n int) memory.Memory {
	m := memory.Memory{ID: fmt.Sprintf("mem_%05d", n), Workspace: workspace, Version: 1, Content: strconv.Itoa(n), Status: memory.StatusCompleted}
	m.Record(memory.Receipt{Name: memory.StepIndex, Status: memory.StepCompleted})
	return m
}

// town is a store whose vectors are of the old model, with a reindexer to the new one.
type town struct {
	v        movable
	docs     *documents
	old, new *model
}

func settled(t *testing.T, v movable, n int) *town {
	t.Helper()
	w := &town{v: v, docs: &documents{}, old: newModel("old", 4), new: newModel("new", 6)}
	for i := range n {
		w.docs.put(indexed(fmt.Sprint("w", i%2), i))
	}
	points, err := w.old.Points(t.Context(), w.docs.all)
	if err == nil {
		err = v.Upsert(t.Context(), w.old.is(), points)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *town) reindexer(v Vectors) *Reindexer {
	return New(Parts{
		Vectors: v, Memories: w.docs, Workspaces: workspaces{"w0", "w1"}, Embedder: w.new, Points: w.new.Points, Log: slog.New(slog.DiscardHandler),
	}, Config{Backoff: time.Nanosecond, Few: 1})
}

// held are the ids of what is in force.
func (w *town) held(t *testing.T) (ids []string) {
	t.Helper()
	for _, ws := range []string{"w0", "w1"} {
		page, _, err := w.v.Held(t.Context(), store.HeldQuery{Workspace: ws, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range page {
			ids = append(ids, h.MemoryID)
		}
	}
	slices.Sort(ids)
	return ids
}

// complete checks that the new model is in force, with all memories whose documents are there and no others.
func (w *town) complete(t *testing.T) {
	t.Helper()
	if m, err := w.v.Model(t.Context()); err != nil || m != w.new.is() {
		t.Fatalf("the model in force is %v, %v", m, err)
	}
	var want []string
	for _, m := range w.docs.all {
		want = append(want, m.ID)
	}
	slices.Sort(want)
	if got := w.held(t); !slices.Equal(want, got) {
		t.Errorf("there are %d memories, want %d: %v", len(got), len(want), got)
	}
}

func TestEverythingMoves(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, v movable) {
		w := settled(t, v, 300)
		failed := indexed("w0", 900)
		failed.Status, failed.Steps = memory.StatusFailed, nil
		w.docs.put(failed)
		report, err := w.reindexer(v).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.docs.delete(failed.ID)
		w.complete(t)
		want := Report{From: w.old.is(), To: w.new.is(), Moved: 300, Passes: 3}
		if report != want {
			t.Errorf("the report is %+v, want %+v", report, want)
		}
		for text, n := range w.new.embedded {
			if n != 1 {
				t.Errorf("%q was embedded %d times", text, n)
			}
		}
		report, err = w.reindexer(v).Finish(t.Context())
		if want := (Report{From: w.old.is(), To: w.new.is(), Passes: 1, Dropped: true}); err != nil || report != want {
			t.Errorf("the report is %+v, %v, want %+v", report, err, want)
		}
		w.complete(t)
	})
}

func TestFinishNeedsTheSwitch(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, v movable) {
		w := settled(t, v, 3)
		if _, err := w.reindexer(v).Finish(t.Context()); memory.CodeOf(err) != memory.CodeConflict {
			t.Errorf("finished before the switch: %v", err)
		}
		if m, err := v.Model(t.Context()); err != nil || m != w.old.is() {
			t.Errorf("the model in force is %v, %v", m, err)
		}
	})
}

// errKilled is what a process that was killed would not even see.
var errKilled = errors.New("killed")

// mortal dies before or after its nth change.
type mortal struct {
	movable

	left  int
	after bool
	dead  bool
}

func (m *mortal) change(do func() error) error {
	if m.left--; m.left < 0 || m.dead {
		m.dead = true
		if m.after && m.left == -1 {
			_ = do()
		}
		return errKilled
	}
	return do()
}

func (m *mortal) Begin(ctx context.Context, to store.Model) (mv store.Move, err error) {
	err = m.change(func() (err error) { mv, err = m.movable.Begin(ctx, to); return err })
	return mv, err
}

func (m *mortal) Save(ctx context.Context, to store.Model, progress string) error {
	return m.change(func() error { return m.movable.Save(ctx, to, progress) })
}

func (m *mortal) Move(ctx context.Context, to store.Model, ps []store.Point) error {
	return m.change(func() error { return m.movable.Move(ctx, to, ps) })
}

func (m *mortal) Switch(ctx context.Context, to store.Model) error {
	return m.change(func() error { return m.movable.Switch(ctx, to) })
}

// TestAMoveGoesOnAfterAKill kills the process at each change that it makes, before and after it, and starts it again.
func TestAMoveGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, v movable) {
		for n, survived := 0, false; !survived; n++ {
			for _, after := range []bool{false, true} {
				w := settled(t, v, 150)
				_, err := w.reindexer(&mortal{movable: v, left: n, after: after}).Run(t.Context())
				if survived = err == nil; !survived && !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				if _, err := w.reindexer(v).Run(t.Context()); err != nil {
					t.Fatalf("killed at change %d (after it: %v), then: %v", n, after, err)
				}
				w.complete(t)
				again := 0
				for _, times := range w.new.embedded {
					again += times - 1
				}
				if again > store.PageSize+1 {
					t.Errorf("killed at change %d (after it: %v), %d memories were embedded again", n, after, again)
				}
				w.back(t)
			}
			if n > 30 {
				t.Fatal("there is no end of changes")
			}
		}
	})
}

// back makes the old model the one in force again, with nothing stored, for the next round.
func (w *town) back(t *testing.T) {
	t.Helper()
	for _, ws := range []string{"w0", "w1"} {
		if err := w.v.Delete(t.Context(), ws, w.held(t)...); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.v.Begin(t.Context(), w.old.is())
	if err := errors.Join(err, w.v.Switch(t.Context(), w.old.is()), w.v.Finish(t.Context(), w.old.is())); err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsWrittenDuringAMoveIsNotLost writes, changes and deletes memories with the old model while a move runs, and goes
// on with the new one where that is in force, as the pipeline does.
func TestWhatIsWrittenDuringAMoveIsNotLost(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, v movable) {
		w := settled(t, v, 200)
		begun, stop := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 1000; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if i == 1010 {
					close(begun)
				}
				m := indexed("w0", i)
				open := m
				open.Steps, open.Status = nil, memory.StatusProcessing
				w.docs.put(open)
				if err := w.index(t, m); err != nil {
					t.Error(err)
					return
				}
				w.docs.put(m)
				changed := indexed("w1", 2*(i%100)+1)
				changed.Version = i
				w.docs.put(changed)
				if err := w.index(t, changed); err != nil {
					t.Error(err)
					return
				}
				if i%10 == 0 {
					w.docs.delete(m.ID)
					if err := v.Delete(t.Context(), m.Workspace, m.ID); err != nil {
						t.Error(err)
					}
				}
			}
		})
		<-begun
		if _, err := w.reindexer(v).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		close(stop)
		wg.Wait()
		w.complete(t)
	})
}

// index writes the vectors of a memory with the old model, or, where another one has taken over, with that.
func (w *town) index(t *testing.T, m memory.Memory) error {
	t.Helper()
	for _, by := range []*model{w.old, w.new} {
		points, err := by.Points(t.Context(), []memory.Memory{m})
		if err == nil {
			err = w.v.Upsert(t.Context(), by.is(), points)
		}
		if memory.CodeOf(err) != memory.CodeModelMismatch {
			return err
		}
	}
	return errors.New("neither model is taken")
}

// deleting deletes a memory just before its page is moved.
type deleting struct {
	movable

	town *town
}

func (d deleting) Move(ctx context.Context, m store.Model, ps []store.Point) error {
	gone := ps[0]
	d.town.docs.delete(gone.MemoryID)
	if err := d.Delete(ctx, gone.Workspace, gone.MemoryID); err != nil {
		return err
	}
	return d.movable.Move(ctx, m, ps)
}

func TestWhatIsDeletedDuringAMoveStaysDeleted(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, v movable) {
		w := settled(t, v, 100)
		if _, err := w.reindexer(deleting{v, w}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(w.docs.all); n >= 100 {
			t.Fatalf("%d documents are there: none was deleted", n)
		}
		w.complete(t)
	})
}

// flaky fails every other time.
type flaky struct {
	movable

	n int
}

func (f *flaky) Move(ctx context.Context, m store.Model, ps []store.Point) error {
	if f.n++; f.n%2 == 1 {
		return memory.Errorf(memory.CodeUnavailable, "away for a moment")
	}
	return f.movable.Move(ctx, m, ps)
}

func TestAMoveOutlivesOutages(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, v movable) {
		w := settled(t, v, 100)
		if _, err := w.reindexer(&flaky{movable: v}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.complete(t)
	})
}
