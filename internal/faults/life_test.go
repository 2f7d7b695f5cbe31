//go:build failpoints

package faults

import (
	"bufio"
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entry is a line of the journal.
type entry struct {
	at    int64 // nanoseconds
	words []string
}

// entries reads the journal. A line that a kill cut short is not read.
func (w *world) entries() (out []entry) {
	f, err := os.Open(w.journal)
	if err != nil {
		return nil // nothing has started yet
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		words := strings.Split(lines.Text(), "\t")
		at, err := strconv.ParseInt(words[0], 10, 64)
		if err != nil || len(words) < 3 {
			continue
		}
		out = append(out, entry{at, words[2:]})
	}
	return out
}

// fired are the faults that happened.
func (w *world) fired() (out []string) {
	for _, e := range w.entries() {
		if e.words[0] == "fired" {
			out = append(out, e.words[1])
		}
	}
	return out
}

// left are the faults that did not happen yet.
func (w *world) left(due []Fault) []Fault {
	fired := w.fired()
	return slices.DeleteFunc(slices.Clone(due), func(f Fault) bool { return slices.Contains(fired, f.String()) })
}

// deadly counts the faults so far that may have ended a process.
func (w *world) deadly() (n int) {
	for _, f := range w.fired() {
		if strings.HasPrefix(f, string(Kill)) || strings.HasPrefix(f, string(Panic)) {
			n++
		}
	}
	return n
}

// live keeps the process running until stop is called: where a fault ends it, it is started again with the faults that
// are left. stop ends it in good order; it returns how often the process had to be started.
func (w *world) live(ctx context.Context, bug string, due []Fault) (stop func() int) {
	stopping, over := make(chan struct{}), make(chan struct{})
	starts := 0
	go func() {
		defer close(over)
		deaths := 0
		for ctx.Err() == nil {
			starts++
			w.process.Env = w.env(bug, w.left(due))
			err := w.process.Start(ctx)
			if err == nil {
				select {
				case <-stopping:
					err = w.process.Stop()
					if err == nil {
						return
					}
				case <-w.process.Done():
				}
			}
			if deaths++; w.deadly() < deaths { // nothing ended it but itself
				w.breachf("died", "the process ended by itself: %v\n%s", err, w.process.LogTail())
				_ = w.process.Kill()
				return
			}
		}
	}()
	return func() int {
		close(stopping)
		select {
		case <-over:
		case <-time.After(2 * time.Minute):
			w.breachf("stuck", "the process did not stop")
			_ = w.process.Kill()
		}
		return starts
	}
}
