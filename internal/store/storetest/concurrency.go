package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// together runs fn n times at the same moment.
func together(n int, fn func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

var concurrencyTests = map[string]func(k kit){
	"OneOfAnyNumberOfClaimsGetsTheMemory": func(k kit) {
		refs := []memory.Ref{}
		for _, p := range k.put(numbered(5)...) {
			refs = append(refs, p.Memory.Ref())
		}
		var mu sync.Mutex
		got := map[string]int{}
		together(100, func(i int) {
			ds, err := k.Runs.Claim(k.Context(), store.Claim{Refs: refs, Owner: fmt.Sprint("p", i), Track: memory.TrackRealtime, Until: soon()})
			if err != nil {
				k.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, d := range ds {
				got[d.Memory.ID]++
			}
		})
		for _, ref := range refs {
			k.same("claimed", got[ref.ID], 1)
		}
	},
	"OfClaimsByOneOwnerOneIsInForce": func(k kit) {
		ref := k.put(text("a"))[0].Memory.Ref()
		var taken atomic.Int32
		var mu sync.Mutex
		var drafts []memory.Draft
		together(20, func(int) {
			ds, err := k.Runs.Claim(k.Context(), store.Claim{Refs: []memory.Ref{ref}, Owner: "p", Track: memory.TrackRealtime, Until: soon()})
			if err != nil {
				k.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			drafts = append(drafts, ds...)
		})
		for _, d := range drafts {
			if k.checkpoint(d, done(memory.StepUseCases), nil) {
				taken.Add(1)
			}
		}
		k.same("runs in force", taken.Load(), int32(1))
	},
	"AnExternalIDIsOneDocument": func(k kit) {
		var mu sync.Mutex
		kinds := map[store.PutKind]int{}
		together(60, func(i int) {
			ps, err := k.Memories.Put(k.Context(), []store.Intake{known("a", fmt.Sprint("content ", i)), known("b", "the same")})
			if err != nil {
				k.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			kinds[ps[0].Kind]++
			kinds["b "+ps[1].Kind]++
		})
		k.same("kinds", kinds, map[store.PutKind]int{store.Created: 1, store.Updated: 59, "b created": 1, "b unchanged": 59})
		got := k.list(store.MemoryQuery{ExternalID: "a"})
		k.same("documents and version", []int{len(got), got[0].Version}, []int{1, 60})
	},
	"StepsThatEndTogetherAreAllKept": func(k kit) {
		d := k.run(text("a"), "p")
		steps := []string{memory.StepUseCases, memory.StepRelated, memory.StepSchema, memory.StepIndex, memory.StepRelationships}
		together(4*len(steps), func(i int) {
			step := steps[i%len(steps)]
			first := tried(step)
			first.Tokens = 1
			end := done(step)
			end.Tokens = 3
			if !k.checkpoint(d, first, nil) || !k.checkpoint(d, end, &memory.Output{}) {
				k.Error("refused")
			}
		})
		m := k.get(d.Memory.Ref())
		for _, r := range m.Steps {
			if r.Status != memory.StepCompleted {
				k.Errorf("%s is %s", r.Name, r.Status)
			}
		}
		k.same("steps", len(m.Steps), len(steps))
		u, err := k.Memories.Usage(k.Context(), ws)
		k.must(err)
		k.same("tokens", u.Tokens, 3*len(steps))
	},
	"WhatIsErasedDoesNotComeBack": func(k kit) {
		for range 5 {
			in := text("a")
			together(30, func(i int) {
				if i == 7 {
					k.must(k.Erasures.Note(k.Context(), ws, time.Now(), in.Memory.ID))
					k.must(k.Memories.Delete(k.Context(), ws, in.Memory.ID))
					return
				}
				if _, err := k.Memories.Put(k.Context(), []store.Intake{in}); err != nil {
					k.Error(err)
				}
			})
			k.take(in, store.Erased)
		}
		k.same("listed", len(k.list(store.MemoryQuery{})), 0)
	},
	"OneEndOfARunIsTaken": func(k kit) {
		d := k.run(text("a"), "p")
		var ends atomic.Int32
		together(40, func(i int) {
			oks, err := k.Runs.Finish(k.Context(), []store.Finish{{Ref: d.Memory.Ref(), Fence: d.Fence, Status: memory.StatusCompleted, Event: event(fmt.Sprint(i), memory.Now())}})
			if err != nil {
				k.Error(err)
			} else if oks[0] {
				ends.Add(1)
			}
		})
		k.same("ends", ends.Load(), int32(1))
		k.same("owed", len(k.owed()), 1)
	},
	"TheEventIsOwedTheMomentTheMemoryIsOver": func(k kit) {
		var drafts []memory.Draft
		for _, p := range k.put(numbered(40)...) {
			drafts = append(drafts, k.own(p.Memory.Ref(), "p"))
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, d := range drafts {
				k.finish(d, memory.StatusCompleted, event(d.Memory.ID, memory.Now()))
			}
		})
		for over := 0; over < len(drafts); {
			before := k.count(ws)[memory.StatusCompleted]
			owed := len(k.owed())
			over = k.count(ws)[memory.StatusCompleted]
			if owed < before || owed > over {
				k.Errorf("%d events are owed while %d to %d memories are over", owed, before, over)
				break
			}
		}
		wg.Wait()
	},
	"TheCountsOfABatchAddUpAtEveryMoment": func(k kit) {
		const pages, each = 6, 8
		var contents []string
		for i := range each {
			contents = append(contents, fmt.Sprint(i))
		}
		b := k.sealed("bat_1", many(pages, contents...)...)
		stop := make(chan struct{})
		var writers, reader sync.WaitGroup
		for p := range pages {
			writers.Go(func() { k.workOff(b.ID, p, each) })
		}
		reader.Go(func() {
			for {
				k.watch(b.ID, pages*each)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		writers.Wait()
		close(stop)
		reader.Wait()
		k.same("counts", k.batch(b.ID).Counts, memory.Counts{Total: pages * each, Completed: pages * each / 2, Failed: pages * each / 2})
		k.same("tokens", k.batch(b.ID).Tokens, pages*each)
	},
	"ItemsOfAPageThatAreSetTogetherAreAllKept": func(k kit) {
		const n = 40
		var contents []string
		for i := range n {
			contents = append(contents, fmt.Sprint(i))
		}
		b := k.sealed("bat_1", items(contents...))
		together(n, func(i int) {
			item := memory.Item{Index: i, MemoryID: fmt.Sprint("mem_", i), Status: memory.StatusCompleted, Tokens: 1}
			if err := k.BatchRuns.SetItems(k.Context(), b.ID, 0, []memory.Item{item}); err != nil {
				k.Error(err)
			}
		})
		k.same("counts", k.batch(b.ID).Counts, memory.Counts{Total: n, Completed: n})
		k.same("tokens", k.batch(b.ID).Tokens, n)
		k.addsUp(b.ID)
	},
	"ABatchEndsOnce": func(k kit) {
		b := k.sealed("bat_1", many(80, "a", "b")...)
		var ends, marks atomic.Int32
		together(10, func(i int) {
			if ok, err := k.BatchRuns.Announce(k.Context(), b.ID, 25, event(fmt.Sprint("mark", i), memory.Now())); err != nil {
				k.Error(err)
			} else if ok {
				marks.Add(1)
			}
			if ok, err := k.BatchRuns.Finish(k.Context(), b.ID, memory.BatchCancelled, event(fmt.Sprint("end", i), memory.Now())); err != nil {
				k.Error(err)
			} else if ok {
				ends.Add(1)
			}
		})
		k.same("ends", ends.Load(), int32(1))
		k.same("owed", len(k.owed()), int(ends.Load()+marks.Load()))
		k.same("counts", k.batch(b.ID).Counts, memory.Counts{Total: 160, Cancelled: 160})
	},
}

// workOff takes the items of a page from queued to their end, one at a time.
func (k kit) workOff(id string, number, each int) {
	for i := range each {
		index := number*each + i
		end := memory.Item{Index: index, MemoryID: "mem", Status: memory.StatusCompleted, Tokens: 1}
		if i%2 == 1 {
			end.Status = memory.StatusFailed
		}
		for _, item := range []memory.Item{{Index: index, MemoryID: "mem", Status: memory.StatusProcessing}, end} {
			if err := k.BatchRuns.SetItems(k.Context(), id, number, []memory.Item{item}); err != nil {
				k.Error(err)
			}
		}
	}
}

// watch checks one reading of a batch.
func (k kit) watch(id string, total int) {
	b, err := k.Batches.Get(k.Context(), ws, id)
	if err != nil {
		k.Error(err)
		return
	}
	c := b.Counts
	if sum := c.Queued + c.Processing + c.Completed + c.Degraded + c.Failed + c.Cancelled + c.Rejected; sum != total || c.Total != total {
		k.Errorf("%+v does not add up to %d", c, total)
	}
}
