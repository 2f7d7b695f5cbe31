-- What search_model says is in force. Beside it there may be vectors of the model that is moved to, and of the one before:
-- their workspaces have names of their own (see move.go). A model without a name: there is none.
CREATE TABLE search_move (
  one                 INTEGER PRIMARY KEY CHECK (one = 1),
  next                TEXT    NOT NULL,
  next_dimensions     INTEGER NOT NULL,
  previous            TEXT    NOT NULL,
  previous_dimensions INTEGER NOT NULL,
  progress            TEXT    NOT NULL
);
INSERT INTO search_move VALUES (1, '', 0, '', 0, '');
