-- Look
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), 0, l.name, l.owner, l.fence, l.acquired_at,
IF(l.token IS NOT NULL AND b.fence = l.fence, b.expires_at, l.expires_at), b.data, CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ? THEN 2 ELSE 1 END
FROM `diesel_locks` l FORCE INDEX (PRIMARY) LEFT JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name WHERE l.name = ?
-- binds: [Some(<token>), "invoices|42"]

-- List
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), 0, l.name, l.owner, l.fence, l.acquired_at,
IF(l.token IS NOT NULL AND b.fence = l.fence, b.expires_at, l.expires_at), b.data, CASE WHEN l.token IS NULL THEN 0 ELSE 1 END
FROM `diesel_locks` l LEFT JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name
WHERE l.name >= ? AND l.name < ? AND l.name > ? AND CHAR_LENGTH(l.name) >= CHAR_LENGTH(?)
AND (? = 0 OR (l.token IS NOT NULL AND IF(b.fence = l.fence, b.expires_at, l.expires_at) > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)))) ORDER BY l.name LIMIT ?
-- binds: ["invoices|", "invoices|\u{10ffff}", "", "invoices|", 1, 100]

-- Extend
UPDATE `diesel_locks_beats` b FORCE INDEX (PRIMARY) SET b.expires_at = GREATEST(IF(b.fence = ?, b.expires_at,
(SELECT l.expires_at FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = b.name /*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */)) + 1, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?), b.fence = ?
WHERE b.name = ? AND (SELECT l.token = ? AND l.fence = ? AND (IF(b.fence = l.fence, b.expires_at, l.expires_at) <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) = ?
FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = b.name /*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */)
-- binds: [7, 30000000, 7, "invoices|42", Some(<token>), 7, 0]

-- ExtendBy
UPDATE `diesel_locks_beats` b FORCE INDEX (PRIMARY) SET b.expires_at = GREATEST(IF(b.fence = ?, b.expires_at,
(SELECT l.expires_at FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = b.name /*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */)) + 1,
LEAST(GREATEST(IF(b.fence = ?, b.expires_at,
(SELECT l.expires_at FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = b.name /*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */)), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) + ?, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?)), b.fence = ?
WHERE b.name = ? AND (SELECT l.token = ? AND l.fence = ? AND (IF(b.fence = l.fence, b.expires_at, l.expires_at) <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) = ?
FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = b.name /*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */)
-- binds: [7, 7, 30000000, 3153600000000000, 7, "invoices|42", Some(<token>), 7, 0]

-- KeepAlive
UPDATE (SELECT b.name, l.fence, GREATEST(IF(b.fence = l.fence, b.expires_at, l.expires_at) + 1, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + l.time) AS expires_at
FROM (SELECT l.name, l.fence, l.expires_at, asked.time FROM JSON_TABLE(?, '$[*]' COLUMNS (
name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[0]', token VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[1]',
fence BIGINT PATH '$[2]', time BIGINT PATH '$[3]')) asked
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin
WHERE l.token = asked.token COLLATE utf8mb4_bin AND l.fence = asked.fence AND @@autocommit /*M! AND NOT @@in_transaction */
LIMIT ? /*!80000 FOR SHARE OF l SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */) l
STRAIGHT_JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name LIMIT ? FOR UPDATE /*!80000 OF b */ SKIP LOCKED) mine
STRAIGHT_JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = mine.name
SET b.fence = mine.fence, b.expires_at = mine.expires_at
-- binds: [<leases>, 2, 2]

-- LookMine
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), b.name IS NULL, l.name, CAST(NULL AS CHAR), l.fence, CAST(NULL AS SIGNED), IF(b.fence = l.fence, b.expires_at, l.expires_at),
CAST(NULL AS CHAR), 2
FROM JSON_TABLE(?, '$[*]' COLUMNS (
name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[0]', token VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[1]',
fence BIGINT PATH '$[2]', time BIGINT PATH '$[3]')) asked
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin
LEFT JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name
WHERE l.token = asked.token COLLATE utf8mb4_bin AND l.fence = asked.fence
-- binds: [<leases>]

-- Retire
UPDATE `diesel_locks_beats` b FORCE INDEX (PRIMARY) SET b.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ? + (b.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?), b.fence = ?
WHERE b.name = ? AND (SELECT l.token = ? AND l.fence = ? AND (IF(b.fence = l.fence, b.expires_at, l.expires_at) <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) = ?
FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = b.name /*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */)
-- binds: [30000000, 30000000, 7, "invoices|42", Some(<token>), 7, 0]

