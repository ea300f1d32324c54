//! MySQL and MariaDB: look first with a plain read, then compare and set.
//!
//! Beside `{locks}`, whose row every heartbeat writes, stands `{pins}`: the identity of the holder, which
//! only acquire, release and force-release write. A pin holds that row in share mode and is never in the
//! heartbeat's way (I7), and nobody can take the lock over without it (I5).
//!
//! - Always `{pins}` before `{locks}`: two statements that need both rows cannot deadlock.
//! - Never a locking statement on a name that has no row, except the INSERT: it would lock the gap, and
//!   other names with it. Only leases of purged names come that far.
//! - A locking read takes the row's lock whether or not the rest of its condition holds, and in a
//!   transaction keeps it. So there a try *peeks* first: it reads the identity in share mode, which heartbeat
//!   and pin pass, and touches `{locks}` only when that says the lock is to be had; and a lease is checked
//!   against `{pins}` before its row is written, so that a stale one does not stop the new holder.
//! - `LIMIT 1` keeps MySQL from merging a derived table into the UPDATE, which would lose `SKIP LOCKED`, and a join of
//!   the two in one from locking the row of `{locks}` although that of `{pins}` was skipped. `FORCE INDEX` keeps the
//!   optimizer from scanning a small table and waiting for strangers.
//! - Neither server has UPDATE … RETURNING, and an upsert's affected rows don't tell who won: the fence
//!   is compared with the one looked at, so that the number that the winner gets is known beforehand.
//! - An UPDATE must change something, because a connection without `CLIENT_FOUND_ROWS` counts only
//!   changed rows: an extension moves the expiry on by a microsecond at least.
//!
//! `UTC_TIMESTAMP` is the time at which the statement began, whatever the session's time zone. A statement
//! that then waits extends by less than asked, never by more.

use diesel::mysql::Mysql;

use super::{Dialect, Operation, Sql, Templates};
use crate::fact::{Requirement, Requirements};
use crate::migrations::{Step, step};

impl Dialect for Mysql {
    const ENGINE: &str = "mysql";
}

impl Sql for Mysql {
    const NOW: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";
    const RETURNING: bool = false;
    const REPORTS_EXPIRY: bool = false;
    const KEEPS_UNMATCHED_ROW_LOCKS: bool = true;
    const NOTIFIES: bool = false;
    const ASYNC_COMMIT: bool = false;
    const NUMBERED_PLACEHOLDERS: bool = false;
    const QUOTE: &str = "`";
    const CONCATENATION: [&str; 3] = ["CONCAT(", ", ", ")"];
    const STEPS: &[Step] = &[step!("mysql", "2026-11-20-084137_diesel_locks_create")];
    const DDL_IN_TRANSACTION: bool = false;
    const MIGRATION_LOCK: [&str; 2] = [
        "SELECT GET_LOCK(CONCAT('diesel_locks ', LEFT(SHA2(COALESCE(DATABASE(), ''), 256), 40)), 60)",
        "SELECT RELEASE_LOCK(CONCAT('diesel_locks ', LEFT(SHA2(COALESCE(DATABASE(), ''), 256), 40)))",
    ];
    const REQUIREMENTS: Requirements = Requirements {
        engine: Self::ENGINE,
        pins: true,
        each: REQUIREMENTS,
    };

    fn sql(operation: Operation) -> &'static str {
        match operation {
            Operation::Acquire | Operation::AcquireAgain => ACQUIRE,
            Operation::CreatePin => CREATE_PIN,
            Operation::CreateLock => CREATE_LOCK,
            Operation::Peek => PEEK,
            Operation::PeekNowait => PEEK_NOWAIT,
            Operation::PinByWriting => PIN_BY_WRITING,
            Operation::Renew => RENEW,
            Operation::Look => LOOK,
            Operation::LookToAcquire => LOOK_TO_ACQUIRE,
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
            Operation::ReleaseWaiting => RELEASE_WAITING,
            Operation::SetData => SET_DATA,
            Operation::Pin => PIN,
            Operation::ForceRelease => FORCE_RELEASE,
            Operation::PurgeOne => PURGE_ONE,
            other => unreachable!("{other:?} is not needed on {}", Self::ENGINE),
        }
    }

    fn templates() -> &'static Templates {
        static TEMPLATES: Templates = Templates::new();
        &TEMPLATES
    }
}

