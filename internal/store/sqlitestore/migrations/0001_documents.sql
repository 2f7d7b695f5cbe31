-- The documents: memories on their way through the pipeline, batches, and the events that both owe.
--
-- A row is rewritten whole when one of its columns changes, so what is big and does not change (content, uploads) has
-- tables apart from what changes often and is small (status, leases).

CREATE TABLE memories (
  seq          INTEGER PRIMARY KEY,
  workspace    TEXT    NOT NULL,
  id           TEXT    NOT NULL,
  external_id  TEXT,                -- NULL: none
  version      INTEGER NOT NULL,
  status       TEXT    NOT NULL,
  track        TEXT    NOT NULL,
  reason       TEXT    NOT NULL,
  priority     TEXT    NOT NULL,
  batch_id     TEXT,                -- NULL: none
  webhook_url  TEXT    NOT NULL,
  occurred_at  INTEGER,             -- all times in milliseconds
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  started_at   INTEGER,
  completed_at INTEGER,
  error        TEXT,                -- JSON of a memory.Fault
  owner        TEXT    NOT NULL,    -- who holds it; '': nobody
  last_owner   TEXT    NOT NULL,    -- who held it last
  fence        INTEGER NOT NULL,
  lease_until  INTEGER              -- NULL if, and only if, the memory is over
);
CREATE UNIQUE INDEX memories_ids      ON memories (workspace, id);
CREATE UNIQUE INDEX memories_external ON memories (workspace, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX        memories_listed   ON memories (workspace, status, created_at, id);
CREATE INDEX        memories_batches  ON memories (workspace, batch_id, created_at, id) WHERE batch_id IS NOT NULL;
CREATE INDEX        memories_leases   ON memories (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX        memories_owners   ON memories (owner) WHERE lease_until IS NOT NULL;

CREATE TABLE contents (
  seq      INTEGER PRIMARY KEY,     -- of the memory
  content  TEXT NOT NULL,
  metadata TEXT                     -- JSON; NULL: none
);

-- One row for each label in the metadata. The hash is made of workspace, key and value.
CREATE TABLE labels (
  hash       INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  id         TEXT    NOT NULL,
  PRIMARY KEY (hash, created_at, id)
) WITHOUT ROWID;

CREATE TABLE checkpoints (
  seq       INTEGER NOT NULL,       -- of the memory
  step      TEXT    NOT NULL,
  place     INTEGER NOT NULL,       -- in the order of first attempts
  completed INTEGER NOT NULL,
  tokens    INTEGER NOT NULL,       -- as in the receipt
  cost      INTEGER NOT NULL,       -- as in the receipt, in 10^-12 dollars: sums of integers do not drift
  receipt   TEXT    NOT NULL,       -- JSON of a memory.Receipt
  output    TEXT,                   -- JSON of a memory.Output without its embedding
  PRIMARY KEY (seq, step)
) WITHOUT ROWID;

-- The vectors of memories that are not over.
CREATE TABLE embeddings (
  seq      INTEGER PRIMARY KEY,     -- of the memory
  model    TEXT NOT NULL,
  passages TEXT NOT NULL,           -- JSON: [[start, end, dimensions], …]
  vectors  BLOB NOT NULL            -- one after the other, little-endian float32
);

-- How many memories there are, kept by the triggers below: counting a million rows takes too long for a status page.
CREATE TABLE counts (
  workspace TEXT    NOT NULL,
  status    TEXT    NOT NULL,
  track     TEXT    NOT NULL,
  n         INTEGER NOT NULL,
  PRIMARY KEY (workspace, status, track)
) WITHOUT ROWID;
CREATE INDEX counts_open ON counts (track, n) WHERE n > 0 AND status IN ('queued', 'processing');

CREATE TRIGGER memories_inserted AFTER INSERT ON memories BEGIN
  INSERT INTO counts VALUES (new.workspace, new.status, new.track, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER memories_moved AFTER UPDATE OF status, track ON memories
WHEN old.status <> new.status OR old.track <> new.track BEGIN
  UPDATE counts SET n = n - 1 WHERE workspace = old.workspace AND status = old.status AND track = old.track;
  INSERT INTO counts VALUES (new.workspace, new.status, new.track, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER memories_deleted AFTER DELETE ON memories BEGIN
  UPDATE counts SET n = n - 1 WHERE workspace = old.workspace AND status = old.status AND track = old.track;
END;

-- What the steps of a workspace's memories took, kept by the triggers below. A memory's row goes after its checkpoints.
CREATE TABLE usage (
  workspace TEXT PRIMARY KEY,
  tokens    INTEGER NOT NULL,
  cost      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER checkpoints_inserted AFTER INSERT ON checkpoints WHEN new.tokens <> 0 OR new.cost <> 0 BEGIN
  INSERT INTO usage SELECT workspace, new.tokens, new.cost FROM memories WHERE seq = new.seq
    ON CONFLICT DO UPDATE SET tokens = tokens + new.tokens, cost = cost + new.cost;
END;
CREATE TRIGGER checkpoints_updated AFTER UPDATE OF tokens, cost ON checkpoints
WHEN old.tokens <> new.tokens OR old.cost <> new.cost BEGIN
  INSERT INTO usage SELECT workspace, new.tokens, new.cost FROM memories WHERE seq = new.seq
    ON CONFLICT DO UPDATE SET tokens = tokens + new.tokens - old.tokens, cost = cost + new.cost - old.cost;
END;
CREATE TRIGGER checkpoints_deleted AFTER DELETE ON checkpoints WHEN old.tokens <> 0 OR old.cost <> 0 BEGIN
  UPDATE usage SET tokens = tokens - old.tokens, cost = cost - old.cost
    WHERE workspace = (SELECT workspace FROM memories WHERE seq = old.seq);
END;

-- Events that are not deliveries yet.
CREATE TABLE owed (
  id        TEXT PRIMARY KEY,
  workspace TEXT    NOT NULL,
  subject   TEXT    NOT NULL,       -- the id of the memory or batch
  at        INTEGER NOT NULL,
  event     TEXT    NOT NULL        -- JSON of a memory.Event
);
CREATE INDEX owed_oldest   ON owed (at, id);
CREATE INDEX owed_subjects ON owed (workspace, subject);

CREATE TABLE batches (
  seq          INTEGER PRIMARY KEY,
  id           TEXT    NOT NULL UNIQUE,
  workspace    TEXT    NOT NULL,
  name         TEXT    NOT NULL,
  status       TEXT    NOT NULL,
  track        TEXT    NOT NULL,
  reason       TEXT    NOT NULL,
  priority     TEXT    NOT NULL,
  webhook_url  TEXT    NOT NULL,
  pages        INTEGER NOT NULL,
  run          INTEGER NOT NULL,
  marks        TEXT    NOT NULL,    -- ',25,50,': the progress that was announced
  queued       INTEGER NOT NULL,    -- the sums of the pages, changed in the same transactions
  processing   INTEGER NOT NULL,
  completed    INTEGER NOT NULL,
  degraded     INTEGER NOT NULL,
  failed       INTEGER NOT NULL,
  cancelled    INTEGER NOT NULL,
  rejected     INTEGER NOT NULL,
  tokens       INTEGER NOT NULL,
  cost         INTEGER NOT NULL,    -- in 10^-12 dollars
  created_at   INTEGER NOT NULL,
  started_at   INTEGER,
  completed_at INTEGER,
  uploaded_at  INTEGER NOT NULL,    -- when its latest page came; 0: the upload is being forgotten
  lease_until  INTEGER              -- NULL if, and only if, the batch is uploading or over
);
CREATE INDEX batches_listed  ON batches (workspace, created_at, id) WHERE status <> 'uploading';
CREATE INDEX batches_counted ON batches (workspace, status) WHERE status <> 'uploading';
CREATE INDEX batches_uploads ON batches (uploaded_at) WHERE status = 'uploading';
CREATE INDEX batches_open    ON batches (created_at, id) WHERE lease_until IS NOT NULL;

CREATE TABLE pages (
  seq        INTEGER PRIMARY KEY,
  batch      INTEGER NOT NULL,      -- seq of the batch
  number     INTEGER NOT NULL,
  queued     INTEGER NOT NULL,      -- items by status: to find those of a status without reading all items
  processing INTEGER NOT NULL,
  completed  INTEGER NOT NULL,
  degraded   INTEGER NOT NULL,
  failed     INTEGER NOT NULL,
  cancelled  INTEGER NOT NULL,
  rejected   INTEGER NOT NULL,
  items      TEXT    NOT NULL       -- JSON of []memory.Item, by index
);
CREATE UNIQUE INDEX pages_numbers ON pages (batch, number);

-- What was uploaded for the items that are not admitted yet.
CREATE TABLE uploads (
  seq    INTEGER PRIMARY KEY,       -- of the page
  inputs TEXT NOT NULL              -- JSON of []*memory.Input, one an item, null where it is gone
);
