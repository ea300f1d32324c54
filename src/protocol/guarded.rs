//! The guarded transaction: BEGIN, pin, work, COMMIT, in one call.
//!
//! This file has the two steps around the work. The work itself is the caller's, blocking or async.
//!
//! - The work runs only if the lease is pinned, and no other holder takes the lock over before the transaction has
//!   ended (I5). So a lease that expires meanwhile still belongs to its holder. It is extended in the
//!   same transaction, and is held when that transaction commits.
//! - A transaction that sees a snapshot (PostgreSQL at REPEATABLE READ and above, and MariaDB with
//!   `innodb_snapshot_isolation`) cannot write the row after a heartbeat has written it: the write would fail, and the work
//!   would fail with it. So for such a transaction the lease is extended before BEGIN, and released or extended again after
//!   COMMIT. A savepoint cannot wait for the COMMIT. So a release is tried inside the savepoint, and its failure is an
//!   error; an extension is not tried.
//! - Only a commit that cannot be taken back any more moves the trust.

use std::time::Duration;

use super::executor::{Executor, Transactions};
use super::holding::{ask_pin, extend, release, retire};
use super::looking::is_released;
use crate::answer::{Attempt, Pin};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::row::LeaseState;

/// What happens to the leases at the commit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Keep,
    Release,
    /// The lease expires after this time.
    Retire(Duration),
}

impl End {
    /// The lease ends, but the lock stays held for the rest.
    pub(crate) fn after(rest: Duration) -> Self {
        if rest.is_zero() {
            Self::Release
        } else {
            Self::Retire(rest)
        }
    }
}

/// An open transaction whose leases are pinned.
pub(crate) struct Opened {
    /// Whether the transaction cannot write rows that others have written since it began.
    sees_snapshot: bool,
    /// Whether the transaction is a savepoint, which the transaction around it may still take back.
    nested: bool,
}

/// Opens a transaction, or a savepoint if there is a transaction already, and pins the leases. Each lease is extended
/// before, if little of its ttl is left.
pub(crate) async fn open<E: Transactions>(
    executor: &mut E,
    leases: &mut [Lease],
) -> Result<Opened> {
    let nested = executor.in_transaction();
    if !nested {
        for lease in leases.iter_mut().filter(|lease| is_short(lease)) {
            extend(executor, lease).await?.or_lost(lease)?;
        }
    }
    executor.begin().await?;
    match pin_all(executor, leases, nested).await {
        Ok(opened) => {
            for lease in leases {
                lease.was_pinned = true;
            }
            Ok(opened)
        }
        Err(error) => {
            let _ = executor.rollback().await;
            Err(error)
        }
    }
}

/// The result of work that is committed.
pub(crate) struct Closed<T> {
    pub(crate) value: T,
    /// Whether each lease has met its end. Where the release comes after the COMMIT, it may fail.
    pub(crate) is_settled: bool,
}

/// Ends the transaction: with a commit if the work succeeded, otherwise with a rollback and the work's own error.
pub(crate) async fn close<E: Transactions, T, X: From<Error>>(
    executor: &mut E,
    leases: &mut [Lease],
    opened: Opened,
    end: End,
    work: Result<T, X>,
) -> Result<Closed<T>, X> {
    let value = match work {
        Ok(value) => value,
        Err(error) => {
            // If the rollback fails, the connection is broken, and the database rolls back by itself.
            let _ = executor.rollback().await;
            return Err(error);
        }
    };
    if opened.sees_snapshot && !opened.nested {
        executor.commit().await?;
        // The work is committed. An error from here on costs time, not the work.
        let mut is_settled = true;
        for lease in leases {
            let settled = settle(executor, lease, end).await;
            is_settled &= matches!(settled, Ok(_) | Err(Error::Lost { .. }));
        }
        return Ok(Closed { value, is_settled });
    }
    let sent = Moment::now();
    let may_write = end != End::Keep || !opened.sees_snapshot;
    let settled = settle_all(executor, leases, end, may_write).await;
    let extended = match settled {
        Ok(extended) => extended,
        Err(error) => {
            let _ = executor.rollback().await;
            return Err(error.into());
        }
    };
    executor.commit().await?;
    if !opened.nested {
        for lease in extended {
            lease.trust(sent, lease.lock.ttl);
        }
    }
    Ok(Closed {
        value,
        is_settled: true,
    })
}

/// Settles each lease. Returns the leases that were extended.
async fn settle_all<'l, E: Executor>(
    executor: &mut E,
    leases: &'l mut [Lease],
    end: End,
    may_write: bool,
) -> Result<Vec<&'l mut Lease>> {
    let mut extended = Vec::new();
    for lease in leases.iter_mut().filter(|_| may_write) {
        if settle(executor, lease, end).await? == Settled::Extended {
            extended.push(lease);
        }
    }
    Ok(extended)
}

/// Gives the lock back if the work has failed: the lock was acquired for this one transaction.
pub(crate) async fn release_if_failed<E: Executor, T, X>(
    executor: &mut E,
    lease: &Lease,
    work: Result<T, X>,
) -> Result<Attempt<T>, X> {
    if work.is_err() {
        let _ = release(executor, lease).await; // otherwise it is free after the ttl
    }
    work.map(Attempt::Acquired)
}

async fn pin_all<E: Executor>(executor: &mut E, leases: &[Lease], nested: bool) -> Result<Opened> {
    let mut sees_snapshot = false;
    for lease in leases {
        let state = ask_pin(executor, lease).await?;
        Pin::of(state).or_stop(lease)?;
        sees_snapshot |= state == Some(LeaseState::LiveInSnapshot);
    }
    Ok(Opened {
        sees_snapshot,
        nested,
    })
}

#[derive(PartialEq, Eq)]
enum Settled {
    Extended,
    Otherwise,
}

/// Releases the lease, or extends it if the work has taken long.
async fn settle<E: Executor>(executor: &mut E, lease: &mut Lease, end: End) -> Result<Settled> {
    let (outcome, settled) = match end {
        End::Release => (release(executor, lease).await?, Settled::Otherwise),
        End::Retire(rest) => (retire(executor, lease, rest).await?, Settled::Otherwise),
        End::Keep if is_short(lease) => (extend(executor, lease).await?, Settled::Extended),
        End::Keep => return Ok(Settled::Otherwise),
    };
    if !outcome.is_lost() {
        return Ok(settled);
    }
    // The lease is pinned, so no other holder can have taken the lock over. If the lease is released, the work has
    // released it, or on PostgreSQL another worker with the same lease.
    if is_released(executor, lease).await? {
        return Ok(Settled::Otherwise);
    }
    Err(lease.lost())
}

/// Whether less than half of the ttl is left to trust.
fn is_short(lease: &Lease) -> bool {
    lease.trusted_for() < lease.lock.ttl / 2
}
