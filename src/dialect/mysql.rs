//! MySQL and MariaDB: write first, and look if that was in vain.
//!
//! There are two tables. The row in `{locks}` is the identity of the holder: acquire, release, force-release and purge
//! write it, and so does a mark. Extending writes the row in `{beats}`: when the lease ends since then. What that row says of
//! the end counts only while its fence is the identity's. The text that is kept with the lock is there, too. So a free lock
//! is acquired and released by one UPDATE of one table, which is what these servers do fastest. A pin locks the identity
//! in share mode. So a pin is never in the heartbeat's way (I7), and no other holder can take the lock over while the pin
//! lasts (I5), because a takeover writes that row.
//!
//! - Statements lock the rows in two orders, and no two statements outside transactions deadlock. `{locks}` comes first
//!   where a lock changes hands; such a statement waits for nothing, except a release and a pin by writing, which wait for
//!   their own lease. `{beats}` comes first where a lease is extended; such a statement may wait there, and then skips the
//!   identity rather than wait. A first try may lock any identity for a moment. So the protocol goes on if the lease still
//!   has its identity: it runs the statement again, or a heartbeat extends the lease by the beat alone.
//! - No locking statement may stay behind on a name that has no row: the search would lock the gap, and other names with
//!   it. So inside a transaction no such statement is run before the row was seen. Outside, the lock of the gap lasts
//!   only as long as the statement. A statement for a lease whose name was purged can still lock a gap.
//! - A locking read locks a row even if the rest of its condition does not hold, and inside a transaction it keeps that
//!   row lock. So inside a transaction a try looks first, and then *peeks*: it reads the identity in share mode, which
//!   does not stop heartbeats and pins. It writes only if the identity says that the lock is available. And the identity
//!   of a lease is checked before its rows are written, so that a stale lease does not stop the new holder.
//! - `LIMIT 1` keeps MySQL from merging a derived table into the UPDATE, which would lose `SKIP LOCKED`. It also keeps
//!   MySQL from merging the derived tables of both rows into one join, which would lock one row although the other was
//!   skipped. `FORCE INDEX` keeps the optimizer from scanning a small table, where the statement would wait for the rows
//!   of other locks.
//! - Neither server has UPDATE … RETURNING. So a statement that acquires is told its fence. The first statement of a try
//!   proposes the client's clock. The server accepts the proposal if it is greater than the row's fence, and close to the
//!   server's own clock: no clock but the server's decides whether a lease has expired. If the proposal is refused, the
//!   try looks at the row, and then compares the fence with the fence that it saw.
//! - An UPDATE must change something, because a connection without `CLIENT_FOUND_ROWS` counts only changed rows. So an
//!   extension moves the expiry on by at least a microsecond.
//!
//! `UTC_TIMESTAMP` is the time at which the statement began, whatever the session's time zone. A statement that waits
//! after that time extends by less than it was asked to, never by more.
//!
//! The comments in the SQL let one text serve both servers: MySQL reads `/*!80000 … */`, and MariaDB reads `/*M! … */`.

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
    const KEEPS_BEATS: bool = true;
    const LEAVES_ANSWERS_UNREAD: bool = true;
    const NOTIFIES: bool = false;
    const CROWD: usize = 8;
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
        beats: true,
        each: REQUIREMENTS,
    };

    fn sql(operation: Operation) -> &'static str {
        match operation {
            Operation::Acquire | Operation::AcquireAgain => ACQUIRE,
            Operation::AcquireAfter => ACQUIRE_AFTER,
            Operation::AcquireAll => ACQUIRE_ALL,
            Operation::AcquireEach => ACQUIRE_EACH,
            Operation::CreateBeat => CREATE_BEAT,
            Operation::Create => CREATE,
            Operation::Peek => PEEK,
            Operation::PeekNowait => PEEK_NOWAIT,
            Operation::PinIdentity => PIN_IDENTITY,
            Operation::PinByWriting => PIN_BY_WRITING,
            Operation::Renew => RENEW,
            Operation::Look => LOOK,
            Operation::LookOutside => LOOK_OUTSIDE,
            Operation::LookToAcquire => LOOK_TO_ACQUIRE,
            Operation::LookAll => LOOK_ALL,
            Operation::LookEach => LOOK_EACH,
            Operation::Session => SESSION,
            Operation::Snapshot => SNAPSHOT,
            Operation::Facts => FACTS,
            Operation::Steps => STEPS,
            Operation::List => LIST,
            Operation::Extend => EXTEND,
            Operation::ExtendBy => EXTEND_BY,
            Operation::KeepAlive => KEEP_ALIVE,
            Operation::KeepBeat => KEEP_BEAT,
            Operation::LookMine => LOOK_MINE,
            Operation::Retire => RETIRE,
            Operation::Release => RELEASE,
            Operation::ReleaseWaiting => RELEASE_WAITING,
            Operation::ReleaseEach => RELEASE_EACH,
            Operation::Mark => MARK,
            Operation::MarkBeat => MARK_BEAT,
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

/// Locks a row in share mode, and skips it if another transaction has it locked.
macro_rules! shared {
    () => {
        "/*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */"
    };
}

/// When a lease ends: since it was last extended, or since it was acquired.
macro_rules! end {
    () => {
        "IF(b.fence = l.fence, b.expires_at, l.expires_at)"
    };
}

/// The end of a lease that was released is its release.
macro_rules! end_or_release {
    () => {
        "IF(l.token IS NOT NULL AND b.fence = l.fence, b.expires_at, l.expires_at)"
    };
}

/// What a look reads of a row.
macro_rules! seen {
    () => {
        seen!("{token}")
    };
    ($token:literal) => {
        concat!(
            "l.name, l.owner, l.fence, l.acquired_at,\n",
            end_or_release!(),
            ", b.data, CASE WHEN l.token IS NULL THEN 0 WHEN l.token = ",
            $token,
            " THEN 2 ELSE 1 END"
        )
    };
}

macro_rules! beside {
    () => {
        "LEFT JOIN {beats} b FORCE INDEX (PRIMARY) ON b.name = l.name"
    };
}

const LOOK: &str = concat!(
    "SELECT {now}, CAST(NULL AS SIGNED), 0, ",
    seen!(),
    "\nFROM {locks} l FORCE INDEX (PRIMARY) ",
    beside!(),
    " WHERE l.name = {name}"
);

/// Looks at a lock that is presumably held. This costs half as much as `LOOK_TO_ACQUIRE`, but does not say whose turn it
/// is: it only reads whether there is a mark, or no beat. Inside a transaction, as far as the server can tell, it reads no
/// row, because that may lock the row.
const LOOK_OUTSIDE: &str = concat!(
    "SELECT {now}, CAST(NULL AS SIGNED), l.wanted_since IS NOT NULL OR b.name IS NULL, ",
    seen!(),
    "\nFROM {locks} l FORCE INDEX (PRIMARY) ",
    beside!(),
    " WHERE l.name = IF(@@autocommit /*M! AND NOT @@in_transaction */, {name}, NULL)"
);

/// Looks where locks are to be acquired. It also reads what has to be known of the session. In a SERIALIZABLE
/// transaction it does not read the rows: it compares the name with `NULL`, which is no name.
macro_rules! look_to_acquire {
    ($session:expr, $asked:literal, $name:literal) => {
        concat!(
            "\
SELECT {now}, CAST(NULL AS SIGNED), c.open + 2 * c.locks",
            $session,
            ",\n",
            seen!(),
            "
FROM (SELECT open, open AND /*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE' AS locks
FROM (SELECT {inside} = 1 OR @@autocommit = 0 /*M! OR @@in_transaction */ AS open) o) c
",
            $asked,
            "LEFT JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = IF(c.locks, NULL, ",
            $name,
            ")\n",
            beside!()
        )
    };
}

