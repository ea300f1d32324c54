//! SQLite: a database has one writer. A transaction that writes has everything locked, and a pin is a write.
//!
//! Outside a transaction a try looks before it writes, because even an upsert that would change nothing has to become
//! the writer. Inside a transaction a try writes first: a deferred transaction that has read cannot become the writer
//! any more once another connection has written, whatever the busy timeout.
//!
//! The database's clock ticks in milliseconds. `julianday` is exact to less than a millisecond and works in every
//! version. A fence also uses the system clock of this process, which is the clock that the database reads, but finer.
//! Otherwise an acquisition that is rolled back and tried again within a millisecond would get the same number twice
//! (I4).
//!
//! SQLite builds a temporary table for `RETURNING`, which takes as long as half of an UPDATE. So the changes of a lease
//! return nothing: the number of changed rows tells whether the row belonged to the lease.

use diesel::sqlite::Sqlite;

use super::{Dialect, Operation, Sql, Templates};
use crate::fact::{Requirement, Requirements};
use crate::migrations::{Step, step};

impl Dialect for Sqlite {
    const ENGINE: &str = "sqlite";
}

impl Sql for Sqlite {
    const NOW: &str = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000";
    const REPORTS_EXPIRY: bool = false;
    const KEEPS_UNMATCHED_ROW_LOCKS: bool = false;
    const PINS_BY_WRITING: bool = false;
    const PIN_ENDS_UNSEEN: bool = false;
    const PIN_SAYS_WHY: bool = true;
    const KEEPS_BEATS: bool = false;
    const LEAVES_ANSWERS_UNREAD: bool = false;
    const NOTIFIES: bool = false;
    const CROWD: usize = usize::MAX;
    const ASYNC_COMMIT: bool = false;
    const NUMBERED_PLACEHOLDERS: bool = false;
    const QUOTE: &str = "`";
    const CONCATENATION: [&str; 3] = ["(", " || ", ")"];
    const STEPS: &[Step] = &[step!("sqlite", "2026-11-20-084137_diesel_locks_create")];
    const DDL_IN_TRANSACTION: bool = true;
    const MIGRATION_LOCK: [&str; 2] = ["", ""];
    const REQUIREMENTS: Requirements = Requirements {
        engine: Self::ENGINE,
        beats: false,
        each: REQUIREMENTS,
    };

    fn sql(operation: Operation) -> &'static str {
        match operation {
            Operation::Acquire | Operation::AcquireAgain => ACQUIRE,
            Operation::AcquireAfter => ACQUIRE_AFTER,
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
            Operation::Mark => MARK,
            Operation::SetData => SET_DATA,
            Operation::Pin => PIN,
            Operation::ForceRelease => FORCE_RELEASE,
            Operation::Purge => PURGE,
            Operation::AcquireAll => ACQUIRE_ALL,
            Operation::AcquireAny => ACQUIRE_ANY,
            Operation::LookAll => LOOK_ALL,
            other => unreachable!("{other:?} is not needed on {}", Self::ENGINE),
        }
    }

    fn templates() -> &'static Templates {
        static TEMPLATES: Templates = Templates::new();
        &TEMPLATES
    }
}

/// Gives a row that is there already to the caller: the lease is renewed if the caller's token holds the lock,
/// otherwise the lock is taken. All assignments see the row as it was before.
macro_rules! taking_the_row {
    () => {
        "\
ON CONFLICT (name) DO UPDATE SET
fence = CASE WHEN l.token = excluded.token THEN l.fence ELSE MAX(l.fence + 1, excluded.fence) END,
acquired_at = CASE WHEN l.token = excluded.token THEN l.acquired_at ELSE excluded.acquired_at END,
expires_at = CASE WHEN l.token = excluded.token THEN MAX(l.expires_at, excluded.expires_at)
ELSE excluded.expires_at END,
owner = CASE WHEN l.token = excluded.token THEN l.owner ELSE excluded.owner END,
token = excluded.token, data = COALESCE(excluded.data, l.data),
wanted_since = CASE WHEN l.token = excluded.token OR l.wanted_since > {since} THEN l.wanted_since END"
    };
}

