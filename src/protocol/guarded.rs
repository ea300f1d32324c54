//! The guarded transaction: BEGIN, pin, work, COMMIT, in one call.
//!
//! The two steps around the work are here; the work itself is the caller's, blocking or async.
//!
//! - Nothing of the work is done unless the lease is pinned, and nobody takes the lock over before the
//!   transaction has ended (I5). So a lease that runs out meanwhile is still ours, and is extended: in the same
//!   transaction, where it is held at the commit.
//! - A transaction that sees a snapshot (PostgreSQL at REPEATABLE READ and above) cannot write the row again once a
//!   heartbeat has: it would fail with 40001, and the work with it. So there the lease is extended before BEGIN, and
//!   released or extended again after COMMIT. A savepoint cannot wait for that: there a release is tried inside, and its
//!   failure is an error, and nothing is extended.
//! - Trust is only moved by a commit that nobody can take back.

use super::executor::{Executor, Transactions};
use super::holding::{ask_pin, extend, release};
use super::looking::is_released;
use crate::answer::{Attempt, Pin};
use crate::clock::Moment;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::row::LeaseState;

/// What is to become of the lease with the commit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Keep,
    Release,
}

/// An open transaction whose lease is pinned.
pub(crate) struct Guarded {
    /// Whether it cannot write what others have written since it began.
    sees_snapshot: bool,
    /// Whether it is a savepoint, which the transaction around it may still take back.
    nested: bool,
}

/// Opens a transaction, or in one a savepoint, and pins the lease.
pub(crate) async fn open<E: Transactions>(executor: &mut E, lease: &mut Lease) -> Result<Guarded> {
    if is_short(lease) && !executor.in_transaction() && extend(executor, lease).await?.is_lost() {
        return Err(lease.lost());
    }
    let nested = executor.in_transaction();
    executor.begin().await?;
    match pinned(executor, lease, nested).await {
        Ok(guarded) => Ok(guarded),
        Err(error) => {
            let _ = executor.rollback().await;
            Err(error)
        }
    }
}

/// Ends the transaction as the work did: with a commit, or with a rollback and the work's own error.
pub(crate) async fn close<E: Transactions, T, X: From<Error>>(
    executor: &mut E,
    lease: &mut Lease,
    guarded: Guarded,
    end: End,
    work: Result<T, X>,
) -> Result<T, X> {
    let value = match work {
        Ok(value) => value,
        Err(error) => {
            // Where the rollback fails the connection is broken, and the database does it by itself.
            let _ = executor.rollback().await;
            return Err(error);
        }
    };
    if guarded.sees_snapshot && !guarded.nested {
        executor.commit().await?;
        // Committed is committed: whatever goes wrong here costs the ttl, not the work.
        let _ = settle(executor, lease, end).await;
        return Ok(value);
    }
    let sent = Moment::now();
    let settled = match end {
        End::Keep if guarded.sees_snapshot => Ok(Settled::Otherwise),
        end => settle(executor, lease, end).await,
    };
    match settled {
        Ok(Settled::Extended) if !guarded.nested => {
            executor.commit().await?;
            lease.trust(sent, lease.lock.ttl);
        }
        Ok(_) => executor.commit().await?,
        Err(error) => {
            let _ = executor.rollback().await;
            return Err(error.into());
        }
    }
    Ok(value)
}

/// Gives the lock back if the one transaction that it was for has failed.
pub(crate) async fn finish<E: Executor, T, X>(
    executor: &mut E,
    lease: &Lease,
    work: Result<T, X>,
) -> Result<Attempt<T>, X> {
    if work.is_err() {
        let _ = release(executor, lease).await; // otherwise it is free after the ttl
    }
    work.map(Attempt::Acquired)
}

async fn pinned<E: Executor>(executor: &mut E, lease: &Lease, nested: bool) -> Result<Guarded> {
    let state = ask_pin(executor, lease).await?;
    Pin::of(state).or_stop(lease)?;
    Ok(Guarded {
        sees_snapshot: state == Some(LeaseState::LiveInSnapshot),
        nested,
    })
}

enum Settled {
    Extended,
    Otherwise,
}

/// Releases the lease, or extends it if the work has taken long.
async fn settle<E: Executor>(executor: &mut E, lease: &mut Lease, end: End) -> Result<Settled> {
    let (outcome, settled) = match end {
        End::Release => (release(executor, lease).await?, Settled::Otherwise),
        End::Keep if is_short(lease) => (extend(executor, lease).await?, Settled::Extended),
        End::Keep => return Ok(Settled::Otherwise),
    };
    if !outcome.is_lost() {
        return Ok(settled);
    }
    // Pinned, so nobody can have taken it over: the work, or on PostgreSQL a fellow worker, has released it.
    if is_released(executor, lease).await? {
        return Ok(Settled::Otherwise);
    }
    Err(lease.lost())
}

/// Whether less than half of the ttl is left to trust.
fn is_short(lease: &Lease) -> bool {
    lease.trusted_for() < lease.lock.ttl / 2
}