const LOOK_TO_ACQUIRE: &str = look_to_acquire!(
    concat!(
        " + 4 * (@@innodb_rollback_on_timeout = 1)\n+ 8 * COALESCE(l.token IS NULL AND ",
        not_in_turn!(now: "{now}", least: "LEAST", greatest: "GREATEST"),
        ", 0) + 16 * (b.name IS NULL)"
    ),
    "",
    "{name}"
);

const LOOK_ALL: &str = look_to_acquire!(
    "",
    "\
STRAIGHT_JOIN JSON_TABLE({names}, '$[*]' COLUMNS (name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$')) asked
",
    "asked.name COLLATE utf8mb4_bin"
);

/// Reads the identity alone, under a row lock.
macro_rules! peek {
    ($lock:literal) => {
        concat!(
            "\
SELECT {now}, CAST(NULL AS SIGNED), 0, l.name, CAST(NULL AS CHAR), l.fence, CAST(NULL AS SIGNED),
CAST(NULL AS SIGNED), CAST(NULL AS CHAR),
CASE WHEN l.token IS NULL THEN 0 WHEN l.token = {token} THEN 2 ELSE 1 END
FROM {locks} l FORCE INDEX (PRIMARY) WHERE l.name = {name}\n",
            $lock
        )
    };
}

