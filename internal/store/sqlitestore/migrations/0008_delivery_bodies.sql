-- One event becomes as many deliveries as there are endpoints that ask for it, all with the same body: it is kept once.

ALTER TABLE deliveries ADD COLUMN body_seq INTEGER;                      -- where the body is; NULL, of older ones: under seq
ALTER TABLE delivery_bodies ADD COLUMN refs INTEGER NOT NULL DEFAULT 1;  -- deliveries that have it

DROP TRIGGER deliveries_deleted;
CREATE TRIGGER deliveries_deleted AFTER DELETE ON deliveries BEGIN
  UPDATE delivery_counts SET n = n - 1 WHERE status = old.status;
  UPDATE delivery_bodies SET refs = refs - 1 WHERE seq = coalesce(old.body_seq, old.seq);
  DELETE FROM delivery_bodies WHERE seq = coalesce(old.body_seq, old.seq) AND refs <= 0;
END;
