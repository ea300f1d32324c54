//! PostgreSQL: one statement acquires the lock, renews it, or names the holder. A lock that was never used needs a second
//! statement, which creates its row. Only `PIN` and the changes that a holder makes to one lease ever wait for a row.
//!
//! How each operation locks the row of a lock:
//! - A pin takes `FOR KEY SHARE`. Pins do not stop each other. They do not stop the heartbeat either, which is an
//!   UPDATE of columns that are no key.
//! - A takeover, a forced release and a removal take `FOR UPDATE`, which conflicts with a pin (I5). `SKIP LOCKED` makes
//!   them answer "busy" instead of waiting (I8).
//! - The holder's own extend, release and renewal take `FOR NO KEY UPDATE`, as their UPDATE would. The holder's pins do
//!   not stop them. They wait only while the takeover of another process is not decided yet.
//!
//! A name that is used for the first time has no row to lock. If a transaction inserted the row, the next transaction
//! that inserts it would wait at the unique index. So only a transaction that gets the advisory lock of the name
//! inserts the row (`CREATE`). One wait is left. A transaction whose snapshot is older than the row cannot see the row.
//! So it waits at the index for a transaction that has changed the row meanwhile. If each statement has a snapshot of
//! its own, all of that has to happen within an instant. The advisory lock ends with its transaction. No session-level
//! advisory lock is ever taken, because poolers leak them.
//!
//! Functions are qualified with their schema, because a session's `search_path` could otherwise replace the clock.
//! Operators are not, to keep the SQL readable: `verify` refuses a `search_path` that puts a schema before `pg_catalog`.
//! `MATERIALIZED` keeps a locking query from being merged into another query.
//!
//! The statements that run most often read the clock each time they need it. To read it once and join it to the row
//! would cost more than all the readings. So two times in one row may differ by some microseconds. Every reading is later
//! than the moment at which the caller sent the statement, so no lease ends sooner than its holder believes (I3).

use diesel::pg::Pg;

use super::{Dialect, Operation, Sql, Templates};
use crate::fact::{Requirement, Requirements};
use crate::migrations::{Step, step};

impl Dialect for Pg {
    const ENGINE: &str = "postgres";
}

impl Sql for Pg {
    /// Not `now()`, which is the time at which the caller's transaction began: a new lease could have expired already
    /// (I2).
    const NOW: &str =
        "(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000)::bigint";
    const REPORTS_EXPIRY: bool = true;
    const KEEPS_UNMATCHED_ROW_LOCKS: bool = false;
    const PINS_BY_WRITING: bool = false;
    const PIN_ENDS_UNSEEN: bool = true;
    const PIN_SAYS_WHY: bool = false;
    const KEEPS_BEATS: bool = false;
    const LEAVES_ANSWERS_UNREAD: bool = false;
    const NOTIFIES: bool = true;
    const CROWD: usize = 3;
    const ASYNC_COMMIT: bool = true;
    const NUMBERED_PLACEHOLDERS: bool = true;
    const QUOTE: &str = "\"";
    const CONCATENATION: [&str; 3] = ["(", " || ", r#") COLLATE "C""#];
    const STEPS: &[Step] = &[step!("postgres", "2026-11-20-084137_diesel_locks_create")];
    const DDL_IN_TRANSACTION: bool = true;
    const MIGRATION_LOCK: [&str; 2] = [
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT pg_catalog.pg_advisory_xact_lock(7235425822644662123)",
        "",
    ];
    const REQUIREMENTS: Requirements = Requirements {
        engine: Self::ENGINE,
        beats: false,
        each: REQUIREMENTS,
    };

    fn sql(operation: Operation) -> &'static str {
        match operation {
            Operation::Acquire => ACQUIRE,
            Operation::AcquireAgain => ACQUIRE_AGAIN,
            Operation::Create => CREATE,
            Operation::Look => LOOK,
            Operation::Snapshot => SNAPSHOT,
            Operation::Facts => FACTS,
            Operation::Steps => STEPS,
            Operation::List => LIST,
            Operation::Extend => EXTEND,
            Operation::ExtendBy => EXTEND_BY,
            Operation::KeepAlive => KEEP_ALIVE,
            Operation::LookMine => LOOK_MINE,
            Operation::Retire => RETIRE,
            Operation::Release => RELEASE,
            Operation::ReleaseAsync => RELEASE_ASYNC,
            Operation::Want => WANT,
            Operation::Mark => MARK,
            Operation::SetData => SET_DATA,
            Operation::Pin => PIN,
            Operation::ForceRelease => FORCE_RELEASE,
            Operation::Purge => PURGE,
            Operation::AcquireAll => ACQUIRE_ALL,
            Operation::AcquireAny => ACQUIRE_ANY,
            Operation::CreateAll => CREATE_ALL,
            Operation::AcquireEach => ACQUIRE_EACH,
            Operation::ReleaseEach => RELEASE_EACH,
            Operation::ReleaseEachAsync => RELEASE_EACH_ASYNC,
            other => unreachable!("{other:?} is not needed on {}", Self::ENGINE),
        }
    }

