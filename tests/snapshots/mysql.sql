-- Look
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), 0, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ? THEN 2 ELSE 1 END
FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = ?
-- binds: [Some(<token>), "invoices|42"]

-- List
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), 0, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 ELSE 1 END
FROM `diesel_locks` l WHERE l.name >= ? AND l.name < ? AND l.name > ?
AND CHAR_LENGTH(l.name) >= CHAR_LENGTH(?)
AND (? = 0 OR (l.token IS NOT NULL AND l.expires_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)))) ORDER BY l.name LIMIT ?
-- binds: ["invoices|", "invoices|\u{10ffff}", "", "invoices|", 1, 100]

-- Extend
UPDATE `diesel_locks` l SET l.expires_at = GREATEST(l.expires_at + 1, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?)
WHERE l.name = ? AND l.token = ? AND l.fence = ? AND (l.expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) <= ?
-- binds: [30000000, "invoices|42", Some(<token>), 7, 0]

-- ExtendBy
UPDATE `diesel_locks` l SET l.expires_at =
GREATEST(l.expires_at + 1, LEAST(GREATEST(l.expires_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) + ?, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?))
WHERE l.name = ? AND l.token = ? AND l.fence = ? AND (l.expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) <= ?
-- binds: [30000000, 3153600000000000, "invoices|42", Some(<token>), 7, 0]

-- KeepAlive
UPDATE (SELECT l.name, asked.time FROM JSON_TABLE(?, '$[*]' COLUMNS (
name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[0]', token VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[1]',
fence BIGINT PATH '$[2]', time BIGINT PATH '$[3]')) asked
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin
WHERE l.token = asked.token COLLATE utf8mb4_bin AND l.fence = asked.fence AND @@autocommit
LIMIT ? FOR UPDATE /*!80000 OF l */ SKIP LOCKED) mine
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = mine.name
SET l.expires_at = GREATEST(l.expires_at + 1, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + mine.time)
-- binds: [<leases>, 2]

-- LookMine
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), 0, l.name, CAST(NULL AS CHAR), l.fence, CAST(NULL AS SIGNED), l.expires_at,
CAST(NULL AS CHAR), 2
FROM JSON_TABLE(?, '$[*]' COLUMNS (
name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[0]', token VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[1]',
fence BIGINT PATH '$[2]', time BIGINT PATH '$[3]')) asked
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin
WHERE l.token = asked.token COLLATE utf8mb4_bin AND l.fence = asked.fence
-- binds: [<leases>]

-- Retire
UPDATE `diesel_locks` l SET l.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ? + (l.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?)
WHERE l.name = ? AND l.token = ? AND l.fence = ? AND (l.expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) <= ?
-- binds: [30000000, 30000000, "invoices|42", Some(<token>), 7, 0]

-- Release
UPDATE (SELECT p.name FROM `diesel_locks_pins` p FORCE INDEX (PRIMARY)
WHERE p.name = ? AND p.token = ? AND p.fence = ? LIMIT 1 FOR UPDATE SKIP LOCKED) mine
STRAIGHT_JOIN `diesel_locks_pins` p FORCE INDEX (PRIMARY) ON p.name = mine.name
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = mine.name
SET p.token = NULL, l.token = NULL, l.expires_at = LEAST(l.expires_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)))
WHERE (l.expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) <= ?
-- binds: ["invoices|42", Some(<token>), 7, 0]

-- SetData
UPDATE `diesel_locks` l SET l.data = ?, l.expires_at = l.expires_at + 1
WHERE l.name = ? AND l.token = ? AND l.fence = ? AND (l.expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) <= ?
-- binds: [Some("text"), "invoices|42", Some(<token>), 7, 0]