/// Whether a free row is left to another process.
macro_rules! left_to_another {
    () => {
        concat!(
            "COALESCE(",
            not_in_turn!(now: "{now}", least: "MIN", greatest: "MAX"),
            ", 0)"
        )
    };
}

/// Returns no row if another holder has the lock, or if the free lock is left to another process.
const ACQUIRE: &str = concat!(
    "\
INSERT INTO {locks} AS l (name, token, owner, fence, acquired_at, expires_at, data)
VALUES ({name}, {token}, {owner}, MAX({now}, {local}), {now}, {now} + {time}, {data})
",
    taking_the_row!(),
    "
WHERE CASE WHEN l.token IS NULL THEN NOT ",
    left_to_another!(),
    "
ELSE l.token = excluded.token OR l.expires_at <= excluded.acquired_at END
RETURNING {now}, fence, 0, name, owner, fence, acquired_at, expires_at, data, 2"
);

/// Changes nothing if the fence is not the latest any more, if a holder has the lock, or if the free lock is left to
/// another process. It also changes nothing if it had to wait for the writer: an acquisition that was rolled back
/// meanwhile had a greater fence (I4). A millisecond is the tick of the clock.
const ACQUIRE_AFTER: &str = concat!(
    "\
UPDATE {locks} AS l SET token = {token}, owner = {owner}, fence = {next_fence}, acquired_at = {now},
expires_at = {now} + {time}, data = COALESCE({data}, data),
wanted_since = CASE WHEN wanted_since > {since} THEN wanted_since END
WHERE name = {name} AND fence = {fence} AND {next_fence} >= {now} - 1000 AND CASE WHEN token IS NULL THEN NOT ",
    left_to_another!(),
    "
ELSE expires_at <= {now} END"
);

/// Acquires all locks of a set, unless another holder has one of them.
const ACQUIRE_ALL: &str = concat!(
    "\
INSERT INTO {locks} AS l (name, token, owner, fence, acquired_at, expires_at, data)
SELECT asked.value, {token}, {owner}, MAX({now}, {local}), {now}, {now} + {time}, {data}
FROM json_each({names}) asked WHERE NOT EXISTS (
SELECT 1 FROM json_each({names}) other JOIN {locks} held ON held.name = other.value
WHERE held.token <> {token} AND held.expires_at > {now})
",
    taking_the_row!(),
    "
RETURNING {now}, fence, 0, name, owner, fence, acquired_at, expires_at, data, 2"
);

/// Acquires the lock that the token holds already, if there is one; otherwise a lock that was never used or is free.
const ACQUIRE_ANY: &str = concat!(
    "\
INSERT INTO {locks} AS l (name, token, owner, fence, acquired_at, expires_at, data)
SELECT asked.value, {token}, {owner}, MAX({now}, {local}), {now}, {now} + {time}, {data}
FROM json_each({names}) asked LEFT JOIN {locks} held ON held.name = asked.value
WHERE held.token IS NULL OR held.token = {token} OR held.expires_at <= {now}
ORDER BY held.token = {token} DESC LIMIT 1
",
    taking_the_row!(),
    "
RETURNING {now}, fence, 0, name, owner, fence, acquired_at, expires_at, data, 2"
);

const LOOK_ALL: &str = "\
SELECT {now}, NULL, 0, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = {token} THEN 2 ELSE 1 END
FROM json_each({names}) asked JOIN {locks} l ON l.name = asked.value";

const LOOK: &str = "\
SELECT {now}, NULL, 0, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = {token} THEN 2 ELSE 1 END
FROM {locks} l WHERE l.name = {name}";

/// Always true: a transaction that has tried to acquire is the writer, so no holder can release before the transaction
/// ends.
const SNAPSHOT: &str = "SELECT 1";

/// The numbers of the migrations that [`migrate`](crate::blocking::migrate) has run.
const STEPS: &str = "SELECT version FROM {setup}";

