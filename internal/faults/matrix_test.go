//go:build failpoints

package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/pipeline"
	"github.com/switchyard-ai/switchyard/internal/testservers"
)

// program is what is attacked, built for this tag: SWITCHYARD_FAULTS_BIN, or a build of the checkout. temporal is the
// address of a server that all runs share, each with task queues of its own: SWITCHYARD_TEST_TEMPORAL_ADDRESS, or one that
// is started.
var (
	program = sync.OnceValues(func() (string, error) {
		if name := os.Getenv("SWITCHYARD_FAULTS_BIN"); name != "" {
			return name, nil
		}
		name := filepath.Join(scratch, "switchyard")
		build := exec.CommandContext(context.Background(), "go", "build", "-tags", "lean,failpoints", "-o", name, "../../cmd/switchyard")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		return name, build.Run()
	})
	temporal = sync.OnceValues(func() (string, error) {
		if address := os.Getenv("SWITCHYARD_TEST_TEMPORAL_ADDRESS"); address != "" {
			return address, nil
		}
		server, err := testservers.StartTemporal(filepath.Join(scratch, "temporal"))
		if err != nil {
			return "", err
		}
		closers = append(closers, server.Stop)
		return server.Ready, nil
	})

	scratch string
	closers []func() error
)

func TestMain(m *testing.M) { os.Exit(prepared(m)) }

func prepared(m *testing.M) int {
	dir, err := os.MkdirTemp("", "switchyard-faults")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	scratch = dir
	defer func() {
		for _, c := range closers {
			_ = c()
		}
	}()
	return m.Run()
}

// points are all boundaries but those of answers, which the program names itself.
func points() (all []string) {
	for _, p := range stored {
		if slices.Contains(offline, p) {
			continue
		}
		if labels[p] == "" {
			all = append(all, p)
			continue
		}
		for _, s := range pipeline.New(pipeline.Parts{}, pipeline.Config{}).Steps() {
			all = append(all, p+"/"+s.Name)
		}
	}
	for rpc := range rpcs {
		all = append(all, "Temporal."+rpc)
	}
	return append(all, pointWebhook, "LLM.UseCases", "LLM.Graph", "LLM.Embed")
}

// result is what came of a run.
type result struct {
	unfired []Fault
	starts  int
	rounds  int
	broken  []string
	answers []string
	passed  map[string]bool
	took    time.Duration
}

// rounds is how often the stories are told at most until every fault of the run has happened.
const rounds = 6