    fn templates() -> &'static Templates {
        static TEMPLATES: Templates = Templates::new();
        &TEMPLATES
    }
}

/// Gives a free row to the caller.
macro_rules! take_unmarked {
    ($now:literal) => {
        concat!(
            take_unmarked!($now, "{token}", "{owner}", "{time}"),
            ", data = COALESCE({data}, l.data)"
        )
    };
    ($now:literal, $token:literal, $owner:literal, $time:literal) => {
        concat!(
            "\
UPDATE {locks} l SET token = ",
            $token,
            ", owner = ",
            $owner,
            ", fence = GREATEST(l.fence + 1, ",
            $now,
            "),
acquired_at = ",
            $now,
            ", expires_at = ",
            $now,
            " + ",
            $time
        )
    };
}

/// Gives a free row to the caller. The mark of a process that has waited longer is cleared: that process did not come.
macro_rules! take {
    ($now:literal) => {
        concat!(
            take_unmarked!($now),
            ",\nwanted_since = CASE WHEN l.wanted_since > {since} THEN l.wanted_since END"
        )
    };
}

/// Extends a row that the caller holds already.
macro_rules! renew {
    ($now:literal) => {
        concat!(
            "\
UPDATE {locks} l SET expires_at = GREATEST(l.expires_at, ",
            $now,
            " + {time}), data = COALESCE({data}, l.data)"
        )
    };
}

/// Whether a free row is left to another process.
macro_rules! left_to_another {
    () => {
        concat!(
            "(l.wanted_since IS NOT NULL AND COALESCE(",
            not_in_turn!(now: "{now}", least: "LEAST", greatest: "GREATEST"),
            ", false))"
        )
    };
}

/// The subquery that locks the row decides. It searches the row as of the beginning of the statement. It waits for no
/// other transaction, and it checks the newest version of the row again. The newest version is also the version that is
/// changed: the UPDATE finds it again by its name, because its place in the table may be newer than what the statement
/// sees.
///
/// The answer is the row as of the beginning of the statement, for the answer "busy". There is none if no row is seen: the
/// lock was never used, or was purged.
macro_rules! acquire {
    (
        take: $take:expr, if: $free:expr, also: $renewed:expr,
        fence: $fence:literal, left: $left:expr, mine: $mine:literal
    ) => {
        concat!(
            "WITH taken AS (\n",
            $take,
            "\nWHERE l.name = (SELECT l.name FROM {locks} l WHERE l.name = {name} AND ",
            $free,
            " FOR UPDATE SKIP LOCKED) RETURNING l.fence)",
            $renewed,
            "
SELECT {now}, ",
            $fence,
            ", (",
            $left,
            ")::int::bigint,
l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 ",
            $mine,
            "ELSE 1 END::bigint
FROM {locks} l WHERE l.name = {name}"
        )
    };
}

/// A token that was never used before holds no lock, so there is no row to renew. And nearly always no process has marked
/// the row: a row with a mark is left to `ACQUIRE_AGAIN`.
const ACQUIRE: &str = acquire! {
    take: take_unmarked!("{now}"),
    if: "l.wanted_since IS NULL AND (l.token IS NULL OR l.expires_at <= {now})",
    also: "",
    fence: "(SELECT fence FROM taken)",
    left: "l.wanted_since IS NOT NULL AND (l.token IS NULL OR l.expires_at <= {now})",
    mine: ""
};