const LOOK: &str = "\
SELECT {now}, CAST(NULL AS SIGNED), 0, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = {token} THEN 2 ELSE 1 END
FROM {locks} l FORCE INDEX (PRIMARY) WHERE l.name = {name}";

/// The first step of acquiring. It tells what there is to know of the session; in a SERIALIZABLE transaction the row is not read: `NULL` is no name.
const LOOK_TO_ACQUIRE: &str = "\
SELECT {now}, CAST(NULL AS SIGNED), c.open + 2 * c.locks + 4 * (@@innodb_rollback_on_timeout = 1),
l.name, l.owner, l.fence, l.acquired_at, l.expires_at,
l.data, CASE WHEN l.token IS NULL THEN 0 WHEN l.token = {token} THEN 2 ELSE 1 END
FROM (SELECT open, open AND /*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE' AS locks
FROM (SELECT {inside} = 1 OR @@autocommit = 0 /*M! OR @@in_transaction */ AS open) o) c
LEFT JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = IF(c.locks, NULL, {name})";

/// The comments are how one text says it to both servers: each reads one of them.
const PEEK: &str = "\
SELECT {now}, CAST(NULL AS SIGNED), 0, p.name, CAST(NULL AS CHAR), p.fence, CAST(NULL AS SIGNED),
CAST(NULL AS SIGNED), CAST(NULL AS CHAR),
CASE WHEN p.token IS NULL THEN 0 WHEN p.token = {token} THEN 2 ELSE 1 END
FROM {pins} p FORCE INDEX (PRIMARY) WHERE p.name = {name}
/*!50701 FOR SHARE SKIP LOCKED */ /*M!100600 LOCK IN SHARE MODE SKIP LOCKED */";

/// The same, where no row and a row that somebody has locked must be told apart.
const PEEK_NOWAIT: &str = "\
SELECT {now}, CAST(NULL AS SIGNED), 0, p.name, CAST(NULL AS CHAR), p.fence, CAST(NULL AS SIGNED),
CAST(NULL AS SIGNED), CAST(NULL AS CHAR),
CASE WHEN p.token IS NULL THEN 0 WHEN p.token = {token} THEN 2 ELSE 1 END
FROM {pins} p FORCE INDEX (PRIMARY) WHERE p.name = {name}
/*!80000 FOR SHARE NOWAIT */ /*M!100600 LOCK IN SHARE MODE NOWAIT */";

const CREATE_PIN: &str =
    "INSERT IGNORE INTO {pins} (name, token, fence) VALUES ({name}, NULL, {fence})";

const CREATE_LOCK: &str = "\
INSERT IGNORE INTO {locks} (name, token, owner, fence, acquired_at, expires_at, data)
SELECT p.name, NULL, '', p.fence, {now}, {now}, NULL FROM {pins} p FORCE INDEX (PRIMARY) WHERE p.name = {name}";

const ACQUIRE: &str = "\
UPDATE (SELECT l.name FROM (SELECT p.name FROM {pins} p FORCE INDEX (PRIMARY)
WHERE p.name = {name} LIMIT 1 FOR UPDATE SKIP LOCKED) q
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = q.name
WHERE l.fence = {fence} AND (l.token IS NULL OR l.expires_at <= {now}) LIMIT 1 FOR UPDATE SKIP LOCKED) free
STRAIGHT_JOIN {pins} p FORCE INDEX (PRIMARY) ON p.name = free.name
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = free.name
SET p.token = {token}, p.fence = {next_fence}, l.token = {token}, l.fence = {next_fence}, l.owner = {owner},
l.acquired_at = {now}, l.expires_at = {now} + {time}, l.data = COALESCE({data}, l.data)";

/// The identity stays as it is, so the holder's own pins are not in the way.
const RENEW: &str = "\
UPDATE (SELECT l.name FROM {locks} l FORCE INDEX (PRIMARY)
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} LIMIT 1 FOR UPDATE SKIP LOCKED) mine
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = mine.name
SET l.expires_at = GREATEST(l.expires_at + 1, {now} + {time}), l.data = COALESCE({data}, l.data)";

const SNAPSHOT: &str = "\
SELECT (/*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ IN ('REPEATABLE-READ', 'SERIALIZABLE'))";

/// The numbers of the migrations that [`migrate`](crate::blocking::migrate) has run.
const STEPS: &str = "SELECT version FROM {setup}";

