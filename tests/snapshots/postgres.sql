-- Look
SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, NULL::bigint, 0::bigint, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = $1 THEN 2 ELSE 1 END::bigint
FROM "diesel_locks" l WHERE l.name = $2
-- binds: [Some(<token>), "invoices|42"]

-- List
WITH clock AS MATERIALIZED (SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint AS now)
SELECT clock.now, NULL::bigint, 0::bigint, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 ELSE 1 END::bigint
FROM "diesel_locks" l CROSS JOIN clock WHERE l.name >= $1 AND l.name < $2 AND l.name > $3
AND ($4 = 0 OR (l.token IS NOT NULL AND l.expires_at > clock.now)) ORDER BY l.name LIMIT $5
-- binds: ["invoices|", "invoices|\u{10ffff}", "", 1, 100]

-- Extend
UPDATE "diesel_locks" l SET expires_at = ((GREATEST(l.expires_at, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint + $1) + 1) & -2) + (l.expires_at <= (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint)::int
WHERE l.name = $2 AND l.token = $3 AND l.fence = $4
RETURNING l.expires_at & 1
-- binds: [30000000, "invoices|42", Some(<token>), 7]

-- ExtendBy
UPDATE "diesel_locks" l SET expires_at = ((LEAST(GREATEST(l.expires_at, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint) + $1, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint + $2) + 1) & -2) + (l.expires_at <= (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint)::int
WHERE l.name = $3 AND l.token = $4 AND l.fence = $5
RETURNING l.expires_at & 1
-- binds: [30000000, 3153600000000000, "invoices|42", Some(<token>), 7]

-- KeepAlive
WITH asked AS MATERIALIZED (
SELECT lease->>0 AS name, lease->>1 AS token, (lease->>2)::bigint AS fence, (lease->>3)::bigint AS time
FROM pg_catalog.jsonb_array_elements($1::jsonb) AS lease),
mine AS MATERIALIZED (
SELECT l.name, asked.time FROM asked JOIN "diesel_locks" l ON l.name = asked.name AND l.token = asked.token AND l.fence = asked.fence
FOR NO KEY UPDATE OF l SKIP LOCKED)
UPDATE "diesel_locks" l SET expires_at = GREATEST(l.expires_at, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint + mine.time) FROM mine WHERE l.name = mine.name
-- binds: [<leases>]

-- LookMine
WITH asked AS MATERIALIZED (
SELECT lease->>0 AS name, lease->>1 AS token, (lease->>2)::bigint AS fence, (lease->>3)::bigint AS time
FROM pg_catalog.jsonb_array_elements($1::jsonb) AS lease)
SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, NULL::bigint, 0::bigint, l.name, NULL::text, l.fence, NULL::bigint, l.expires_at, NULL::text, 2::bigint
FROM asked JOIN "diesel_locks" l ON l.name = asked.name AND l.token = asked.token AND l.fence = asked.fence
-- binds: [<leases>]

-- Retire
UPDATE "diesel_locks" l SET expires_at = (((pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint + $1 + 1) & -2) + (l.expires_at <= (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint)::int
WHERE l.name = $2 AND l.token = $3 AND l.fence = $4
RETURNING l.expires_at & 1
-- binds: [30000000, "invoices|42", Some(<token>), 7]

-- Release
UPDATE "diesel_locks" l SET token = NULL,
expires_at = CASE WHEN l.expires_at > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint THEN (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint & -2 ELSE (l.expires_at - 1) | 1 END,
wanted_until = CASE WHEN l.wanted_until IS NOT NULL AND l.wanted_until > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint
THEN NULLIF(pg_catalog.length(pg_catalog.pg_notify('diesel_locks', l.name)::text), 0) END
WHERE l.name = $1 AND l.token = $2 AND l.fence = $3
RETURNING l.expires_at & 1
-- binds: ["invoices|42", Some(<token>), 7]

-- SetData
UPDATE "diesel_locks" l SET data = $1
WHERE l.name = $2 AND l.token = $3 AND l.fence = $4
RETURNING (l.expires_at <= (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint)::int::bigint
-- binds: [Some("text"), "invoices|42", Some(<token>), 7]

-- Mark
WITH held AS MATERIALIZED (
SELECT l.name FROM "diesel_locks" l WHERE l.name = $1 AND l.token IS NOT NULL AND l.expires_at > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint
FOR NO KEY UPDATE SKIP LOCKED)
UPDATE "diesel_locks" l SET wanted_since = LEAST(l.wanted_since, $2) FROM held WHERE l.name = held.name
-- binds: ["invoices|42", Some(7)]

-- Snapshot
SELECT (pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable'))::int::bigint
-- binds: []

-- Steps
SELECT version FROM "diesel_locks_setup"
-- binds: []

-- Facts
WITH l AS MATERIALIZED (SELECT pg_catalog.to_regclass($1)::pg_catalog.oid AS oid),
a AS MATERIALIZED (
SELECT a.attname, a.attnum, a.attcollation, a.attrelid FROM l
JOIN pg_catalog.pg_attribute a ON a.attrelid = l.oid AND a.attnum > 0 AND NOT a.attisdropped)
SELECT 'column'::text, attname::text FROM a UNION ALL
SELECT 'key', a.attname::text FROM a
JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey) UNION ALL
SELECT 'collation', c.collname::text FROM a
JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation WHERE a.attname = 'name' UNION ALL
SELECT 'persistence', c.relpersistence::text FROM l JOIN pg_catalog.pg_class c ON c.oid = l.oid UNION ALL
SELECT 'missing right', r FROM l, pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) r
WHERE NOT pg_catalog.has_any_column_privilege(l.oid, r) UNION ALL
SELECT 'schema before pg_catalog', s FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY path (s, n)
WHERE NOT pg_catalog.starts_with(s::text, 'pg_temp') AND n < (
SELECT n FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY path (s, n) WHERE s = 'pg_catalog') UNION ALL
SELECT 'product', CASE WHEN pg_catalog.strpos(pg_catalog.version(), '-YB-') > 0 THEN 'YugabyteDB'
ELSE pg_catalog.split_part(pg_catalog.version(), ' ', 1) END UNION ALL
SELECT 'server', pg_catalog.current_setting('server_version')
-- binds: ["\"diesel_locks\""]

-- Pin
SELECT CASE WHEN l.fence < $1 THEN 2
WHEN pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN 3 ELSE 0 END::bigint
FROM "diesel_locks" l WHERE l.name = $2
AND ((l.token = $3 AND l.fence = $1 AND l.expires_at > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint) OR l.fence < $1) FOR KEY SHARE
-- binds: [7, "invoices|42", Some(<token>)]

-- ForceRelease
UPDATE "diesel_locks" l SET token = NULL,
expires_at = CASE WHEN l.expires_at > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint THEN (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint & -2 ELSE (l.expires_at - 1) | 1 END,
wanted_until = CASE WHEN l.wanted_until IS NOT NULL AND l.wanted_until > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint
THEN NULLIF(pg_catalog.length(pg_catalog.pg_notify('diesel_locks', l.name)::text), 0) END
WHERE l.name = (SELECT l.name FROM "diesel_locks" l WHERE l.name = $1 AND l.token IS NOT NULL FOR UPDATE SKIP LOCKED)
RETURNING l.expires_at & 1
-- binds: ["invoices|42"]

-- AcquireAgain
WITH taken AS (
UPDATE "diesel_locks" l SET token = $1, owner = $2, fence = GREATEST(l.fence + 1, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint),
acquired_at = (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, expires_at = (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint + $3, data = COALESCE($4, l.data),
wanted_since = CASE WHEN l.wanted_since > $5 THEN l.wanted_since END
WHERE l.name = (SELECT l.name FROM "diesel_locks" l WHERE l.name = $6 AND CASE WHEN l.token IS NULL
THEN NOT (l.wanted_since IS NOT NULL AND COALESCE(l.wanted_since < $5 AND (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint - l.expires_at BETWEEN 0
AND LEAST(GREATEST((l.expires_at - l.acquired_at) / 4, 150000), 2000000) + 100000, false))
ELSE l.expires_at <= (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint AND l.token IS DISTINCT FROM $1 END FOR UPDATE SKIP LOCKED) RETURNING l.fence),
renewed AS (
UPDATE "diesel_locks" l SET expires_at = GREATEST(l.expires_at, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint + $3), data = COALESCE($4, l.data)
WHERE l.name = (SELECT l.name FROM "diesel_locks" l WHERE l.name = $6 AND l.token = $1
FOR NO KEY UPDATE SKIP LOCKED) RETURNING l.fence)
SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, COALESCE((SELECT fence FROM taken), (SELECT fence FROM renewed)), (l.token IS NULL AND (l.wanted_since IS NOT NULL AND COALESCE(l.wanted_since < $5 AND (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint - l.expires_at BETWEEN 0
AND LEAST(GREATEST((l.expires_at - l.acquired_at) / 4, 150000), 2000000) + 100000, false)))::int::bigint,
l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = $1 THEN 2 ELSE 1 END::bigint
FROM "diesel_locks" l WHERE l.name = $6
-- binds: [Some(<token>), "web-1", 30000000, None, None, "invoices|42"]

-- Create
INSERT INTO "diesel_locks" (name, token, owner, fence, acquired_at, expires_at, data)
SELECT $1, $2, $3, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint + $4, $5
WHERE NOT EXISTS (SELECT FROM "diesel_locks" l WHERE l.name = $1)
AND pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.to_regclass($6)::pg_catalog.oid, $1), 0))
ON CONFLICT (name) DO NOTHING RETURNING fence
-- binds: ["invoices|42", Some(<token>), "web-1", 30000000, None, "\"diesel_locks\""]

-- ReleaseAsync
UPDATE "diesel_locks" l SET token = NULL,
expires_at = CASE WHEN l.expires_at > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint THEN (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint & -2 ELSE (l.expires_at - 1) | 1 END,
wanted_until = CASE WHEN l.wanted_until IS NOT NULL AND l.wanted_until > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint
THEN NULLIF(pg_catalog.length(pg_catalog.pg_notify('diesel_locks', l.name)::text), 0) END
WHERE l.name = $1 AND l.token = $2 AND l.fence = $3 AND pg_catalog.set_config('synchronous_commit', 'off', true) = 'off'
RETURNING l.expires_at & 1
-- binds: ["invoices|42", Some(<token>), 7]

-- Want
WITH clock AS MATERIALIZED (SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint AS now),
held AS MATERIALIZED (
SELECT l.name FROM "diesel_locks" l WHERE l.name = $1 AND l.token IS NOT NULL
AND l.expires_at > (SELECT now FROM clock)
AND COALESCE(l.wanted_until, 0) < (SELECT now FROM clock) + $2 / 2 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE "diesel_locks" l SET wanted_until = clock.now + $2 FROM clock, held WHERE l.name = held.name
-- binds: ["invoices|42", 30000000]

-- AcquireEach
WITH asked AS MATERIALIZED (
SELECT lease->>0 AS name, lease->>1 AS token, lease->>2 AS owner, (lease->>3)::bigint AS time
FROM pg_catalog.jsonb_array_elements($1::jsonb) AS lease),
free AS MATERIALIZED (
SELECT l.name, asked.token, asked.owner, asked.time FROM "diesel_locks" l JOIN asked ON asked.name = l.name
WHERE l.name = ANY (ARRAY(SELECT name FROM asked)) AND l.wanted_since IS NULL AND (l.token IS NULL OR l.expires_at <= (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint) FOR UPDATE OF l SKIP LOCKED),
taken AS (
UPDATE "diesel_locks" l SET token = free.token, owner = free.owner, fence = GREATEST(l.fence + 1, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint),
acquired_at = (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, expires_at = (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint + free.time
FROM free WHERE l.name = free.name RETURNING l.name, l.fence)
SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, fence, 0::bigint, name, NULL::text, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text, 0::bigint
FROM taken UNION ALL
SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, NULL, (l.wanted_since IS NOT NULL AND (l.token IS NULL OR l.expires_at <= (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint))::int::bigint,
l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data, CASE WHEN l.token IS NULL THEN 0 ELSE 1 END::bigint
FROM "diesel_locks" l WHERE (SELECT COUNT(*) FROM taken) < (SELECT COUNT(*) FROM asked)
AND l.name = ANY (ARRAY(SELECT name FROM asked)) AND NOT EXISTS (SELECT FROM taken WHERE taken.name = l.name)
-- binds: [<leases>]

-- ReleaseEachAsync
WITH asked AS MATERIALIZED (
SELECT lease->>0 AS name, lease->>1 AS token, (lease->>2)::bigint AS fence, (lease->>3)::bigint AS time
FROM pg_catalog.jsonb_array_elements($1::jsonb) AS lease),
mine AS MATERIALIZED (
SELECT l.name FROM "diesel_locks" l JOIN asked ON l.name = asked.name AND l.token = asked.token AND l.fence = asked.fence
WHERE l.name = ANY (ARRAY(SELECT name FROM asked)) AND pg_catalog.set_config('synchronous_commit', 'off', true) = 'off'
FOR NO KEY UPDATE OF l SKIP LOCKED),
freed AS (
UPDATE "diesel_locks" l SET token = NULL,
expires_at = CASE WHEN l.expires_at > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint THEN (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint & -2 ELSE (l.expires_at - 1) | 1 END,
wanted_until = CASE WHEN l.wanted_until IS NOT NULL AND l.wanted_until > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint
THEN NULLIF(pg_catalog.length(pg_catalog.pg_notify('diesel_locks', l.name)::text), 0) END
FROM mine WHERE l.name = mine.name
RETURNING l.expires_at & 1 AS late, l.name, l.fence)
SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, NULL::bigint, late, name, NULL::text, fence, NULL::bigint, NULL::bigint, NULL::text, 0::bigint FROM freed
-- binds: [<leases>]

-- ReleaseEach
WITH asked AS MATERIALIZED (
SELECT lease->>0 AS name, lease->>1 AS token, (lease->>2)::bigint AS fence, (lease->>3)::bigint AS time
FROM pg_catalog.jsonb_array_elements($1::jsonb) AS lease),
mine AS MATERIALIZED (
SELECT l.name FROM "diesel_locks" l JOIN asked ON l.name = asked.name AND l.token = asked.token AND l.fence = asked.fence
WHERE l.name = ANY (ARRAY(SELECT name FROM asked))
FOR NO KEY UPDATE OF l SKIP LOCKED),
freed AS (
UPDATE "diesel_locks" l SET token = NULL,
expires_at = CASE WHEN l.expires_at > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint THEN (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint & -2 ELSE (l.expires_at - 1) | 1 END,
wanted_until = CASE WHEN l.wanted_until IS NOT NULL AND l.wanted_until > (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint
THEN NULLIF(pg_catalog.length(pg_catalog.pg_notify('diesel_locks', l.name)::text), 0) END
FROM mine WHERE l.name = mine.name
RETURNING l.expires_at & 1 AS late, l.name, l.fence)
SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, NULL::bigint, late, name, NULL::text, fence, NULL::bigint, NULL::bigint, NULL::text, 0::bigint FROM freed
-- binds: [<leases>]

-- Acquire
WITH taken AS (
UPDATE "diesel_locks" l SET token = $1, owner = $2, fence = GREATEST(l.fence + 1, (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint),
acquired_at = (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, expires_at = (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint + $3, data = COALESCE($4, l.data)
WHERE l.name = (SELECT l.name FROM "diesel_locks" l WHERE l.name = $5 AND l.wanted_since IS NULL AND (l.token IS NULL OR l.expires_at <= (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint) FOR UPDATE SKIP LOCKED) RETURNING l.fence)
SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint, (SELECT fence FROM taken), (l.wanted_since IS NOT NULL AND (l.token IS NULL OR l.expires_at <= (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint))::int::bigint,
l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 ELSE 1 END::bigint
FROM "diesel_locks" l WHERE l.name = $5
-- binds: [Some(<token>), "web-1", 30000000, None, "invoices|42"]

-- Purge
WITH clock AS MATERIALIZED (SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint AS now),
old AS MATERIALIZED (
SELECT l.name FROM "diesel_locks" l WHERE l.name >= $1 AND l.name < $2
AND l.expires_at < (SELECT now FROM clock) - $3 AND l.fence < (SELECT now FROM clock) - $3
FOR UPDATE SKIP LOCKED)
DELETE FROM "diesel_locks" l USING old WHERE l.name = old.name
-- binds: ["invoices|", "invoices|\u{10ffff}", 86400000000]

-- AcquireAll
WITH clock AS MATERIALIZED (SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint AS now),
asked AS MATERIALIZED (SELECT pg_catalog.json_array_elements_text($1::json) AS name),
seen AS MATERIALIZED (
SELECT l.name, l.token, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
l.token IS NOT NULL AND l.token <> $2 AND l.expires_at > clock.now AS held
FROM clock, "diesel_locks" l WHERE l.name = ANY (ARRAY(SELECT name FROM asked))),
free AS MATERIALIZED (
SELECT l.name FROM "diesel_locks" l WHERE l.name = ANY (ARRAY(SELECT name FROM seen)) AND NOT EXISTS (SELECT FROM seen WHERE held)
AND (l.token IS NULL OR (l.expires_at <= (SELECT now FROM clock) AND l.token <> $2))
ORDER BY l.name FOR UPDATE SKIP LOCKED),
mine AS MATERIALIZED (
SELECT l.name FROM "diesel_locks" l WHERE l.name = ANY (ARRAY(SELECT name FROM seen)) AND NOT EXISTS (SELECT FROM seen WHERE held)
AND l.token = $2 ORDER BY l.name FOR NO KEY UPDATE SKIP LOCKED),
enough AS MATERIALIZED (
SELECT (SELECT COUNT(*) FROM free) + (SELECT COUNT(*) FROM mine) = (SELECT COUNT(*) FROM asked) AS yes),
taken AS (
UPDATE "diesel_locks" l SET token = $2, owner = $3, fence = GREATEST(l.fence + 1, clock.now),
acquired_at = clock.now, expires_at = clock.now + $4, data = COALESCE($5, l.data),
wanted_since = CASE WHEN l.wanted_since > $6 THEN l.wanted_since END
FROM clock, enough, free WHERE enough.yes AND l.name = free.name RETURNING l.name, l.fence),
renewed AS (
UPDATE "diesel_locks" l SET expires_at = GREATEST(l.expires_at, clock.now + $4), data = COALESCE($5, l.data)
FROM clock, enough, mine WHERE enough.yes AND l.name = mine.name RETURNING l.name, l.fence),
won AS (SELECT name, fence FROM taken UNION ALL SELECT name, fence FROM renewed)
SELECT clock.now, won.fence, 0::bigint, seen.name, seen.owner, seen.fence, seen.acquired_at, seen.expires_at,
seen.data, CASE WHEN seen.token IS NULL THEN 0 WHEN seen.token = $2 THEN 2 ELSE 1 END::bigint
FROM clock CROSS JOIN seen LEFT JOIN won ON won.name = seen.name
-- binds: ["[\"invoices|42\",\"invoices|43\"]", Some(<token>), "web-1", 30000000, None, None]

-- AcquireAny
WITH clock AS MATERIALIZED (SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint AS now),
asked AS MATERIALIZED (SELECT pg_catalog.json_array_elements_text($1::json) AS name),
seen AS MATERIALIZED (
SELECT l.name, l.token, l.owner, l.fence, l.acquired_at, l.expires_at, l.data
FROM "diesel_locks" l WHERE l.name = ANY (ARRAY(SELECT name FROM asked))),
mine AS MATERIALIZED (
SELECT l.name FROM "diesel_locks" l WHERE l.name = ANY (ARRAY(SELECT name FROM seen)) AND l.token = $2
LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
free AS MATERIALIZED (
SELECT l.name FROM "diesel_locks" l WHERE l.name = ANY (ARRAY(SELECT name FROM seen))
AND NOT EXISTS (SELECT FROM seen WHERE seen.token = $2)
AND (l.token IS NULL OR (l.expires_at <= (SELECT now FROM clock) AND l.token <> $2))
LIMIT 1 FOR UPDATE SKIP LOCKED),
taken AS (
UPDATE "diesel_locks" l SET token = $2, owner = $3, fence = GREATEST(l.fence + 1, clock.now),
acquired_at = clock.now, expires_at = clock.now + $4, data = COALESCE($5, l.data),
wanted_since = CASE WHEN l.wanted_since > $6 THEN l.wanted_since END
FROM clock, free WHERE l.name = free.name RETURNING l.name, l.fence),
renewed AS (
UPDATE "diesel_locks" l SET expires_at = GREATEST(l.expires_at, clock.now + $4), data = COALESCE($5, l.data)
FROM clock, mine WHERE l.name = mine.name RETURNING l.name, l.fence),
missing AS MATERIALIZED (
SELECT asked.name FROM asked WHERE NOT EXISTS (SELECT FROM seen WHERE seen.name = asked.name)
AND NOT EXISTS (SELECT FROM seen WHERE seen.token = $2) AND NOT EXISTS (SELECT FROM free)),
gated AS MATERIALIZED (
SELECT name FROM missing
WHERE pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.to_regclass($7)::pg_catalog.oid, name), 0)) LIMIT 1),
born AS (
INSERT INTO "diesel_locks" (name, token, owner, fence, acquired_at, expires_at, data)
SELECT gated.name, $2, $3, clock.now, clock.now, clock.now + $4, $5 FROM clock, gated
ON CONFLICT (name) DO NOTHING RETURNING name, fence),
won AS (SELECT name, fence FROM taken UNION ALL SELECT name, fence FROM renewed UNION ALL SELECT name, fence FROM born),
soonest AS (SELECT * FROM seen WHERE token IS NOT NULL AND expires_at > (SELECT now FROM clock)
ORDER BY expires_at LIMIT 1)
SELECT clock.now, won.fence, (SELECT COUNT(*) FROM gated), COALESCE(won.name, s.name), s.owner, s.fence, s.acquired_at, s.expires_at,
s.data, CASE WHEN s.token IS NULL THEN 0 WHEN s.token = $2 THEN 2 ELSE 1 END::bigint
FROM clock LEFT JOIN won ON true LEFT JOIN soonest s ON won.name IS NULL
-- binds: ["[\"invoices|42\",\"invoices|43\"]", Some(<token>), "web-1", 30000000, None, None, "\"diesel_locks\""]

-- CreateAll
WITH clock AS MATERIALIZED (SELECT (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint AS now),
asked AS MATERIALIZED (SELECT pg_catalog.json_array_elements_text($1::json) AS name),
missing AS MATERIALIZED (
SELECT asked.name FROM asked WHERE NOT EXISTS (SELECT FROM "diesel_locks" l WHERE l.name = asked.name)),
gated AS MATERIALIZED (
SELECT name FROM missing
WHERE pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.to_regclass($2)::pg_catalog.oid, name), 0)))
INSERT INTO "diesel_locks" (name, token, owner, fence, acquired_at, expires_at, data)
SELECT gated.name, NULL, '', clock.now, clock.now, clock.now, NULL FROM clock, gated ORDER BY gated.name
ON CONFLICT (name) DO NOTHING
-- binds: ["[\"invoices|42\",\"invoices|43\"]", "\"diesel_locks\""]

