package sqlitestore

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// List reads the keys of a page from one index, the narrowest that the query allows: external id, label, batch, or
// else the statuses, each from the newest on.
func (ms memories) List(ctx context.Context, q store.MemoryQuery) ([]memory.Memory, string, error) {
	keys, args, err := listKeys(q)
	if err != nil {
		return nil, "", err
	}
	rows, err := ms.s.query(ctx, `WITH page AS MATERIALIZED (`+keys+`)
		SELECT `+memoryColumns+` FROM page CROSS JOIN memories AS m ON m.seq = page.seq JOIN contents AS c ON c.seq = m.seq
		ORDER BY m.created_at DESC, m.id DESC`, args...)
	found, err := collect(rows, err, plainMemory)
	if err != nil {
		return nil, "", wrap(err)
	}
	if len(found) <= q.Limit {
		return found, "", nil
	}
	last := found[q.Limit-1]
	return found[:q.Limit], store.EncodeCursor(last.CreatedAt.UnixMilli(), last.ID), nil
}

// The statuses a memory can have.
//
//nolint:gochecknoglobals // a constant list
var memoryStatuses = []memory.Status{memory.StatusQueued, memory.StatusProcessing, memory.StatusCompleted,
	memory.StatusDegraded, memory.StatusFailed, memory.StatusCancelled}

// The parameters of all forms of the query: ?1 workspace, ?2 ?3 the time and id before which the page begins, ?4 the time
// after which memories are, ?5 how many, ?6 the statuses as a JSON list, ?7 batch, ?8 external id, ?9… labels.
const (
	fromMemories = "SELECT m.seq, m.created_at, m.id FROM memories AS m WHERE m.workspace = ?1"
	inRange      = " AND (m.created_at, m.id) < (?2, ?3) AND m.created_at > ?4"
	newestFirst  = " ORDER BY m.created_at DESC, m.id DESC LIMIT ?5"
	ofStatus     = " AND m.status IN (SELECT value FROM json_each(?6))"
	ofBatch      = " AND m.batch_id = ?7"
	ofExternalID = " AND m.external_id = ?8"
	firstLabel   = 9
)

// listKeys makes the query for the keys of one memory more than the page has. There are few forms of its text.
func listKeys(q store.MemoryQuery) (text string, args []any, err error) {
	before, beforeID, after := int64(math.MaxInt64), "", int64(math.MinInt64)
	if !q.CreatedBefore.IsZero() {
		before = msOf(q.CreatedBefore)
	}
	if !q.CreatedAfter.IsZero() {
		after = q.CreatedAfter.UnixMilli()
	}
	if q.Cursor != "" {
		var at int64
		var id string
		if err := store.DecodeCursor(q.Cursor, &at, &id); err != nil {
			return "", nil, err
		}
		if at < before {
			before, beforeID = at, id
		}
	}
	statuses := slices.Compact(slices.Sorted(slices.Values(q.Statuses)))
	if len(statuses) == 0 {
		statuses = memoryStatuses
	}
	args = []any{q.Workspace, before, beforeID, after, q.Limit + 1, jsonOf(statuses), q.BatchID, q.ExternalID}
	keys := slices.Sorted(maps.Keys(q.Metadata))
	for _, k := range keys {
		args = append(args, labelHash(q.Workspace, k, q.Metadata[k]))
	}
	return listSource(q, len(keys), len(statuses)), args, nil
}

func listSource(q store.MemoryQuery, labels, statuses int) string {
	rest := ofStatus
	if q.BatchID != "" {
		rest += ofBatch
	}
	switch {
	case q.ExternalID != "":
		return fromMemories + ofExternalID + inRange + rest + hasLabels(0, labels) + newestFirst
	case labels > 0:
		return `SELECT m.seq FROM labels AS l CROSS JOIN memories AS m ON m.workspace = ?1 AND m.id = l.id
			WHERE l.hash = ?` + strconv.Itoa(firstLabel) + " AND (l.created_at, l.id) < (?2, ?3) AND l.created_at > ?4" +
			rest + hasLabels(1, labels) + " ORDER BY l.created_at DESC, l.id DESC LIMIT ?5"
	case q.BatchID != "":
		return fromMemories + inRange + rest + newestFirst
	}
	each := make([]string, statuses)
	for i := range each {
		each[i] = "SELECT * FROM (" + fromMemories + " AND m.status = json_extract(?6, '$[" + strconv.Itoa(i) + "]')" + inRange + newestFirst + ")"
	}
	return strings.Join(each, " UNION ALL ") + " ORDER BY created_at DESC, id DESC LIMIT ?5"
}

// hasLabels is the condition that a memory has the labels from..to.
func hasLabels(from, to int) (text string) {
	for i := from; i < to; i++ {
		text += " AND EXISTS (SELECT 1 FROM labels WHERE hash = ?" + strconv.Itoa(firstLabel+i) + " AND created_at = m.created_at AND id = m.id)"
	}
	return text
}
