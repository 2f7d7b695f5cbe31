package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/switchyard-ai/switchyard/internal/store"
	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// Keys gives API keys.
func (s *Store) Keys() store.Keys { return keys{s} }

type keys struct{ s *Store }

var _ store.Keys = keys{}

// Create implements [store.Keys].
func (k keys) Create(ctx context.Context, key store.Key) error {
	return k.s.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT OR REPLACE INTO keys (id, workspace, name, scopes, hash, hint, created_at, last_used_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			key.ID, key.Workspace, key.Name, jsonOf(key.Scopes), key.Hash[:], key.Hint, key.CreatedAt.UnixMilli(), msOrNull(key.LastUsedAt))
		return err
	})
}

const selectKeys = "SELECT id, workspace, name, scopes, hash, hint, created_at, last_used_at FROM keys "

func scanKey(scan func(...any) error) (k store.Key, err error) {
	var scopes string
	var hash []byte
	var created int64
	var used sql.NullInt64
	if err := scan(&k.ID, &k.Workspace, &k.Name, &scopes, &hash, &k.Hint, &created, &used); err != nil {
		return k, err
	}
	copy(k.Hash[:], hash)
	k.CreatedAt, k.LastUsedAt = timeOf(created), timeOrNil(used)
	return k, json.Unmarshal([]byte(scopes), &k.Scopes)
}

// Lookup implements [store.Keys].
func (k keys) Lookup(ctx context.Context, hash [32]byte) (store.Key, error) {
	key, err := scanKey(k.s.queryRow(ctx, selectKeys+"WHERE hash = ?", hash[:]).Scan)
	return key, wrap(err)
}

// List implements [store.Keys].
func (k keys) List(ctx context.Context, workspace string) ([]store.Key, error) {
	rows, err := k.s.query(ctx, selectKeys+"WHERE workspace = ? ORDER BY created_at, id", workspace)
	keys, err := collect(rows, err, func(r *sql.Rows) (store.Key, error) { return scanKey(r.Scan) })
	return keys, wrap(err)
}

// Revoke implements [store.Keys].
func (k keys) Revoke(ctx context.Context, workspace, id string) error {
	return k.s.write(ctx, func(t *tx) error {
		return found(t.change("DELETE FROM keys WHERE workspace = ? AND id = ?", workspace, id))
	})
}

// Touch implements [store.Keys].
func (k keys) Touch(ctx context.Context, used map[string]time.Time) error {
	if len(used) == 0 {
		return nil
	}
	return k.s.write(ctx, func(t *tx) error {
		for id, at := range used {
			if _, err := t.exec("UPDATE keys SET last_used_at = max(?, coalesce(last_used_at, ?)) WHERE id = ?",
				at.UnixMilli(), at.UnixMilli(), id); err != nil {
				return err
			}
		}
		return nil
	})
}

// found turns a change of no row into CodeNotFound.
func found(n int, err error) error {
	if err == nil && n == 0 {
		return memory.Errorf(memory.CodeNotFound, "%s", messages[memory.CodeNotFound])
	}
	return err
}

// changed turns a change of no row into CodeConflict.
func changed(n int, err error) error {
	if err == nil && n == 0 {
		return memory.Errorf(memory.CodeConflict, "it was changed in the meantime")
	}
	return err
}
