//! PostgreSQL: one statement wins, renews, creates or names the holder, and none but `PIN`, `EXTEND`,
//! `RELEASE` and `SET_DATA` ever waits for a row.
//!
//! Who locks a lock's row how:
//! - a pin takes `FOR KEY SHARE`. Pins pass each other, and the heartbeat, an UPDATE of columns that are no
//!   key, passes them.
//! - whoever takes the lock over, forces it or removes it goes through `FOR UPDATE`, which does not pass a
//!   pin (I5). `SKIP LOCKED` makes it answer "busy" instead of waiting (I8).
//! - the holder's own extend, release and renewal take `FOR NO KEY UPDATE`, as their UPDATE would: they pass
//!   its pins, and wait only while somebody else's takeover is not decided yet.
//!
//! A name that is used for the first time has no row to lock. A transaction that inserts one would make
//! the next wait at the unique index, so only who gets the advisory lock of the name (`born`) inserts.
//! The advisory lock ends with its transaction, and no session-level one is ever taken: poolers leak them.
//!
//! Functions are qualified, because a session's `search_path` could otherwise replace the clock.
//! `MATERIALIZED` keeps a locking query from being merged into another, and the clock to one reading.

use diesel::pg::Pg;

use super::{Dialect, Operation};
use crate::error::Result;
use crate::lock::Lock;
use crate::protocol::several::Several;
use crate::protocol::{Executor, Won};
use crate::set::LockSet;
use crate::statement::Statement;
use crate::token::Token;

impl Dialect for Pg {
    const ENGINE: &str = "postgres";

    /// Not `now()`: that is when the caller's transaction began, and the lease would be born run out (I2).
    const NOW: &str =
        "(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint";
    const RETURNING: bool = true;
    const TELLS_LATE: bool = true;
    const LOCKS_IN_VAIN: bool = false;
    const QUOTE: &str = "\"";
    const CONCATENATION: [&str; 3] = ["(", " || ", r#") COLLATE "C""#];
    const UP: &str =
        include_str!("../../migrations/postgres/2026-11-20-084137_diesel_locks_create/up.sql");
    const DOWN: &str =
        include_str!("../../migrations/postgres/2026-11-20-084137_diesel_locks_create/down.sql");

    fn sql(operation: Operation) -> &'static str {
        match operation {
            Operation::Acquire => ACQUIRE,
            Operation::Look => LOOK,
            Operation::Snapshot => SNAPSHOT,
            Operation::List => LIST,
            Operation::Extend => EXTEND,
            Operation::ExtendBy => EXTEND_BY,
            Operation::Release => RELEASE,
            Operation::SetData => SET_DATA,
            Operation::Pin => PIN,
            Operation::ForceRelease => FORCE_RELEASE,
            Operation::Purge => PURGE,
            Operation::AcquireAll => ACQUIRE_ALL,
            Operation::AcquireAny => ACQUIRE_ANY,
            Operation::CreateAll => CREATE_ALL,
            Operation::LookAll => unreachable!("the acquiring statement names the holder"),
            Operation::CreatePin
            | Operation::CreateLock
            | Operation::Peek
            | Operation::PeekNowait
            | Operation::LookToAcquire
            | Operation::PinByWriting
            | Operation::ReleaseWaiting
            | Operation::Renew
            | Operation::PurgeOne => unreachable!("{operation:?} is MySQL's"),
        }
    }

    async fn acquire<E: Executor<Backend = Self>>(
        executor: &mut E,
        lock: &Lock,
        token: Option<&Token>,
    ) -> Result<Won> {
        let statement = Statement::acquire_as(lock, token.cloned());
        let seen = executor.load(statement).await?.pop();
        Ok(seen.as_ref().map_or(Won::Busy(None), Won::or_holder))
    }

    async fn acquire_all<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> Result<Several> {
        let mut seen = executor.load(Statement::acquire_all(set, token)).await?;
        if seen.len() < set.locks.len() {
            executor.run(Statement::create_all(set)).await?;
            seen = executor.load(Statement::acquire_all(set, token)).await?;
        }
        Ok(Several::all_of(set, seen))
    }

