//go:build failpoints

package faults

import (
	"context"
	"fmt"
	"net/http"
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
	code := m.Run()
	fmt.Println(&total) // shown where the test is verbose, or fails
	return code
}

// tally is what all runs together came to.
type tally struct {
	mu                     sync.Mutex
	cases, unfired, broken int
	bugs, seen             int
}

var total tally

func (s *tally) add(cases, unfired, broken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cases, s.unfired, s.broken = s.cases+cases, s.unfired+unfired, s.broken+broken
}

func (s *tally) bug(seen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bugs++; seen {
		s.seen++
	}
}

// String is one line for people.
func (s *tally) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("FAULTS %d cases, %d happened, %d promises broken; %d of %d planted bugs seen", s.cases, s.cases-s.unfired, s.broken, s.seen, s.bugs)
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
	var res result
	var err error
	if res.answers, err = w.answers(ctx); err != nil {
		w.breachf("story", "openapi: %v", err)
	}
	tour := bug == "" && len(due) == 0 && len(only) == 0 // no fault: every boundary is to be passed
	for res.rounds = 1; res.rounds <= rounds; res.rounds++ {
		w.tell(ctx, res.rounds, only...)
		res.unfired = w.left(due)
		if len(w.broken) > 0 || len(res.unfired) == 0 && (!tour || len(w.ahead(res.answers)) == 0) {
			break
		}
	}
	w.await(ctx, due, tour)
	w.settle(ctx)
	w.quiet(ctx)
	res.starts = stop()
	w.verify(context.WithoutCancel(ctx))
	res.passed = w.passed()
	res.unfired = w.left(due)
	res.broken, res.took = w.broken, time.Since(start)
	return res
}

// periodic are the boundaries that a process passes now and then, whatever its users do: how soon does not depend on them.
var periodic = []string{"Requests.Sweep", "Batches.Sweep", "Erasures.Sweep", "Deliveries.Sweep", "Keys.Touch", "Leases.Renew"}

// ahead are the boundaries that were not passed on both sides, but for those that only take time.
func (w *world) ahead(answers []string) []string {
	passed := w.passed()
	return slices.DeleteFunc(append(points(), answers...), func(p string) bool {
		return slices.Contains(periodic, p) || passed["before "+p] && passed["after "+p]
	})
}

// await waits until the periodic boundaries were passed: all of them on a tour, else those where a fault is due. Each look
// uses a key, whose use is stored now and then.
func (w *world) await(ctx context.Context, due []Fault, tour bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		passed := w.passed()
		ahead := slices.ContainsFunc(w.left(due), func(f Fault) bool { return slices.Contains(periodic, f.Point) })
		for _, p := range periodic {
			ahead = ahead || tour && !passed["after "+p]
		}
		if !ahead {
			return
		}
		_, _ = w.try(ctx, http.MethodGet, "/v1/workspace", "", "") // it may just start again
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// passed are the sides of boundaries that were passed, or where a fault happened.
func (w *world) passed() map[string]bool {
	out := map[string]bool{}
	for _, e := range w.entries() {
		switch e.words[0] {
		case "passed":
			out[e.words[1]] = true
		case "fired":
			_, side, _ := strings.Cut(e.words[1], " ")
			out[side] = true
		}
	}
	return out
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
	total.add(len(due), len(res.unfired), len(res.broken))
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
