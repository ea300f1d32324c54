-- One row for each name that was ever locked, until it is purged. Times are microseconds since 1970, UTC, by
-- the database's clock. Row locks carry the promises, so the engine is said here.
CREATE TABLE IF NOT EXISTS `diesel_locks` (
    name VARCHAR(255) NOT NULL PRIMARY KEY,
    token VARCHAR(128),
    owner VARCHAR(255) NOT NULL,
    fence BIGINT NOT NULL,
    acquired_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    data TEXT,
    wanted_until BIGINT,
    wanted_since BIGINT
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who the holder is, in a row that its heartbeat does not touch: this is what a transaction pins.
CREATE TABLE IF NOT EXISTS `diesel_locks_pins` (
    name VARCHAR(255) NOT NULL PRIMARY KEY,
    token VARCHAR(128),
    fence BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- For people; times are UTC. It shows no token, so it can be granted to those who may look but not hold.
CREATE OR REPLACE VIEW `diesel_locks_held` AS
SELECT
    name,
    owner,
    fence,
    TIMESTAMPADD(MICROSECOND, acquired_at, TIMESTAMP '1970-01-01 00:00:00') AS acquired_at,
    TIMESTAMPADD(MICROSECOND, expires_at, TIMESTAMP '1970-01-01 00:00:00') AS expires_at,
    (TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - acquired_at) / 1000000 AS seconds_held,
    (expires_at - TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) / 1000000 AS seconds_left,
    data
FROM `diesel_locks`
WHERE token IS NOT NULL AND expires_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6));
