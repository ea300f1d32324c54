-- One row for each name that was ever locked, until it is purged: who the holder is, and until when, as it was at the
-- acquisition. A transaction pins this row. Times are microseconds since 1970, UTC, by the database's clock. Row locks
-- carry the promises, so the engine is said here.
CREATE TABLE IF NOT EXISTS `diesel_locks` (
    name VARCHAR(255) NOT NULL PRIMARY KEY,
    token VARCHAR(128),
    owner VARCHAR(255) NOT NULL,
    fence BIGINT NOT NULL,
    acquired_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    wanted_until BIGINT,
    wanted_since BIGINT
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What changes while a lease is held: when it ends since it was last extended, if the fence is the lease's; the text that is
-- kept with the lock; and since when another process wants the lock, if that fence is the lease's. So a heartbeat is not in
-- the way of a pin.
CREATE TABLE IF NOT EXISTS `diesel_locks_beats` (
    name VARCHAR(255) NOT NULL PRIMARY KEY,
    fence BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    data TEXT,
    wanted_since BIGINT,
    wanted_fence BIGINT
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- For people; times are UTC. It shows no token, so it can be granted to those who may look but not hold. MySQL reads the
-- first of the two comments, and MariaDB the second: a view that is there is left alone where the database can do that.
CREATE /*!80000 OR REPLACE */ VIEW /*M! IF NOT EXISTS */ `diesel_locks_held` AS
SELECT
    l.name,
    l.owner,
    l.fence,
    TIMESTAMPADD(MICROSECOND, l.acquired_at, TIMESTAMP '1970-01-01 00:00:00') AS acquired_at,
    TIMESTAMPADD(MICROSECOND, IF(b.fence = l.fence, b.expires_at, l.expires_at), TIMESTAMP '1970-01-01 00:00:00') AS expires_at,
    (TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - l.acquired_at) / 1000000 AS seconds_held,
    (IF(b.fence = l.fence, b.expires_at, l.expires_at) - TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) / 1000000
        AS seconds_left,
    b.data
FROM `diesel_locks` l LEFT JOIN `diesel_locks_beats` b ON b.name = l.name
WHERE l.token IS NOT NULL
    AND IF(b.fence = l.fence, b.expires_at, l.expires_at) > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6));
