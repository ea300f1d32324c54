-- Look
SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, NULL, 0, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ? THEN 2 ELSE 1 END
FROM `diesel_locks` l WHERE l.name = ?
-- binds: [Some(<token>), "invoices|42"]

-- List
SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, NULL, 0, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 ELSE 1 END
FROM `diesel_locks` l WHERE l.name >= ? AND l.name < ? AND l.name > ?
AND (? = 0 OR (l.token IS NOT NULL AND l.expires_at > CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)) ORDER BY l.name LIMIT ?
-- binds: ["invoices|", "invoices|\u{10ffff}", "", 1, 100]

-- Extend
UPDATE `diesel_locks` SET expires_at = MAX(expires_at, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 + ?)
WHERE name = ? AND token = ? AND fence = ? AND (expires_at <= CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000) <= ?
-- binds: [30000000, "invoices|42", Some(<token>), 7, 0]

-- ExtendBy
UPDATE `diesel_locks` SET expires_at = MIN(MAX(expires_at, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000) + ?, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 + ?)
WHERE name = ? AND token = ? AND fence = ? AND (expires_at <= CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000) <= ?
-- binds: [30000000, 3153600000000000, "invoices|42", Some(<token>), 7, 0]

-- KeepAlive
UPDATE `diesel_locks` SET expires_at = MAX(expires_at, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 + json_extract(asked.value, '$[3]'))
FROM json_each(?) asked WHERE name = json_extract(asked.value, '$[0]') AND token = json_extract(asked.value, '$[1]')
AND fence = json_extract(asked.value, '$[2]')
-- binds: [<leases>]

-- LookMine
SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, NULL, 0, name, NULL, fence, NULL, expires_at, NULL, 2
FROM json_each(?) asked JOIN `diesel_locks` ON name = json_extract(asked.value, '$[0]') AND token = json_extract(asked.value, '$[1]')
AND fence = json_extract(asked.value, '$[2]')
-- binds: [<leases>]

-- Retire
UPDATE `diesel_locks` SET expires_at = CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 + ?
WHERE name = ? AND token = ? AND fence = ? AND (expires_at <= CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000) <= ?
-- binds: [30000000, "invoices|42", Some(<token>), 7, 0]

-- Release
UPDATE `diesel_locks` SET token = NULL, expires_at = MIN(expires_at, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)
WHERE name = ? AND token = ? AND fence = ? AND (expires_at <= CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000) <= ?
-- binds: ["invoices|42", Some(<token>), 7, 0]

-- SetData
UPDATE `diesel_locks` SET data = ?
WHERE name = ? AND token = ? AND fence = ? AND (expires_at <= CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000) <= ?
-- binds: [Some("text"), "invoices|42", Some(<token>), 7, 0]

-- Mark
UPDATE `diesel_locks` SET wanted_since = MIN(COALESCE(wanted_since, ?), ?)
WHERE name = ? AND token IS NOT NULL AND expires_at > CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000
-- binds: [Some(7), Some(7), "invoices|42"]

-- Snapshot
SELECT 1
-- binds: []

-- Steps
SELECT version FROM `diesel_locks_setup`
-- binds: []

-- Facts
SELECT 'column', name FROM pragma_table_info(?, ?)
UNION ALL SELECT 'key', name FROM pragma_table_info(?, ?) WHERE pk > 0
UNION ALL SELECT 'collation', c.coll FROM pragma_index_list(?, ?) i, pragma_index_xinfo(i.name, ?) c
WHERE i.origin = 'pk' AND c.key = 1 AND c.name = 'name'
UNION ALL SELECT 'place', 'temp' FROM temp.sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE
AND COALESCE(?, 'temp') = 'temp'
UNION ALL SELECT 'server', sqlite_version()
-- binds: ["diesel_locks", None, "diesel_locks", None, "diesel_locks", None, None, "diesel_locks", None]

-- Pin
UPDATE `diesel_locks` SET fence = fence WHERE name = ? AND token = ? AND fence = ?
RETURNING expires_at <= CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000
-- binds: ["invoices|42", Some(<token>), 7]

-- ForceRelease
UPDATE `diesel_locks` SET token = NULL, expires_at = MIN(expires_at, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)
WHERE name = ? AND token IS NOT NULL
-- binds: ["invoices|42"]

-- AcquireAfter
UPDATE `diesel_locks` AS l SET token = ?, owner = ?, fence = ?, acquired_at = CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000,
expires_at = CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 + ?, data = COALESCE(?, data),
wanted_since = CASE WHEN wanted_since > ? THEN wanted_since END
WHERE name = ? AND fence = ? AND ? >= CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 - 1000 AND CASE WHEN token IS NULL THEN NOT COALESCE(l.wanted_since < ? AND CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 - l.expires_at BETWEEN 0
AND MIN(MAX((l.expires_at - l.acquired_at) / 4, 150000), 2000000) + 100000, 0)
ELSE expires_at <= CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 END
-- binds: [Some(<token>), "web-1", 8, 30000000, None, None, "invoices|42", 7, 8, None]