/// Texts are converted because literals and the names in the catalogue are not of one collation.
const FACTS: &str = "\
SELECT 'column', CONVERT(CONCAT(IF(c.table_name = {name}, '', '_pins.'), c.column_name) USING utf8mb4)
FROM information_schema.columns c
WHERE c.table_schema = COALESCE({schema}, DATABASE()) AND c.table_name IN ({name}, CONCAT({name}, '_pins'))
UNION ALL SELECT 'key', CONVERT(c.column_name USING utf8mb4) FROM information_schema.columns c
WHERE c.table_schema = COALESCE({schema}, DATABASE()) AND c.table_name = {name} AND c.column_key = 'PRI'
UNION ALL SELECT 'collation', CONVERT(COALESCE(c.collation_name, '') USING utf8mb4) FROM information_schema.columns c
WHERE c.table_schema = COALESCE({schema}, DATABASE()) AND c.table_name IN ({name}, CONCAT({name}, '_pins'))
AND c.column_name = 'name'
UNION ALL SELECT 'engine', CONVERT(COALESCE(t.engine, '') USING utf8mb4) FROM information_schema.tables t
WHERE t.table_schema = COALESCE({schema}, DATABASE()) AND t.table_name IN ({name}, CONCAT({name}, '_pins'))
UNION ALL SELECT 'autocommit', IF(@@autocommit, 'on', 'off')
UNION ALL SELECT IF(VERSION() LIKE '%MariaDB%', 'MariaDB', 'server'), CONVERT(VERSION() USING utf8mb4)";

const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        fact: "engine",
        values: &["InnoDB"],
        remedy: "row locks carry the promises: ALTER TABLE … ENGINE = InnoDB, for the table and its pins",
    },
    Requirement {
        fact: "collation",
        values: &["utf8mb4_bin", "utf8mb4_0900_bin"],
        remedy: "another collation takes different names for one: \
                 ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, for the table and its pins",
    },
    Requirement {
        fact: "autocommit",
        values: &["on"],
        remedy: "every statement would begin a transaction that Diesel does not see: SET autocommit = 1",
    },
    Requirement {
        fact: "server",
        values: &["8"],
        remedy: "use MySQL 8.0 or newer",
    },
    Requirement {
        fact: "MariaDB",
        values: &["10.6"],
        remedy: "use MariaDB 10.6 or newer: older ones have no SKIP LOCKED",
    },
];

/// Trailing spaces do not count in a comparison here, so `{from}` alone would also find the name without them.
const LIST: &str = "\
SELECT {now}, CAST(NULL AS SIGNED), 0, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 ELSE 1 END
FROM {locks} l WHERE l.name >= {from} AND l.name < {until} AND l.name > {after}
AND CHAR_LENGTH(l.name) >= CHAR_LENGTH({from})
AND ({held} = 0 OR (l.token IS NOT NULL AND l.expires_at > {now})) ORDER BY l.name LIMIT {limit}";

const EXTEND: &str = "\
UPDATE {locks} l SET l.expires_at = GREATEST(l.expires_at + 1, {now} + {time})
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} AND (l.expires_at <= {now}) <= {expired}";

const EXTEND_BY: &str = "\
UPDATE {locks} l SET l.expires_at =
GREATEST(l.expires_at + 1, LEAST(GREATEST(l.expires_at, {now}) + {time}, {now} + {longest}))
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} AND (l.expires_at <= {now}) <= {expired}";

/// The rows of the leases of a batch. The collation is said where it decides, so that the names are compared exactly and
/// by the primary key, whatever collation the server gives to a column of `JSON_TABLE`.
macro_rules! asked {
    () => {
        "\
FROM JSON_TABLE({batch}, '$[*]' COLUMNS (
name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[0]', token VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[1]',
fence BIGINT PATH '$[2]', time BIGINT PATH '$[3]')) asked
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin
WHERE l.token = asked.token COLLATE utf8mb4_bin AND l.fence = asked.fence"
    };
}

/// Touches no identity, so pins are not in the way. MySQL refuses to lock the rows of a `JSON_TABLE`, so it must be told
/// which ones are meant, in a comment because MariaDB does not know the word. A name that has no row has its gap locked
/// for the length of the statement, which waits for nobody meanwhile; its lease is found to be lost and not asked for again.
const KEEP_ALIVE: &str = concat!(
    "\
UPDATE (SELECT l.name, asked.time ",
    asked!(),
    "
LIMIT {limit} FOR UPDATE /*!80000 OF l */ SKIP LOCKED) mine
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = mine.name
SET l.expires_at = GREATEST(l.expires_at + 1, {now} + mine.time)"
);

