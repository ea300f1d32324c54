//! A lock in the hand of a client: a guard, or a lease and the connection on which it was acquired. Both have the same
//! methods, so a client's behaviour is written once.

use std::time::Duration;

use diesel_locks::{Attempt, Forced, Lease, Lock, Outcome, Released, Result, Wait};
use diesel_locks_tests::managed::{AnyGuard, Managed};
use diesel_locks_tests::session::{Session, Work};

/// The means by which a client acquires locks.
pub enum Means {
    Locker(Box<dyn Managed>),
    Connection(Box<dyn Session>),
}

pub enum Hand<'m> {
    Guard(AnyGuard),
    Lease(&'m mut dyn Session, Lease),
}

impl Means {
    /// Tries once, or waits.
    pub async fn acquire(&mut self, lock: &Lock, wait: Option<Wait>) -> Result<Attempt<Hand<'_>>> {
        match (self, wait) {
            (Self::Locker(locker), None) => Ok(locker.try_acquire(lock).await?.map(Hand::Guard)),
            (Self::Locker(locker), Some(wait)) => {
                let guard = locker.acquire(lock, wait).await?;
                Ok(Attempt::Acquired(Hand::Guard(guard)))
            }
            (Self::Connection(conn), wait) => {
                let attempt = match wait {
                    None => conn.try_acquire(lock).await?,
                    Some(wait) => conn.acquire(lock, wait).await?,
                };
                Ok(attempt.map(|lease| Hand::Lease(&mut **conn, lease)))
            }
        }
    }

    pub async fn force_release(&mut self, lock: &Lock) -> Result<Forced> {
        match self {
            Self::Locker(locker) => locker.force_release(lock).await,
            Self::Connection(conn) => conn.force_release(lock).await,
        }
    }
}

impl Hand<'_> {
    pub fn fence(&self) -> i64 {
        match self {
            Self::Guard(guard) => guard.fence(),
            Self::Lease(_, lease) => lease.fence(),
        }
    }

    pub fn trusted_for(&self) -> Duration {
        match self {
            Self::Guard(guard) => guard.trusted_for(),
            Self::Lease(_, lease) => lease.trusted_for(),
        }
    }

    pub async fn try_extend(&mut self) -> Result<Outcome> {
        match self {
            Self::Guard(guard) => guard.try_extend().await,
            Self::Lease(conn, lease) => conn.try_extend(lease).await,
        }
    }

    /// Runs a transaction in one call, or begins, pins and commits by hand. By hand only the pin protects the transaction:
    /// the call also extends the lease before the commit, which finds most losses.
    pub async fn transaction(&mut self, work: Work, by_hand: bool) -> Result<()> {
        match self {
            Self::Guard(guard) => guard.transaction(work).await,
            Self::Lease(conn, lease) if by_hand => pinned_by_hand(&mut **conn, lease, work).await,
            Self::Lease(conn, lease) => conn.transaction_under(lease, work).await,
        }
    }

    pub async fn finish(self, work: Work) -> Result<()> {
        match self {
            Self::Guard(guard) => guard.finish(work).await,
            Self::Lease(conn, mut lease) => conn.finish(&mut lease, work).await,
        }
    }

    pub async fn release(self) -> Result<Released> {
        match self {
            Self::Guard(guard) => guard.release().await,
            Self::Lease(conn, lease) => conn.release(&lease).await,
        }
    }

    /// Leaves the lease to expire.
    pub fn leave(self) {
        if let Self::Guard(guard) = self {
            let _ = guard.into_lease();
        }
    }
}

async fn pinned_by_hand(conn: &mut dyn Session, lease: &Lease, work: Work) -> Result<()> {
    conn.begin().await?;
    let done = match conn.pin(lease).await {
        Ok(()) => work(conn).await,
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        conn.rollback().await?;
        return Err(error);
    }
    conn.commit().await?;
    Ok(())
}
