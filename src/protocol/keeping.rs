//! Keeping many leases alive with one statement, and telling a holder that others wait.
//!
//! The statement waits for no other transaction. It leaves out a row that an open transaction has locked, because that
//! row would delay all other leases (I7). It returns no rows, because it nearly always extends all leases. If it has
//! extended fewer, all rows are read without a lock. This tells an extended lease, a lease whose row is only locked, and
//! a lost lease from each other. Where the end of a lease is in another row than its holder, a locked row of the holder is no
//! reason to wait: the end is written first, and then a look says whether the lease still belongs to its holder.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use super::executor::Executor;
use super::holding::Tries;
use crate::clock::Moment;
use crate::dialect::Sql;
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::row::LockRow;
use crate::statement::Statement;

/// The result for a lease that was to be kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// The lease is extended, and may be trusted until this moment.
    Until(Moment),
    /// The lease still belongs to its holder, but its row is locked, so it was not extended. It may be trusted until
    /// this moment; `None` if it has expired.
    Locked(Option<Moment>),
    /// The lease was taken over or released, or its row was removed.
    Lost,
}

/// Extends leases of one table, each to its own ttl, outside a transaction. The answers are in the order of the leases.
pub(crate) async fn keep_alive<E: Executor>(
    executor: &mut E,
    leases: &[Lease],
) -> Result<Vec<Renewal>> {
    let leases: Vec<&Lease> = leases.iter().collect();
    let mut tries = Tries::default();
    loop {
        match keep_once(executor, &leases).await {
            Err(error) if tries.another(executor, &error) => {}
            kept => return kept,
        }
    }
}

async fn keep_once<E: Executor>(executor: &mut E, leases: &[&Lease]) -> Result<Vec<Renewal>> {
    if leases.is_empty() {
        return Ok(Vec::new());
    }
    let sent = Moment::now();
    let acquisitions = distinct(leases);
    let extended = executor.run(Statement::keep_alive(&acquisitions)).await?;
    if extended == acquisitions.len() {
        let until = |lease: &&Lease| Renewal::Until(lease.trust_until(sent, lease.lock.ttl));
        return Ok(leases.iter().map(until).collect());
    }
    let mut seen = look(executor, &acquisitions).await?;
    let mut took = Moment::now().since(sent);
    if E::Backend::KEEPS_BEATS && extend_by_beats(executor, &acquisitions, &seen, took).await? {
        seen = look(executor, &acquisitions).await?;
        took = Moment::now().since(sent);
    }
    Ok(leases
        .iter()
        .map(|lease| seen.renewal(lease, took))
        .collect())
}

/// Extends the leases that are not extended yet because the row of the holder is locked, where the end is in another row.
/// Whether a lease still belongs to its holder is for the next look to say. No lease is made shorter. Returns whether there
/// was such a lease.
async fn extend_by_beats<E: Executor>(
    executor: &mut E,
    leases: &[&Lease],
    seen: &Seen,
    took: Duration,
) -> Result<bool> {
    let mut has_extended = false;
    for lease in leases {
        let Some(row) = seen.row(lease).filter(|row| !row.is_extended(lease, took)) else {
            continue;
        };
        if !row.has_beat {
            let create = Statement::create_beat(&lease.lock, None);
            executor.run(create).await?;
        }
        let ttl = row.left.unwrap_or_default().max(lease.lock.ttl);
        executor.run(Statement::keep_beat(lease, ttl)).await?;
        has_extended = true;
    }
    Ok(has_extended)
}

/// The tick of the coarsest clock of a database: `SQLite`'s.
const TICK: Duration = Duration::from_millis(1);

/// One lease of each acquisition, because a statement changes a row once. Copies of a lease may have different ttls: the
/// longest is taken. The order is that of the keys, so that the database finds rows that lie side by side one after the
/// other.
fn distinct<'l>(leases: &[&'l Lease]) -> Vec<&'l Lease> {
    let mut leases = leases.to_vec();
    leases.sort_unstable_by_key(|lease| (lease.lock.key(), lease.fence, Reverse(lease.lock.ttl)));
    leases.dedup_by_key(|lease| (lease.lock.key(), lease.fence));
    leases
}

/// The leases that still belong to their holders.
struct Seen {
    /// Before the look was sent.
    asked: Moment,
    /// By key and fence: no two acquisitions have the same key and the same fence.
    rows: HashMap<(String, i64), Mine>,
}

struct Mine {
    /// The time that is left of the lease; `None` if it has expired.
    left: Option<Duration>,
    /// Whether the second row is there, where the lock has one.
    has_beat: bool,
}

async fn look<E: Executor>(executor: &mut E, leases: &[&Lease]) -> Result<Seen> {
    let asked = Moment::now();
    let rows = executor.load(Statement::look_mine(leases)).await?;
    let keyed = |row: LockRow| {
        let (left, has_beat) = (row.time_left(), row.session == 0);
        Some(((row.name?, row.fence?), Mine { left, has_beat }))
    };
    let rows = rows.into_iter().filter_map(keyed).collect();
    Ok(Seen { asked, rows })
}

fn acquisition(lease: &Lease) -> (String, i64) {
    (lease.lock.key().to_owned(), lease.fence)
}

impl Seen {
    fn row(&self, lease: &Lease) -> Option<&Mine> {
        self.rows.get(&acquisition(lease))
    }

    fn renewal(&self, lease: &Lease, took: Duration) -> Renewal {
        let Some(row) = self.row(lease) else {
            return Renewal::Lost;
        };
        let until = row.left.map(|left| lease.trust_until(self.asked, left));
        match until {
            Some(until) if row.is_extended(lease, took) => Renewal::Until(until),
            until => Renewal::Locked(until),
        }
    }
}

impl Mine {
    /// So much time is left only if the lease was extended since the first statement was sent, this long ago, or for longer
    /// than its ttl before.
    fn is_extended(&self, lease: &Lease, took: Duration) -> bool {
        let left = self.left;
        left.is_some_and(|left| left + took + TICK >= lease.lock.ttl)
    }
}

/// Marks the row in the time of the holder with this fence: a process has waited for the lock since this moment of the
/// database's clock. Returns whether the row is marked now by this process. A mark is a hint, so contention is no error.
/// There are no marks inside a transaction: the holder's heartbeats would wait for its end.
pub(crate) async fn mark<E: Executor>(
    executor: &mut E,
    lock: &Lock,
    since: i64,
    fence: i64,
) -> Result<bool> {
    if executor.in_transaction() {
        return Ok(false);
    }
    let mut marked = executor.run(Statement::mark(lock, since)).await;
    if E::Backend::KEEPS_BEATS && matches!(marked, Ok(0)) {
        marked = executor.run(Statement::mark_beat(lock, since, fence)).await; // a pin has the row of the holder locked
    }
    match marked {
        Err(error) if error.is_transient() => Ok(false),
        changed => Ok(changed? > 0),
    }
}

/// Asks for a notification when the holder releases the lock within this time, where the database can notify. A
/// notification is a hint, so a refusal is no error. It is not asked for inside a transaction: the holder's heartbeats
/// would wait for the end of that transaction.
pub(crate) async fn want<E: Executor>(
    executor: &mut E,
    lock: &Lock,
    window: Duration,
) -> Result<()> {
    if !E::Backend::NOTIFIES || executor.in_transaction() {
        return Ok(());
    }
    match executor.run(Statement::want(lock, window)).await {
        Err(error) if !error.is_transient() => Err(error),
        _ => Ok(()),
    }
}