const PEEK: &str =
    peek!("/*!80000 FOR SHARE SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */");

/// Peeks where a missing row and a row that another transaction has locked must be told apart.
const PEEK_NOWAIT: &str = peek!("/*!80000 FOR SHARE NOWAIT */ /*M! LOCK IN SHARE MODE NOWAIT */");

/// The row may have outlived the row of a name that was removed by hand.
const CREATE_BEAT: &str = "\
INSERT INTO {beats} (name, fence, expires_at, data) VALUES ({name}, 0, 0, {data})
ON DUPLICATE KEY UPDATE data = COALESCE({data}, data)";

/// The fence is the server's clock at the INSERT, and so above every fence that was purged (I4).
const CREATE: &str = "\
INSERT IGNORE INTO {locks} (name, token, owner, fence, acquired_at, expires_at)
VALUES ({name}, {token}, {owner}, {now}, {now}, {now} + {time})";

/// The beginning and the condition of an UPDATE of one identity that waits for no other transaction. MySQL skips a locked
/// row. MariaDB, where a skipping subquery would cost more than the rest of the statement, refuses with 1205. Nothing is
/// done inside a transaction, as far as the server can tell: 1205 could cost that transaction, and its row lock would stay.
macro_rules! update_alone {
    ($set:literal, $condition:expr) => {
        concat!(
            "/*M!100600 SET STATEMENT innodb_lock_wait_timeout = 0 FOR */ UPDATE {locks} l FORCE INDEX (PRIMARY)\nSET ",
            $set,
            "\
\nWHERE l.name = /*!80000 (SELECT f.name FROM (SELECT l.name FROM {locks} l FORCE INDEX (PRIMARY) WHERE l.name = */
IF(@@autocommit /*M! AND NOT @@in_transaction */, {name}, NULL) /*!80000 LIMIT 1 FOR UPDATE SKIP LOCKED) f) */
AND ",
            $condition
        )
    };
}

/// Whether the row names no holder, and the proposed fence is accepted: up to a second before and after the server's clock.
macro_rules! is_free {
    () => {
        "l.token IS NULL AND l.fence < {next_fence} AND {next_fence} BETWEEN {now} - 1000000 AND {now} + 1000000"
    };
}

/// The first statement of a try. A row with a mark is left to `ACQUIRE_AFTER`.
const ACQUIRE: &str = update_alone!(
    "l.token = {token}, l.fence = {next_fence}, l.owner = {owner}, l.acquired_at = {now}, l.expires_at = {now} + {time}",
    concat!(is_free!(), " AND l.wanted_since IS NULL")
);

