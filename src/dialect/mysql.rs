//! MySQL and MariaDB: look first with a plain read, then compare and set.
//!
//! There are two tables. Every heartbeat writes the lock's row in `{locks}`. The row in `{pins}` is the identity of the
//! holder, and only acquire, release and force-release write it. A pin locks the row in `{pins}` in share mode. So a
//! pin is never in the heartbeat's way (I7), and no other holder can take the lock over while the pin lasts (I5),
//! because a takeover needs that row.
//!
//! - Every statement that needs both rows locks `{pins}` before `{locks}`. So two such statements cannot deadlock.
//! - No locking statement may search for a name that has no row, except the INSERT: the search would lock the gap, and
//!   other names with it. Only a statement for a lease whose name was purged can still do so.
//! - A locking read locks a row even if the rest of its condition does not hold, and inside a transaction it keeps that
//!   row lock. So inside a transaction a try *peeks* first: it reads the identity in share mode, which does not stop
//!   heartbeats and pins, and it touches `{locks}` only if the identity says that the lock is available. And a lease is
//!   checked against `{pins}` before its row is written, so that a stale lease does not stop the new holder.
//! - `LIMIT 1` keeps MySQL from merging a derived table into the UPDATE, which would lose `SKIP LOCKED`. It also keeps
//!   MySQL from merging the derived tables of both rows into one join, which would lock the row of `{locks}` although
//!   the row of `{pins}` was skipped. `FORCE INDEX` keeps the optimizer from scanning a small table, where the
//!   statement would wait for the rows of other locks.
//! - Neither server has UPDATE … RETURNING, and the number of rows that an upsert affected does not tell which process
//!   won. So the UPDATE compares the fence with the fence that was read before, and the number that the winner gets is
//!   known beforehand.
//! - An UPDATE must change something, because a connection without `CLIENT_FOUND_ROWS` counts only changed rows. So an
//!   extension moves the expiry on by at least a microsecond.
//!
//! `UTC_TIMESTAMP` is the time at which the statement began, whatever the session's time zone. A statement that waits
//! after that time extends by less than it was asked to, never by more.

use diesel::mysql::Mysql;

use super::{Dialect, Operation, Sql, Templates};
use crate::fact::{Requirement, Requirements};
use crate::migrations::{Step, step};

impl Dialect for Mysql {
    const ENGINE: &str = "mysql";
}

impl Sql for Mysql {
    const NOW: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))";
    const REPORTS_EXPIRY: bool = false;
    const KEEPS_UNMATCHED_ROW_LOCKS: bool = true;
    const PINS_BY_WRITING: bool = true;
    const PIN_ENDS_UNSEEN: bool = true;
    const PIN_SAYS_WHY: bool = true;
    const LEAVES_ANSWERS_UNREAD: bool = true;
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
            Operation::Acquire | Operation::AcquireAgain | Operation::AcquireAfter => ACQUIRE,
            Operation::CreatePin => CREATE_PIN,
            Operation::CreateLock => CREATE_LOCK,
            Operation::Peek => PEEK,
            Operation::PeekNowait => PEEK_NOWAIT,
            Operation::PinByWriting => PIN_BY_WRITING,
            Operation::Renew => RENEW,
            Operation::Look => LOOK,
            Operation::LookToAcquire => LOOK_TO_ACQUIRE,
            Operation::Session => SESSION,
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
            Operation::Mark => MARK,
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

/// The first step of acquiring. It also reads what has to be known of the session. In a SERIALIZABLE transaction it
/// does not read the row: it compares the name with `NULL`, which is no name.
const LOOK_TO_ACQUIRE: &str = concat!(
    "\
SELECT {now}, CAST(NULL AS SIGNED), c.open + 2 * c.locks + 4 * (@@innodb_rollback_on_timeout = 1)
+ 8 * COALESCE(l.token IS NULL AND ",
    not_in_turn!(now: "{now}", least: "LEAST", greatest: "GREATEST"),
    ", 0),
l.name, l.owner, l.fence, l.acquired_at, l.expires_at,
l.data, CASE WHEN l.token IS NULL THEN 0 WHEN l.token = {token} THEN 2 ELSE 1 END
FROM (SELECT open, open AND /*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE' AS locks
FROM (SELECT {inside} = 1 OR @@autocommit = 0 /*M! OR @@in_transaction */ AS open) o) c
LEFT JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = IF(c.locks, NULL, {name})"
);

