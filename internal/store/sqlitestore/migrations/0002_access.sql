-- Who may come in: API keys, workspaces, and what idempotent requests were answered. All times in milliseconds.

CREATE TABLE keys (
  id           TEXT PRIMARY KEY,
  workspace    TEXT    NOT NULL,
  name         TEXT    NOT NULL,
  scopes       TEXT    NOT NULL,    -- JSON of []store.Scope
  hash         BLOB    NOT NULL UNIQUE,
  hint         TEXT    NOT NULL,
  created_at   INTEGER NOT NULL,
  last_used_at INTEGER
);
CREATE INDEX keys_listed ON keys (workspace, created_at, id);

CREATE TABLE workspaces (
  id         TEXT PRIMARY KEY,
  name       TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  secrets    TEXT    NOT NULL,      -- JSON of []store.Secret
  schema     BLOB,                  -- NULL: the default
  revision   INTEGER NOT NULL
);

CREATE TABLE requests (
  workspace   TEXT    NOT NULL,
  key         TEXT    NOT NULL,
  fingerprint BLOB    NOT NULL,
  resource_id TEXT    NOT NULL,
  created_at  INTEGER NOT NULL,
  until       INTEGER NOT NULL,
  status      INTEGER,              -- of the answer; NULL while the request is running
  header      TEXT,                 -- JSON of the answer's headers
  body        BLOB,
  PRIMARY KEY (workspace, key)
);
CREATE INDEX requests_aged ON requests (created_at);