/// The mark of a process that has waited longer is cleared: that process did not come. The beat is written, too, so that
/// an extension through another node of a cluster is in conflict with the takeover.
const ACQUIRE_AFTER: &str = concat!(
    "\
UPDATE (SELECT l.name FROM (SELECT l.name, l.token, l.fence, l.expires_at FROM {locks} l FORCE INDEX (PRIMARY)
WHERE l.name = {name} AND l.fence = {fence} LIMIT 1 FOR UPDATE SKIP LOCKED) l
STRAIGHT_JOIN {beats} b FORCE INDEX (PRIMARY) ON b.name = l.name
WHERE l.token IS NULL OR ",
    end!(),
    " <= {now} LIMIT 1 FOR UPDATE SKIP LOCKED) free
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = free.name
STRAIGHT_JOIN {beats} b FORCE INDEX (PRIMARY) ON b.name = free.name
SET l.token = {token}, l.fence = {next_fence}, l.owner = {owner}, l.acquired_at = {now}, l.expires_at = {now} + {time},
l.wanted_since = CASE WHEN l.wanted_since > {since} THEN l.wanted_since END,
b.fence = {next_fence}, b.expires_at = {now} + {time}, b.data = COALESCE({data}, b.data)"
);

/// Locks the rows of several locks, and skips those that another transaction has locked. It locks none inside a transaction,
/// as far as the server can tell.
macro_rules! locked {
    () => {
        "
AND @@autocommit /*M! AND NOT @@in_transaction */ LIMIT {limit} FOR UPDATE /*!80000 OF l */ SKIP LOCKED"
    };
}

/// The beginning of an UPDATE of all these identities, or of none: their rows are locked, and counted, before one is written.
macro_rules! update_all {
    ($names:expr) => {
        concat!(
            "UPDATE (SELECT t.name FROM (SELECT f.name, COUNT(*) OVER () AS found FROM (\n",
            $names,
            locked!(),
            ") f) t WHERE t.found = {limit}) them
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = them.name\n"
        )
    };
}

/// Acquires all released locks of a set, or none. The fence is proposed as it is for `ACQUIRE`.
const ACQUIRE_ALL: &str = concat!(
    update_all!(concat!(
        "\
SELECT l.name FROM JSON_TABLE({names}, '$[*]' COLUMNS (name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$')) asked
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin
WHERE ",
        is_free!()
    )),
    "\
SET l.token = {token}, l.fence = {next_fence}, l.owner = {owner}, l.acquired_at = {now}, l.expires_at = {now} + {time},
l.wanted_since = NULL"
);

/// Extends rows that were found under a row lock. The holder's own pins are not in the way, and nothing is waited for.
/// Assignments to several tables have no order, so the new end is computed where the rows are found. MySQL refuses to lock
/// the rows of a derived table or a `JSON_TABLE`, so `OF` says which rows to lock; MariaDB does not know `OF`.
macro_rules! extend_found {
    ($found:expr, $most:literal, $also:literal) => {
        concat!(
            "\
UPDATE (SELECT b.name, l.fence, GREATEST(",
            end!(),
            " + 1, {now} + l.time) AS expires_at
FROM (",
            $found,
            ") l\nSTRAIGHT_JOIN {beats} b FORCE INDEX (PRIMARY) ON b.name = l.name LIMIT ",
            $most,
            " FOR UPDATE /*!80000 OF b */ SKIP LOCKED) mine
STRAIGHT_JOIN {beats} b FORCE INDEX (PRIMARY) ON b.name = mine.name
SET b.fence = mine.fence, b.expires_at = mine.expires_at",
            $also
        )
    };
}

/// Extends the lease of a token that acquires again.
const RENEW: &str = extend_found!(
    concat!(
        "\
SELECT l.name, l.fence, l.expires_at, {time} AS time FROM {locks} l FORCE INDEX (PRIMARY)
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence}
LIMIT 1 ",
        shared!()
    ),
    "1",
    ", b.data = COALESCE({data}, b.data)"
);

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
SELECT 'column', CONVERT(CONCAT(IF(c.table_name = {name}, '', '_beats.'), c.column_name) USING utf8mb4)
FROM information_schema.columns c
WHERE c.table_schema = COALESCE({schema}, DATABASE()) AND c.table_name IN ({name}, CONCAT({name}, '_beats'))
UNION ALL SELECT 'key', CONVERT(c.column_name USING utf8mb4) FROM information_schema.columns c
WHERE c.table_schema = COALESCE({schema}, DATABASE()) AND c.table_name = {name} AND c.column_key = 'PRI'
UNION ALL SELECT 'collation', CONVERT(COALESCE(c.collation_name, '') USING utf8mb4) FROM information_schema.columns c
WHERE c.table_schema = COALESCE({schema}, DATABASE()) AND c.table_name IN ({name}, CONCAT({name}, '_beats'))
AND c.column_name = 'name'
UNION ALL SELECT 'engine', CONVERT(COALESCE(t.engine, '') USING utf8mb4) FROM information_schema.tables t
WHERE t.table_schema = COALESCE({schema}, DATABASE()) AND t.table_name IN ({name}, CONCAT({name}, '_beats'))
UNION ALL SELECT 'missing right', CONVERT(r.name USING utf8mb4) FROM information_schema.columns c
JOIN (SELECT 'SELECT' AS name UNION ALL SELECT 'INSERT' UNION ALL SELECT 'UPDATE') r
WHERE c.table_schema = COALESCE({schema}, DATABASE()) AND c.table_name IN ({name}, CONCAT({name}, '_beats'))
AND NOT FIND_IN_SET(LOWER(r.name), LOWER(c.privileges))
UNION ALL SELECT 'autocommit', IF(@@autocommit, 'on', 'off')
UNION ALL SELECT CASE WHEN VERSION() LIKE '%TiDB%' THEN 'product' WHEN VERSION() LIKE '%MariaDB%' THEN 'MariaDB'
ELSE 'server' END, CONVERT(VERSION() USING utf8mb4)";

