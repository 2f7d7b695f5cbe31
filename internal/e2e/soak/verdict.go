package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/pkg/client"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// verdict is what an attack came to. The lists are what was promised not to be.
type verdict struct {
	Topology string        `json:"topology"`
	Seed     uint64        `json:"seed"`
	Attacked time.Duration `json:"attacked"`
	Drained  time.Duration `json:"drained"`

	Kills        int            `json:"kills"`
	Moments      map[moment]int `json:"moments"` // kills by when they came
	Disturbances map[string]int `json:"disturbances"`
	InFlight     [3]int         `json:"in_flight"` // memories at the kills: the fewest, the median, the most
	Model        map[mode]int   `json:"model"`     // calls by how they were met
	Acknowledged int            `json:"acknowledged"`
	Repeated     int            `json:"repeated"` // requests that had to be sent again
	Memories     int            `json:"memories"` // that should be there
	Statuses     map[string]int `json:"statuses"`
	Tracks       map[string]int `json:"tracks"`
	Hooks        int            `json:"hooks"` // that should come
	SameHook     int            `json:"same_hook"`
	Answers      int            `json:"answers"` // of the LLM, that were paid for
	Allowed      int            `json:"allowed"` // of them, those that were in flight when something was done
	Twice        int            `json:"twice"`   // of them, those beyond one for each question

	Lost       []string `json:"lost"`
	Duplicated []string `json:"duplicated"`
	Stuck      []string `json:"stuck"`
	Untrue     []string `json:"untrue"`
	Drift      []string `json:"drift"`
	Unheard    []string `json:"unheard"`
	HeardTwice []string `json:"heard_twice"`
	PaidTwice  []string `json:"paid_twice"`
	WentOn     []string `json:"went_on"`
	Wrong      []string `json:"wrong"`
}

// judge compares the ledger with what there is.
func (s *siege) judge(ctx context.Context, open int) (*verdict, error) {
	ds, told := s.cluster.log.list()
	v := &verdict{
		Kills: len(s.inFlight), Moments: s.moments, Disturbances: told, InFlight: spread(s.inFlight), Model: s.model.modes,
		Repeated: int(s.load.repeats.Load()), Statuses: map[string]int{}, Tracks: map[string]int{}, SameHook: s.hooks.repeats, Wrong: s.load.wrong,
	}
	stored, err := v.read(ctx, s.load.clients[0])
	if err != nil {
		return nil, err
	}
	for _, e := range s.load.ledger.all() {
		if err := v.compare(ctx, s.load.clients[0], e, stored); err != nil {
			return nil, err
		}
		v.hook(e, s.hooks.news(e.ID))
	}
	if open > 0 {
		v.Stuck = append(v.Stuck, fmt.Sprintf("%d memories are still open", open))
	}
	var unexplained []question
	v.Answers, v.Allowed, v.Twice, unexplained = s.model.doubts(ds)
	for _, q := range unexplained {
		v.PaidTwice = append(v.PaidTwice, q.method+" of "+q.text)
	}
	v.WentOn = s.model.overtaken()
	return v, v.census(ctx, s.cluster)
}

func spread(n []int) [3]int {
	if len(n) == 0 {
		return [3]int{}
	}
	sorted := slices.Sorted(slices.Values(n))
	return [3]int{sorted[0], sorted[len(sorted)/2], sorted[len(sorted)-1]}
}

// read lists all memories there are, by the client's key.
func (v *verdict) read(ctx context.Context, c *client.Client) (map[string][]memory.Memory, error) {
	stored := map[string][]memory.Memory{}
	for m, err := range c.ListMemories(ctx, client.MemoryQuery{}) {
		if err != nil {
			return nil, fmt.Errorf("list memories: %w", err)
		}
		k, _ := m.Metadata["key"].(string)
		stored[k] = append(stored[k], m)
		v.Statuses[string(m.Status)]++
		v.Tracks[string(m.Track)]++
	}
	return stored, nil
}

// compare looks for what was acknowledged.
func (v *verdict) compare(ctx context.Context, c *client.Client, e entry, stored map[string][]memory.Memory) error {
	v.Acknowledged++
	if e.Lines == 0 {
		v.one(e.Key, e.ID, stored)
		return nil
	}
	for i := range e.Lines {
		v.one(lineKey(e.Key, i), "", stored)
	}
	b, err := c.GetBatch(ctx, e.ID)
	var answer *client.Error
	if errors.As(err, &answer) && answer.Status == 404 {
		v.Lost = append(v.Lost, "batch "+e.ID)
		return nil
	}
	if err != nil {
		return fmt.Errorf("get batch %s: %w", e.ID, err)
	}
	n := b.Counts
	if sum := n.Completed + n.Degraded + n.Failed; sum != e.Lines || n.Total != e.Lines {
		v.Untrue = append(v.Untrue, fmt.Sprintf("batch %s of %d lines says %+v", b.ID, e.Lines, n))
	}
	if !b.Status.Final() {
		v.Stuck = append(v.Stuck, fmt.Sprintf("batch %s is %s", b.ID, b.Status))
	}
	return nil
}