/// The comments in the SQL let one text serve both servers: each server reads one of the two comments.
const PEEK: &str = "\
SELECT {now}, CAST(NULL AS SIGNED), 0, p.name, CAST(NULL AS CHAR), p.fence, CAST(NULL AS SIGNED),
CAST(NULL AS SIGNED), CAST(NULL AS CHAR),
CASE WHEN p.token IS NULL THEN 0 WHEN p.token = {token} THEN 2 ELSE 1 END
FROM {pins} p FORCE INDEX (PRIMARY) WHERE p.name = {name}
/*!50701 FOR SHARE SKIP LOCKED */ /*M!100600 LOCK IN SHARE MODE SKIP LOCKED */";

/// Peeks where a missing row and a row that another transaction has locked must be told apart.
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

/// The mark of a process that has waited longer is cleared: that process did not come.
const ACQUIRE: &str = "\
UPDATE (SELECT l.name FROM (SELECT p.name FROM {pins} p FORCE INDEX (PRIMARY)
WHERE p.name = {name} LIMIT 1 FOR UPDATE SKIP LOCKED) q
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = q.name
WHERE l.fence = {fence} AND (l.token IS NULL OR l.expires_at <= {now}) LIMIT 1 FOR UPDATE SKIP LOCKED) free
STRAIGHT_JOIN {pins} p FORCE INDEX (PRIMARY) ON p.name = free.name
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = free.name
SET p.token = {token}, p.fence = {next_fence}, l.token = {token}, l.fence = {next_fence}, l.owner = {owner},
l.acquired_at = {now}, l.expires_at = {now} + {time}, l.data = COALESCE({data}, l.data),
l.wanted_since = CASE WHEN l.wanted_since > {since} THEN l.wanted_since END";

/// The statement leaves the identity as it is, so the holder's own pins are not in the way.
const RENEW: &str = "\
UPDATE (SELECT l.name FROM {locks} l FORCE INDEX (PRIMARY)
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} LIMIT 1 FOR UPDATE SKIP LOCKED) mine
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = mine.name
SET l.expires_at = GREATEST(l.expires_at + 1, {now} + {time}), l.data = COALESCE({data}, l.data)";

/// The answer is the number of the question, which is even, and one more inside a transaction. A connection is also inside
/// a transaction if every statement begins one.
const SESSION: &str = "\
SELECT CAST({question} AS SIGNED) + (@@autocommit = 0 /*M! OR @@in_transaction */)";

const SNAPSHOT: &str = "\
SELECT (/*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ IN ('REPEATABLE-READ', 'SERIALIZABLE'))";

/// The numbers of the migrations that [`migrate`](crate::blocking::migrate) has run.
const STEPS: &str = "SELECT version FROM {setup}";

/// Texts are converted, because literals and the names in the catalogue have different collations.
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
UNION ALL SELECT 'missing right', CONVERT(r.name USING utf8mb4) FROM information_schema.columns c
JOIN (SELECT 'SELECT' AS name UNION ALL SELECT 'INSERT' UNION ALL SELECT 'UPDATE') r
WHERE c.table_schema = COALESCE({schema}, DATABASE()) AND c.table_name IN ({name}, CONCAT({name}, '_pins'))
AND NOT FIND_IN_SET(LOWER(r.name), LOWER(c.privileges))
UNION ALL SELECT 'autocommit', IF(@@autocommit, 'on', 'off')
UNION ALL SELECT CASE WHEN VERSION() LIKE '%TiDB%' THEN 'product' WHEN VERSION() LIKE '%MariaDB%' THEN 'MariaDB'
ELSE 'server' END, CONVERT(VERSION() USING utf8mb4)";

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
        fact: "missing right",
        values: &[],
        remedy: "GRANT SELECT, INSERT, UPDATE ON the table and ON its table of pins TO the user of the application",
    },
    Requirement {
        fact: "autocommit",
        values: &["on"],
        remedy: "every statement would begin a transaction that Diesel does not see: SET autocommit = 1",
    },
    Requirement {
        fact: "product",
        values: &[],
        remedy: "TiDB does not lock rows as MySQL does (it may take no lock for a pin): use MySQL or MariaDB",
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

/// A comparison ignores trailing spaces here. So `{from}` alone would also find the name without its trailing spaces.
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

/// The rows of the leases of a batch. The decisive comparisons name their collation. So names are compared exactly and
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

/// The statement does nothing where every statement begins a transaction: nothing would be committed.
///
/// The statement touches no identity, so pins are not in the way. MySQL refuses to lock the rows of a `JSON_TABLE`, so
/// `OF l` says which rows to lock. `OF l` stands in a comment, because MariaDB does not know it. If a name has no row,
/// the statement locks the gap until the statement ends, and it waits for no other transaction meanwhile. The lease of
/// that name is then found to be lost, and is not extended again.
const KEEP_ALIVE: &str = concat!(
    "\
UPDATE (SELECT l.name, asked.time ",
    asked!(),
    " AND @@autocommit
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

/// Changes nothing if nobody holds the lock, or if the row is locked.
const MARK: &str = "\
UPDATE (SELECT l.name FROM {locks} l FORCE INDEX (PRIMARY) WHERE l.name = {name} AND @@autocommit
AND l.token IS NOT NULL AND l.expires_at > {now} LIMIT 1 FOR UPDATE SKIP LOCKED) held
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = held.name
SET l.wanted_since = LEAST(COALESCE(l.wanted_since, {since}), {since})";

const RETIRE: &str = "\
UPDATE {locks} l SET l.expires_at = {now} + {time} + (l.expires_at = {now} + {time})
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} AND (l.expires_at <= {now}) <= {expired}";