    async fn acquire_any<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> Result<Several> {
        let query = Statement::acquire_any(set, token);
        let mut seen = executor.load(query.clone()).await?;
        // A name that was born after the statement began was not seen as used: the next one sees it.
        for _ in &set.locks {
            if seen
                .iter()
                .any(|seen| seen.won.is_some() || seen.session == 0)
            {
                break;
            }
            seen = executor.load(query.clone()).await?;
        }
        Ok(Several::any_of(seen))
    }
}

/// How a free row becomes the asker's.
macro_rules! take {
    () => {
        "\
UPDATE {locks} l SET token = {token}, owner = {owner}, fence = GREATEST(l.fence + 1, clock.now),
acquired_at = clock.now, expires_at = clock.now + {time}, data = COALESCE({data}, l.data)"
    };
}

/// How a row that is the asker's already is extended.
macro_rules! renew {
    () => {
        "\
UPDATE {locks} l SET expires_at = GREATEST(l.expires_at, clock.now + {time}), data = COALESCE({data}, l.data)"
    };
}

/// `seen` names the holder for the answer "busy"; `free` and `mine` decide. All three read the row as of the
/// beginning of the statement, but the locking two wait for nobody and check the newest version again.
const ACQUIRE: &str = concat!(
    "\
WITH clock AS MATERIALIZED (SELECT {now} AS now),
seen AS MATERIALIZED (
SELECT l.name, l.token, l.owner, l.fence, l.acquired_at, l.expires_at, l.data
FROM {locks} l WHERE l.name = {name}),
free AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name = {name} AND (l.token IS NULL
OR (l.expires_at <= (SELECT now FROM clock) AND l.token IS DISTINCT FROM {token})) FOR UPDATE SKIP LOCKED),
mine AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name = {name} AND l.token = {token} FOR NO KEY UPDATE SKIP LOCKED),
taken AS (
",
    take!(),
    "
FROM clock, free WHERE l.name = free.name RETURNING l.fence),
renewed AS (
",
    renew!(),
    "
FROM clock, mine WHERE l.name = mine.name RETURNING l.fence),
born AS (
INSERT INTO {locks} (name, token, owner, fence, acquired_at, expires_at, data)
SELECT {name}, {token}, {owner}, clock.now, clock.now, clock.now + {time}, {data} FROM clock
WHERE NOT EXISTS (SELECT FROM seen)
AND pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.to_regclass({gate})::pg_catalog.oid, {name}), 0))
ON CONFLICT (name) DO NOTHING RETURNING fence),
won AS (SELECT fence FROM taken UNION ALL SELECT fence FROM renewed UNION ALL SELECT fence FROM born)
SELECT clock.now, won.fence, 0::bigint, seen.name, seen.owner, seen.fence, seen.acquired_at, seen.expires_at,
seen.data, CASE WHEN seen.token IS NULL THEN 0 WHEN seen.token = {token} THEN 2 ELSE 1 END::bigint
FROM clock LEFT JOIN won ON true LEFT JOIN seen ON true"
);

/// All or none: nothing is locked where one is seen to be held, and nothing is written unless every row was locked.
/// Names that have no row yet are missing in the answer; `CREATE_ALL` makes them first, because a row that was born
/// after the statement began would be left out silently. Rows are locked in the order of their names.
const ACQUIRE_ALL: &str = concat!(
    "\
WITH clock AS MATERIALIZED (SELECT {now} AS now),
asked AS MATERIALIZED (SELECT pg_catalog.json_array_elements_text({names}::json) AS name),
seen AS MATERIALIZED (
SELECT l.name, l.token, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
l.token IS NOT NULL AND l.token <> {token} AND l.expires_at > clock.now AS held
FROM clock, asked JOIN {locks} l ON l.name = asked.name),
free AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name IN (SELECT name FROM seen) AND NOT EXISTS (SELECT FROM seen WHERE held)
AND (l.token IS NULL OR (l.expires_at <= (SELECT now FROM clock) AND l.token <> {token}))
ORDER BY l.name FOR UPDATE SKIP LOCKED),
mine AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name IN (SELECT name FROM seen) AND NOT EXISTS (SELECT FROM seen WHERE held)
AND l.token = {token} ORDER BY l.name FOR NO KEY UPDATE SKIP LOCKED),
enough AS MATERIALIZED (
SELECT (SELECT COUNT(*) FROM free) + (SELECT COUNT(*) FROM mine) = (SELECT COUNT(*) FROM asked) AS yes),
taken AS (
",
    take!(),
    "
FROM clock, enough, free WHERE enough.yes AND l.name = free.name RETURNING l.name, l.fence),
renewed AS (
",
    renew!(),
    "
FROM clock, enough, mine WHERE enough.yes AND l.name = mine.name RETURNING l.name, l.fence),
won AS (SELECT name, fence FROM taken UNION ALL SELECT name, fence FROM renewed)
SELECT clock.now, won.fence, 0::bigint, seen.name, seen.owner, seen.fence, seen.acquired_at, seen.expires_at,
seen.data, CASE WHEN seen.token IS NULL THEN 0 WHEN seen.token = {token} THEN 2 ELSE 1 END::bigint
FROM clock CROSS JOIN seen LEFT JOIN won ON won.name = seen.name"
);