-- Release
/*M!100600 SET STATEMENT innodb_lock_wait_timeout = 0 FOR */ UPDATE `diesel_locks` l FORCE INDEX (PRIMARY)
SET l.token = NULL, l.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
WHERE l.name = /*!80000 (SELECT f.name FROM (SELECT l.name FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = */
IF(@@autocommit /*M! AND NOT @@in_transaction */, ?, NULL) /*!80000 LIMIT 1 FOR UPDATE SKIP LOCKED) f) */
AND l.token = ? AND l.fence = ? AND l.expires_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
-- binds: ["invoices|42", Some(<token>), 7]

-- SetData
UPDATE `diesel_locks_beats` b FORCE INDEX (PRIMARY) SET b.data = ?, b.expires_at = b.expires_at + 1
WHERE b.name = ? AND (SELECT l.token = ? AND l.fence = ? AND (IF(b.fence = l.fence, b.expires_at, l.expires_at) <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) = ?
FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = b.name /*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */)
-- binds: [Some("text"), "invoices|42", Some(<token>), 7, 0]

-- Mark
UPDATE (SELECT l.name FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = ? AND @@autocommit
AND l.token IS NOT NULL LIMIT 1 FOR UPDATE SKIP LOCKED) held
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = held.name
SET l.wanted_since = LEAST(COALESCE(l.wanted_since, ?), ?)
-- binds: ["invoices|42", Some(7), Some(7)]

-- Snapshot
SELECT (/*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ IN ('REPEATABLE-READ', 'SERIALIZABLE'))
-- binds: []

-- Steps
SELECT version FROM `diesel_locks_setup`
-- binds: []

-- Facts
SELECT 'column', CONVERT(CONCAT(IF(c.table_name = ?, '', '_beats.'), c.column_name) USING utf8mb4)
FROM information_schema.columns c
WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name IN (?, CONCAT(?, '_beats'))
UNION ALL SELECT 'key', CONVERT(c.column_name USING utf8mb4) FROM information_schema.columns c
WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name = ? AND c.column_key = 'PRI'
UNION ALL SELECT 'collation', CONVERT(COALESCE(c.collation_name, '') USING utf8mb4) FROM information_schema.columns c
WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name IN (?, CONCAT(?, '_beats'))
AND c.column_name = 'name'
UNION ALL SELECT 'engine', CONVERT(COALESCE(t.engine, '') USING utf8mb4) FROM information_schema.tables t
WHERE t.table_schema = COALESCE(?, DATABASE()) AND t.table_name IN (?, CONCAT(?, '_beats'))
UNION ALL SELECT 'missing right', CONVERT(r.name USING utf8mb4) FROM information_schema.columns c
JOIN (SELECT 'SELECT' AS name UNION ALL SELECT 'INSERT' UNION ALL SELECT 'UPDATE') r
WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name IN (?, CONCAT(?, '_beats'))
AND NOT FIND_IN_SET(LOWER(r.name), LOWER(c.privileges))
UNION ALL SELECT 'autocommit', IF(@@autocommit, 'on', 'off')
UNION ALL SELECT CASE WHEN VERSION() LIKE '%TiDB%' THEN 'product' WHEN VERSION() LIKE '%MariaDB%' THEN 'MariaDB'
ELSE 'server' END, CONVERT(VERSION() USING utf8mb4)
-- binds: ["diesel_locks", None, "diesel_locks", "diesel_locks", None, "diesel_locks", None, "diesel_locks", "diesel_locks", None, "diesel_locks", "diesel_locks", None, "diesel_locks", "diesel_locks"]

-- Pin
SELECT CASE WHEN i.token = ? AND i.fence = ? THEN IF(COALESCE((SELECT IF(b.fence = l.fence, b.expires_at, l.expires_at) <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) FROM `diesel_locks` l FORCE INDEX (PRIMARY) LEFT JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name
WHERE l.name = IF(/*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE', NULL, i.name)
AND l.fence = i.fence), 0), 1, 0 /*M!110600 + 3 * (@@innodb_snapshot_isolation AND @@tx_isolation IN ('REPEATABLE-READ', 'SERIALIZABLE')) */) ELSE 2 END
FROM `diesel_locks` i FORCE INDEX (PRIMARY) WHERE i.name = ? LOCK IN SHARE MODE
-- binds: [Some(<token>), 7, "invoices|42"]

