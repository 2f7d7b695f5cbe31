-- What makes memories findable: passages with their vectors, full text, the labels that filters name, and the graph.

-- The embedding model of all vectors: one row at most.
CREATE TABLE search_model (
  one        INTEGER PRIMARY KEY CHECK (one = 1),
  id         TEXT    NOT NULL,
  dimensions INTEGER NOT NULL
);

-- A workspace's number makes the upper bits of the ids of all that it has below (number << 40 | n). So its rows lie side
-- by side, and a range of ids is a workspace: in the table of vectors, which is read through, and in the full text.
CREATE TABLE search_workspaces (
  number    INTEGER PRIMARY KEY,
  workspace TEXT    NOT NULL UNIQUE,
  last      INTEGER NOT NULL,       -- the n given last
  points    INTEGER NOT NULL        -- how many there are
);

CREATE TABLE search_memories (
  id          INTEGER PRIMARY KEY,
  workspace   INTEGER NOT NULL,     -- its number
  memory_id   TEXT    NOT NULL,
  version     INTEGER NOT NULL,
  external_id TEXT,                 -- NULL: none
  batch_id    TEXT,                 -- NULL: none
  created_at  INTEGER NOT NULL,     -- times in milliseconds
  occurred_at INTEGER,              -- NULL: none
  UNIQUE (workspace, memory_id)
);

-- One row for each label in the metadata. The value is a TEXT for a string, a REAL for a number and a BLOB for a bool:
-- values of different kinds are never equal, and each kind is a range of its own.
CREATE TABLE search_labels (
  workspace INTEGER NOT NULL,       -- its number
  key       TEXT    NOT NULL,
  value             NOT NULL,
  memory    INTEGER NOT NULL,       -- id in search_memories
  PRIMARY KEY (workspace, key, value, memory)
) WITHOUT ROWID;
CREATE INDEX search_labels_memories ON search_labels (memory);

-- Vectors have the length 1, so that their L2 distance says what the cosine says. NULL: a vector without a direction.
CREATE TABLE search_points (
  id      INTEGER PRIMARY KEY,
  memory  INTEGER NOT NULL,         -- id in search_memories
  passage INTEGER NOT NULL,
  starts  INTEGER NOT NULL,         -- byte offsets in the content
  ends    INTEGER NOT NULL,
  vector  BLOB,
  terms   BLOB    NOT NULL          -- those below, to be found again when the point goes: 4 bytes each
);
CREATE INDEX search_points_memories ON search_points (memory);

-- The full text of the passages: what each term counts for in each point. See store.PassageTerms. A segment is 1,024 ids
-- (point >> 10): a page that is written changes a few leaves of the newest one, not a leaf for each of its terms.
CREATE TABLE search_terms (
  segment INTEGER NOT NULL,
  term    INTEGER NOT NULL,
  point   INTEGER NOT NULL,
  weight  REAL    NOT NULL,
  PRIMARY KEY (segment, term, point)
) WITHOUT ROWID;

-- The graph. What each memory says is kept as it said it; nodes and relationships are what is supported, and how often.
CREATE TABLE graph_memories (
  workspace TEXT    NOT NULL,
  memory_id TEXT    NOT NULL,
  version   INTEGER NOT NULL,
  PRIMARY KEY (workspace, memory_id)
) WITHOUT ROWID;

CREATE TABLE graph_nodes (
  workspace TEXT    NOT NULL,
  id        TEXT    NOT NULL,
  type      TEXT    NOT NULL,       -- normalised, as is the name
  name      TEXT    NOT NULL,
  support   INTEGER,                -- how many memories
  PRIMARY KEY (workspace, id)
) WITHOUT ROWID;
CREATE INDEX graph_nodes_listed ON graph_nodes (workspace, support DESC, id);
CREATE INDEX graph_nodes_typed  ON graph_nodes (workspace, type, support DESC, id);
CREATE INDEX graph_nodes_named  ON graph_nodes (workspace, name, support DESC, id);

CREATE TABLE graph_node_sources (
  workspace  TEXT NOT NULL,
  node       TEXT NOT NULL,
  memory_id  TEXT NOT NULL,
  type       TEXT NOT NULL,         -- as the memory has it
  name       TEXT NOT NULL,
  properties TEXT NOT NULL,         -- JSON
  PRIMARY KEY (workspace, node, memory_id)
) WITHOUT ROWID;
CREATE INDEX graph_node_sources_memories ON graph_node_sources (workspace, memory_id);

CREATE TABLE graph_relationships (
  workspace TEXT    NOT NULL,
  from_node TEXT    NOT NULL,
  to_node   TEXT    NOT NULL,
  type      TEXT    NOT NULL,
  support   INTEGER,
  PRIMARY KEY (workspace, from_node, to_node, type)
) WITHOUT ROWID;
CREATE INDEX graph_relationships_back ON graph_relationships (workspace, to_node, from_node);

CREATE TABLE graph_relationship_sources (
  workspace  TEXT NOT NULL,
  from_node  TEXT NOT NULL,
  to_node    TEXT NOT NULL,
  type       TEXT NOT NULL,
  memory_id  TEXT NOT NULL,
  properties TEXT NOT NULL,         -- JSON
  PRIMARY KEY (workspace, from_node, to_node, type, memory_id)
) WITHOUT ROWID;
CREATE INDEX graph_relationship_sources_memories ON graph_relationship_sources (workspace, memory_id);

-- What loses its last support is gone. Nodes and relationships are put in, with a support of 0, before the first memory that
-- supports them. A statement that fires these triggers must not be one that can abort half done, or SQLite keeps a journal
-- for each, at more than twice the cost: hence INSERT OR IGNORE, and no NOT NULL on support.
CREATE TRIGGER graph_node_supported AFTER INSERT ON graph_node_sources BEGIN
  UPDATE graph_nodes SET support = support + 1 WHERE workspace = new.workspace AND id = new.node;
END;
CREATE TRIGGER graph_node_unsupported AFTER DELETE ON graph_node_sources BEGIN
  UPDATE graph_nodes SET support = support - 1 WHERE workspace = old.workspace AND id = old.node;
  DELETE FROM graph_nodes WHERE workspace = old.workspace AND id = old.node AND support = 0;
END;
CREATE TRIGGER graph_relationship_supported AFTER INSERT ON graph_relationship_sources BEGIN
  UPDATE graph_relationships SET support = support + 1
  WHERE workspace = new.workspace AND from_node = new.from_node AND to_node = new.to_node AND type = new.type;
END;
CREATE TRIGGER graph_relationship_unsupported AFTER DELETE ON graph_relationship_sources BEGIN
  UPDATE graph_relationships SET support = support - 1
  WHERE workspace = old.workspace AND from_node = old.from_node AND to_node = old.to_node AND type = old.type;
  DELETE FROM graph_relationships
  WHERE workspace = old.workspace AND from_node = old.from_node AND to_node = old.to_node AND type = old.type AND support = 0;
END;
