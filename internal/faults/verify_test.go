//go:build failpoints

package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/census"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/internal/store/sqlitestore"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

const workspace = "default"

// settle waits until what was acknowledged is as it was promised, as far as users can see.
func (w *world) settle(ctx context.Context) {
	for _, e := range slices.Clone(w.want) {
		if e.gone {
			continue
		}
		if _, err := w.final(ctx, "/v1/memories/"+e.id); err != nil {
			w.breachf("lost", "%s: %v", e.id, err)
		}
	}
	for _, e := range w.want {
		for e.told && !e.gone && len(w.heard("memory.completed", e.id))+len(w.heard("memory.degraded", e.id))+len(w.heard("memory.failed", e.id)) == 0 {
			select {
			case <-ctx.Done():
				w.breachf("untold", "nobody was told that %s is over", e.id)
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}

// heard are the different webhook-ids that said this of that.
func (w *world) heard(kind, id string) map[string]bool {
	ids := map[string]bool{}
	for _, h := range w.hooks.Hooks() {
		var e struct {
			Type string
			Data struct {
				ID      string
				Version int
			}
		}
		_ = json.Unmarshal(h.Body, &e)
		if e.Type == kind && e.Data.ID == id {
			ids[h.Header.Get("Webhook-Id")] = true
		}
	}
	return ids
}

// verify looks at what is left when the process has stopped.
func (w *world) verify(ctx context.Context) {
	s, err := sqlitestore.Open(ctx, filepath.Join(w.process.Data, "switchyard.db"), sqlitestore.Config{})
	if err != nil {
		w.breachf("store", "it does not open: %v", err)
		return
	}
	defer s.Close()
	w.documents(ctx, s)
	w.census(ctx, s)
	w.outbox(ctx, s)
	w.fences()
	w.payments()
}

// documents compares the documents with what the user was told.
func (w *world) documents(ctx context.Context, s *sqlitestore.Store) {
	all, _, err := s.Memories().List(ctx, store.MemoryQuery{Workspace: workspace, Limit: 10_000})
	if err != nil {
		w.breachf("store", "memories: %v", err)
		return
	}
	stored := map[string]memory.Memory{}
	for _, m := range all {
		stored[m.ID] = m
	}
	for _, e := range w.want {
		m, there := stored[e.id]
		delete(stored, e.id)
		switch {
		case e.gone && there:
			w.breachf("resurrected", "%s was erased and is there, %s", e.id, m.Status)
		case e.gone:
		case !there:
			w.breachf("lost", "%s was acknowledged and is not there", e.id)
		case w.poisoned(m):
			if len(w.heard("memory."+string(m.Status), e.id)) == 0 && e.told {
				w.breachf("untold", "nobody was told that %s is %s", e.id, m.Status)
			}
			continue
		case m.Status != memory.StatusCompleted || m.Content != e.content || m.Version != e.version:
			w.breachf("untrue", "%s is %s, version %d of %q; want completed, version %d of %q (error %+v)", e.id, m.Status, m.Version, m.Content, e.version, e.content, m.Error)
		}
		if told := w.heard("memory.completed", e.id); len(told) > 1 {
			w.breachf("told-twice", "the end of %s came with the ids %v", e.id, told)
		}
		if e.told && there && len(w.heard("memory.completed", e.id)) == 0 {
			w.breachf("untold", "nobody was told that %s is over", e.id)
		}
	}
	for id, m := range stored {
		w.breachf("twice", "nobody asked for %s: %q", id, m.Content)
	}
	w.points(ctx, s)
}

// poisoned reports whether a memory ended as it must where a panic was put into a step: without success, and saying so.
func (w *world) poisoned(m memory.Memory) bool {
	put := slices.ContainsFunc(w.fired(), func(f string) bool { return strings.HasPrefix(f, string(Panic)) })
	if put && m.Error != nil && m.Error.Code == memory.CodePanic && (m.Status == memory.StatusFailed || m.Status == memory.StatusDegraded) {
		w.poison[m.ID] = true
	}
	return w.poison[m.ID]
}

// points checks that each memory has the points that it should have: contents here are one passage.
func (w *world) points(ctx context.Context, s *sqlitestore.Store) {
	held, _, err := s.Vectors().Held(ctx, store.HeldQuery{Workspace: workspace, Limit: 10_000})
	if err != nil {
		w.breachf("store", "points: %v", err)
	}
	sums := map[string]int{}
	for _, h := range held {
		sums[h.MemoryID] += h.Parts
	}
	for _, e := range w.want {
		if want := 1; !e.gone && !w.poison[e.id] && sums[e.id] != want {
			w.breachf("points", "%s has %d points, want %d", e.id, sums[e.id], want)
		}
		if e.gone && sums[e.id] != 0 {
			w.breachf("points", "%s was erased and has %d points", e.id, sums[e.id])
		}
	}
}

// census takes one of all stores.
func (w *world) census(ctx context.Context, s *sqlitestore.Store) {
	c := census.New(census.Parts{
		Workspaces: s.Workspaces(), Memories: s.Memories(), Leases: s.Leases(), Outbox: s.Outbox(), Batches: s.Batches(), BatchRuns: s.BatchRuns(),
		Vectors: s.Vectors(), Graph: s.Graph(), Endpoints: s.Endpoints(), Deliveries: s.Deliveries(), Erasures: s.Erasures(),
	}, census.Config{Grace: time.Millisecond, Recheck: time.Millisecond})
	report, err := c.Take(ctx)
	if err != nil {
		w.breachf("store", "the census failed: %v", err)
	}
	for _, d := range report.Drift {
		w.breachf("census", "%s", d)
	}
}

// outbox checks that nothing is owed, pending or to be erased.
func (w *world) outbox(ctx context.Context, s *sqlitestore.Store) {
	owed, err := s.Outbox().Owed(ctx, 100)
	if err != nil || len(owed) > 0 {
		w.breachf("owed", "%d events are owed (%v)", len(owed), err)
	}
	stats, _, err := s.Deliveries().Stats(ctx)
	if err != nil || stats[store.DeliveryPending] > 0 {
		w.breachf("undelivered", "%d deliveries are pending (%v)", stats[store.DeliveryPending], err)
	}
	due, err := s.Erasures().Due(ctx, time.Now().Add(time.Hour), 100)
	if err != nil || len(due) > 0 {
		w.breachf("erasures", "%d erasures are to be checked still (%v)", len(due), err)
	}
}

// fences checks that no write was taken that began after a successor's claim, a newer version or a deletion.
func (w *world) fences() {
	type moment struct {
		at    int64
		fence int64
	}
	claims, deletions, versions := map[string][]moment{}, map[string]int64{}, map[string][]moment{}
	for _, e := range w.entries() {
		switch e.words[0] {
		case "claimed":
			key := e.words[1] + " v" + e.words[2]
			claims[key] = append(claims[key], moment{e.at, number(e.words[3])})
		case "deleted":
			deletions[e.words[1]] = e.at
		case "put":
			versions[e.words[1]] = append(versions[e.words[1]], moment{e.at, number(e.words[2])})
		case "kept":
			id, version, fence, begin, what := e.words[1], e.words[2], number(e.words[3]), number(e.words[4]), e.words[5]
			for _, c := range claims[id+" v"+version] {
				if c.fence > fence && c.at < begin {
					w.breachf("fence", "%s of %s v%s was taken under fence %d after a claim with %d", what, id, version, fence, c.fence)
				}
			}
			for _, v := range versions[id] {
				if v.fence > number(version) && v.at < begin {
					w.breachf("fence", "%s of %s v%s was taken after version %d", what, id, version, v.fence)
				}
			}
			if at, ok := deletions[id]; ok && at < begin {
				w.breachf("fence", "%s of %s was taken after its deletion", what, id)
			}
		}
	}
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// payments checks that no call to the chat model was made for a step after its checkpoint was taken.
func (w *world) payments() {
	done := map[string]int64{} // method and memory: when
	for _, e := range w.entries() {
		if e.words[0] != "kept" {
			continue
		}
		for method, step := range map[string]string{"UseCases": memory.StepUseCases, "Graph": memory.StepSchema} {
			if key := method + " " + e.words[1] + " v" + e.words[2]; e.words[5] == "completed "+step && done[key] == 0 {
				done[key] = e.at
			}
		}
	}
	for _, e := range w.want {
		for _, c := range w.calls {
			at := done[fmt.Sprintf("%s %s v%d", c.method, e.id, e.version)]
			if c.text == e.content && at != 0 && c.at.UnixNano() > at {
				w.breachf("paid-twice", "%s of %q was asked for again %v after its checkpoint", c.method, c.text, time.Duration(c.at.UnixNano()-at))
			}
		}
	}
}

// answers are the boundaries of answers, by the program's own description of itself.
func (w *world) answers(ctx context.Context) (points []string, err error) {
	r, err := w.ask(ctx, http.MethodGet, "/openapi.json", "", "")
	if err != nil {
		return nil, err
	}
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(r.body, &doc); err != nil {
		return nil, err
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			p := AnswerPoint(strings.ToUpper(method), path)
			if method != "get" && method != "parameters" && !slices.Contains(harmless, p) {
				points = append(points, p)
			}
		}
	}
	return points, nil
}

// harmless are the requests that commit nothing though they are no GET.
var harmless = []string{"Answer.POST /v1/memories/search"}

// idle reports whether nothing is owed, pending or to be erased any more. It reads beside the process that runs.
func (w *world) idle(ctx context.Context) bool {
	s, err := sqlitestore.Open(ctx, filepath.Join(w.process.Data, "switchyard.db"), sqlitestore.Config{})
	if err != nil {
		return false
	}
	defer s.Close()
	owed, err := s.Outbox().Owed(ctx, 1)
	if err != nil || len(owed) > 0 {
		return false
	}
	due, err := s.Erasures().Due(ctx, time.Now().Add(time.Hour), 1)
	if err != nil || len(due) > 0 {
		return false
	}
	stats, _, err := s.Deliveries().Stats(ctx)
	if err != nil || stats[store.DeliveryPending] > 0 {
		return false
	}
	open, err := s.Memories().Count(ctx, workspace)
	return err == nil && open[memory.StatusQueued]+open[memory.StatusProcessing] == 0
}
