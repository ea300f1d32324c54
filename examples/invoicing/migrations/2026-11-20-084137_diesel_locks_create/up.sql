-- One row for each name that was ever locked, until it is purged. Times are microseconds since 1970, UTC, by
-- the database's clock, which ticks in milliseconds here.
CREATE TABLE `diesel_locks` (
    name TEXT NOT NULL PRIMARY KEY,
    token TEXT,
    owner TEXT NOT NULL,
    fence BIGINT NOT NULL,
    acquired_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    data TEXT,
    wanted_until BIGINT,
    wanted_since BIGINT
) WITHOUT ROWID;

-- For people; times are UTC.
CREATE VIEW `diesel_locks_held` AS
SELECT
    name,
    owner,
    fence,
    strftime('%Y-%m-%d %H:%M:%f', acquired_at / 1000000.0, 'unixepoch') AS acquired_at,
    strftime('%Y-%m-%d %H:%M:%f', expires_at / 1000000.0, 'unixepoch') AS expires_at,
    ROUND((julianday('now') - 2440587.5) * 86400.0 - acquired_at / 1000000.0, 3) AS seconds_held,
    ROUND(expires_at / 1000000.0 - (julianday('now') - 2440587.5) * 86400.0, 3) AS seconds_left,
    data
FROM `diesel_locks`
WHERE token IS NOT NULL AND expires_at > CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000;