-- ForceRelease
UPDATE (SELECT l.name FROM `diesel_locks` l FORCE INDEX (PRIMARY)
WHERE l.name = ? AND l.token IS NOT NULL LIMIT 1 FOR UPDATE SKIP LOCKED) held
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = held.name
SET l.token = NULL, l.expires_at = LEAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), COALESCE((SELECT b.expires_at FROM `diesel_locks_beats` b FORCE INDEX (PRIMARY)
WHERE b.name = l.name AND b.fence = l.fence FOR UPDATE SKIP LOCKED), l.expires_at))
-- binds: ["invoices|42"]

-- ReleaseEach
UPDATE (SELECT t.name FROM (SELECT f.name, COUNT(*) OVER () AS found FROM (
SELECT l.name FROM JSON_TABLE(?, '$[*]' COLUMNS (
name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[0]', token VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[1]',
fence BIGINT PATH '$[2]', time BIGINT PATH '$[3]')) asked
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin
WHERE l.token = asked.token COLLATE utf8mb4_bin AND l.fence = asked.fence AND l.expires_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
AND @@autocommit /*M! AND NOT @@in_transaction */ LIMIT ? FOR UPDATE /*!80000 OF l */ SKIP LOCKED) f) t WHERE t.found = ?) them
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = them.name
SET l.token = NULL, l.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
-- binds: [<leases>, 1, 1]

-- AcquireAfter
UPDATE (SELECT l.name FROM (SELECT l.name, l.token, l.fence, l.expires_at FROM `diesel_locks` l FORCE INDEX (PRIMARY)
WHERE l.name = ? AND l.fence = ? LIMIT 1 FOR UPDATE SKIP LOCKED) l
STRAIGHT_JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name
WHERE l.token IS NULL OR IF(b.fence = l.fence, b.expires_at, l.expires_at) <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) LIMIT 1 FOR UPDATE SKIP LOCKED) free
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = free.name
STRAIGHT_JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = free.name
SET l.token = ?, l.fence = ?, l.owner = ?, l.acquired_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), l.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?,
l.wanted_since = CASE WHEN l.wanted_since > ? THEN l.wanted_since END,
b.fence = ?, b.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?, b.data = COALESCE(?, b.data)
-- binds: ["invoices|42", 7, Some(<token>), 8, "web-1", 30000000, None, 8, 30000000, None]

-- Acquire
/*M!100600 SET STATEMENT innodb_lock_wait_timeout = 0 FOR */ UPDATE `diesel_locks` l FORCE INDEX (PRIMARY)
SET l.token = ?, l.fence = ?, l.owner = ?, l.acquired_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), l.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?
WHERE l.name = /*!80000 (SELECT f.name FROM (SELECT l.name FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = */
IF(@@autocommit /*M! AND NOT @@in_transaction */, ?, NULL) /*!80000 LIMIT 1 FOR UPDATE SKIP LOCKED) f) */
AND l.token IS NULL AND l.fence < ? AND ? BETWEEN TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - 1000000 AND TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + 1000000 AND l.wanted_since IS NULL
-- binds: [Some(<token>), 8, "web-1", 30000000, "invoices|42", 8, 8]