/// Skips a row that is locked. A stale holder must not wait here for the pins of the new holder: the next pins of the
/// new holder would wait behind the stale holder.
const RELEASE: &str = "\
UPDATE (SELECT p.name FROM {pins} p FORCE INDEX (PRIMARY)
WHERE p.name = {name} AND p.token = {token} AND p.fence = {fence} LIMIT 1 FOR UPDATE SKIP LOCKED) mine
STRAIGHT_JOIN {pins} p FORCE INDEX (PRIMARY) ON p.name = mine.name
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = mine.name
SET p.token = NULL, l.token = NULL, l.expires_at = LEAST(l.expires_at, {now})
WHERE (l.expires_at <= {now}) <= {expired}";

/// Waits for the pins of the same lease that are still open. It is run only for a lease that is known to hold the lock.
const RELEASE_WAITING: &str = "\
UPDATE {pins} p FORCE INDEX (PRIMARY) STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = p.name
SET p.token = NULL, l.token = NULL, l.expires_at = LEAST(l.expires_at, {now})
WHERE p.name = {name} AND p.token = {token} AND p.fence = {fence} AND (l.expires_at <= {now}) <= {expired}";

const SET_DATA: &str = "\
UPDATE {locks} l SET l.data = {data}, l.expires_at = l.expires_at + 1
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence} AND (l.expires_at <= {now}) <= {expired}";

/// The row is found by the primary key alone, and token and fence are compared afterwards: a locking read that finds no
/// row locks the gap.
///
/// The expiry is read without a row lock: it only says whether the holder still keeps the lease alive. In two cases the
/// expiry is unknown. At SERIALIZABLE it is not read, because the read would lock the row and stop the heartbeat. And
/// an old snapshot may not show the lease at all. In both cases the answer is as if the lease had not expired.
const PIN: &str = "\
SELECT CASE WHEN p.token = {token} AND p.fence = {fence} THEN
COALESCE((SELECT l.expires_at <= {now} FROM {locks} l FORCE INDEX (PRIMARY) WHERE l.name =
IF(/*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE', NULL, p.name)
AND l.fence = p.fence), 0) ELSE 2 END
FROM {pins} p FORCE INDEX (PRIMARY) WHERE p.name = {name} LOCK IN SHARE MODE";

/// A pin by a write, for databases on which a row lock is not enough: row locks do not reach the other primaries
/// (Galera), or an XA PREPARE drops them (MariaDB). A write does not have these problems.
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

/// Removes the row only if its fence, too, is older than the age. A name that is created again begins with the clock as
/// its fence, and so above every fence that was removed (I4).
const PURGE_ONE: &str = "\
DELETE p, l FROM (SELECT l.name FROM (SELECT p.name FROM {pins} p FORCE INDEX (PRIMARY)
WHERE p.name = {name} LIMIT 1 FOR UPDATE SKIP LOCKED) q
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = q.name
WHERE l.expires_at < {now} - {time} AND l.fence < {now} - {time} LIMIT 1 FOR UPDATE SKIP LOCKED) old
STRAIGHT_JOIN {pins} p ON p.name = old.name STRAIGHT_JOIN {locks} l ON l.name = old.name";