const ACQUIRE_AGAIN: &str = acquire! {
    take: take!("{now}"),
    if: concat!("CASE WHEN l.token IS NULL\nTHEN NOT ", left_to_another!(), "
ELSE l.expires_at <= {now} AND l.token IS DISTINCT FROM {token} END"),
    also: concat!(",\nrenewed AS (\n", renew!("{now}"), "
WHERE l.name = (SELECT l.name FROM {locks} l WHERE l.name = {name} AND l.token = {token}
FOR NO KEY UPDATE SKIP LOCKED) RETURNING l.fence)"),
    fence: "COALESCE((SELECT fence FROM taken), (SELECT fence FROM renewed))",
    left: concat!("l.token IS NULL AND ", left_to_another!()),
    mine: "WHEN l.token = {token} THEN 2 "
};

/// Acquires a lock that has no row. Answers the fence, or nothing if another transaction creates the row or has created it.
/// A row that was created since `ACQUIRE` began may be locked by now, so the statement looks for it before it inserts.
const CREATE: &str = "\
INSERT INTO {locks} (name, token, owner, fence, acquired_at, expires_at, data)
SELECT {name}, {token}, {owner}, {now}, {now}, {now} + {time}, {data}
WHERE NOT EXISTS (SELECT FROM {locks} l WHERE l.name = {name})
AND pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.to_regclass({quoted_table})::pg_catalog.oid, {name}), 0))
ON CONFLICT (name) DO NOTHING RETURNING fence";

/// All or none: if one lock is seen to be held, nothing is locked, and nothing is written unless every row was locked.
/// Names that have no row yet are missing in the answer. `CREATE_ALL` creates their rows before this statement is run
/// again, because a row that is created after the statement began would be left out silently. Rows are locked in the
/// order of their names.
///
/// The names are an array and not a join, so that the index is used, however large the planner believes the table to
/// be.
const ACQUIRE_ALL: &str = concat!(
    "\
WITH clock AS MATERIALIZED (SELECT {now} AS now),
asked AS MATERIALIZED (SELECT pg_catalog.json_array_elements_text({names}::json) AS name),
seen AS MATERIALIZED (
SELECT l.name, l.token, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
l.token IS NOT NULL AND l.token <> {token} AND l.expires_at > clock.now AS held
FROM clock, {locks} l WHERE l.name = ANY (ARRAY(SELECT name FROM asked))),
free AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name = ANY (ARRAY(SELECT name FROM seen)) AND NOT EXISTS (SELECT FROM seen WHERE held)
AND (l.token IS NULL OR (l.expires_at <= (SELECT now FROM clock) AND l.token <> {token}))
ORDER BY l.name FOR UPDATE SKIP LOCKED),
mine AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name = ANY (ARRAY(SELECT name FROM seen)) AND NOT EXISTS (SELECT FROM seen WHERE held)
AND l.token = {token} ORDER BY l.name FOR NO KEY UPDATE SKIP LOCKED),
enough AS MATERIALIZED (
SELECT (SELECT COUNT(*) FROM free) + (SELECT COUNT(*) FROM mine) = (SELECT COUNT(*) FROM asked) AS yes),
taken AS (
",
    take!("clock.now"),
    "
FROM clock, enough, free WHERE enough.yes AND l.name = free.name RETURNING l.name, l.fence),
renewed AS (
",
    renew!("clock.now"),
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
WHERE pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.to_regclass({quoted_table})::pg_catalog.oid, name), 0)))
INSERT INTO {locks} (name, token, owner, fence, acquired_at, expires_at, data)
SELECT gated.name, NULL, '', clock.now, clock.now, clock.now, NULL FROM clock, gated ORDER BY gated.name
ON CONFLICT (name) DO NOTHING";

