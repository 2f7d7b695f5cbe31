package mongostore

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Checkpoint appends the receipts of steps that were not tried before, a page in one call: that is what most are. Those of
// steps that were tried before take their place.
func (rs runs) Checkpoint(ctx context.Context, cs []store.Checkpoint) ([]bool, error) {
	models := make([]mongo.WriteModel, len(cs))
	for i, c := range cs {
		filter := append(current(c.Ref, c.Fence), bson.E{Key: "steps.receipt.name", Value: doc("$ne", c.Receipt.Name)})
		w := write{update: doc("$push", doc("steps", stepOf(c.Receipt, c.Output)))}
		w.spend(c.Receipt, memory.Receipt{})
		models[i] = mongo.NewUpdateOneModel().SetFilter(filter).SetUpdate(w.done(nil, c.Output))
	}
	matched, err := bulk(ctx, rs.s.memories, models)
	if err != nil {
		return nil, wrap(ctx, err)
	}
	ok := make([]bool, len(cs))
	if matched == len(cs) {
		return allTrue(ok), nil
	}
	return ok, wrap(ctx, rs.replace(ctx, cs, ok))
}

// replace makes those checkpoints that were not made as first ones. It goes on until what is stored says of each that it
// is made, not needed or not allowed.
func (rs runs) replace(ctx context.Context, cs []store.Checkpoint, ok []bool) error {
	left := make([]int, len(cs))
	refs := make([]memory.Ref, len(cs))
	for i := range cs {
		left[i], refs[i] = i, cs[i].Ref
	}
	for try := 0; ; try++ {
		found, err := rs.state(ctx, refs)
		if err != nil {
			return err
		}
		var models []mongo.WriteModel
		var open []int
		turn := map[string]bool{}
		for _, i := range left {
			c, d := &cs[i], found[key(cs[i].Ref.Workspace, cs[i].Ref.ID)]
			if !d.runs(c.Ref, c.Fence) {
				continue
			}
			place := d.place(c.Receipt.Name)
			if ok[i] = place >= 0 && settled(d.Steps[place].Receipt, c.Receipt); ok[i] {
				continue
			}
			open = append(open, i)
			if turn[d.Key] { // another of this memory goes first
				continue
			}
			turn[d.Key] = true
			w := write{}
			w.put(d, []step{stepOf(c.Receipt, c.Output)})
			models = append(models, mongo.NewUpdateOneModel().SetFilter(d.asWritten(c.Ref, c.Fence)).SetUpdate(w.done(nil, c.Output)))
		}
		if left = open; len(left) == 0 {
			return nil
		}
		if _, err := bulk(ctx, rs.s.memories, models); err != nil {
			return err
		}
		if try > 0 {
			if err := pause(ctx, try); err != nil {
				return err
			}
		}
	}
}

// settled reports whether a stored receipt needs no change for the other: it is that one, or the work was done before.
func settled(stored, r memory.Receipt) bool {
	return stored.Status == memory.StepCompleted || reflect.DeepEqual(stored, r)
}

// asWritten is the condition that the run is in force and no step was written since the document was read.
func (d *memoryDoc) asWritten(ref memory.Ref, fence int64) bson.D {
	return append(current(ref, fence), bson.E{Key: "writes", Value: d.Writes})
}

// place is where the step stands; -1 where it was not tried.
func (d *memoryDoc) place(name string) int {
	return slices.IndexFunc(d.Steps, func(s step) bool { return s.Receipt.Name == name })
}

func stepOf(r memory.Receipt, o *memory.Output) step {
	s := step{Receipt: r}
	if o != nil {
		rest := *o
		rest.Embedding = nil
		s.Output = &rest
	}
	return s
}

// write is the change of a memory that writes steps.
type write struct {
	update       bson.D // operators other than $set and $inc
	set          bson.D
	tokens, cost int64
}

// put writes steps into the document as it was read; those that are completed there stay as they are.
func (w *write) put(d *memoryDoc, steps []step) {
	var added []step
	for _, s := range steps {
		place := d.place(s.Receipt.Name)
		switch {
		case place < 0:
			added = append(added, s)
			w.spend(s.Receipt, memory.Receipt{})
		case d.Steps[place].Receipt.Status != memory.StepCompleted:
			w.set = append(w.set, bson.E{Key: fmt.Sprintf("steps.%d", place), Value: s})
			w.spend(s.Receipt, d.Steps[place].Receipt)
		}
	}
	if len(d.Steps) == 0 && len(added) > 0 {
		w.set = append(w.set, bson.E{Key: "steps", Value: added})
		return
	}
	for i, s := range added { // $push would be at odds with $set
		w.set = append(w.set, bson.E{Key: fmt.Sprintf("steps.%d", len(d.Steps)+i), Value: s})
	}
}