const LOOK_MINE: &str = concat!(
    "\
SELECT {now}, CAST(NULL AS SIGNED), 0, l.name, CAST(NULL AS CHAR), l.fence, CAST(NULL AS SIGNED), l.expires_at,
CAST(NULL AS CHAR), 2
",
    asked!()
);

const RETIRE: &str = "\
UPDATE {locks} l SET l.expires_at = {now} + {time} + (l.expires_at = {now} + {time})
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} AND (l.expires_at <= {now}) <= {expired}";

/// Skips a row that is locked: a stale holder that waited for the pins of the new one would have its next pins wait.
const RELEASE: &str = "\
UPDATE (SELECT p.name FROM {pins} p FORCE INDEX (PRIMARY)
WHERE p.name = {name} AND p.token = {token} AND p.fence = {fence} LIMIT 1 FOR UPDATE SKIP LOCKED) mine
STRAIGHT_JOIN {pins} p FORCE INDEX (PRIMARY) ON p.name = mine.name
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = mine.name
SET p.token = NULL, l.token = NULL, l.expires_at = LEAST(l.expires_at, {now})
WHERE (l.expires_at <= {now}) <= {expired}";

/// Waits for the pins of the same lease that are still open. Only who is known to hold it gets here.
const RELEASE_WAITING: &str = "\
UPDATE {pins} p FORCE INDEX (PRIMARY) STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = p.name
SET p.token = NULL, l.token = NULL, l.expires_at = LEAST(l.expires_at, {now})
WHERE p.name = {name} AND p.token = {token} AND p.fence = {fence} AND (l.expires_at <= {now}) <= {expired}";

const SET_DATA: &str = "\
UPDATE {locks} l SET l.data = {data}, l.expires_at = l.expires_at + 1
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} AND (l.expires_at <= {now}) <= {expired}";

/// By the primary key alone, comparing what comes back: a locking read that finds no row locks the gap.
/// The expiry is read without a lock: it only says whether the holder still keeps the lease alive. At SERIALIZABLE it
/// would be locked, and the heartbeat with it, so there it is not read; and an old snapshot may not show the lease at all.
/// Then the answer is as if it had not run out.
const PIN: &str = "\
SELECT CASE WHEN p.token = {token} AND p.fence = {fence} THEN
COALESCE((SELECT l.expires_at <= {now} FROM {locks} l FORCE INDEX (PRIMARY) WHERE l.name =
IF(/*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE', NULL, p.name)
AND l.fence = p.fence), 0) ELSE 2 END
FROM {pins} p FORCE INDEX (PRIMARY) WHERE p.name = {name} LOCK IN SHARE MODE";

/// Where row locks do not reach the other primaries (Galera) or an XA PREPARE drops them (MariaDB), writes do.
const PIN_BY_WRITING: &str = "\
UPDATE {locks} l SET l.expires_at = l.expires_at + 1
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} AND l.expires_at > {now}";

const FORCE_RELEASE: &str = "\
UPDATE (SELECT l.name FROM (SELECT p.name FROM {pins} p FORCE INDEX (PRIMARY)
WHERE p.name = {name} AND p.token IS NOT NULL LIMIT 1 FOR UPDATE SKIP LOCKED) q
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = q.name LIMIT 1 FOR UPDATE SKIP LOCKED) held
STRAIGHT_JOIN {pins} p FORCE INDEX (PRIMARY) ON p.name = held.name
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = held.name
SET p.token = NULL, l.token = NULL, l.expires_at = LEAST(l.expires_at, {now})";

/// Only a row whose fence is older than the age too: a name that is created again begins with the clock, and
/// so above every fence that was removed (I4).
const PURGE_ONE: &str = "\
DELETE p, l FROM (SELECT l.name FROM (SELECT p.name FROM {pins} p FORCE INDEX (PRIMARY)
WHERE p.name = {name} LIMIT 1 FOR UPDATE SKIP LOCKED) q
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = q.name
WHERE l.expires_at < {now} - {time} AND l.fence < {now} - {time} LIMIT 1 FOR UPDATE SKIP LOCKED) old
STRAIGHT_JOIN {pins} p ON p.name = old.name STRAIGHT_JOIN {locks} l ON l.name = old.name";
