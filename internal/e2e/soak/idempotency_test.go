package main

import (
	"testing"

	"github.com/anishathalye/porcupine"
)

// posted is a request under an Idempotency-Key.
type posted struct{ key, body string }

// told is what it was answered.
type told struct {
	status   int // 0: the connection broke, so nobody knows
	id       string
	replayed bool
}

// record is what is kept of a key. An id of "" is one that nobody was told.
type record struct {
	set      bool
	body, id string
}

// idempotency says which answers a key may give, one request after the other; histories of requests at the same time must
// be like some order of them.
func idempotency() porcupine.Model {
	model := porcupine.NondeterministicModel{
		Partition: byKey,
		Init:      func() []any { return []any{record{}} },
		Step: func(state, in, out any) (next []any) {
			for _, r := range after(state.(record), in.(posted), out.(told)) { //nolint:forcetypeassert // they are all ours
				next = append(next, r)
			}
			return next
		},
		Equal: func(a, b any) bool { return a == b },
	}
	return model.ToModel()
}

func byKey(history []porcupine.Operation) (parts [][]porcupine.Operation) {
	of := map[string][]porcupine.Operation{}
	for _, op := range history {
		k := op.Input.(posted).key //nolint:forcetypeassert // they are all ours
		of[k] = append(of[k], op)
	}
	for _, part := range of {
		parts = append(parts, part)
	}
	return parts
}

// after returns the records that there may be after the answer; none: it must not be given.
func after(r record, in posted, out told) []record {
	known := record{true, in.body, out.id}
	same := r.set && r.body == in.body
	switch {
	case out.status == 0 && !r.set:
		return []record{r, {true, in.body, ""}}
	case out.status == 0:
		return []record{r}
	case out.status == 202 && (!r.set && !out.replayed || same && r.id == ""): // the first, or the one that goes on after it broke off
		return []record{known}
	case out.status == 202 && same && r.id == out.id: // which of these is the first is told by firsts: here it would only lead astray
		return []record{r}
	case out.status == 409 && same, out.status == 422 && r.set && !same:
		return []record{r}
	}
	return nil
}

// firsts returns how many answers to a key say that they are the first, and of how many requests nobody knows: after one of
// these the next goes on and is the first once more.
func firsts(history []porcupine.Operation) (firsts, unknown map[string]int) {
	firsts, unknown = map[string]int{}, map[string]int{}
	for _, op := range history {
		in, out := op.Input.(posted), op.Output.(told) //nolint:forcetypeassert // they are all ours
		switch {
		case out.status == 0:
			unknown[in.key]++
		case out.status == 202 && !out.replayed:
			firsts[in.key]++
		}
	}
	return firsts, unknown
}

// TestTheModelOfAKeyTellsRightFromWrong plants the answers that must never be given.
func TestTheModelOfAKeyTellsRightFromWrong(t *testing.T) {
	t.Parallel()
	op := func(client int, from, to int64, body string, out told) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: posted{"k", body}, Call: from, Output: out, Return: to}
	}
	fresh := func(id string) told { return told{202, id, false} }
	again := func(id string) told { return told{202, id, true} }
	for name, row := range map[string]struct {
		history []porcupine.Operation
		right   bool
	}{
		"OneAndItsReplay":              {[]porcupine.Operation{op(0, 0, 1, "a", fresh("m1")), op(1, 2, 3, "a", again("m1"))}, true},
		"AnotherBody":                  {[]porcupine.Operation{op(0, 0, 1, "a", fresh("m1")), op(1, 2, 3, "b", told{422, "", false})}, true},
		"StillRunning":                 {[]porcupine.Operation{op(0, 0, 9, "a", fresh("m1")), op(1, 2, 3, "a", told{409, "", false})}, true},
		"OneThatBrokeOffAndWentOn":     {[]porcupine.Operation{op(0, 0, 9, "a", told{}), op(1, 4, 5, "a", fresh("m1")), op(2, 6, 7, "a", again("m1"))}, true},
		"OneThatBrokeOffAndIsReplayed": {[]porcupine.Operation{op(0, 0, 9, "a", told{}), op(1, 4, 5, "a", again("m1"))}, true},
		"TwoMemories":                  {[]porcupine.Operation{op(0, 0, 1, "a", fresh("m1")), op(1, 0, 1, "a", fresh("m2"))}, false},
		"AReplayOfAnotherMemory":       {[]porcupine.Operation{op(0, 0, 1, "a", fresh("m1")), op(1, 2, 3, "a", again("m2"))}, false},
		"TwoBodiesTaken":               {[]porcupine.Operation{op(0, 0, 1, "a", fresh("m1")), op(1, 0, 1, "b", fresh("m1"))}, false},
		"RunningThoughOver":            {[]porcupine.Operation{op(1, 2, 3, "a", told{409, "", false}), op(0, 4, 5, "a", fresh("m1"))}, false},
		"AnotherBodyThatNeverWas":      {[]porcupine.Operation{op(1, 0, 1, "a", told{422, "", false}), op(0, 2, 3, "a", fresh("m1"))}, false},
		"GoneOnWithAnotherMemory":      {[]porcupine.Operation{op(0, 0, 9, "a", told{}), op(1, 4, 5, "a", fresh("m1")), op(2, 6, 7, "a", fresh("m2"))}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := porcupine.CheckOperations(idempotency(), row.history); got != row.right {
				t.Errorf("it is judged %v, want %v", got, row.right)
			}
		})
	}
}
