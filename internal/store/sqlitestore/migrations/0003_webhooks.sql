-- Webhooks: where events go, and what has become of each. All times in milliseconds.

CREATE TABLE endpoints (
  id           TEXT PRIMARY KEY,
  workspace    TEXT    NOT NULL,
  url          TEXT    NOT NULL,
  events       TEXT    NOT NULL,    -- JSON of []string
  description  TEXT    NOT NULL,
  headers      TEXT    NOT NULL,    -- JSON of map[string]string
  signing      TEXT    NOT NULL,
  format       TEXT    NOT NULL,
  secrets      TEXT    NOT NULL,    -- JSON of []store.Secret
  disabled     TEXT    NOT NULL,
  failing_from INTEGER,             -- NULL: the latest attempt succeeded
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  revision     INTEGER NOT NULL
);
CREATE INDEX endpoints_listed ON endpoints (workspace, created_at, id);

CREATE TABLE deliveries (
  seq         INTEGER PRIMARY KEY,
  id          TEXT    NOT NULL UNIQUE,
  workspace   TEXT    NOT NULL,
  endpoint_id TEXT    NOT NULL,     -- '': a one-off webhook_url
  url         TEXT    NOT NULL,
  event_id    TEXT    NOT NULL,
  event_type  TEXT    NOT NULL,
  status      TEXT    NOT NULL,
  round       INTEGER NOT NULL,
  owner       TEXT    NOT NULL,
  lease_until INTEGER NOT NULL,
  fence       INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  attempts    TEXT    NOT NULL      -- JSON of []store.Attempt
);
CREATE INDEX deliveries_listed    ON deliveries (workspace, created_at, id);
CREATE INDEX deliveries_endpoints ON deliveries (workspace, endpoint_id, created_at, id);
CREATE INDEX deliveries_due       ON deliveries (lease_until, id) WHERE status = 'pending';
CREATE INDEX deliveries_waiting   ON deliveries (created_at) WHERE status = 'pending';
CREATE INDEX deliveries_over      ON deliveries (created_at) WHERE status <> 'pending';

-- Bodies never change, and lists do without them.
CREATE TABLE delivery_bodies (
  seq  INTEGER PRIMARY KEY,         -- of the delivery
  body BLOB NOT NULL
);

-- How many deliveries there are, kept by the triggers below.
CREATE TABLE delivery_counts (
  status TEXT PRIMARY KEY,
  n      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER deliveries_inserted AFTER INSERT ON deliveries BEGIN
  INSERT INTO delivery_counts VALUES (new.status, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER deliveries_moved AFTER UPDATE OF status ON deliveries WHEN old.status <> new.status BEGIN
  UPDATE delivery_counts SET n = n - 1 WHERE status = old.status;
  INSERT INTO delivery_counts VALUES (new.status, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER deliveries_deleted AFTER DELETE ON deliveries BEGIN
  UPDATE delivery_counts SET n = n - 1 WHERE status = old.status;
  DELETE FROM delivery_bodies WHERE seq = old.seq;
END;