-- AcquireEach
UPDATE (SELECT l.name, asked.token, asked.owner, asked.time FROM JSON_TABLE(?, '$[*]' COLUMNS (
name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[0]', token VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[1]',
owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[2]', time BIGINT PATH '$[3]')) asked
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin
WHERE l.token IS NULL AND l.fence < ? AND ? BETWEEN TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - 1000000 AND TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + 1000000 AND l.wanted_since IS NULL
AND @@autocommit /*M! AND NOT @@in_transaction */ LIMIT ? FOR UPDATE /*!80000 OF l */ SKIP LOCKED) free
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = free.name
SET l.token = free.token, l.fence = ?, l.owner = free.owner, l.acquired_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), l.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + free.time
-- binds: [<leases>, 8, 8, 1, 8]

-- LookEach
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), 0, l.name, l.owner, l.fence, l.acquired_at,
IF(l.token IS NOT NULL AND b.fence = l.fence, b.expires_at, l.expires_at), b.data, CASE WHEN l.token IS NULL THEN 0 WHEN l.token = asked.token COLLATE utf8mb4_bin THEN 2 ELSE 1 END
FROM JSON_TABLE(?, '$[*]' COLUMNS (
name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[0]', token VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[1]',
owner VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[2]', time BIGINT PATH '$[3]')) asked
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin AND @@autocommit /*M! AND NOT @@in_transaction */
LEFT JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name
-- binds: [<leases>]

-- CreateBeat
INSERT INTO `diesel_locks_beats` (name, fence, expires_at, data) VALUES (?, 0, 0, ?)
ON DUPLICATE KEY UPDATE data = COALESCE(?, data)
-- binds: ["invoices|42", Some("text"), Some("text")]

-- KeepBeat
UPDATE (SELECT b.name, GREATEST(IF(b.fence = ?, b.expires_at + 1, 0), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?) AS expires_at
FROM `diesel_locks_beats` b FORCE INDEX (PRIMARY)
WHERE b.name = ? AND b.fence <= ? AND @@autocommit /*M! AND NOT @@in_transaction */
LIMIT 1 FOR UPDATE SKIP LOCKED) mine
STRAIGHT_JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = mine.name
SET b.fence = ?, b.expires_at = mine.expires_at
-- binds: [7, 30000000, "invoices|42", 7, 7]

-- MarkBeat
UPDATE (SELECT b.name, IF(b.wanted_fence = ?, LEAST(b.wanted_since, ?), ?) AS since
FROM `diesel_locks_beats` b FORCE INDEX (PRIMARY) WHERE b.name = ? AND @@autocommit LIMIT 1 FOR UPDATE SKIP LOCKED) held
STRAIGHT_JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = held.name
SET b.wanted_since = held.since, b.wanted_fence = ?
-- binds: [8, Some(7), Some(7), "invoices|42", 8]

-- Create
INSERT IGNORE INTO `diesel_locks` (name, token, owner, fence, acquired_at, expires_at)
VALUES (?, ?, ?, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?)
-- binds: ["invoices|42", Some(<token>), "web-1", 30000000]

-- LookOutside
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), l.wanted_since IS NOT NULL OR b.name IS NULL, l.name, l.owner, l.fence, l.acquired_at,
IF(l.token IS NOT NULL AND b.fence = l.fence, b.expires_at, l.expires_at), b.data, CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ? THEN 2 ELSE 1 END
FROM `diesel_locks` l FORCE INDEX (PRIMARY) LEFT JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name WHERE l.name = IF(@@autocommit /*M! AND NOT @@in_transaction */, ?, NULL)
-- binds: [Some(<token>), "invoices|42"]

-- LookToAcquire
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), c.open + 2 * c.locks + 4 * (@@innodb_rollback_on_timeout = 1)
+ 8 * COALESCE(l.token IS NULL AND l.wanted_since < ? AND TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - l.expires_at BETWEEN 0
AND LEAST(GREATEST((l.expires_at - l.acquired_at) / 4, 150000), 2000000) + 100000, 0) + 16 * (b.name IS NULL),
l.name, l.owner, l.fence, l.acquired_at,
IF(l.token IS NOT NULL AND b.fence = l.fence, b.expires_at, l.expires_at), b.data, CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ? THEN 2 ELSE 1 END
FROM (SELECT open, open AND /*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE' AS locks
FROM (SELECT ? = 1 OR @@autocommit = 0 /*M! OR @@in_transaction */ AS open) o) c
LEFT JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = IF(c.locks, NULL, ?)
LEFT JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name
-- binds: [Some(7), Some(<token>), 1, "invoices|42"]

-- PeekNowait
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), 0, l.name, CAST(NULL AS CHAR), l.fence, CAST(NULL AS SIGNED),
CAST(NULL AS SIGNED), CAST(NULL AS CHAR),
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ? THEN 2 ELSE 1 END
FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = ?
/*!80000 FOR SHARE NOWAIT */ /*M! LOCK IN SHARE MODE NOWAIT */
-- binds: [Some(<token>), "invoices|42"]

-- Session
SELECT CAST(? AS SIGNED) + (@@autocommit = 0 /*M! OR @@in_transaction */)
-- binds: [7]

-- PinIdentity
SELECT CASE WHEN l.token = ? AND l.fence = ? THEN IF(l.expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), 1, 0 /*M!110600 + 3 * (@@innodb_snapshot_isolation AND @@tx_isolation IN ('REPEATABLE-READ', 'SERIALIZABLE')) */) ELSE 2 END
FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = ? LOCK IN SHARE MODE
-- binds: [Some(<token>), 7, "invoices|42"]

-- PinByWriting
UPDATE `diesel_locks` l FORCE INDEX (PRIMARY) SET l.expires_at = l.expires_at + 1
WHERE l.name = ? AND l.token = ? AND l.fence = ?
AND COALESCE((SELECT b.expires_at FROM `diesel_locks_beats` b FORCE INDEX (PRIMARY)
WHERE b.name = l.name AND b.fence = l.fence FOR UPDATE), l.expires_at) > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
-- binds: ["invoices|42", Some(<token>), 7]