// play tells the stories to a program with these faults in it, lets it finish, and looks at what is left.
func play(t *testing.T, bug string, due []Fault, only ...string) result {
	t.Helper()
	limit := 6 * time.Minute
	if bug != "" { // it may well hang
		limit = 90 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	w, start := newWorld(t), time.Now()
	stop := w.live(ctx, bug, due)
	res := result{passed: map[string]bool{}}
	for res.rounds = 1; res.rounds <= rounds; res.rounds++ {
		w.tell(ctx, res.rounds, only...)
		if res.unfired = w.left(due); len(res.unfired) == 0 || len(w.broken) > 0 {
			break
		}
	}
	if len(due) == 0 { // what is done now and then is passed too
		w.hear(ctx, "Requests.Sweep", "Batches.Sweep", "Erasures.Sweep", "Keys.Touch")
	}
	var err error
	if res.answers, err = w.answers(ctx); err != nil {
		w.breachf("story", "openapi: %v", err)
	}
	w.settle(ctx)
	w.quiet(ctx)
	res.starts = stop()
	w.verify(context.WithoutCancel(ctx))
	for _, e := range w.entries() {
		switch e.words[0] {
		case "passed":
			res.passed[e.words[1]] = true
		case "fired":
			_, passed, _ := strings.Cut(e.words[1], " ")
			res.passed[passed] = true
		}
	}
	res.unfired = w.left(due)
	res.broken, res.took = w.broken, time.Since(start)
	return res
}

// hear waits until boundaries were passed.
func (w *world) hear(ctx context.Context, points ...string) {
	for _, p := range points {
		for !slices.ContainsFunc(w.entries(), func(e entry) bool { return e.words[0] == "passed" && e.words[1] == "after "+p }) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

// quiet waits until nothing is owed, pending or to be erased any more; what is then is for verify to see.
func (w *world) quiet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for !w.idle(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// actions and sides make the matrix.
var (
	actions = []Action{Error, Panic, Kill, Stand}
	sides   = []When{Before, After}
)

// TestEveryBoundaryIsPassed tells the stories without faults: it fails where a boundary is not passed, which would be a
// case of the matrix that tests nothing, where one is passed that the list does not have, and where a promise is broken.
func TestEveryBoundaryIsPassed(t *testing.T) {
	t.Parallel()
	res := play(t, "", nil)
	for _, b := range res.broken {
		t.Error(b)
	}
	var missing, unknown []string
	all := append(points(), res.answers...)
	for _, p := range all {
		for _, w := range sides {
			if !res.passed[string(w)+" "+p] {
				missing = append(missing, string(w)+" "+p)
			}
		}
	}
	for p := range res.passed {
		_, name, _ := strings.Cut(p, " ")
		if !slices.Contains(all, name) && !slices.Contains(harmless, name) {
			unknown = append(unknown, p)
		}
	}
	slices.Sort(missing)
	if d := cmp.Diff([]string(nil), missing); d != "" {
		t.Errorf("no story passes these: %s", d)
	}
	if d := cmp.Diff([]string(nil), unknown); d != "" {
		t.Errorf("these are in no list: %s", d)
	}
	t.Logf("%d boundaries passed on both sides in %v", len(all), res.took.Round(time.Second))
}

// atOnce is how many faults of the same kind one run has. They happen one after the other, each the first time that its
// boundary is passed; of a run that broke a promise each fault is tried by itself, to name the one that did it.
const atOnce = 12

// TestMatrix puts every action on both sides of every boundary. SWITCHYARD_FAULTS_PART, such as "kill" or "error before",
// chooses a part of it.
func TestMatrix(t *testing.T) {
	t.Parallel()
	part := os.Getenv("SWITCHYARD_FAULTS_PART")
	if part == "" {
		t.Skip("the matrix takes its time: make faults")
	}
	answers := named(t)
	all := append(points(), answers...)
	slices.Sort(all)
	for _, a := range actions {
		for _, w := range sides {
			if kind := string(a) + " " + string(w); part != "all" && !strings.HasPrefix(kind, part) {
				continue
			}
			for n := 0; n*atOnce < len(all); n++ {
				var due []Fault
				for i := n; i < len(all); i += (len(all) + atOnce - 1) / atOnce { // neighbours are apart
					due = append(due, Fault{a, w, all[i]})
				}
				t.Run(fmt.Sprintf("%s-%s-%d", a, w, n), func(t *testing.T) {
					t.Parallel()
					attack(t, due)
				})
			}
		}
	}
}

// named asks the program for the boundaries of its answers.
func named(t *testing.T) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := newWorld(t)
	stop := w.live(ctx, "", nil)
	defer stop()
	answers, err := w.answers(ctx)
	must(t, err)
	return answers
}

// attack plays with the faults, and, where that breaks something, with each of them alone.
func attack(t *testing.T, due []Fault) {
	t.Helper()
	res := play(t, "", due)
	t.Logf("MATRIX cases=%d unfired=%d starts=%d rounds=%d broken=%d took=%s", len(due), len(res.unfired), res.starts, res.rounds, len(res.broken), res.took.Round(time.Second))
	for _, f := range res.unfired {
		t.Errorf("%s did not happen", f)
	}
	for _, b := range res.broken {
		t.Errorf("of %d faults: %s", len(due), b)
	}
	if len(res.broken) == 0 || len(due) == 1 {
		return
	}
	for _, f := range due {
		alone := play(t, "", []Fault{f})
		for _, b := range alone.broken {
			t.Errorf("%s alone: %s", f, b)
		}
	}
}