const CREATE_ALL: &str = "\
WITH clock AS MATERIALIZED (SELECT {now} AS now),
asked AS MATERIALIZED (SELECT pg_catalog.json_array_elements_text({names}::json) AS name),
missing AS MATERIALIZED (
SELECT asked.name FROM asked WHERE NOT EXISTS (SELECT FROM {locks} l WHERE l.name = asked.name)),
gated AS MATERIALIZED (
SELECT name FROM missing
WHERE pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.to_regclass({gate})::pg_catalog.oid, name), 0)))
INSERT INTO {locks} (name, token, owner, fence, acquired_at, expires_at, data)
SELECT gated.name, NULL, '', clock.now, clock.now, clock.now, NULL FROM clock, gated ORDER BY gated.name
ON CONFLICT (name) DO NOTHING";

/// Mine if one already is, else any that is free, else one that was never used; else who has the one that is free the
/// soonest.
const ACQUIRE_ANY: &str = concat!(
    "\
WITH clock AS MATERIALIZED (SELECT {now} AS now),
asked AS MATERIALIZED (SELECT pg_catalog.json_array_elements_text({names}::json) AS name),
seen AS MATERIALIZED (
SELECT l.name, l.token, l.owner, l.fence, l.acquired_at, l.expires_at, l.data
FROM asked JOIN {locks} l ON l.name = asked.name),
mine AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name IN (SELECT name FROM seen) AND l.token = {token}
LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
free AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name IN (SELECT name FROM seen)
AND NOT EXISTS (SELECT FROM seen WHERE seen.token = {token})
AND (l.token IS NULL OR (l.expires_at <= (SELECT now FROM clock) AND l.token <> {token}))
LIMIT 1 FOR UPDATE SKIP LOCKED),
taken AS (
",
    take!(),
    "
FROM clock, free WHERE l.name = free.name RETURNING l.name, l.fence),
renewed AS (
",
    renew!(),
    "
FROM clock, mine WHERE l.name = mine.name RETURNING l.name, l.fence),
missing AS MATERIALIZED (
SELECT asked.name FROM asked WHERE NOT EXISTS (SELECT FROM seen WHERE seen.name = asked.name)
AND NOT EXISTS (SELECT FROM seen WHERE seen.token = {token}) AND NOT EXISTS (SELECT FROM free)),
gated AS MATERIALIZED (
SELECT name FROM missing
WHERE pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.to_regclass({gate})::pg_catalog.oid, name), 0)) LIMIT 1),
born AS (
INSERT INTO {locks} (name, token, owner, fence, acquired_at, expires_at, data)
SELECT gated.name, {token}, {owner}, clock.now, clock.now, clock.now + {time}, {data} FROM clock, gated
ON CONFLICT (name) DO NOTHING RETURNING name, fence),
won AS (SELECT name, fence FROM taken UNION ALL SELECT name, fence FROM renewed UNION ALL SELECT name, fence FROM born),
soonest AS (SELECT * FROM seen WHERE token IS NOT NULL AND expires_at > (SELECT now FROM clock)
ORDER BY expires_at LIMIT 1)
SELECT clock.now, won.fence, (SELECT COUNT(*) FROM gated), COALESCE(won.name, s.name), s.owner, s.fence, s.acquired_at, s.expires_at,
s.data, CASE WHEN s.token IS NULL THEN 0 WHEN s.token = {token} THEN 2 ELSE 1 END::bigint
FROM clock LEFT JOIN won ON true LEFT JOIN soonest s ON won.name IS NULL"
);