// spend brings the sums up to date with a receipt that takes the place of another.
func (w *write) spend(r, was memory.Receipt) {
	w.tokens += int64(r.Tokens - was.Tokens)
	w.cost += costOf(r.CostUSD) - costOf(was.CostUSD)
}

// done is the update, with what else is set, and with the embedding of a step's output.
func (w *write) done(set bson.D, o *memory.Output) bson.D {
	set = append(append(set, w.set...), bson.E{Key: "updated_at", Value: memory.Now()})
	if o != nil && o.Embedding != nil {
		set = append(set, bson.E{Key: "embedding", Value: o.Embedding})
	}
	inc := doc("writes", 1)
	if w.tokens != 0 || w.cost != 0 {
		inc = append(inc, doc("tokens", w.tokens, "cost", w.cost)...)
	}
	return append(w.update, doc("$set", set, "$inc", inc)...)
}

// Finish leaves a mark: the run's fence and the id of the event, or a name of its own. By it a call that comes again,
// since its answer was lost, finds that it has ended the run.
func (rs runs) Finish(ctx context.Context, fs []store.Finish) ([]bool, error) {
	ends := make([]ending, len(fs))
	for i, f := range fs {
		if !f.Status.Final() {
			return nil, memory.Errorf(memory.CodeInternal, "a run cannot end as %q", f.Status)
		}
		name := id.New("end_")
		if f.Event != nil {
			name = f.Event.ID
		}
		ends[i] = ending{Finish: f, mark: fmt.Sprintf("%d/%s", f.Fence, name)}
	}
	ok := make([]bool, len(fs))
	return ok, wrap(ctx, rs.finish(ctx, ends, ok))
}

type ending struct {
	store.Finish

	mark string
}

// finish ends runs; those whose steps change with it are read first. It goes on until what is stored says of each that
// its run is ended or no longer in force.
func (rs runs) finish(ctx context.Context, ends []ending, ok []bool) error {
	var refs []memory.Ref
	for _, e := range ends {
		if len(e.Receipts) > 0 {
			refs = append(refs, e.Ref)
		}
	}
	left := make([]int, len(ends))
	for i := range ends {
		left[i] = i
	}
	found := map[string]*memoryDoc{}
	for try := 0; len(left) > 0; try++ {
		if len(refs) > 0 {
			var err error
			if found, err = rs.state(ctx, refs); err != nil {
				return err
			}
		}
		left = slices.DeleteFunc(left, func(i int) bool { return ends[i].over(found, try > 0, &ok[i]) })
		models := make([]mongo.WriteModel, len(left))
		for n, i := range left {
			models[n] = ends[i].model(found[ends[i].key()])
		}
		matched, err := bulk(ctx, rs.s.memories, models)
		if err != nil {
			return err
		}
		if matched == len(left) {
			for _, i := range left {
				ok[i] = true
			}
			return nil
		}
		refs = nil
		for _, e := range ends {
			refs = append(refs, e.Ref)
		}
	}
	return nil
}

func (e *ending) key() string { return key(e.Ref.Workspace, e.Ref.ID) }

// over reports whether it is known what became of the end: whether it was made, ok tells. all: every memory was read.
func (e *ending) over(found map[string]*memoryDoc, all bool, ok *bool) bool {
	d := found[e.key()]
	if unread := d == nil && !all && len(e.Receipts) == 0; unread || d.runs(e.Ref, e.Fence) {
		return false
	}
	*ok = d != nil && d.End == e.mark
	return true
}

// model is the end as a change of the document, which was read where steps change with it.
func (e *ending) model(d *memoryDoc) mongo.WriteModel {
	now := memory.Now()
	set := doc("status", e.Status, "completed_at", now, "owner", "", "end", e.mark)
	unset := doc("lease_until", "", "embedding", "", "claim", "")
	if e.Error != nil {
		set = append(set, bson.E{Key: "error", Value: e.Error})
	} else {
		unset = append(unset, bson.E{Key: "error", Value: ""})
	}
	w := write{update: doc("$unset", unset)}
	if e.Event != nil {
		w.update = append(w.update, bson.E{Key: "$push", Value: doc("owed", e.Event)})
	}
	filter := current(e.Ref, e.Fence)
	if len(e.Receipts) > 0 {
		steps := make([]step, len(e.Receipts))
		for i, r := range e.Receipts {
			steps[i] = stepOf(r, nil)
		}
		w.put(d, steps)
		filter = d.asWritten(e.Ref, e.Fence)
	}
	return mongo.NewUpdateOneModel().SetFilter(filter).SetUpdate(w.done(set, nil))
}