/// Acquires the lock that the token holds already, if there is one; otherwise any lock that is free; otherwise a lock
/// that was never used. If there is none of these, names the holder whose lease ends first.
const ACQUIRE_ANY: &str = concat!(
    "\
WITH clock AS MATERIALIZED (SELECT {now} AS now),
asked AS MATERIALIZED (SELECT pg_catalog.json_array_elements_text({names}::json) AS name),
seen AS MATERIALIZED (
SELECT l.name, l.token, l.owner, l.fence, l.acquired_at, l.expires_at, l.data
FROM {locks} l WHERE l.name = ANY (ARRAY(SELECT name FROM asked))),
mine AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name = ANY (ARRAY(SELECT name FROM seen)) AND l.token = {token}
LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),
free AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name = ANY (ARRAY(SELECT name FROM seen))
AND NOT EXISTS (SELECT FROM seen WHERE seen.token = {token})
AND (l.token IS NULL OR (l.expires_at <= (SELECT now FROM clock) AND l.token <> {token}))
LIMIT 1 FOR UPDATE SKIP LOCKED),
taken AS (
",
    take!("clock.now"),
    "
FROM clock, free WHERE l.name = free.name RETURNING l.name, l.fence),
renewed AS (
",
    renew!("clock.now"),
    "
FROM clock, mine WHERE l.name = mine.name RETURNING l.name, l.fence),
missing AS MATERIALIZED (
SELECT asked.name FROM asked WHERE NOT EXISTS (SELECT FROM seen WHERE seen.name = asked.name)
AND NOT EXISTS (SELECT FROM seen WHERE seen.token = {token}) AND NOT EXISTS (SELECT FROM free)),
gated AS MATERIALIZED (
SELECT name FROM missing
WHERE pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended(pg_catalog.concat(pg_catalog.to_regclass({quoted_table})::pg_catalog.oid, name), 0)) LIMIT 1),
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

/// The numbers of the migrations that [`migrate`](crate::blocking::migrate) has run.
const STEPS: &str = "SELECT version FROM {setup}";

const FACTS: &str = "\
WITH l AS MATERIALIZED (SELECT pg_catalog.to_regclass({quoted_table})::pg_catalog.oid AS oid),
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
SELECT 'server', pg_catalog.current_setting('server_version')";

const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        fact: "collation",
        values: &["C", "POSIX", "ucs_basic"],
        remedy: "names are sorted and compared by their bytes: \
                 ALTER TABLE … ALTER COLUMN name TYPE text COLLATE \"C\"",
    },
    Requirement {
        fact: "persistence",
        values: &["p"],
        remedy: "the table must be there for every session, and after a crash: ALTER TABLE … SET LOGGED, and no \
                 temporary table of this name",
    },
    Requirement {
        fact: "missing right",
        values: &[],
        remedy: "GRANT SELECT, INSERT, UPDATE ON the table TO the role of the application",
    },
    Requirement {
        fact: "schema before pg_catalog",
        values: &[],
        remedy: "an operator in that schema could decide who holds a lock: SET search_path without pg_catalog, which \
                 then comes first",
    },
    Requirement {
        fact: "product",
        values: &["PostgreSQL"],
        remedy: "a database that speaks PostgreSQL's protocol may lock rows in another way (CockroachDB takes no lock for \
                 a pin): use PostgreSQL",
    },
    Requirement {
        fact: "server",
        values: &["12"],
        remedy: "use PostgreSQL 12 or newer",
    },
];

const LIST: &str = "\
WITH clock AS MATERIALIZED (SELECT {now} AS now)
SELECT clock.now, NULL::bigint, 0::bigint, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 ELSE 1 END::bigint
FROM {locks} l CROSS JOIN clock WHERE l.name >= {from} AND l.name < {until} AND l.name > {after}
AND ({held} = 0 OR (l.token IS NOT NULL AND l.expires_at > clock.now)) ORDER BY l.name LIMIT {limit}";

/// The condition that the row still belongs to the lease. An UPDATE takes `FOR NO KEY UPDATE`, so the holder's pins do
/// not stop it.
macro_rules! is_held {
    () => {
        "
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence}"
    };
}

/// Gives a lease a new end, and answers whether the lease had expired. The lowest bit of the new end carries the answer
/// out of the statement: before PostgreSQL 18, an UPDATE cannot return what was there before. So the end is up to two
/// microseconds later than asked for, and never sooner.
///
/// The clock is read before the statement waits for a takeover that is not decided yet. If that takeover is rolled back
/// then, the end and the answer are those of the moment at which the statement began: the lease is extended by less than
/// was asked, never by more.
macro_rules! change_end {
    ($end:literal) => {
        concat!(
            "\
UPDATE {locks} l SET expires_at = ((",
            $end,
            " + 1) & -2) + (l.expires_at <= {now})::int",
            is_held!(),
            "
RETURNING l.expires_at & 1"
        )
    };
}

const EXTEND: &str = change_end!("GREATEST(l.expires_at, {now} + {time})");

const EXTEND_BY: &str =
    change_end!("LEAST(GREATEST(l.expires_at, {now}) + {time}, {now} + {longest})");