const LOOK: &str = "\
SELECT {now}, NULL::bigint, 0::bigint, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = {token} THEN 2 ELSE 1 END::bigint
FROM {locks} l WHERE l.name = {name}";

const SNAPSHOT: &str = "\
SELECT (pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable'))::int::bigint";

const LIST: &str = "\
WITH clock AS MATERIALIZED (SELECT {now} AS now)
SELECT clock.now, NULL::bigint, 0::bigint, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 ELSE 1 END::bigint
FROM {locks} l CROSS JOIN clock WHERE l.name >= {from} AND l.name < {until} AND l.name > {after}
AND ({held} = 0 OR (l.token IS NOT NULL AND l.expires_at > clock.now)) ORDER BY l.name LIMIT {limit}";

const EXTEND: &str = "\
WITH mine AS MATERIALIZED (
SELECT l.name, l.expires_at FROM {locks} l
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} FOR NO KEY UPDATE)
UPDATE {locks} l SET expires_at = GREATEST(l.expires_at, {now} + {time})
FROM mine WHERE l.name = mine.name RETURNING (mine.expires_at <= {now})::int::bigint";

const EXTEND_BY: &str = "\
WITH mine AS MATERIALIZED (
SELECT l.name, l.expires_at FROM {locks} l
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} FOR NO KEY UPDATE)
UPDATE {locks} l SET expires_at = LEAST(GREATEST(l.expires_at, {now}) + {time}, {now} + {longest})
FROM mine WHERE l.name = mine.name RETURNING (mine.expires_at <= {now})::int::bigint";

/// Passes pins of the same lease that are still open; the next holder waits for those (I6).
const RELEASE: &str = "\
WITH mine AS MATERIALIZED (
SELECT l.name, l.expires_at FROM {locks} l
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} FOR NO KEY UPDATE)
UPDATE {locks} l SET token = NULL, expires_at = LEAST(l.expires_at, {now})
FROM mine WHERE l.name = mine.name RETURNING (mine.expires_at <= {now})::int::bigint";

const SET_DATA: &str = "\
UPDATE {locks} l SET data = {data}
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence}
RETURNING (l.expires_at <= {now})::int::bigint";

/// A lease that has run out is not locked: workers of a dead holder, whose pins overlap, would otherwise keep
/// everybody else from taking it over (I11). Where the row changed hands while the pin waited for it, the
/// second part still sees it as it was before, not run out, so that the answer is "lost". A 3 says that the transaction sees
/// a snapshot. A row with a smaller fence can only be an old version, in a snapshot that is older than the lease: then
/// locking it is a serialization failure, and not a wrong "lost". (A row that was born since cannot be seen at all.)
const PIN: &str = "\
WITH pinned AS MATERIALIZED (
SELECT l.token, l.fence FROM {locks} l WHERE l.name = {name}
AND ((l.token = {token} AND l.fence = {fence} AND l.expires_at > {now}) OR l.fence < {fence}) FOR KEY SHARE)
SELECT CASE WHEN pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
THEN 3 ELSE 0 END::bigint FROM pinned WHERE token = {token} AND fence = {fence} UNION ALL
SELECT 1::bigint FROM {locks} l WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence}
AND l.expires_at <= {now} AND NOT EXISTS (SELECT FROM pinned)";

const FORCE_RELEASE: &str = "\
WITH held AS MATERIALIZED (
SELECT l.name, l.expires_at FROM {locks} l
WHERE l.name = {name} AND l.token IS NOT NULL FOR UPDATE SKIP LOCKED)
UPDATE {locks} l SET token = NULL, expires_at = LEAST(l.expires_at, {now})
FROM held WHERE l.name = held.name RETURNING (held.expires_at <= {now})::int::bigint";

/// Only rows whose fence is older than the age too: a name that is created again begins with the clock, and
/// so above every fence that was removed (I4).
const PURGE: &str = "\
WITH clock AS MATERIALIZED (SELECT {now} AS now),
old AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name >= {from} AND l.name < {until}
AND l.expires_at < (SELECT now FROM clock) - {time} AND l.fence < (SELECT now FROM clock) - {time}
FOR UPDATE SKIP LOCKED)
DELETE FROM {locks} l USING old WHERE l.name = old.name";
