//go:build !lean

package embedded

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	schema "go.temporal.io/server/schema/sqlite"
)

// files are the SQLite files of one data folder. Visibility has one of its own: every workflow writes to it twice, and in
// one file those writes wait for the histories' and the other way round.
type files struct {
	executions, visibility *config.SQL
}

// openFiles makes the files where they are missing, and the namespace in them as cfg wants it.
func openFiles(ctx context.Context, dir string, cfg Config) (files, error) {
	statements, err := schemaStatements()
	if err != nil {
		return files{}, fmt.Errorf("read Temporal's schema: %w", err)
	}
	f := files{
		executions: sqliteConfig(filepath.Join(dir, executionsFile)),
		visibility: sqliteConfig(filepath.Join(dir, visibilityFile(statements))),
	}
	for _, file := range []*config.SQL{f.executions, f.visibility} {
		if err := makeSchema(ctx, file, statements); err != nil {
			return files{}, err
		}
	}
	warnOfOldFiles(dir, cfg.Logger)
	if err := makeNamespace(ctx, f.executions, cfg); err != nil {
		return files{}, err
	}
	return f, nil
}

// executionsFile has the version of the schema in its name: Temporal makes its SQLite schema for new files only, so a
// Temporal with another schema starts with an empty file rather than fail on an old one.
const executionsFile = "temporal-" + schema.Version + ".db"

const visibilityPrefix = "temporal-visibility-"

// visibilityFile returns a name that changes with any change of the schema: Temporal changes that of visibility without a
// new version. An empty one costs the search over finished workflows, no workflow.
func visibilityFile(statements []string) string {
	sum := sha256.Sum256([]byte(strings.Join(statements, ";")))
	return visibilityPrefix + hex.EncodeToString(sum[:4]) + ".db"
}

func sqliteConfig(path string) *config.SQL {
	return &config.SQL{
		PluginName:   sqlite.PluginName,
		DatabaseName: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), // it becomes part of a file: address
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "wal",
			// A process that is killed loses nothing. Power that fails may take the last moments, never the file: what the
			// document store has as open is then started again under the same workflow id.
			"synchronous": "normal",
		},
		MaxConns: 1, // more of them fight for the one write lock: 20 workflows a second instead of 59
	}
}

// warnOfOldFiles tells of files with another version of the schema: the workflows in them are not carried over.
func warnOfOldFiles(dir string, log *slog.Logger) {
	entries, _ := os.ReadDir(dir) // the folder was just written to, and this is a hint only
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, "temporal-") && strings.HasSuffix(name, ".db") &&
			!strings.HasPrefix(name, visibilityPrefix) && name != executionsFile {
			log.Warn("Temporal's schema has changed; workflows in the old file are not carried over",
				"old", filepath.Join(dir, name), "new", executionsFile)
		}
	}
}

// makeSchema gives a new file Temporal's tables, in one transaction: a file has all of them or none.
func makeSchema(ctx context.Context, file *config.SQL, statements []string) error {
	return onFile(file, func(db *sql.DB) error {
		var tables int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
			return fmt.Errorf("look into %s: %w", file.DatabaseName, err)
		}
		if tables > 0 {
			return nil
		}
		if err := execAll(ctx, db, statements); err != nil {
			return fmt.Errorf("make Temporal's tables in %s: %w", file.DatabaseName, err)
		}
		return nil
	})
}

func execAll(ctx context.Context, db *sql.DB, statements []string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// flush moves what is in the write-ahead logs into the files themselves, so that copies of those are whole.
func (f files) flush() error {
	return errors.Join(flushFile(f.executions), flushFile(f.visibility))
}

func flushFile(file *config.SQL) error {
	return onFile(file, func(db *sql.DB) error {
		if _, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			return fmt.Errorf("flush %s: %w", file.DatabaseName, err)
		}
		return nil
	})
}

// onFile calls do with a connection apart from Temporal's, which the plugin shares and never closes.
func onFile(file *config.SQL, do func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", "file:"+file.DatabaseName+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)")
	if err != nil {
		return fmt.Errorf("open %s: %w", file.DatabaseName, err)
	}
	db.SetMaxOpenConns(1)
	return errors.Join(do(db), db.Close())
}

// schemaStatements returns the statements that make Temporal's tables, of executions and of visibility.
func schemaStatements() ([]string, error) {
	var r recorder
	err := schema.SetupSchemaOnDB(&r)
	return r.statements, err
}

// recorder is a database that only keeps the statements it is given.
type recorder struct {
	sqlplugin.AdminDB // SetupSchemaOnDB needs no more than Exec

	statements []string
}

func (r *recorder) Exec(statement string, _ ...any) error {
	r.statements = append(r.statements, statement)
	return nil
}