const RETIRE: &str = change_end!("{now} + {time}");

/// Frees the row that the condition names, and answers whether the lease had expired, in the lowest bit of the new end: see
/// `change_end`. The new end is now, made even, if the lease is live. Otherwise it is the old end, made odd.
///
/// If a waiter wants a notification, it is sent with the commit, and the wish is cleared. (The length of the text that
/// `pg_notify` answers is 0.) Only then, because notifications are expensive: transactions that send one commit one
/// after the other in the whole database, and cannot be prepared (two-phase commit). A release that waits for the
/// takeover of another process may also send one, although it then finds the lease lost: waiters look once in vain.
macro_rules! free {
    ($($condition:expr),+) => {
        concat!(
            "\
UPDATE {locks} l SET token = NULL,
expires_at = CASE WHEN l.expires_at > {now} THEN {now} & -2 ELSE (l.expires_at - 1) | 1 END,
wanted_until = CASE WHEN l.wanted_until IS NOT NULL AND l.wanted_until > {now}
THEN NULLIF(pg_catalog.length(pg_catalog.pg_notify('diesel_locks', l.name)::text), 0) END",
            $($condition,)+
            "
RETURNING l.expires_at & 1"
        )
    };
}

/// Open pins of the same lease do not stop the release. The next holder waits for these pins (I6).
const RELEASE: &str = free!(is_held!());

/// The setting belongs to the transaction: it ends with the commit for which it is made.
const RELEASE_ASYNC: &str = free!(
    is_held!(),
    " AND pg_catalog.set_config('synchronous_commit', 'off', true) = 'off'"
);

const FORCE_RELEASE: &str = free!(
    "
WHERE l.name = (SELECT l.name FROM {locks} l WHERE l.name = {name} AND l.token IS NOT NULL FOR UPDATE SKIP LOCKED)"
);

/// The leases of a batch, or the tries of one, which have an owner instead of a fence.
macro_rules! asked {
    () => {
        asked!("(lease->>2)::bigint AS fence")
    };
    ($third:literal) => {
        concat!(
            "\
asked AS MATERIALIZED (
SELECT lease->>0 AS name, lease->>1 AS token, ",
            $third,
            ", (lease->>3)::bigint AS time
FROM pg_catalog.jsonb_array_elements({batch}::jsonb) AS lease)"
        )
    };
}

/// The condition that a row belongs to a lease of the batch.
macro_rules! is_asked {
    () => {
        "l.name = asked.name AND l.token = asked.token AND l.fence = asked.fence"
    };
}

/// Acquires locks for callers that have only the table in common. The statement takes unmarked rows, as
/// `ACQUIRE` does, and waits for none. A name without a row is missing in the answer.
const ACQUIRE_EACH: &str = concat!(
    "WITH ",
    asked!("lease->>2 AS owner"),
    ",
free AS MATERIALIZED (
SELECT l.name, asked.token, asked.owner, asked.time FROM {locks} l JOIN asked ON asked.name = l.name
WHERE l.name = ANY (ARRAY(SELECT name FROM asked)) AND l.wanted_since IS NULL AND (l.token IS NULL OR l.expires_at <= {now}) FOR UPDATE OF l SKIP LOCKED),
taken AS (
",
    take_unmarked!("{now}", "free.token", "free.owner", "free.time"),
    "
FROM free WHERE l.name = free.name RETURNING l.name, l.fence)
SELECT {now}, fence, 0::bigint, name, NULL::text, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text, 0::bigint
FROM taken UNION ALL
SELECT {now}, NULL, (l.wanted_since IS NOT NULL AND (l.token IS NULL OR l.expires_at <= {now}))::int::bigint,
l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data, CASE WHEN l.token IS NULL THEN 0 ELSE 1 END::bigint
FROM {locks} l WHERE (SELECT COUNT(*) FROM taken) < (SELECT COUNT(*) FROM asked)
AND l.name = ANY (ARRAY(SELECT name FROM asked)) AND NOT EXISTS (SELECT FROM taken WHERE taken.name = l.name)"
);

