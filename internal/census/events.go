package census

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/id"
	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// limit is how much of what nobody looks after is shown: where there is more, something is wrong with all of it.
const limit = 1_000

// unowned finds what is open or owed and in nobody's hands.
func (l *look) unowned(ctx context.Context, workspaces []string) error {
	before := time.Now().Add(-l.cfg.Grace)
	orphans, err := l.parts.Leases.Orphans(ctx, before, limit)
	if err != nil {
		return err
	}
	if err := l.orphanedMemories(ctx, workspaces, orphans, before); err != nil {
		return err
	}
	adrift, err := l.parts.BatchRuns.Adrift(ctx, before, limit)
	if err != nil {
		return err
	}
	for _, b := range adrift {
		if made, ok := id.Time(b.ID); !ok || made.Before(before) {
			l.foundIn(workspaces, BatchStuck, b.Workspace, b.ID, 0, "open, and its lease ended long ago")
		}
	}
	due, err := l.parts.Deliveries.Due(ctx, before, limit)
	if err != nil {
		return err
	}
	for _, d := range due {
		l.foundIn(workspaces, DeliveryStuck, d.Workspace, d.ID, 0, "pending, and nobody looks after it")
	}
	erasures, err := l.parts.Erasures.Due(ctx, before, limit)
	if err != nil {
		return err
	}
	for _, e := range erasures {
		l.foundIn(workspaces, ErasureStuck, e.Workspace, e.MemoryID, 0,
			fmt.Sprintf("asked for at %s, carried out %d times, and due since %s", e.NotedAt.UTC().Format(time.RFC3339), e.Checks, e.DueAt.UTC().Format(time.RFC3339)))
	}
	owed, err := l.parts.Outbox.Owed(ctx, limit)
	for _, e := range owed {
		if e.Time.Before(before) {
			l.foundIn(workspaces, EventStuck, e.Workspace, e.ID, 0, e.Type+" is owed, and not a delivery yet")
		}
	}
	return err
}

// orphanedMemories counts those that nothing has happened to for long: one that just came in has no lease yet.
func (l *look) orphanedMemories(ctx context.Context, workspaces []string, orphans []store.Orphan, before time.Time) error {
	for _, o := range orphans {
		found, err := l.parts.Memories.Get(ctx, o.Ref.Workspace, o.Ref.ID)
		if err != nil {
			return err
		}
		if len(found) == 1 && found[0].UpdatedAt.Before(before) {
			l.foundIn(workspaces, MemoryStuck, o.Ref.Workspace, o.Ref.ID, o.Ref.Version, "open on the track "+string(o.Track)+", and its lease ended long ago")
		}
	}
	return nil
}

func (l *look) foundIn(workspaces []string, kind Kind, ws, id string, version int, detail string) {
	if slices.Contains(workspaces, ws) {
		l.foundf(kind, ws, id, version, "%s", detail)
	}
}

// deliveries looks at what was sent of late: each event once an address, and everything that ended told to who asked.
func (l *look) deliveries(ctx context.Context, ws string) error {
	since := time.Now().Add(-l.cfg.Since)
	told, err := l.told(ctx, ws, since)
	if err != nil {
		return err
	}
	endpoints, err := l.parts.Endpoints.List(ctx, ws)
	if err != nil {
		return err
	}
	w := wishes{told: told, endpoints: endpoints, from: since, to: time.Now().Add(-l.cfg.Grace)}
	if err := l.toldOfMemories(ctx, ws, w); err != nil {
		return err
	}
	return l.toldOfBatches(ctx, ws, w)
}

// news is what an event tells, and to whom.
type news struct {
	endpoint string // "": the one-off address
	kind     string
	id       string
	version  int // 0 for a batch
}

