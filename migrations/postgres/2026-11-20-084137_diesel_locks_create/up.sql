-- One row for each name that was ever locked, until it is purged. Times are microseconds since 1970, UTC, by
-- the database's clock. A row that changes at every heartbeat must stay HOT: half of each page is
-- kept free for its next version, and there is no index on anything but the name, which never changes.
CREATE TABLE "diesel_locks" (
    name TEXT COLLATE "C" PRIMARY KEY,
    token TEXT,
    owner TEXT NOT NULL,
    fence BIGINT NOT NULL,
    acquired_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    data TEXT,
    wanted_until BIGINT,
    wanted_since BIGINT
) WITH (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_threshold = 200,
    autovacuum_vacuum_cost_delay = 0
);

-- For people. It shows no token, so it can be granted to those who may look but not hold.
CREATE VIEW "diesel_locks_held" AS
SELECT
    name,
    owner,
    fence,
    to_timestamp(acquired_at / 1e6) AS acquired_at,
    to_timestamp(expires_at / 1e6) AS expires_at,
    clock_timestamp() - to_timestamp(acquired_at / 1e6) AS held_for,
    to_timestamp(expires_at / 1e6) - clock_timestamp() AS time_left,
    data
FROM "diesel_locks"
WHERE token IS NOT NULL AND to_timestamp(expires_at / 1e6) > clock_timestamp();