/// Releases leases of different callers. A row that another transaction has locked is missing in the answer, and so is a
/// lost lease.
macro_rules! release_each {
    ($also:literal) => {
        concat!(
            "WITH ",
            asked!(),
            ",
mine AS MATERIALIZED (
SELECT l.name FROM {locks} l JOIN asked ON ",
            is_asked!(),
            "
WHERE l.name = ANY (ARRAY(SELECT name FROM asked))",
            $also,
            "
FOR NO KEY UPDATE OF l SKIP LOCKED),
freed AS (
",
            free!("\nFROM mine WHERE l.name = mine.name"),
            " AS late, l.name, l.fence)
SELECT {now}, NULL::bigint, late, name, NULL::text, fence, NULL::bigint, NULL::bigint, NULL::text, 0::bigint FROM freed"
        )
    };
}

const RELEASE_EACH: &str = release_each!("");

const RELEASE_EACH_ASYNC: &str =
    release_each!(" AND pg_catalog.set_config('synchronous_commit', 'off', true) = 'off'");

/// Pins do not stop this statement. At REPEATABLE READ and above, one row that another transaction changes meanwhile
/// makes the whole statement fail with 40001. Then the statement is run again.
const KEEP_ALIVE: &str = concat!(
    "WITH ",
    asked!(),
    ",
mine AS MATERIALIZED (
SELECT l.name, asked.time FROM asked JOIN {locks} l ON ",
    is_asked!(),
    "
FOR NO KEY UPDATE OF l SKIP LOCKED)
UPDATE {locks} l SET expires_at = GREATEST(l.expires_at, {now} + mine.time) FROM mine WHERE l.name = mine.name"
);

const LOOK_MINE: &str = concat!(
    "WITH ",
    asked!(),
    "
SELECT {now}, NULL::bigint, 0::bigint, l.name, NULL::text, l.fence, NULL::bigint, l.expires_at, NULL::text, 2::bigint
FROM asked JOIN {locks} l ON ",
    is_asked!()
);

/// Changes nothing if the lease has expired, or if at least half of the time of an earlier request is still to come.
const WANT: &str = "\
WITH clock AS MATERIALIZED (SELECT {now} AS now),
held AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name = {name} AND l.token IS NOT NULL
AND l.expires_at > (SELECT now FROM clock)
AND COALESCE(l.wanted_until, 0) < (SELECT now FROM clock) + {time} / 2 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE {locks} l SET wanted_until = clock.now + {time} FROM clock, held WHERE l.name = held.name";

/// Changes nothing if nobody holds the lock, or if the row is locked.
const MARK: &str = "\
WITH held AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name = {name} AND l.token IS NOT NULL AND l.expires_at > {now}
FOR NO KEY UPDATE SKIP LOCKED)
UPDATE {locks} l SET wanted_since = LEAST(l.wanted_since, {since}) FROM held WHERE l.name = held.name";

const SET_DATA: &str = "\
UPDATE {locks} l SET data = {data}
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence}
RETURNING (l.expires_at <= {now})::int::bigint";

/// A row whose lease has expired is not locked. Otherwise the workers of a dead holder, whose pins overlap, would keep
/// every other process from taking the lock over (I11). Then the statement answers nothing, as it does for a lost lease.
/// If the row changed hands while the pin waited for it, its new version no longer meets the condition.
///
/// The answer 3 says that the transaction sees a snapshot, and the answer 2 that the lease is lost. A row with a smaller fence
/// is an old version, in a snapshot that is older than the lease, and locking it is a serialization failure: not a
/// wrong "lost". (A row that was created after the snapshot cannot be seen at all.) Or the acquisition was rolled back:
/// then the lease is lost.
const PIN: &str = "\
SELECT CASE WHEN l.fence < {fence} THEN 2
WHEN pg_catalog.current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN 3 ELSE 0 END::bigint
FROM {locks} l WHERE l.name = {name}
AND ((l.token = {token} AND l.fence = {fence} AND l.expires_at > {now}) OR l.fence < {fence}) FOR KEY SHARE";

/// Removes a row only if its fence, too, is older than the age. A name that is created again begins with the clock as
/// its fence, and so above every fence that was removed (I4).
const PURGE: &str = "\
WITH clock AS MATERIALIZED (SELECT {now} AS now),
old AS MATERIALIZED (
SELECT l.name FROM {locks} l WHERE l.name >= {from} AND l.name < {until}
AND l.expires_at < (SELECT now FROM clock) - {time} AND l.fence < (SELECT now FROM clock) - {time}
FOR UPDATE SKIP LOCKED)
DELETE FROM {locks} l USING old WHERE l.name = old.name";
