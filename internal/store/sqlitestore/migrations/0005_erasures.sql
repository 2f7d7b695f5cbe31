-- Which memories are to be erased from every store, and when that is to be done again. All times in milliseconds.
CREATE TABLE erasures (
  workspace TEXT    NOT NULL,
  memory_id TEXT    NOT NULL,
  noted_at  INTEGER NOT NULL,
  checks    INTEGER NOT NULL,
  due_at    INTEGER,                -- NULL: not any more
  PRIMARY KEY (workspace, memory_id)
) WITHOUT ROWID;
CREATE INDEX erasures_due  ON erasures (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX erasures_aged ON erasures (noted_at) WHERE due_at IS NULL;

-- When the caller said what the stored version says; 0: before this was kept.
ALTER TABLE memories ADD COLUMN asked_at INTEGER NOT NULL DEFAULT 0;