// told returns what was, or is about to be, told since then.
func (l *look) told(ctx context.Context, ws string, since time.Time) (map[news]bool, error) {
	told, seen := map[news]bool{}, map[[3]string]string{}
	for cursor := ""; ; {
		page, next, err := l.parts.Deliveries.List(ctx, store.DeliveryQuery{Workspace: ws, Since: since, Limit: l.cfg.Page, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		for _, d := range page {
			key := [3]string{d.EventID, d.EndpointID, d.URL}
			if first, twice := seen[key]; twice && first != d.ID {
				l.foundf(DeliveryTwice, ws, d.ID, 0, "the event %s goes to the same address as %s too", d.EventID, first)
			}
			seen[key] = d.ID
			whole, err := l.parts.Deliveries.Get(ctx, ws, d.ID)
			if err != nil && memory.CodeOf(err) != memory.CodeNotFound {
				return nil, err
			}
			var body struct{ Data json.RawMessage }
			_ = json.Unmarshal(whole.Body, &body) // what cannot be read tells nothing
			told[newsOf(d.EndpointID, d.EventType, body.Data)] = true
		}
		l.report.Deliveries += len(page)
		if cursor = next; cursor == "" {
			return told, l.owed(ctx, ws, told)
		}
	}
}

// owed adds what waits to be told to whoever will want it.
func (l *look) owed(ctx context.Context, ws string, told map[news]bool) error {
	events, err := l.parts.Outbox.Owed(ctx, limit)
	for _, e := range events {
		if e.Workspace == ws {
			told[newsOf("", e.Type, e.Data)] = true
			told[newsOf(anyone, e.Type, e.Data)] = true
		}
	}
	return err
}

// anyone stands for all endpoints, for an event that is not deliveries yet.
const anyone = "*"

func newsOf(endpoint, kind string, data json.RawMessage) news {
	var about struct {
		ID      string `json:"id"`
		Version int    `json:"version"`
	}
	_ = json.Unmarshal(data, &about) // what cannot be read tells nothing
	return news{endpoint, kind, about.ID, about.Version}
}

// wishes says who wants to be told, and of what.
type wishes struct {
	told      map[news]bool
	endpoints []store.Endpoint
	from, to  time.Time
}

// unheard returns to whom the news should have gone and did not. An endpoint that was changed since then may have asked
// for other things at the time.
func (w wishes) unheard(n news, url string, at *memory.Time) (to []string) {
	if at == nil || at.Before(w.from) || at.After(w.to) {
		return nil
	}
	if url != "" && !w.told[n] {
		to = append(to, url)
	}
	owed := n
	owed.endpoint = anyone
	for _, e := range w.endpoints {
		n.endpoint = e.ID
		asks := len(e.Events) == 0 || slices.Contains(e.Events, n.kind)
		if asks && e.UpdatedAt.Before(at.Time) && !w.told[n] && !w.told[owed] {
			to = append(to, e.ID)
		}
	}
	return to
}

func (l *look) toldOfMemories(ctx context.Context, ws string, w wishes) error {
	statuses := []memory.Status{memory.StatusCompleted, memory.StatusDegraded, memory.StatusFailed}
	for cursor := ""; ; {
		page, next, err := l.parts.Memories.List(ctx, store.MemoryQuery{Workspace: ws, Statuses: statuses, Limit: l.cfg.Page, Cursor: cursor})
		if err != nil {
			return err
		}
		for i := range page {
			m := &page[i]
			kind := "memory." + string(m.Status)
			for _, to := range w.unheard(news{"", kind, m.ID, m.Version}, m.WebhookURL, m.CompletedAt) {
				l.foundf(EventMissing, ws, m.ID, m.Version, "%s was not told to %s", kind, to)
			}
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

func (l *look) toldOfBatches(ctx context.Context, ws string, w wishes) error {
	for cursor := ""; ; {
		page, next, err := l.parts.Batches.List(ctx, ws, l.cfg.Page, cursor)
		if err != nil {
			return err
		}
		for _, b := range page {
			if !b.Status.Final() {
				continue
			}
			kind := "batch." + string(b.Status)
			for _, to := range w.unheard(news{"", kind, b.ID, 0}, b.WebhookURL, b.CompletedAt) {
				l.foundf(EventMissing, ws, b.ID, 0, "%s was not told to %s", kind, to)
			}
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}