func (v *verdict) one(key, id string, stored map[string][]memory.Memory) {
	v.Memories++
	found := stored[key]
	switch {
	case len(found) == 0:
		v.Lost = append(v.Lost, key+" "+id)
		return
	case len(found) > 1:
		v.Duplicated = append(v.Duplicated, fmt.Sprintf("%s is %d memories", key, len(found)))
	case id != "" && found[0].ID != id:
		v.Lost = append(v.Lost, fmt.Sprintf("%s was acknowledged as %s and is %s", key, id, found[0].ID))
	}
	if !found[0].Status.Final() {
		v.Stuck = append(v.Stuck, fmt.Sprintf("%s (%s) is %s on %s", key, found[0].ID, found[0].Status, found[0].Track))
	}
}

func (v *verdict) hook(e entry, heard int) {
	if !e.Hook {
		return
	}
	v.Hooks++
	switch {
	case heard == 0:
		v.Unheard = append(v.Unheard, e.Key+" "+e.ID)
	case heard > 1:
		v.HeardTwice = append(v.HeardTwice, fmt.Sprintf("%s was told of in %d events", e.ID, heard))
	}
}

func (v *verdict) census(ctx context.Context, c *cluster) error {
	raw, err := census(ctx, c)
	if err != nil {
		return err
	}
	var report struct {
		Memories map[string]int `json:"memories"`
		Drift    []struct {
			Kind   string `json:"kind"`
			ID     string `json:"id"`
			Detail string `json:"detail"`
		} `json:"drift"`
	}
	if err := json.Unmarshal(raw, &report); err != nil {
		return fmt.Errorf("read the census: %w", err)
	}
	for _, d := range report.Drift {
		v.Drift = append(v.Drift, fmt.Sprintf("%s %s: %s", d.Kind, d.ID, d.Detail))
	}
	if !maps.Equal(report.Memories, v.Statuses) {
		v.Drift = append(v.Drift, fmt.Sprintf("the census counts %v, the API %v", report.Memories, v.Statuses))
	}
	return nil
}

// broken are the lists by what they are of.
func (v *verdict) broken() []finding {
	return []finding{
		{"lost", v.Lost},
		{"duplicated", v.Duplicated},
		{"stuck", v.Stuck},
		{"untrue counts", v.Untrue},
		{"drift between the stores", v.Drift},
		{"webhooks that never came", v.Unheard},
		{"told in two events", v.HeardTwice},
		{"LLM calls paid twice", v.PaidTwice},
		{"wrote over a successor", v.WentOn},
		{"wrong answers", v.Wrong},
	}
}

type finding struct {
	what string
	list []string
}

// err says which promises were broken, or that the attack was not what it should have been.
func (v *verdict) err(o *options) error {
	var errs []error
	for _, f := range v.broken() {
		if len(f.list) > 0 {
			errs = append(errs, fmt.Errorf("%s: %s: %d", v.Topology, f.what, len(f.list)))
		}
	}
	if v.Kills > 0 && v.InFlight[0] < o.inFlight {
		errs = append(errs, fmt.Errorf("%s: only %d memories were in flight at a kill, not %d", v.Topology, v.InFlight[0], o.inFlight))
	}
	if v.Memories == 0 {
		errs = append(errs, fmt.Errorf("%s: nothing was acknowledged", v.Topology))
	}
	return errors.Join(errs...)
}

// shown is how much of a list is printed.
const shown = 10

// String is the verdict for people.
func (v *verdict) String() string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "  %-26s %s\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "\n%s, seed %d: %v under attack, then over in %v\n", v.Topology, v.Seed, v.Attacked, v.Drained)
	line("kills, or replacements", "%d, with %d / %d / %d memories in flight (fewest / median / most)", v.Kills, v.InFlight[0], v.InFlight[1], v.InFlight[2])
	line("when they came", "%v", v.Moments)
	line("done to them", "%v", v.Disturbances)
	line("the LLM", "%v", v.Model)
	line("acknowledged", "%d requests, %d memories; sent again: %d", v.Acknowledged, v.Memories, v.Repeated)
	line("memories", "%v, tracks %v", v.Statuses, v.Tracks)
	line("webhooks", "%d to come, the same one again %d times", v.Hooks, v.SameHook)
	line("LLM answers paid for", "%d, of which %d were in flight when something was done and might be paid for again, and %d were",
		v.Answers, v.Allowed, v.Twice-len(v.PaidTwice))
	for _, f := range v.broken() {
		line(f.what, "%d", len(f.list))
		for _, item := range f.list[:min(shown, len(f.list))] {
			fmt.Fprintf(&b, "      %s\n", item)
		}
	}
	return b.String()
}
