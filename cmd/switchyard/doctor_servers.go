package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// server looks at one server: whether it answers, its version and clock, and what migrate makes.
func (d *diagnosis) server(ctx context.Context, s *dependency) {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	where := cmp.Or(s.address, "this machine")
	there := d.look(s.name, "connection", "is it running, at "+where+", and may this machine reach it, with the user and password that are set?", func() (string, error) {
		start := time.Now()
		err := s.ping(ctx)
		return fmt.Sprintf("%s answers in %d ms", where, time.Since(start).Milliseconds()), err
	})
	if !there {
		return
	}
	d.about(ctx, s)
	if s.examine != nil {
		s.examine(ctx, d)
	} else if s.check != nil {
		d.look(s.name, "made for this version", "run switchyard migrate", func() (string, error) { return "all is there", s.check(ctx) })
	}
}

// about looks at the version and the clock of a server.
func (d *diagnosis) about(ctx context.Context, s *dependency) {
	if s.about == nil {
		return
	}
	before := d.now()
	a, err := s.about(ctx)
	after := d.now()
	d.look(s.name, "version", "look into its log", func() (string, error) {
		if err != nil {
			return "", err
		}
		return s.releases.judge(a.version)
	})
	if s.timeless != "" {
		d.look(s.name, "clock", "", func() (string, error) { return s.timeless, nil })
	} else if err == nil && !a.clock.IsZero() {
		d.clock(s.name, a.clock, before, after)
	}
}

// maxSkew is how far clocks may be apart: leases of ten seconds are measured by them.
const maxSkew = 2 * time.Second

// clock compares what a server's clock showed at some moment between two of this machine's.
func (d *diagnosis) clock(part string, clock, before, after time.Time) {
	d.look(part, "clock", "set the clocks by NTP, there and here", func() (string, error) {
		skew := time.Duration(0)
		switch {
		case clock.Before(before):
			skew = clock.Sub(before)
		case clock.After(after):
			skew = clock.Sub(after)
		}
		if skew.Abs() > maxSkew {
			return "", fmt.Errorf("its clock is %v from this machine's", skew.Round(time.Millisecond))
		}
		return fmt.Sprintf("within %v of this machine's", (skew.Abs() + after.Sub(before)).Round(time.Millisecond)), nil
	})
}

// releases are the versions of a server that are needed, and those that it was tested with: "5.26", each; "": not known.
type releases struct {
	needed, tested string
	stand          string // what stood in for the server in the tests; "": nothing
}

// judge says what to make of a version. One that is too old is an error, one newer than all that was tested a mild one.
func (r releases) judge(version string) (string, error) {
	says := cmp.Or(version, "it does not say")
	if r.needed != "" {
		says += "; " + r.needed + " or later is needed"
	}
	if r.tested != "" {
		says += ", tested with " + r.tested
	}
	if r.stand != "" {
		says += ", on " + r.stand
	}
	switch {
	case version == "":
		return says, nil
	case r.needed != "" && minor(version) < minor(r.needed):
		return "", ailment{fmt.Errorf("%s is too old: %s or later is needed", version, r.needed), "put a newer version in its place", false}
	case r.tested != "" && minor(version) > minor(r.tested):
		return "", mild("nothing has to be done; tell the makers of Switchyard what does not work", "%s, newer than the tests of this version of Switchyard", says)
	}
	return says, nil
}

// minor makes a number of the first two parts of a version, to compare by. What is not a number counts as 0.
func minor(version string) int {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	second, _, _ := strings.Cut(rest, ".")
	a, _ := strconv.Atoi(major)
	b, _ := strconv.Atoi(second)
	return a*1000 + b
}

// doctorWorkspace is where doctor writes what it deletes again. Nobody has a key for it.
const doctorWorkspace = "switchyard-doctor"

// probes write something and delete it again, through the ports that the service uses.
func (d *diagnosis) probes(ctx context.Context, s *server) {
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	const mend = "give its user the right to read and write, and look into its log"
	m := memory.Memory{
		ID: id.New(id.Memory), Workspace: doctorWorkspace, Content: "switchyard doctor", Status: memory.StatusQueued, Track: memory.TrackDurable,
		CreatedAt: memory.Now(), UpdatedAt: memory.Now(),
	}
	d.look("documents", "write and delete", mend, func() (string, error) {
		_, err := s.stores.Memories.Put(ctx, []store.Intake{{Memory: m, Lease: store.Lease{Owner: "doctor", Until: time.Now().Add(time.Hour)}}})
		return "done", errors.Join(err, s.stores.Memories.Delete(ctx, doctorWorkspace, m.ID))
	})
	d.look("graph", "write and delete", mend, func() (string, error) {
		g := memory.Graph{Nodes: []memory.Node{{ID: store.NodeID(doctorWorkspace, "Probe", "Doctor"), Type: "Probe", Name: "Doctor"}}}
		err := s.stores.Graph.Merge(ctx, []store.Mention{{Ref: memory.Ref{Workspace: doctorWorkspace, ID: m.ID, Version: 1}, Graph: g}})
		return "done", errors.Join(err, s.stores.Graph.Delete(ctx, doctorWorkspace, m.ID))
	})
	d.look("vectors", "write and delete", mend+"; after a change of the embedding model: switchyard reindex", func() (string, error) { return s.probeVectors(ctx, m.ID) })
}

// probeVectors writes only where the model is settled: the first vectors of all would settle it.
func (s *server) probeVectors(ctx context.Context, memoryID string) (string, error) {
	stored, err := s.stores.Vectors.Model(ctx)
	if err != nil {
		return "", err
	}
	if err := checkModel(ctx, s.stores, s.models); err != nil || stored.ID == "" {
		return "nothing is stored yet: the model is settled by the first memory", err
	}
	v, err := s.models.Embedder.Embed(ctx, []string{"switchyard doctor"})
	if err != nil {
		return "", err
	}
	p := store.Point{Workspace: doctorWorkspace, MemoryID: memoryID, Version: 1, End: 17, Text: "switchyard doctor", Vector: v.Vectors[0]}
	err = s.stores.Vectors.Upsert(ctx, stored, []store.Point{p})
	return "done, with vectors of " + stored.ID, errors.Join(err, s.stores.Vectors.Delete(ctx, doctorWorkspace, memoryID))
}
