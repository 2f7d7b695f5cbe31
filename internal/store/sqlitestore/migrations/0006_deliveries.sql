-- A delivery is written twice and read seldom, so what those writes touch is kept small.

-- Whoever adds or moves deliveries counts them in the same transaction, once for all that it writes: as triggers that was
-- half of what SQLite did for a delivery, since it keeps a journal for each statement that has one. Deleting still counts
-- itself.
DROP TRIGGER deliveries_inserted;
DROP TRIGGER deliveries_moved;

-- When a delivery is over it leaves one index and enters none. Those that are pending are few, so that the oldest of them
-- is found by going through them; and so are old ones that are pending, so that those to be swept need no index apart.
DROP INDEX deliveries_waiting;
DROP INDEX deliveries_over;
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due  ON deliveries (lease_until, id, created_at) WHERE status = 'pending';
CREATE INDEX deliveries_made ON deliveries (created_at);