-- Mark
UPDATE (SELECT l.name FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name = ? AND @@autocommit
AND l.token IS NOT NULL AND l.expires_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) LIMIT 1 FOR UPDATE SKIP LOCKED) held
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
SELECT 'column', CONVERT(CONCAT(IF(c.table_name = ?, '', '_pins.'), c.column_name) USING utf8mb4)
FROM information_schema.columns c
WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name IN (?, CONCAT(?, '_pins'))
UNION ALL SELECT 'key', CONVERT(c.column_name USING utf8mb4) FROM information_schema.columns c
WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name = ? AND c.column_key = 'PRI'
UNION ALL SELECT 'collation', CONVERT(COALESCE(c.collation_name, '') USING utf8mb4) FROM information_schema.columns c
WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name IN (?, CONCAT(?, '_pins'))
AND c.column_name = 'name'
UNION ALL SELECT 'engine', CONVERT(COALESCE(t.engine, '') USING utf8mb4) FROM information_schema.tables t
WHERE t.table_schema = COALESCE(?, DATABASE()) AND t.table_name IN (?, CONCAT(?, '_pins'))
UNION ALL SELECT 'missing right', CONVERT(r.name USING utf8mb4) FROM information_schema.columns c
JOIN (SELECT 'SELECT' AS name UNION ALL SELECT 'INSERT' UNION ALL SELECT 'UPDATE') r
WHERE c.table_schema = COALESCE(?, DATABASE()) AND c.table_name IN (?, CONCAT(?, '_pins'))
AND NOT FIND_IN_SET(LOWER(r.name), LOWER(c.privileges))
UNION ALL SELECT 'autocommit', IF(@@autocommit, 'on', 'off')
UNION ALL SELECT CASE WHEN VERSION() LIKE '%TiDB%' THEN 'product' WHEN VERSION() LIKE '%MariaDB%' THEN 'MariaDB'
ELSE 'server' END, CONVERT(VERSION() USING utf8mb4)
-- binds: ["diesel_locks", None, "diesel_locks", "diesel_locks", None, "diesel_locks", None, "diesel_locks", "diesel_locks", None, "diesel_locks", "diesel_locks", None, "diesel_locks", "diesel_locks"]

-- Pin
SELECT CASE WHEN p.token = ? AND p.fence = ? THEN
COALESCE((SELECT l.expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) FROM `diesel_locks` l FORCE INDEX (PRIMARY) WHERE l.name =
IF(/*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE', NULL, p.name)
AND l.fence = p.fence), 0) ELSE 2 END
FROM `diesel_locks_pins` p FORCE INDEX (PRIMARY) WHERE p.name = ? LOCK IN SHARE MODE
-- binds: [Some(<token>), 7, "invoices|42"]

-- ForceRelease
UPDATE (SELECT l.name FROM (SELECT p.name FROM `diesel_locks_pins` p FORCE INDEX (PRIMARY)
WHERE p.name = ? AND p.token IS NOT NULL LIMIT 1 FOR UPDATE SKIP LOCKED) q
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = q.name LIMIT 1 FOR UPDATE SKIP LOCKED) held
STRAIGHT_JOIN `diesel_locks_pins` p FORCE INDEX (PRIMARY) ON p.name = held.name
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = held.name
SET p.token = NULL, l.token = NULL, l.expires_at = LEAST(l.expires_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)))
-- binds: ["invoices|42"]

-- AcquireAfter
UPDATE (SELECT l.name FROM (SELECT p.name FROM `diesel_locks_pins` p FORCE INDEX (PRIMARY)
WHERE p.name = ? LIMIT 1 FOR UPDATE SKIP LOCKED) q
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = q.name
WHERE l.fence = ? AND (l.token IS NULL OR l.expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) LIMIT 1 FOR UPDATE SKIP LOCKED) free
STRAIGHT_JOIN `diesel_locks_pins` p FORCE INDEX (PRIMARY) ON p.name = free.name
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = free.name
SET p.token = ?, p.fence = ?, l.token = ?, l.fence = ?, l.owner = ?,
l.acquired_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), l.expires_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?, l.data = COALESCE(?, l.data),
l.wanted_since = CASE WHEN l.wanted_since > ? THEN l.wanted_since END
-- binds: ["invoices|42", 7, Some(<token>), 8, Some(<token>), 8, "web-1", 30000000, None, None]

-- CreatePin
INSERT IGNORE INTO `diesel_locks_pins` (name, token, fence) VALUES (?, NULL, ?)
-- binds: ["invoices|42", 7]

-- LookToAcquire
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), c.open + 2 * c.locks + 4 * (@@innodb_rollback_on_timeout = 1)
+ 8 * COALESCE(l.token IS NULL AND l.wanted_since < ? AND TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - l.expires_at BETWEEN 0
AND LEAST(GREATEST((l.expires_at - l.acquired_at) / 4, 150000), 2000000) + 100000, 0),
l.name, l.owner, l.fence, l.acquired_at, l.expires_at,
l.data, CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ? THEN 2 ELSE 1 END
FROM (SELECT open, open AND /*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE' AS locks
FROM (SELECT ? = 1 OR @@autocommit = 0 /*M! OR @@in_transaction */ AS open) o) c
LEFT JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = IF(c.locks, NULL, ?)
-- binds: [Some(7), Some(<token>), 1, "invoices|42"]

