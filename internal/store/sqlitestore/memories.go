package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Memories gives the documents of memories.
func (s *Store) Memories() store.Memories { return memories{s} }

type memories struct{ s *Store }

var _ store.Memories = memories{}

// Put is one write, however many memories there are. What it can prepare it prepares before its turn.
func (ms memories) Put(ctx context.Context, in []store.Intake) ([]store.Put, error) {
	rows := make([]intake, len(in))
	for i := range in {
		rows[i] = intakeOf(in[i])
	}
	out := make([]store.Put, len(in))
	err := ms.s.write(ctx, func(tx *tx) (err error) {
		for i := range rows {
			if out[i], err = put(tx, &rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// intake is an intake in the form in which it is written.
type intake struct {
	store.Intake
	metadata   sql.NullString
	occurredAt sql.NullInt64
}

func intakeOf(in store.Intake) intake {
	m := &in.Memory
	m.Version, m.Status = 1, memory.StatusQueued
	m.UseCases, m.Related, m.Graph, m.Steps, m.Error, m.StartedAt, m.CompletedAt = nil, nil, memory.Graph{}, nil, nil, nil, nil
	m.Metadata = store.Plain(m.Metadata)
	if m.CreatedAt.IsZero() {
		m.CreatedAt = memory.Now()
	}
	if m.UpdatedAt.IsZero() {
		m.UpdatedAt = m.CreatedAt
	}
	return intake{in, metadataText(m.Metadata), msOrNull(m.OccurredAt)}
}

// asked is when the caller said it.
func (in *intake) asked() int64 {
	if in.AskedAt.IsZero() {
		return time.Now().UnixMilli()
	}
	return in.AskedAt.UnixMilli()
}

func put(tx *tx, in *intake) (store.Put, error) {
	if in.IfVersion != 0 {
		return change(tx, in)
	}
	if created, err := create(tx, in); err != nil || created.Kind != "" {
		return created, err
	}
	old, err := find(tx, in)
	if errors.Is(err, sql.ErrNoRows) { // nothing stands in the way, and yet it was not created
		return store.Put{Kind: store.Erased}, nil
	}
	if err != nil {
		return store.Put{}, err
	}
	return merge(tx, in, old)
}

// change puts a new version over the one that the caller has seen.
func change(tx *tx, in *intake) (store.Put, error) {
	old, err := scanMemory(tx.queryRow(selectMemories+"WHERE m.workspace = ? AND m.id = ?", in.Memory.Workspace, in.Memory.ID))
	if errors.Is(err, sql.ErrNoRows) {
		return store.Put{Kind: store.Stale}, nil
	}
	if err != nil {
		return store.Put{}, err
	}
	if old.Version != in.IfVersion {
		return store.Put{Kind: store.Stale, Memory: old.Memory, Fence: old.fence}, nil
	}
	return merge(tx, in, old)
}

// create stores the memory if neither its id nor its external id exists, nor an erasure of the id; else the Put is zero.
//
// Fences start at the clock, not at 0: should a deleted memory be taken in again under its old id, a run of the former
// one that is still on its way does not hold a fence of the new one.
func create(tx *tx, in *intake) (store.Put, error) {
	m, fence := in.Memory, time.Now().UnixMilli()
	res, err := tx.exec(`INSERT INTO memories (workspace, id, external_id, version, status, track, reason, priority, batch_id,
			webhook_url, occurred_at, created_at, updated_at, owner, last_owner, fence, lease_until, asked_at)
		SELECT ?1, ?2, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM erasures WHERE workspace = ?1 AND memory_id = ?2)
		ON CONFLICT DO NOTHING`,
		m.Workspace, m.ID, textOrNull(m.ExternalID), m.Version, m.Status, m.Track, m.Reason, m.Priority, textOrNull(m.BatchID),
		m.WebhookURL, in.occurredAt, m.CreatedAt.UnixMilli(), m.UpdatedAt.UnixMilli(), in.Lease.Owner, in.Lease.Owner, fence, msOf(in.Lease.Until), in.asked())
	if err != nil {
		return store.Put{}, err
	}
	if n, err := res.RowsAffected(); n == 0 || err != nil {
		return store.Put{}, err
	}
	seq, err := res.LastInsertId()
	if err != nil {
		return store.Put{}, err
	}
	if _, err := tx.exec("INSERT INTO contents (seq, content, metadata) VALUES (?, ?, ?)", seq, m.Content, in.metadata); err != nil {
		return store.Put{}, err
	}
	return store.Put{Kind: store.Created, Memory: m, Fence: fence}, addLabels(tx, &m)
}

// find returns the stored memory that stands in the way of a new one: that of the external id, else that of the id.
func find(tx *tx, in *intake) (stored, error) {
	if ext := in.Memory.ExternalID; ext != "" {
		old, err := scanMemory(tx.queryRow(selectMemories+"WHERE m.workspace = ? AND m.external_id = ?", in.Memory.Workspace, ext))
		if !errors.Is(err, sql.ErrNoRows) {
			return old, err
		}
	}
	return scanMemory(tx.queryRow(selectMemories+"WHERE m.workspace = ? AND m.id = ?", in.Memory.Workspace, in.Memory.ID))
}

func merge(tx *tx, in *intake, old stored) (store.Put, error) {
	same := old.Content == in.Memory.Content && metadataText(old.Metadata) == in.metadata && msOrNull(old.OccurredAt) == in.occurredAt
	switch {
	case !same && !in.AskedAt.IsZero() && in.AskedAt.UnixMilli() < old.asked:
		return store.Put{Kind: store.Stale, Memory: old.Memory, Fence: old.fence}, nil
	case !same:
		return update(tx, in, old)
	case old.Status == memory.StatusFailed, old.Status == memory.StatusDegraded, old.Status == memory.StatusCancelled:
		return resume(tx, in, old)
	}
	return store.Put{Kind: store.Unchanged, Memory: old.Memory, Fence: old.fence}, nil
}

// update makes the intake the next version of a stored memory.
func update(tx *tx, in *intake, old stored) (store.Put, error) {
	m := in.Memory
	m.ID, m.Version, m.CreatedAt, m.UpdatedAt = old.ID, old.Version+1, old.CreatedAt, memory.Now()
	if m.ExternalID == "" {
		m.ExternalID = old.ExternalID
	}
	_, err := tx.exec(`UPDATE memories SET external_id = ?, version = ?, status = ?, track = ?, reason = ?, priority = ?, batch_id = ?,
			webhook_url = ?, occurred_at = ?, updated_at = ?, started_at = NULL, completed_at = NULL, error = NULL,
			owner = ?, last_owner = ?, fence = fence + 1, lease_until = ?, asked_at = ? WHERE seq = ?`,
		textOrNull(m.ExternalID), m.Version, m.Status, m.Track, m.Reason, m.Priority, textOrNull(m.BatchID),
		m.WebhookURL, in.occurredAt, m.UpdatedAt.UnixMilli(), in.Lease.Owner, in.Lease.Owner, msOf(in.Lease.Until), in.asked(), old.seq)
	if err != nil {
		return store.Put{}, err
	}
	if _, err := tx.exec("UPDATE contents SET content = ?, metadata = ? WHERE seq = ?", m.Content, in.metadata, old.seq); err != nil {
		return store.Put{}, err
	}
	if err := forgetRun(tx, old.seq); err != nil {
		return store.Put{}, err
	}
	put := store.Put{Kind: store.Updated, Memory: m, Fence: old.fence + 1}
	return put, errors.Join(dropLabels(tx, &old.Memory), addLabels(tx, &m))
}

// resume queues a memory again that had ended without success.
func resume(tx *tx, in *intake, old stored) (store.Put, error) {
	m := old.Memory
	m.Status, m.Track, m.Reason, m.BatchID = memory.StatusQueued, in.Memory.Track, in.Memory.Reason, in.Memory.BatchID
	m.Error, m.CompletedAt, m.UpdatedAt = nil, nil, memory.Now()
	m.Steps = slices.DeleteFunc(m.Steps, func(r memory.Receipt) bool { return r.Status != memory.StepCompleted })
	_, err := tx.exec(`UPDATE memories SET status = ?, track = ?, reason = ?, batch_id = ?, error = NULL, completed_at = NULL, updated_at = ?,
			owner = ?, last_owner = ?, fence = fence + 1, lease_until = ? WHERE seq = ?`,
		m.Status, m.Track, m.Reason, textOrNull(m.BatchID), m.UpdatedAt.UnixMilli(),
		in.Lease.Owner, in.Lease.Owner, msOf(in.Lease.Until), old.seq)
	if err != nil {
		return store.Put{}, err
	}
	_, err = tx.exec("DELETE FROM checkpoints WHERE seq = ? AND NOT completed", old.seq)
	return store.Put{Kind: store.Resumed, Memory: m, Fence: old.fence + 1}, err
}

// forgetRun removes what a run has left of a memory.
func forgetRun(tx *tx, seq int64) error {
	if _, err := tx.exec("DELETE FROM checkpoints WHERE seq = ?", seq); err != nil {
		return err
	}
	_, err := tx.exec("DELETE FROM embeddings WHERE seq = ?", seq)
	return err
}

func (ms memories) Get(ctx context.Context, workspace string, ids ...string) ([]memory.Memory, error) {
	rows, err := ms.s.query(ctx, `SELECT `+memoryColumns+` FROM json_each(?2) AS wanted
		CROSS JOIN memories AS m ON m.workspace = ?1 AND m.id = wanted.value JOIN contents AS c ON c.seq = m.seq ORDER BY wanted.key`,
		workspace, jsonOf(ids))
	found, err := collect(rows, err, plainMemory)
	return found, wrap(err)
}

func plainMemory(rows *sql.Rows) (memory.Memory, error) {
	m, err := scanMemory(rows)
	return m.Memory, err
}

// Delete also forgets the events that the memories owe: they tell of what is to be forgotten.
func (ms memories) Delete(ctx context.Context, workspace string, ids ...string) error {
	return ms.s.write(ctx, func(tx *tx) error {
		for _, id := range ids {
			if err := remove(tx, workspace, id); err != nil {
				return err
			}
		}
		return nil
	})
}

func remove(tx *tx, workspace, id string) error {
	old, err := scanMemory(tx.queryRow(selectMemories+"WHERE m.workspace = ? AND m.id = ?", workspace, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(forgetRun(tx, old.seq), dropLabels(tx, &old.Memory)); err != nil {
		return err
	}
	for _, text := range []string{"DELETE FROM contents WHERE seq = ?", "DELETE FROM memories WHERE seq = ?"} {
		if _, err := tx.exec(text, old.seq); err != nil {
			return err
		}
	}
	_, err = tx.exec("DELETE FROM owed WHERE workspace = ? AND subject = ?", workspace, id)
	return err
}

// Count reads sums that triggers keep: a row for each status and track of the workspace.
func (ms memories) Count(ctx context.Context, workspace string) (map[memory.Status]int, error) {
	return counts[memory.Status](ctx, ms.s, "SELECT status, sum(n) FROM counts WHERE workspace = ? GROUP BY status HAVING sum(n) > 0", workspace)
}

// Recount counts the memories of the workspace by status and track again.
func (ms memories) Recount(ctx context.Context, workspace string) error {
	return ms.s.write(ctx, func(tx *tx) error {
		if _, err := tx.exec("DELETE FROM counts WHERE workspace = ?", workspace); err != nil {
			return err
		}
		_, err := tx.exec("INSERT INTO counts SELECT workspace, status, track, count(*) FROM memories WHERE workspace = ? GROUP BY status, track", workspace)
		return err
	})
}

// counts reads rows of a key and a number.
func counts[K comparable](ctx context.Context, s *Store, text string, args ...any) (map[K]int, error) {
	out := map[K]int{}
	rows, err := s.query(ctx, text, args...)
	_, err = collect(rows, err, func(r *sql.Rows) (n int, err error) {
		var key K
		err = r.Scan(&key, &n)
		out[key] = n
		return n, err
	})
	if err != nil {
		return nil, wrap(err)
	}
	return out, nil
}

// Usage reads sums that triggers keep.
func (ms memories) Usage(ctx context.Context, workspace string) (u store.Usage, err error) {
	var cost int64
	err = ms.s.queryRow(ctx, "SELECT tokens, cost FROM usage WHERE workspace = ?", workspace).Scan(&u.Tokens, &cost)
	if errors.Is(err, sql.ErrNoRows) {
		return u, nil
	}
	u.CostUSD = usdOf(cost)
	return u, wrap(err)
}