const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        fact: "engine",
        values: &["InnoDB"],
        remedy: "row locks carry the promises: ALTER TABLE … ENGINE = InnoDB, for the table and its beats",
    },
    Requirement {
        fact: "collation",
        values: &["utf8mb4_bin", "utf8mb4_0900_bin"],
        remedy: "another collation takes different names for one: \
                 ALTER TABLE … CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, for the table and its beats",
    },
    Requirement {
        fact: "missing right",
        values: &[],
        remedy: "GRANT SELECT, INSERT, UPDATE ON the table and ON its table of beats TO the user of the application",
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
const LIST: &str = concat!(
    "SELECT {now}, CAST(NULL AS SIGNED), 0, l.name, l.owner, l.fence, l.acquired_at,\n",
    end_or_release!(),
    ", b.data, CASE WHEN l.token IS NULL THEN 0 ELSE 1 END
FROM {locks} l ",
    beside!(),
    "
WHERE l.name >= {from} AND l.name < {until} AND l.name > {after} AND CHAR_LENGTH(l.name) >= CHAR_LENGTH({from})
AND ({held} = 0 OR (l.token IS NOT NULL AND ",
    end!(),
    " > {now})) ORDER BY l.name LIMIT {limit}"
);

/// A statement of the holder on its beat, for a lease that is live, or for one that has expired. The identity is read under
/// a row lock, and skipped if a statement of another process has it locked: to wait for it while the beat is locked could
/// be a deadlock.
macro_rules! update_beat {
    ($set:expr) => {
        concat!(
            "UPDATE {beats} b FORCE INDEX (PRIMARY) SET ",
            $set,
            "
WHERE b.name = {name} AND (SELECT l.token = {token} AND l.fence = {fence} AND (",
            end!(),
            " <= {now}) = {expired}
FROM {locks} l FORCE INDEX (PRIMARY) WHERE l.name = b.name ",
            shared!(),
            ")"
        )
    };
}

/// When the lease ends, in the assignments of a statement on its beat: the condition has found that the identity is its own.
macro_rules! end_of_mine {
    () => {
        concat!(
            "IF(b.fence = {fence}, b.expires_at,
(SELECT l.expires_at FROM {locks} l FORCE INDEX (PRIMARY) WHERE l.name = b.name ",
            shared!(),
            "))"
        )
    };
}

const EXTEND: &str = update_beat!(concat!(
    "b.expires_at = GREATEST(",
    end_of_mine!(),
    " + 1, {now} + {time}), b.fence = {fence}"
));

const EXTEND_BY: &str = update_beat!(concat!(
    "b.expires_at = GREATEST(",
    end_of_mine!(),
    " + 1,\nLEAST(GREATEST(",
    end_of_mine!(),
    ", {now}) + {time}, {now} + {longest})), b.fence = {fence}"
));

/// The statement changes an end that happens to be the same by a microsecond.
const RETIRE: &str = update_beat!(
    "b.expires_at = {now} + {time} + (b.expires_at = {now} + {time}), b.fence = {fence}"
);

/// The end is moved on by a microsecond. It counts for nothing unless the fence is the lease's.
const SET_DATA: &str = update_beat!("b.data = {data}, b.expires_at = b.expires_at + 1");

/// One row for each lease of a batch, or for each of its tries. A try names its owner in place of the fence. The decisive
/// comparisons name their collation. So names are compared exactly and by the primary key, whatever collation the server
/// gives to a column of `JSON_TABLE`.
macro_rules! asked {
    () => {
        asked!("fence BIGINT")
    };
    ($third:literal) => {
        concat!(
            "\
FROM JSON_TABLE({batch}, '$[*]' COLUMNS (
name VARCHAR(255) CHARACTER SET utf8mb4 PATH '$[0]', token VARCHAR(128) CHARACTER SET utf8mb4 PATH '$[1]',
",
            $third,
            " PATH '$[2]', time BIGINT PATH '$[3]')) asked
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = asked.name COLLATE utf8mb4_bin"
        )
    };
    (tries) => {
        asked!("owner VARCHAR(255) CHARACTER SET utf8mb4")
    };
}

macro_rules! mine {
    () => {
        "\nWHERE l.token = asked.token COLLATE utf8mb4_bin AND l.fence = asked.fence"
    };
}

/// Acquires those of the locks that are free and have no mark. The fence is proposed as it is for `ACQUIRE`.
const ACQUIRE_EACH: &str = concat!(
    "UPDATE (SELECT l.name, asked.token, asked.owner, asked.time ",
    asked!(tries),
    "\nWHERE ",
    is_free!(),
    " AND l.wanted_since IS NULL",
    locked!(),
    ") free
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = free.name
SET l.token = free.token, l.fence = {next_fence}, l.owner = free.owner, l.acquired_at = {now}, l.expires_at = {now} + free.time"
);

/// Inside a transaction, as far as the server can tell, it reads no row: what it saw there might be old, or not be committed.
const LOOK_EACH: &str = concat!(
    "SELECT {now}, CAST(NULL AS SIGNED), 0, ",
    seen!("asked.token COLLATE utf8mb4_bin"),
    "\n",
    asked!(tries),
    " AND @@autocommit /*M! AND NOT @@in_transaction */\n",
    beside!()
);

/// Releases all of these leases before the ends that they got at their acquisitions, or none. What `RELEASE` leaves to
/// another statement, this leaves, too.
const RELEASE_EACH: &str = concat!(
    update_all!(concat!(
        "SELECT l.name ",
        asked!(),
        mine!(),
        " AND l.expires_at > {now}"
    )),
    "SET l.token = NULL, l.expires_at = {now}"
);

/// The statement does nothing inside a transaction, as far as the server can tell: nothing would be committed.
///
/// If a name has no row, the statement locks the gap until the statement ends, and it waits for no other transaction
/// meanwhile. The lease of that name is then found to be lost, and is not extended again.
const KEEP_ALIVE: &str = extend_found!(
    concat!(
        "SELECT l.name, l.fence, l.expires_at, asked.time ",
        asked!(),
        mine!(),
        " AND @@autocommit /*M! AND NOT @@in_transaction */
LIMIT {limit} /*!80000 FOR SHARE OF l SKIP LOCKED */ /*M! LOCK IN SHARE MODE SKIP LOCKED */"
    ),
    "{limit}",
    ""
);

/// Writes the beat of a lease whose identity is locked. Whether the lease still has its identity is not known here: it is
/// extended only if a later look finds that identity. A takeover that comes after this statement finds the lease live.
const KEEP_BEAT: &str = "\
UPDATE (SELECT b.name, GREATEST(IF(b.fence = {fence}, b.expires_at + 1, 0), {now} + {time}) AS expires_at
FROM {beats} b FORCE INDEX (PRIMARY)
WHERE b.name = {name} AND b.fence <= {fence} AND @@autocommit /*M! AND NOT @@in_transaction */
LIMIT 1 FOR UPDATE SKIP LOCKED) mine
STRAIGHT_JOIN {beats} b FORCE INDEX (PRIMARY) ON b.name = mine.name
SET b.fence = {fence}, b.expires_at = mine.expires_at";

const LOOK_MINE: &str = concat!(
    "\
SELECT {now}, CAST(NULL AS SIGNED), b.name IS NULL, l.name, CAST(NULL AS CHAR), l.fence, CAST(NULL AS SIGNED), ",
    end!(),
    ",
CAST(NULL AS CHAR), 2
",
    asked!(),
    "\n",
    beside!(),
    mine!()
);

/// Changes nothing if the row names no holder, or if it is locked.
const MARK: &str = "\
UPDATE (SELECT l.name FROM {locks} l FORCE INDEX (PRIMARY) WHERE l.name = {name} AND @@autocommit
AND l.token IS NOT NULL LIMIT 1 FOR UPDATE SKIP LOCKED) held
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = held.name
SET l.wanted_since = LEAST(COALESCE(l.wanted_since, {since}), {since})";

/// The mark for the time of this fence, where a pin has the identity locked. `RELEASE_WAITING` moves the mark to the identity.
const MARK_BEAT: &str = "\
UPDATE (SELECT b.name, IF(b.wanted_fence = {fence}, LEAST(b.wanted_since, {since}), {since}) AS since
FROM {beats} b FORCE INDEX (PRIMARY) WHERE b.name = {name} AND @@autocommit LIMIT 1 FOR UPDATE SKIP LOCKED) held
STRAIGHT_JOIN {beats} b FORCE INDEX (PRIMARY) ON b.name = held.name
SET b.wanted_since = held.since, b.wanted_fence = {fence}";

/// Releases a lease before the end that it got at its acquisition; later, `RELEASE_WAITING` releases it. The statement
/// never waits. Otherwise a stale holder could wait here for the pins of the new holder, and the next pins of the new
/// holder would wait behind the stale holder.
const RELEASE: &str = update_alone!(
    "l.token = NULL, l.expires_at = {now}",
    "l.token = {token} AND l.fence = {fence} AND l.expires_at > {now}"
);

/// When a lease ends, under a row lock. Without `SKIP LOCKED` an extension that is under way is waited for: whoever waits
/// here has the identity locked, and whoever extends does not wait for it.
macro_rules! locked_end {
    ($skip:literal) => {
        concat!(
            "COALESCE((SELECT b.expires_at FROM {beats} b FORCE INDEX (PRIMARY)
WHERE b.name = l.name AND b.fence = l.fence FOR UPDATE",
            $skip,
            "), l.expires_at)"
        )
    };
}

/// The mark that was made beside the identity in the time of its fence.
macro_rules! mark_beside {
    () => {
        "(SELECT b.wanted_since FROM {beats} b FORCE INDEX (PRIMARY)
WHERE b.name = l.name AND b.wanted_fence = l.fence FOR UPDATE)"
    };
}

/// Waits for the pins of the same lease that are still open. It is run only for a lease that was just seen to hold the lock.
const RELEASE_WAITING: &str = concat!(
    "\
UPDATE {locks} l FORCE INDEX (PRIMARY) SET l.token = NULL, l.expires_at = LEAST({now}, ",
    locked_end!(""),
    "),
l.wanted_since = COALESCE(LEAST(l.wanted_since, ",
    mark_beside!(),
    "), l.wanted_since, ",
    mark_beside!(),
    ")
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence}
AND (",
    locked_end!(""),
    " <= {now}) = {expired}"
);

/// The answer that a lease is live. MariaDB refuses to write a row that has changed since the transaction's snapshot, if
/// `innodb_snapshot_isolation` is on, which is its default from 11.6. Then the answer says that there is a snapshot.
macro_rules! live {
    () => {
        "0 /*M!110600 + 3 * (@@innodb_snapshot_isolation AND @@tx_isolation IN ('REPEATABLE-READ', 'SERIALIZABLE')) */"
    };
}

/// The row is found by the primary key alone, and token and fence are compared afterwards: a locking read that finds no
/// row locks the gap.
///
/// The end is read without a row lock: it only says whether the holder still keeps the lease alive. In two cases the end is
/// not known, and the answer is as if the lease had not expired. At SERIALIZABLE it is not read, because the read would lock
/// the beat and stop the heartbeat. And an old snapshot may not show the lease at all. If it shows an end that was extended
/// since, a live lease is called expired.
const PIN: &str = concat!(
    "\
SELECT CASE WHEN i.token = {token} AND i.fence = {fence} THEN IF(COALESCE((SELECT ",
    end!(),
    " <= {now} FROM {locks} l FORCE INDEX (PRIMARY) ",
    beside!(),
    "
WHERE l.name = IF(/*!80000 @@transaction_isolation */ /*M! @@tx_isolation */ = 'SERIALIZABLE', NULL, i.name)
AND l.fence = i.fence), 0), 1, ",
    live!(),
    ") ELSE 2 END
FROM {locks} i FORCE INDEX (PRIMARY) WHERE i.name = {name} LOCK IN SHARE MODE"
);

/// The row of the beat is not read: no lease is live for a shorter time than it got at its acquisition, unless its holder
/// has given it up. This costs half as much as `PIN`, but does not know a lease that was extended to be live.
const PIN_IDENTITY: &str = concat!(
    "SELECT CASE WHEN l.token = {token} AND l.fence = {fence} THEN IF(l.expires_at <= {now}, 1, ",
    live!(),
    ") ELSE 2 END
FROM {locks} l FORCE INDEX (PRIMARY) WHERE l.name = {name} LOCK IN SHARE MODE"
);

/// A pin by a write, for databases on which a row lock is not enough: row locks do not reach the other primaries
/// (Galera), or an XA PREPARE drops them (MariaDB). A write does not have these problems. The end that it moves on is the
/// end at the acquisition.
const PIN_BY_WRITING: &str = concat!(
    "\
UPDATE {locks} l FORCE INDEX (PRIMARY) SET l.expires_at = l.expires_at + 1
WHERE l.name = {name} AND l.token = {token} AND l.fence = {fence}
AND ",
    locked_end!(""),
    " > {now}"
);

/// The end is that of the acquisition if an extension is just under way: it only tells people and `purge` when the lock was
/// held last.
const FORCE_RELEASE: &str = concat!(
    "\
UPDATE (SELECT l.name FROM {locks} l FORCE INDEX (PRIMARY)
WHERE l.name = {name} AND l.token IS NOT NULL LIMIT 1 FOR UPDATE SKIP LOCKED) held
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = held.name
SET l.token = NULL, l.expires_at = LEAST({now}, ",
    locked_end!(" SKIP LOCKED"),
    ")"
);

/// Removes the rows only if the fence, too, is older than the age. A name that is created again begins with the clock as
/// its fence, and so above every fence that was removed (I4).
const PURGE_ONE: &str = concat!(
    "\
DELETE l, b FROM (SELECT l.name FROM (SELECT l.name, l.token, l.fence, l.expires_at FROM {locks} l FORCE INDEX (PRIMARY)
WHERE l.name = {name} LIMIT 1 FOR UPDATE SKIP LOCKED) l
STRAIGHT_JOIN {beats} b FORCE INDEX (PRIMARY) ON b.name = l.name
WHERE ",
    end_or_release!(),
    " < {now} - {time} AND l.fence < {now} - {time}
LIMIT 1 FOR UPDATE SKIP LOCKED) old
STRAIGHT_JOIN {locks} l FORCE INDEX (PRIMARY) ON l.name = old.name
STRAIGHT_JOIN {beats} b FORCE INDEX (PRIMARY) ON b.name = old.name"
);
