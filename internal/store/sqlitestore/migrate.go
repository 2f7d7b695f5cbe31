package sqlitestore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/switchyard-ai/switchyard/pkg/memory"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// applicationID marks the file as ours: "swyd".
const applicationID = 0x73777964

// A migration is one file of migrations/: NNNN_name.sql. It is applied once, whole or not at all, and never edited after
// a release.
type migration struct {
	number int
	name   string
	text   string
}

func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var out []migration
	for _, path := range names { // Glob sorts
		text, err := migrationFiles.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, "migrations/"), ".sql")
		number, err := strconv.Atoi(name[:4])
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", path, err)
		}
		if number != len(out)+1 {
			return nil, fmt.Errorf("migration %s: %d follows %d", path, number, len(out))
		}
		out = append(out, migration{number, name, string(text)})
	}
	return out, nil
}

// migrate brings the file up to date. Two processes that start at the same time wait for each other.
func migrate(ctx context.Context, conn *sql.Conn) error {
	ms, err := migrations()
	if err != nil {
		return err
	}
	if _, err := ours(ctx, conn); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil { // not possible in a transaction
		return err
	}
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := upgrade(ctx, conn, ms); err != nil {
		_, undo := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return errors.Join(err, undo)
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	return err
}

func upgrade(ctx context.Context, conn *sql.Conn, ms []migration) error {
	if err := claimFile(ctx, conn); err != nil {
		return err
	}
	rows, err := conn.QueryContext(ctx, "SELECT number FROM migrations ORDER BY number")
	applied, err := collect(rows, err, func(r *sql.Rows) (n int, err error) { return n, r.Scan(&n) })
	if err != nil {
		return err
	}
	for _, n := range applied {
		if !slices.ContainsFunc(ms, func(m migration) bool { return m.number == n }) {
			return memory.Errorf(memory.CodeConflict, "the file was made by a newer version of Switchyard (migration %d); use that version", n)
		}
	}
	for _, m := range ms {
		if slices.Contains(applied, m.number) {
			continue
		}
		if err := m.apply(ctx, conn); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	return nil
}

func (m migration) apply(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, m.text); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, "INSERT INTO migrations (number, name, applied_at) VALUES (?, ?, ?)", m.number, m.name, memory.Now().UnixMilli())
	return err
}

// claimFile makes a new file ours.
func claimFile(ctx context.Context, conn *sql.Conn) error {
	if is, err := ours(ctx, conn); is || err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d;
		CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)`, applicationID))
	return err
}

// ours reports whether the file was made by Switchyard, and not just now. A file that is somebody else's is an error.
func ours(ctx context.Context, conn *sql.Conn) (bool, error) {
	var app, tables int
	err := conn.QueryRowContext(ctx, "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id").Scan(&app, &tables)
	switch {
	case err != nil:
		return false, err
	case app == applicationID:
		return true, nil
	case app != 0 || tables > 0:
		return false, memory.Errorf(memory.CodeConflict, "the file is the database of another program")
	}
	return false, nil
}