-- Acquire
INSERT INTO `diesel_locks` AS l (name, token, owner, fence, acquired_at, expires_at, data)
VALUES (?, ?, ?, MAX(CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, ?), CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 + ?, ?)
ON CONFLICT (name) DO UPDATE SET
fence = CASE WHEN l.token = excluded.token THEN l.fence ELSE MAX(l.fence + 1, excluded.fence) END,
acquired_at = CASE WHEN l.token = excluded.token THEN l.acquired_at ELSE excluded.acquired_at END,
expires_at = CASE WHEN l.token = excluded.token THEN MAX(l.expires_at, excluded.expires_at)
ELSE excluded.expires_at END,
owner = CASE WHEN l.token = excluded.token THEN l.owner ELSE excluded.owner END,
token = excluded.token, data = COALESCE(excluded.data, l.data),
wanted_since = CASE WHEN l.token = excluded.token OR l.wanted_since > ? THEN l.wanted_since END
WHERE CASE WHEN l.token IS NULL THEN NOT COALESCE(l.wanted_since < ? AND CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 - l.expires_at BETWEEN 0
AND MIN(MAX((l.expires_at - l.acquired_at) / 4, 150000), 2000000) + 100000, 0)
ELSE l.token = excluded.token OR l.expires_at <= excluded.acquired_at END
RETURNING CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, fence, 0, name, owner, fence, acquired_at, expires_at, data, 2
-- binds: ["invoices|42", Some(<token>), "web-1", 1000000, 30000000, None, None, None]

-- Purge
DELETE FROM `diesel_locks` WHERE name >= ? AND name < ?
AND expires_at < CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 - ? AND fence < CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 - ?
-- binds: ["invoices|", "invoices|\u{10ffff}", 86400000000, 86400000000]

-- AcquireAll
INSERT INTO `diesel_locks` AS l (name, token, owner, fence, acquired_at, expires_at, data)
SELECT asked.value, ?, ?, MAX(CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, ?), CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 + ?, ?
FROM json_each(?) asked WHERE NOT EXISTS (
SELECT 1 FROM json_each(?) other JOIN `diesel_locks` held ON held.name = other.value
WHERE held.token <> ? AND held.expires_at > CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)
ON CONFLICT (name) DO UPDATE SET
fence = CASE WHEN l.token = excluded.token THEN l.fence ELSE MAX(l.fence + 1, excluded.fence) END,
acquired_at = CASE WHEN l.token = excluded.token THEN l.acquired_at ELSE excluded.acquired_at END,
expires_at = CASE WHEN l.token = excluded.token THEN MAX(l.expires_at, excluded.expires_at)
ELSE excluded.expires_at END,
owner = CASE WHEN l.token = excluded.token THEN l.owner ELSE excluded.owner END,
token = excluded.token, data = COALESCE(excluded.data, l.data),
wanted_since = CASE WHEN l.token = excluded.token OR l.wanted_since > ? THEN l.wanted_since END
RETURNING CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, fence, 0, name, owner, fence, acquired_at, expires_at, data, 2
-- binds: [Some(<token>), "web-1", 1000000, 30000000, None, "[\"invoices|42\",\"invoices|43\"]", "[\"invoices|42\",\"invoices|43\"]", Some(<token>), None]

-- AcquireAny
INSERT INTO `diesel_locks` AS l (name, token, owner, fence, acquired_at, expires_at, data)
SELECT asked.value, ?, ?, MAX(CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, ?), CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000 + ?, ?
FROM json_each(?) asked LEFT JOIN `diesel_locks` held ON held.name = asked.value
WHERE held.token IS NULL OR held.token = ? OR held.expires_at <= CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000
ORDER BY held.token = ? DESC LIMIT 1
ON CONFLICT (name) DO UPDATE SET
fence = CASE WHEN l.token = excluded.token THEN l.fence ELSE MAX(l.fence + 1, excluded.fence) END,
acquired_at = CASE WHEN l.token = excluded.token THEN l.acquired_at ELSE excluded.acquired_at END,
expires_at = CASE WHEN l.token = excluded.token THEN MAX(l.expires_at, excluded.expires_at)
ELSE excluded.expires_at END,
owner = CASE WHEN l.token = excluded.token THEN l.owner ELSE excluded.owner END,
token = excluded.token, data = COALESCE(excluded.data, l.data),
wanted_since = CASE WHEN l.token = excluded.token OR l.wanted_since > ? THEN l.wanted_since END
RETURNING CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, fence, 0, name, owner, fence, acquired_at, expires_at, data, 2
-- binds: [Some(<token>), "web-1", 1000000, 30000000, None, "[\"invoices|42\",\"invoices|43\"]", Some(<token>), Some(<token>), None]

-- LookAll
SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000, NULL, 0, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ? THEN 2 ELSE 1 END
FROM json_each(?) asked JOIN `diesel_locks` l ON l.name = asked.value
-- binds: [Some(<token>), "[\"invoices|42\",\"invoices|43\"]"]