const FACTS: &str = "\
SELECT 'column', name FROM pragma_table_info({name}, {schema})
UNION ALL SELECT 'key', name FROM pragma_table_info({name}, {schema}) WHERE pk > 0
UNION ALL SELECT 'collation', c.coll FROM pragma_index_list({name}, {schema}) i, pragma_index_xinfo(i.name, {schema}) c
WHERE i.origin = 'pk' AND c.key = 1 AND c.name = 'name'
UNION ALL SELECT 'place', 'temp' FROM temp.sqlite_master WHERE type = 'table' AND name = {name} COLLATE NOCASE
AND COALESCE({schema}, 'temp') = 'temp'
UNION ALL SELECT 'server', sqlite_version()";

const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        fact: "collation",
        values: &["BINARY"],
        remedy: "another collation takes different names for one: create the table with this crate's migrations",
    },
    Requirement {
        fact: "place",
        values: &[],
        remedy: "only this connection sees a temporary table: drop it, or name the schema with `Table::in_schema`",
    },
    Requirement {
        fact: "server",
        values: &["3.35"],
        remedy: "use SQLite 3.35 or newer",
    },
];

const LIST: &str = "\
SELECT {now}, NULL, 0, l.name, l.owner, l.fence, l.acquired_at, l.expires_at, l.data,
CASE WHEN l.token IS NULL THEN 0 ELSE 1 END
FROM {locks} l WHERE l.name >= {from} AND l.name < {until} AND l.name > {after}
AND ({held} = 0 OR (l.token IS NOT NULL AND l.expires_at > {now})) ORDER BY l.name LIMIT {limit}";

const EXTEND: &str = "\
UPDATE {locks} SET expires_at = MAX(expires_at, {now} + {time})
WHERE name = {name} AND token = {token} AND fence = {fence} AND (expires_at <= {now}) <= {expired}";

const EXTEND_BY: &str = "\
UPDATE {locks} SET expires_at = MIN(MAX(expires_at, {now}) + {time}, {now} + {longest})
WHERE name = {name} AND token = {token} AND fence = {fence} AND (expires_at <= {now}) <= {expired}";

/// The condition that a row belongs to a lease of the batch.
macro_rules! asked {
    () => {
        "\
name = json_extract(asked.value, '$[0]') AND token = json_extract(asked.value, '$[1]')
AND fence = json_extract(asked.value, '$[2]')"
    };
}

const KEEP_ALIVE: &str = concat!(
    "\
UPDATE {locks} SET expires_at = MAX(expires_at, {now} + json_extract(asked.value, '$[3]'))
FROM json_each({batch}) asked WHERE ",
    asked!()
);

const LOOK_MINE: &str = concat!(
    "\
SELECT {now}, NULL, 0, name, NULL, fence, NULL, expires_at, NULL, 2
FROM json_each({batch}) asked JOIN {locks} ON ",
    asked!()
);

const RETIRE: &str = "\
UPDATE {locks} SET expires_at = {now} + {time}
WHERE name = {name} AND token = {token} AND fence = {fence} AND (expires_at <= {now}) <= {expired}";

const RELEASE: &str = "\
UPDATE {locks} SET token = NULL, expires_at = MIN(expires_at, {now})
WHERE name = {name} AND token = {token} AND fence = {fence} AND (expires_at <= {now}) <= {expired}";

/// Changes nothing if nobody holds the lock.
const MARK: &str = "\
UPDATE {locks} SET wanted_since = MIN(COALESCE(wanted_since, {since}), {since})
WHERE name = {name} AND token IS NOT NULL AND expires_at > {now}";

const SET_DATA: &str = "\
UPDATE {locks} SET data = {data}
WHERE name = {name} AND token = {token} AND fence = {fence} AND (expires_at <= {now}) <= {expired}";

/// A write that changes nothing. It makes the transaction the one writer until the transaction ends.
const PIN: &str = "\
UPDATE {locks} SET fence = fence WHERE name = {name} AND token = {token} AND fence = {fence}
RETURNING expires_at <= {now}";

const FORCE_RELEASE: &str = "\
UPDATE {locks} SET token = NULL, expires_at = MIN(expires_at, {now})
WHERE name = {name} AND token IS NOT NULL";

/// Removes a row only if its fence, too, is older than the age. A name that is created again begins with the clock as
/// its fence, and so above every fence that was removed (I4).
const PURGE: &str = "\
DELETE FROM {locks} WHERE name >= {from} AND name < {until}
AND expires_at < {now} - {time} AND fence < {now} - {time}";