-- PeekNowait
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), 0, p.name, CAST(NULL AS CHAR), p.fence, CAST(NULL AS SIGNED),
CAST(NULL AS SIGNED), CAST(NULL AS CHAR),
CASE WHEN p.token IS NULL THEN 0 WHEN p.token = ? THEN 2 ELSE 1 END
FROM `diesel_locks_pins` p FORCE INDEX (PRIMARY) WHERE p.name = ?
/*!80000 FOR SHARE NOWAIT */ /*M!100600 LOCK IN SHARE MODE NOWAIT */
-- binds: [Some(<token>), "invoices|42"]

-- Session
SELECT CAST(? AS SIGNED) + (@@autocommit = 0 /*M! OR @@in_transaction */)
-- binds: [7]

-- PinByWriting
UPDATE `diesel_locks` l SET l.expires_at = l.expires_at + 1
WHERE l.name = ? AND l.token = ? AND l.fence = ? AND l.expires_at > TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))
-- binds: ["invoices|42", Some(<token>), 7]

-- ReleaseWaiting
UPDATE `diesel_locks_pins` p FORCE INDEX (PRIMARY) STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = p.name
SET p.token = NULL, l.token = NULL, l.expires_at = LEAST(l.expires_at, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)))
WHERE p.name = ? AND p.token = ? AND p.fence = ? AND (l.expires_at <= TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))) <= ?
-- binds: ["invoices|42", Some(<token>), 7, 0]

-- Peek
SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), CAST(NULL AS SIGNED), 0, p.name, CAST(NULL AS CHAR), p.fence, CAST(NULL AS SIGNED),
CAST(NULL AS SIGNED), CAST(NULL AS CHAR),
CASE WHEN p.token IS NULL THEN 0 WHEN p.token = ? THEN 2 ELSE 1 END
FROM `diesel_locks_pins` p FORCE INDEX (PRIMARY) WHERE p.name = ?
/*!50701 FOR SHARE SKIP LOCKED */ /*M!100600 LOCK IN SHARE MODE SKIP LOCKED */
-- binds: [Some(<token>), "invoices|42"]

-- CreateLock
INSERT IGNORE INTO `diesel_locks` (name, token, owner, fence, acquired_at, expires_at, data)
SELECT p.name, NULL, '', p.fence, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)), NULL FROM `diesel_locks_pins` p FORCE INDEX (PRIMARY) WHERE p.name = ?
-- binds: ["invoices|42"]

-- Renew
UPDATE (SELECT l.name FROM `diesel_locks` l FORCE INDEX (PRIMARY)
WHERE l.name = ? AND l.token = ? AND l.fence = ? LIMIT 1 FOR UPDATE SKIP LOCKED) mine
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = mine.name
SET l.expires_at = GREATEST(l.expires_at + 1, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + ?), l.data = COALESCE(?, l.data)
-- binds: ["invoices|42", Some(<token>), 7, 30000000, None]

-- PurgeOne
DELETE p, l FROM (SELECT l.name FROM (SELECT p.name FROM `diesel_locks_pins` p FORCE INDEX (PRIMARY)
WHERE p.name = ? LIMIT 1 FOR UPDATE SKIP LOCKED) q
STRAIGHT_JOIN `diesel_locks` l FORCE INDEX (PRIMARY) ON l.name = q.name
WHERE l.expires_at < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - ? AND l.fence < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) - ? LIMIT 1 FOR UPDATE SKIP LOCKED) old
STRAIGHT_JOIN `diesel_locks_pins` p ON p.name = old.name STRAIGHT_JOIN `diesel_locks` l ON l.name = old.name
-- binds: ["invoices|42", 86400000000, 86400000000]

