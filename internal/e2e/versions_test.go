//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	temporal "go.temporal.io/sdk/client"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/testservers"
	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// TestVersionedWorkers takes a service from workers without a version to build one, to two, to three, while work is under
// way. A build is given nothing before `migrate --promote` has made it the current one. What began without a version moves
// to the first that has one; with the behaviour pinned (build one) a run ends where it began, with auto-upgrade (the others)
// it moves on. The workers that are given nothing any more can go.
func TestVersionedWorkers(t *testing.T) {
	c := newCluster(t, "")
	v := &versions{cluster: c, t: t, deployment: strings.ToLower(id.New("deployment_")), builds: map[string]string{}}
	var err error
	v.temporal, err = temporal.Dial(temporal.Options{HostPort: testservers.Temporal(t), Logger: quiet{}})
	must(t, err)
	t.Cleanup(v.temporal.Close)
	for _, w := range c.workers {
		v.builds[pid(w)] = "none"
	}
	neo4j := c.proxies["SWITCHYARD_NEO4J_URI"]

	if out, err := v.promote("one"); err == nil || !strings.Contains(out, "do its workers run?") {
		t.Errorf("promoting a build without workers: %v\n%s", err, out)
	}
	one := v.worker("one", "--config", c.configured("batch:", "versioning: {behavior: pinned}"))
	v.runsOn(v.add(), "none")
	neo4j.Cut()
	before := v.batch("none")
	v.promoted("one", "none, workers without a version")
	v.begins("batch-"+before+"-r1", "none", "one")
	for _, w := range c.workers {
		must(t, w.Stop())
	}
	neo4j.Mend("")
	v.completes(before)
	v.runsOn(v.add(), "one")

	neo4j.Cut()
	pinned, early := v.batch("one"), v.add()
	two := v.worker("two")
	v.begins(early, "one")
	v.promoted("two", "one")
	late := v.add()
	v.begins(late, "two")
	neo4j.Mend("")
	v.completes(pinned)
	v.runsOn("batch-"+pinned+"-r1", "one")
	v.runsOn(early, "one")
	v.runsOn(late, "two")
	must(t, one.Stop())

	neo4j.Cut()
	moving := v.batch("two")
	v.worker("three")
	v.promoted("three", "two")
	v.begins("batch-"+moving+"-r1", "two", "three")
	must(t, two.Kill())
	neo4j.Mend("")
	v.completes(moving)
	v.runsOn(v.add(), "three")

	for m, err := range c.a.Client().ListMemories(c.ctx, client.MemoryQuery{}) {
		must(t, err)
		if m.Status != memory.StatusCompleted {
			t.Errorf("%s ended %s: %+v", m.ID, m.Status, m.Error)
		}
	}
	c.erase()
}

// versions are the builds of the workers of a cluster.
type versions struct {
	*cluster
	t          *testing.T
	temporal   temporal.Client
	deployment string
	builds     map[string]string // by process id
}

// worker starts a worker of the build, for all kinds of work.
func (v *versions) worker(build string, args ...string) *Process {
	v.t.Helper()
	p := v.process("worker", v.named(build)...)
	p.Args = append(p.Args, args...)
	again(v.t, p)
	v.builds[pid(p)] = build
	return p
}

func pid(p *Process) string { return fmt.Sprint(p.cmd.Process.Pid) }

func (v *versions) named(build string) []string {
	return []string{"SWITCHYARD_DEPLOYMENT=" + v.deployment, "SWITCHYARD_BUILD_ID=" + build}
}

func (v *versions) promote(build string) (string, error) {
	return v.runWith(v.named(build), "migrate", "--promote")
}

// promoted makes the build the current one, in the place of the one before.
func (v *versions) promoted(build, before string) {
	v.t.Helper()
	out, err := v.promote(build)
	if err != nil || !strings.Contains(out, "; before: "+before+"\n") {
		v.t.Fatalf("promote %s: %v\n%s", build, err, out)
	}
}

// add adds a memory for the durable track and returns the id of its run.
func (v *versions) add() (run string) {
	v.t.Helper()
	m := add(v.ctx, v.t, v.a.Client(), memory.Input{Content: fmt.Sprintf("The Wizard left by balloon at %d.", time.Now().UnixNano()), Track: memory.TrackDurable})
	return fmt.Sprintf("memory-%s-v1", m.ID)
}

// batch sends a batch that the build begins with, and that cannot end while Neo4j is away.
func (v *versions) batch(build string) (batchID string) {
	v.t.Helper()
	texts := make([]string, 70)
	for i := range texts {
		texts[i] = fmt.Sprintf("Winged monkey number %d flew over Oz under build %s.", i, build)
	}
	b, err := v.a.Client().UploadBatch(v.ctx, bytes.NewReader(Lines(build, texts)), client.BatchOptions{Name: build})
	must(v.t, err)
	v.begins("batch-"+b.ID+"-r1", build)
	return b.ID
}

func (v *versions) completes(batchID string) {
	v.t.Helper()
	b, err := v.a.Client().WaitForBatch(v.ctx, batchID, nil)
	must(v.t, err)
	if b.Counts.Completed != b.Counts.Total {
		v.t.Errorf("the batch ended %s with %+v", b.Status, b.Counts)
	}
}

// begins waits until the builds, and no others, have worked on the run.
func (v *versions) begins(run string, builds ...string) {
	v.t.Helper()
	slices.Sort(builds)
	poll(v.ctx, v.t, fmt.Sprintf("work of %v on %s", builds, run), func() (bool, error) { return slices.Equal(v.at(run), builds), nil })
}

// runsOn waits for the end of a run and checks that all of it was the build's.
func (v *versions) runsOn(run, build string) {
	v.t.Helper()
	poll(v.ctx, v.t, "the beginning of "+run, func() (bool, error) { return len(v.at(run)) > 0, nil })
	must(v.t, v.temporal.GetWorkflow(v.ctx, run, "").Get(v.ctx, nil))
	if at := v.at(run); !slices.Equal(at, []string{build}) {
		v.t.Errorf("%s ran on %v, want %s alone", run, at, build)
	}
}

// at says which builds have worked on a run so far, by what Temporal has written down: who took its workflow tasks, and who
// its activities.
func (v *versions) at(run string) []string {
	v.t.Helper()
	builds := map[string]bool{}
	for h := v.temporal.GetWorkflowHistory(v.ctx, run, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); h.HasNext(); {
		e, err := h.Next()
		if err != nil { // not yet begun
			return nil
		}
		for _, worker := range []string{e.GetWorkflowTaskStartedEventAttributes().GetIdentity(), e.GetActivityTaskStartedEventAttributes().GetIdentity()} {
			if process, _, ok := strings.Cut(worker, "@"); ok {
				builds[v.builds[process]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(builds))
}

// quiet is a log of Temporal's client that nobody reads.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
