//go:build failpoints

package sqlitestore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

// What bugs that are planted by internal/faults need, and no port offers. It is in no build but that of the machine.

// FenceOf returns the fence in force; 0 where there is no such memory.
func (rs runs) FenceOf(ctx context.Context, ref memory.Ref) (fence int64, err error) {
	err = rs.s.queryRow(ctx, "SELECT fence FROM memories WHERE workspace = ? AND id = ?", ref.Workspace, ref.ID).Scan(&fence)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return fence, wrap(err)
}

// Owe owes an event by itself, in no write of what it tells.
func (rs runs) Owe(ctx context.Context, workspace, subject string, e *memory.Event) error {
	return rs.s.write(ctx, func(tx *tx) error { return owe(tx, workspace, subject, e) })
}
