package storetest

import (
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

var getTests = map[string]func(k kit){
	"HasTheOrderAskedFor": func(k kit) {
		ps := k.put(text("a"), text("b"), text("c"))
		ask := []string{ps[2].Memory.ID, "mem_missing", ps[0].Memory.ID, ps[1].Memory.ID}
		ms, err := k.Memories.Get(k.Context(), ws, ask...)
		k.must(err)
		k.same("ids", ids(ms), []string{ask[0], ask[2], ask[3]})
	},
	"OfNothingIsNothing": func(k kit) {
		k.put(text("a"))
		ms, err := k.Memories.Get(k.Context(), ws)
		k.must(err)
		k.same("ids", ids(ms), []string(nil))
	},
	"WorkspacesAreApart": func(k kit) {
		p := k.put(text("a"))[0]
		ms, err := k.Memories.Get(k.Context(), "wsp_two", p.Memory.ID)
		k.must(err)
		k.same("ids", ids(ms), []string(nil))
	},
}

// list walks through all pages of a query.
func (k kit) list(q store.MemoryQuery) (out []memory.Memory) {
	k.Helper()
	q.Workspace = orDefault(q.Workspace, ws)
	q.Limit = orDefault(q.Limit, 100)
	for {
		ms, next, err := k.Memories.List(k.Context(), q)
		k.must(err)
		if len(ms) > q.Limit || (next != "" && len(ms) == 0) {
			k.Fatalf("a page of %d, limit %d, next %q", len(ms), q.Limit, next)
		}
		out = append(out, ms...)
		if q.Cursor = next; next == "" {
			return out
		}
	}
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// newest returns the ids of the intakes that match, the last first.
func newest(in []store.Intake, match func(*memory.Memory) bool) (out []string) {
	for _, i := range slices.Backward(in) {
		if match(&i.Memory) {
			out = append(out, i.Memory.ID)
		}
	}
	return out
}

// badCursor checks that a list refuses what is not its cursor.
func (k kit) badCursor(list func(cursor string) error) {
	k.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	for _, cursor := range []string{"x", "!", "%%%", "null", encode([]byte("null")), encode([]byte("[]")), encode([]byte(`[1,2,3,4,5]`)), encode([]byte(`["a",{}]`))} {
		err := list(cursor)
		k.fails(err, memory.CodeInvalid)
		var e *memory.Error
		if !errors.As(err, &e) || e.Pointer != "/cursor" {
			k.Errorf("cursor %q: %v has no pointer /cursor", cursor, err)
		}
	}
}

var listTests = map[string]func(k kit){
	"IsNewestFirstAndWhole": func(k kit) {
		in := numbered(25)
		k.put(in...)
		want := newest(in, func(*memory.Memory) bool { return true })
		for _, limit := range []int{1, 2, 7, 24, 25, 26} {
			k.same("ids", ids(k.list(store.MemoryQuery{Limit: limit})), want)
		}
		k.same("a memory", k.list(store.MemoryQuery{})[0], k.get(in[24].Memory.Ref()))
	},
	"TellsMemoriesOfOneMomentApart": func(k kit) {
		in := numbered(9)
		for i := range in {
			in[i].Memory.CreatedAt = in[0].Memory.CreatedAt
		}
		k.put(in...)
		got := ids(k.list(store.MemoryQuery{Limit: 2}))
		k.same("ids", slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(newest(in, func(*memory.Memory) bool { return true }))))
	},
	"HasNoCursorAtTheEnd": func(k kit) {
		k.put(numbered(4)...)
		_, next, err := k.Memories.List(k.Context(), store.MemoryQuery{Workspace: ws, Limit: 4})
		k.must(err)
		k.same("cursor", next, "")
	},
	"StaysStableWhileMemoriesComeAndGo": func(k kit) {
		in := numbered(20)
		k.put(in[:15]...)
		q := store.MemoryQuery{Workspace: ws, Limit: 5}
		first, cursor, err := k.Memories.List(k.Context(), q)
		k.must(err)
		k.put(in[15:]...)
		k.must(k.Memories.Delete(k.Context(), ws, first[4].ID)) // what the cursor points at
		k.ended(known("x", "newest of all"), memory.StatusFailed)
		q.Cursor = cursor
		k.same("ids", ids(append(first, k.list(q)...)), newest(in[:15], func(*memory.Memory) bool { return true }))
	},
	"WorkspacesAreApart": func(k kit) {
		k.put(numbered(3)...)
		k.same("ids", ids(k.list(store.MemoryQuery{Workspace: "wsp_two"})), []string(nil))
	},
	"SelectsByStatus": func(k kit) {
		in := numbered(12)
		k.put(in...)
		for i, s := range []memory.Status{memory.StatusCompleted, memory.StatusFailed, memory.StatusDegraded, memory.StatusCancelled, memory.StatusProcessing} {
			for _, j := range []int{i, i + 5} {
				d := k.own(withVersion(in[j]), "p")
				in[j].Memory.Status = s
				if s.Final() {
					k.finish(d, s, nil)
				}
			}
		}
		for _, statuses := range [][]memory.Status{
			{memory.StatusQueued}, {memory.StatusFailed}, {memory.StatusFailed, memory.StatusQueued}, {memory.StatusFailed, memory.StatusFailed},
			{memory.StatusQueued, memory.StatusProcessing, memory.StatusCompleted, memory.StatusFailed, memory.StatusDegraded, memory.StatusCancelled},
			{memory.StatusRejected},
		} {
			want := newest(in, func(m *memory.Memory) bool { return slices.Contains(statuses, m.Status) })
			k.same("ids", ids(k.list(store.MemoryQuery{Statuses: statuses, Limit: 3})), want)
		}
	},
	"SelectsByTime": func(k kit) {
		in := numbered(10)
		k.put(in...)
		at := func(i int) time.Time { return in[i].Memory.CreatedAt.Time }
		for _, q := range []store.MemoryQuery{
			{CreatedAfter: at(3)}, {CreatedBefore: at(7)}, {CreatedAfter: at(3), CreatedBefore: at(7)},
			{CreatedAfter: at(3).Add(time.Microsecond), CreatedBefore: at(7).Add(time.Microsecond)},
			{CreatedAfter: at(7), CreatedBefore: at(3)},
		} {
			want := newest(in, func(m *memory.Memory) bool {
				return m.CreatedAt.After(q.CreatedAfter) && (q.CreatedBefore.IsZero() || m.CreatedAt.Before(q.CreatedBefore))
			})
			q.Limit = 2
			k.same("ids", ids(k.list(q)), want)
		}
	},
	"SelectsByExternalIDAndBatch": func(k kit) {
		in := numbered(8)
		for i := range in {
			if i%2 == 0 {
				in[i].Memory.BatchID = "bat_1"
			}
			in[i].Memory.ExternalID = in[i].Memory.Content
		}
		k.put(in...)
		k.same("batch", ids(k.list(store.MemoryQuery{BatchID: "bat_1", Limit: 3})), newest(in, func(m *memory.Memory) bool { return m.BatchID == "bat_1" }))
		k.same("external id", ids(k.list(store.MemoryQuery{ExternalID: "memory 3"})), []string{in[3].Memory.ID})
		k.same("both", ids(k.list(store.MemoryQuery{ExternalID: "memory 3", BatchID: "bat_1"})), []string(nil))
		k.same("status too", ids(k.list(store.MemoryQuery{ExternalID: "memory 3", Statuses: []memory.Status{memory.StatusFailed}})), []string(nil))
	},
	"SelectsByTheTextFormOfMetadata": func(k kit) {
		in := numbered(12)
		for i := range in {
			in[i].Memory.Metadata = memory.Metadata{"n": float64(i % 3), "even": i%2 == 0, "name": "it is " + string(rune('a'+i))}
		}
		in[11].Memory.Metadata["n"] = "1" // a string of the same text form
		k.put(in...)
		for _, md := range []map[string]string{
			{"n": "1"}, {"even": "true"}, {"n": "1", "even": "false"}, {"n": "1", "even": "true", "name": "it is e"},
			{"name": "it is"}, {"n": "1.0"}, {"other": "1"}, {"even": "1"},
		} {
			want := newest(in, func(m *memory.Memory) bool {
				for key, v := range md {
					if has, ok := m.Metadata[key]; !ok || store.TextOf(has) != v {
						return false
					}
				}
				return true
			})
			k.same("ids", ids(k.list(store.MemoryQuery{Metadata: md, Limit: 2})), want)
		}
	},
	"SelectsByAllAtOnce": func(k kit) {
		in := full()
		p := k.take(in, store.Created)
		q := store.MemoryQuery{
			Statuses: []memory.Status{memory.StatusQueued}, ExternalID: "crm-42", BatchID: "bat_1", Metadata: map[string]string{"topic": "oz", "year": "1900"},
			CreatedAfter: past(), CreatedBefore: soon(),
		}
		k.same("ids", ids(k.list(q)), []string{p.Memory.ID})
		q.ExternalID = ""
		k.same("ids", ids(k.list(q)), []string{p.Memory.ID})
		q.Metadata["topic"] = "kansas"
		k.same("ids", ids(k.list(q)), []string(nil))
		q.ExternalID = "crm-42"
		k.same("ids", ids(k.list(q)), []string(nil))
	},
	"FollowsChanges": func(k kit) {
		in := known("a", "one")
		in.Memory.Metadata, in.Memory.BatchID = memory.Metadata{"topic": "oz", "stays": true}, "bat_1"
		p := k.take(in, store.Created)
		in.Memory.Metadata, in.Memory.BatchID = memory.Metadata{"topic": "kansas", "stays": true}, "bat_2"
		k.take(in, store.Updated)
		for _, row := range []struct {
			q    store.MemoryQuery
			want []string
		}{
			{store.MemoryQuery{Metadata: map[string]string{"topic": "oz"}}, nil},
			{store.MemoryQuery{Metadata: map[string]string{"topic": "kansas"}}, []string{p.Memory.ID}},
			{store.MemoryQuery{Metadata: map[string]string{"stays": "true"}}, []string{p.Memory.ID}},
			{store.MemoryQuery{BatchID: "bat_1"}, nil},
			{store.MemoryQuery{BatchID: "bat_2"}, []string{p.Memory.ID}},
		} {
			k.same("ids", ids(k.list(row.q)), row.want)
		}
	},
	"RefusesWhatIsNoCursor": func(k kit) {
		k.badCursor(func(cursor string) error {
			_, _, err := k.Memories.List(k.Context(), store.MemoryQuery{Workspace: ws, Limit: 5, Cursor: cursor})
			return err
		})
	},
}

// withVersion is the ref of an intake that was created.
func withVersion(in store.Intake) memory.Ref {
	return memory.Ref{Workspace: in.Memory.Workspace, ID: in.Memory.ID, Version: 1}
}

var deleteTests = map[string]func(k kit){
	"ForgetsTheMemory": func(k kit) {
		in := full()
		p := k.put(in, text("stays"))[0]
		k.must(k.Memories.Delete(k.Context(), ws, p.Memory.ID))
		ms, err := k.Memories.Get(k.Context(), ws, p.Memory.ID)
		k.must(err)
		k.same("stored", ids(ms), []string(nil))
		for _, q := range []store.MemoryQuery{{ExternalID: "crm-42"}, {BatchID: "bat_1"}, {Metadata: map[string]string{"topic": "oz"}}} {
			k.same("listed", ids(k.list(q)), []string(nil))
		}
		k.same("listed", len(k.list(store.MemoryQuery{})), 1)
		k.same("orphans", len(k.orphans()), 1)
		if again := k.take(full(), store.Created); again.Memory.ID == p.Memory.ID {
			k.Error("the external id is not free")
		}
	},
	"OfWhatIsNotThereIsNoError": func(k kit) {
		p := k.put(text("a"))[0]
		k.must(k.Memories.Delete(k.Context(), ws, "mem_missing", p.Memory.ID, p.Memory.ID))
		k.must(k.Memories.Delete(k.Context(), ws))
		k.same("listed", len(k.list(store.MemoryQuery{})), 0)
	},
	"WorkspacesAreApart": func(k kit) {
		p := k.put(text("a"))[0]
		k.must(k.Memories.Delete(k.Context(), "wsp_two", p.Memory.ID))
		k.get(p.Memory.Ref())
	},
	"FencesTheRunOff": func(k kit) {
		in := text("a")
		d := k.run(in, "p")
		k.must(k.Memories.Delete(k.Context(), ws, in.Memory.ID))
		k.refused(d)
		k.same("claimed", len(k.claim("p", d.Memory.Ref())), 0)
		k.take(in, store.Created) // again, under the same id
		k.refused(d)
		next := k.own(d.Memory.Ref(), "p")
		if next.Fence == d.Fence {
			k.Error("two runs have the same fence")
		}
		k.refused(d)
		if !k.finish(next, memory.StatusCompleted, nil) {
			k.Error("the new run was refused")
		}
	},
	"ForgetsWhatTheMemoryOwes": func(k kit) {
		d := k.run(text("a"), "p")
		k.finish(d, memory.StatusCompleted, event("a", memory.Now()))
		k.must(k.Memories.Delete(k.Context(), ws, d.Memory.ID))
		k.same("owed", k.owed(), []memory.Event(nil))
	},
}

func (k kit) count(workspace string) map[memory.Status]int {
	k.Helper()
	got, err := k.Memories.Count(k.Context(), workspace)
	k.must(err)
	return got
}

func (k kit) load() map[memory.Track]int {
	k.Helper()
	got, err := k.Leases.Load(k.Context())
	k.must(err)
	return got
}

var sumTests = map[string]func(k kit){
	"CountFollowsEveryChange": func(k kit) {
		type counts = map[memory.Status]int
		k.same("empty", k.count(ws), counts{})
		a := k.ended(known("a", "one"), memory.StatusFailed)
		b := k.run(text("b"), "p")
		k.put(text("c"), text("d"))
		other := text("e")
		other.Memory.Workspace = "wsp_two"
		k.put(other)
		k.same("all", k.count(ws), counts{memory.StatusFailed: 1, memory.StatusProcessing: 1, memory.StatusQueued: 2})
		k.finish(b, memory.StatusCompleted, nil)
		k.take(known("a", "one"), store.Resumed)
		k.same("later", k.count(ws), counts{memory.StatusCompleted: 1, memory.StatusQueued: 3})
		k.ended(known("a", "two"), memory.StatusDegraded)
		k.must(k.Memories.Delete(k.Context(), ws, b.Memory.ID, "mem_missing"))
		k.same("last", k.count(ws), counts{memory.StatusDegraded: 1, memory.StatusQueued: 2})
		k.must(k.Memories.Delete(k.Context(), ws, a.Memory.ID))
		k.same("other", k.count("wsp_two"), counts{memory.StatusQueued: 1})
	},
	"LoadFollowsEveryChange": func(k kit) {
		type load = map[memory.Track]int
		k.same("empty", k.load(), load{})
		d := k.run(text("a"), "p")
		durable := text("b")
		durable.Memory.Track, durable.Memory.Workspace = memory.TrackDurable, "wsp_two"
		k.put(durable, known("c", "one"))
		k.same("all", k.load(), load{memory.TrackRealtime: 2, memory.TrackDurable: 1})
		k.release(d.Memory.Ref(), d.Fence)
		k.same("released", k.load(), load{memory.TrackRealtime: 1, memory.TrackDurable: 2})
		k.ended(known("c", "two"), memory.StatusFailed)
		k.same("ended", k.load(), load{memory.TrackDurable: 2})
		again := known("c", "two")
		again.Memory.Track = memory.TrackDurable
		k.take(again, store.Resumed)
		k.same("resumed", k.load(), load{memory.TrackDurable: 3})
		k.must(k.Memories.Delete(k.Context(), ws, d.Memory.ID))
		k.same("deleted", k.load(), load{memory.TrackDurable: 2})
	},
	"UsageFollowsTheReceipts": func(k kit) {
		usage := func(workspace string) store.Usage {
			u, err := k.Memories.Usage(k.Context(), workspace)
			k.must(err)
			return u
		}
		k.same("empty", usage(ws), store.Usage{})
		d, e := k.run(known("a", "one"), "p"), k.run(text("b"), "p")
		failed := tried(memory.StepUseCases)
		failed.Tokens, failed.CostUSD = 5, 0.5
		k.checkpoint(d, failed, nil)
		k.checkpoint(e, failed, nil)
		k.same("tried", usage(ws), store.Usage{Tokens: 10, CostUSD: 1})
		k.checkpoint(d, done(memory.StepUseCases), nil) // 7 and 0.25 over all its attempts
		k.checkpoint(d, done(memory.StepUseCases), nil)
		k.checkpoint(d, done(memory.StepSchema), nil)
		k.same("done", usage(ws), store.Usage{Tokens: 19, CostUSD: 1})
		k.must(k.Memories.Delete(k.Context(), ws, e.Memory.ID))
		k.same("deleted", usage(ws), store.Usage{Tokens: 14, CostUSD: 0.5})
		k.take(known("a", "two"), store.Updated)
		k.same("updated", usage(ws), store.Usage{})
		k.same("other workspace", usage("wsp_two"), store.Usage{})
	},
}
