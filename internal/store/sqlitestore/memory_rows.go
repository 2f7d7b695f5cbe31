package sqlitestore

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// memoryColumns are what scanMemory reads, of memories AS m and contents AS c. The checkpoints come as the inside of a
// JSON list: in one statement they are of one moment with the rest.
const memoryColumns = `m.seq, m.fence, m.asked_at, m.workspace, m.id, m.external_id, m.version, m.status, m.track, m.reason, m.priority, m.batch_id,
	m.webhook_url, m.occurred_at, m.created_at, m.updated_at, m.started_at, m.completed_at, m.error, c.content, c.metadata,
	(SELECT group_concat('{"receipt":' || receipt || ',"output":' || coalesce(output, 'null') || '}', ',' ORDER BY place)
		FROM checkpoints WHERE checkpoints.seq = m.seq)`

const selectMemories = `SELECT ` + memoryColumns + ` FROM memories AS m JOIN contents AS c ON c.seq = m.seq `

// stored is a memory with what only the store knows of it.
type stored struct {
	memory.Memory
	seq   int64
	fence int64
	asked int64 // when the version was asked for
}

type scanner interface{ Scan(dest ...any) error }

// scanMemory reads memoryColumns, and what follows them into more.
func scanMemory(r scanner, more ...any) (stored, error) {
	var m stored
	var external, batch, fault, metadata, checkpoints sql.NullString
	var occurred, started, completed sql.NullInt64
	var created, updated int64
	err := r.Scan(append([]any{&m.seq, &m.fence, &m.asked, &m.Workspace, &m.ID, &external, &m.Version, &m.Status, &m.Track, &m.Reason, &m.Priority, &batch,
		&m.WebhookURL, &occurred, &created, &updated, &started, &completed, &fault, &m.Content, &metadata, &checkpoints}, more...)...)
	if err != nil {
		return m, err
	}
	m.ExternalID, m.BatchID = external.String, batch.String
	m.OccurredAt, m.StartedAt, m.CompletedAt = timeOrNil(occurred), timeOrNil(started), timeOrNil(completed)
	m.CreatedAt, m.UpdatedAt = timeOf(created), timeOf(updated)
	if err := decode(fault, &m.Error); err != nil {
		return m, err
	}
	if err := decode(metadata, &m.Metadata); err != nil {
		return m, err
	}
	return m, applyCheckpoints(&m.Memory, checkpoints.String)
}

func applyCheckpoints(m *memory.Memory, list string) error {
	if list == "" {
		return nil
	}
	var cs []struct {
		Receipt memory.Receipt `json:"receipt"`
		Output  memory.Output  `json:"output"`
	}
	if err := json.Unmarshal([]byte("["+list+"]"), &cs); err != nil {
		return fmt.Errorf("checkpoints of %s: %w", m.ID, err)
	}
	d := memory.Draft{Memory: *m}
	for _, c := range cs {
		d.Memory.Record(c.Receipt)
		d.Apply(c.Output)
	}
	*m = d.Memory
	return nil
}

// decode reads JSON into dest; NULL leaves it as it is.
func decode(text sql.NullString, dest any) error {
	if !text.Valid {
		return nil
	}
	return json.Unmarshal([]byte(text.String), dest)
}

func textOrNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

func msOrNull(t *memory.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: true}
}

func timeOf(ms int64) memory.Time { return memory.At(time.UnixMilli(ms)) }

func timeOrNil(ms sql.NullInt64) *memory.Time {
	if !ms.Valid {
		return nil
	}
	return timeOf(ms.Int64).Ptr()
}

// metadataText is the same for the same metadata: JSON sorts the keys.
func metadataText(md memory.Metadata) sql.NullString {
	if len(md) == 0 {
		return sql.NullString{}
	}
	return sql.NullString{String: jsonOf(md), Valid: true}
}

// labelHash stands for a label in the index: 64 bits of SHA-256.
func labelHash(workspace, key, text string) int64 {
	h := sha256.New()
	for _, s := range []string{workspace, key, text} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return int64(binary.BigEndian.Uint64(h.Sum(nil))) //nolint:gosec // a hash: any number will do
}

func addLabels(tx *tx, m *memory.Memory) error {
	for k, v := range m.Metadata {
		_, err := tx.exec("INSERT INTO labels (hash, created_at, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			labelHash(m.Workspace, k, store.TextOf(v)), m.CreatedAt.UnixMilli(), m.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

func dropLabels(tx *tx, m *memory.Memory) error {
	for k, v := range m.Metadata {
		_, err := tx.exec("DELETE FROM labels WHERE hash = ? AND created_at = ? AND id = ?",
			labelHash(m.Workspace, k, store.TextOf(v)), m.CreatedAt.UnixMilli(), m.ID)
		if err != nil {
			return err
		}
	}
	return nil
}