-- ReleaseWaiting
UPDATE `diesel_locks` l FORCE INDEX (PRIMARY) SET l.token = NULL, l.expires_at = LEAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), COALESCE((SELECT b.expires_at FROM `diesel_locks_beats` b FORCE INDEX (PRIMARY)
WHERE b.name = l.name AND b.fence = l.fence FOR UPDATE), l.expires_at)),
l.wanted_since = COALESCE(LEAST(l.wanted_since, (SELECT b.wanted_since FROM `diesel_locks_beats` b FORCE INDEX (PRIMARY)
WHERE b.name = l.name AND b.wanted_fence = l.fence FOR UPDATE)), l.wanted_since, (SELECT b.wanted_since FROM `diesel_locks_beats` b FORCE INDEX (PRIMARY)
WHERE b.name = l.name AND b.wanted_fence = l.fence FOR UPDATE))
WHERE l.name = ? AND l.token = ? AND l.fence = ?
AND (COALESCE((SELECT b.expires_at FROM `diesel_locks_beats` b FORCE INDEX (PRIMARY)
WHERE b.name = l.name AND b.fence = l.fence FOR UPDATE), l.expires_at) <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) = ?
-- binds: ["invoices|42", Some(<token>), 7, 0]

-- Peek
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), 0, l.name, CAST(NULL AS CHAR), l.fence, CAST(NULL AS SIGNED),
CAST(NULL AS SIGNED), CAST(NULL AS CHAR),
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ? THEN 2 ELSE 1 END
FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = ?
/*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */
-- binds: [Some(<token>), "invoices|42"]

-- Renew
UPDATE (SELECT b.name, l.fence, GREATEST(IF(b.fence = l.fence, b.expires_at, l.expires_at) + 1, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + l.time) AS expires_at
FROM (SELECT l.name, l.fence, l.expires_at, ? AS time FROM `diesel_locks` l FORCE INDEX (PRIMARY)
WHERE l.name = ? AND l.token = ? AND l.fence = ?
LIMIT 1 /*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */) l
STRAIGHT_JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name LIMIT 1 FOR UPDATE /*!80000 OF b */ SKIP LOCKED) mine
STRAIGHT_JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = mine.name
SET b.fence = mine.fence, b.expires_at = mine.expires_at, b.data = COALESCE(?, b.data)
-- binds: [30000000, "invoices|42", Some(<token>), 7, None]

-- PurgeOne
DELETE l, b FROM (SELECT l.name FROM (SELECT l.name, l.token, l.fence, l.expires_at FROM `diesel_locks` l FORCE INDEX (PRIMARY)
WHERE l.name = ? LIMIT 1 FOR UPDATE SKIP LOCKED) l
STRAIGHT_JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name
WHERE IF(l.token IS NOT NULL AND b.fence = l.fence, b.expires_at, l.expires_at) < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - ? AND l.fence < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - ?
LIMIT 1 FOR UPDATE SKIP LOCKED) old
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = old.name
STRAIGHT_JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = old.name
-- binds: ["invoices|42", 86400000000, 86400000000]

-- AcquireAll
UPDATE (SELECT t.name FROM (SELECT f.name, COUNT(*) OVER () AS found FROM (
SELECT l.name FROM JSON_TABLE(?, '$[*]' COLUMNS (name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$')) asked
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin
WHERE l.token IS NULL AND l.fence < ? AND ? BETWEEN TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - 1000000 AND TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + 1000000
AND @@autocommit /*M! AND NOT @@in_transaction */ LIMIT ? FOR UPDATE /*!80000 OF l */ SKIP LOCKED) f) t WHERE t.found = ?) them
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = them.name
SET l.token = ?, l.fence = ?, l.owner = ?, l.acquired_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), l.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?,
l.wanted_since = NULL
-- binds: ["[\"invoices|42\",\"invoices|43\"]", 8, 8, 2, 2, Some(<token>), 8, "web-1", 30000000]

-- LookAll
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), c.open + 2 * c.locks,
l.name, l.owner, l.fence, l.acquired_at,
IF(l.token IS NOT NULL AND b.fence = l.fence, b.expires_at, l.expires_at), b.data, CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ? THEN 2 ELSE 1 END
FROM (SELECT open, open AND /*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE' AS locks
FROM (SELECT ? = 1 OR @@autocommit = 0 /*M! OR @@in_transaction */ AS open) o) c
STRAIGHT_JOIN JSON_TABLE(?, '$[*]' COLUMNS (name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$')) asked
LEFT JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = IF(c.locks, NULL, asked.name COLLATE utf8mb4_bin)
LEFT JOIN `diesel_locks_beats` b FORCE INDEX (PRIMARY) ON b.name = l.name
-- binds: [Some(<token>), 1, "[\"invoices|42\",\"invoices|43\"]"]

