//! What a holder does with its lease. Each statement compares token and fence, always together (I11).

use std::time::Duration;

use super::executor::Executor;
use crate::answer::{LeaseStatus, Outcome, Pin};
use crate::clock::Moment;
use crate::dialect::Sql;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::lock::{valid_data, valid_ttl};
use crate::row::{LeaseState, LockRow};
use crate::statement::Statement;

/// How long to extend a lease.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extension {
    /// To this time from now on.
    To(Duration),
    /// By this time, in addition to what is left.
    By(Duration),
}

impl Extension {
    pub(crate) fn valid(self) -> Result<Self> {
        let (Self::To(time) | Self::By(time)) = self;
        valid_ttl(time).map(|_| self)
    }
}

/// Extends a lease to its own ttl.
pub(crate) async fn extend<E: Executor>(executor: &mut E, lease: &mut Lease) -> Result<Outcome> {
    extend_for(executor, lease, Extension::To(lease.lock.ttl)).await
}

pub(crate) async fn extend_for<E: Executor>(
    executor: &mut E,
    lease: &mut Lease,
    how: Extension,
) -> Result<Outcome> {
    let statement = match how.valid()? {
        Extension::To(ttl) => Statement::extend(lease, ttl),
        Extension::By(time) => Statement::extend_by(lease, time),
    };
    let sent = Moment::now();
    let outcome = change(executor, lease, statement).await?;
    // In a transaction the extension may still be taken back.
    if outcome.is_lost() || executor.in_transaction() {
        return Ok(outcome);
    }
    match how {
        Extension::By(time) if outcome == Outcome::Done => lease.trust_longer(sent, time),
        Extension::To(time) | Extension::By(time) => lease.trust(sent, time),
    }
    Ok(outcome)
}

pub(crate) async fn release<E: Executor>(executor: &mut E, lease: &Lease) -> Result<Outcome> {
    if !E::Backend::KEEPS_UNMATCHED_ROW_LOCKS {
        return change(executor, lease, Statement::release(lease)).await;
    }
    let outcome = release_unless_lost(executor, lease).await?;
    #[cfg(feature = "mysql")]
    super::presumption::note_free(&lease.lock);
    Ok(outcome)
}

async fn release_unless_lost<E: Executor>(executor: &mut E, lease: &Lease) -> Result<Outcome> {
    if !executor.in_transaction() {
        // `RELEASE` leaves a locked row alone. A stale holder must not queue here, ahead of the new holder's pins. And it
        // leaves a mark alone that was made while the lease was pinned, and an end that may have been extended.
        if !lease.was_pinned && lease.has_reached_first_end() != Some(true) {
            match answer(executor, Statement::release(lease)).await {
                Ok(Some(_)) => return Ok(Outcome::Done),
                Err(error) if !error.is_transient() => return Err(error),
                _ => {}
            }
        }
        if is_lost(executor, lease).await? {
            return Ok(Outcome::Lost);
        }
    }
    change(executor, lease, Statement::release_waiting(lease)).await
}

/// Releases the lease without waiting for the server's disk, where the database can do that. If the server crashes, the
/// release may be lost, which costs the ttl. This is not for a connection whose transaction Diesel does not know of:
/// the commit of that transaction would not wait for the disk either.
pub(crate) async fn release_async<E: Executor>(executor: &mut E, lease: &Lease) -> Result<Outcome> {
    if E::Backend::ASYNC_COMMIT && !executor.in_transaction() {
        return change(executor, lease, Statement::release_async(lease)).await;
    }
    release(executor, lease).await
}

/// Lets the lease expire after this time. The lease may then end earlier than others trust it: nobody may rely on it
/// any more.
pub(crate) async fn retire<E: Executor>(
    executor: &mut E,
    lease: &Lease,
    rest: Duration,
) -> Result<Outcome> {
    change(executor, lease, Statement::retire(lease, rest)).await
}

pub(crate) async fn set_data<E: Executor>(
    executor: &mut E,
    lease: &Lease,
    data: Option<&str>,
) -> Result<Outcome> {
    if let Some(data) = data {
        valid_data(data)?;
    }
    change(executor, lease, Statement::set_data(lease, data)).await
}

/// Runs a statement on a lease, and returns the outcome for the lease.
async fn change<E: Executor>(
    executor: &mut E,
    lease: &Lease,
    statement: Statement,
) -> Result<Outcome> {
    if E::Backend::KEEPS_UNMATCHED_ROW_LOCKS
        && executor.in_transaction()
        && is_lost(executor, lease).await?
    {
        return Ok(Outcome::Lost);
    }
    if !E::Backend::KEEPS_BEATS {
        let outcome = change_once(executor, statement).await?;
        return Ok(outcome.unwrap_or(Outcome::Lost));
    }
    // A try, or a mark, may lock the identity for a moment, and then the statement skips it.
    for _ in 0..MOST_SKIPPED {
        if let Some(outcome) = change_once(executor, statement.clone()).await? {
            return Ok(outcome);
        }
        if is_lost(executor, lease).await? {
            return Ok(Outcome::Lost);
        }
        executor
            .run(Statement::create_beat(&lease.lock, None))
            .await?;
    }
    let key = lease.lock.key().to_owned();
    Err(Error::Busy { key, holder: None })
}

/// How often an identity may be locked for a moment while a statement of its holder comes.
const MOST_SKIPPED: u32 = 20;

/// Whether the row does not name this lease any more. Inside a transaction, the lease is pinned if it does.
async fn is_lost<E: Executor>(executor: &mut E, lease: &Lease) -> Result<bool> {
    let pin = if E::Backend::KEEPS_BEATS {
        Statement::pin_identity(lease)
    } else {
        Statement::pin(lease)
    };
    let identity = executor.ask(pin).await?.pop();
    Ok(Pin::of(identity) == Pin::Lost)
}

async fn change_once<E: Executor>(
    executor: &mut E,
    statement: Statement,
) -> Result<Option<Outcome>> {
    Ok(match answer(executor, statement.clone()).await? {
        Some(LeaseState::Live | LeaseState::LiveInSnapshot) => Some(Outcome::Done),
        Some(LeaseState::Expired) => Some(Outcome::DoneLate),
        Some(LeaseState::Lost) => Some(Outcome::Lost),
        None if E::Backend::REPORTS_EXPIRY => None,
        None => {
            let late = answer(executor, statement.though_expired()).await?;
            late.map(|_| Outcome::DoneLate)
        }
    })
}

/// Runs a statement. If the statement fails because of contention, and was a transaction of its own, it is run again.
pub(super) async fn answer<E: Executor>(
    executor: &mut E,
    statement: Statement,
) -> Result<Option<LeaseState>> {
    let mut tries = Tries::default();
    loop {
        match answer_once(executor, statement.clone()).await {
            Err(error) if tries.another(executor, &error) => {}
            answer => return answer,
        }
    }
}

/// How often a statement has been tried.
#[derive(Default)]
pub(super) struct Tries(u32);

impl Tries {
    const MOST: u32 = 5;

    /// Whether to try again after this error.
    pub(super) fn another<E: Executor>(&mut self, executor: &mut E, error: &Error) -> bool {
        self.0 += 1;
        self.0 < Self::MOST && error.is_serialization() && !executor.in_transaction()
    }
}

async fn answer_once<E: Executor>(
    executor: &mut E,
    statement: Statement,
) -> Result<Option<LeaseState>> {
    if E::Backend::REPORTS_EXPIRY {
        return Ok(executor.ask(statement).await?.pop());
    }
    let state = if statement.is_for_expired() {
        LeaseState::Expired
    } else {
        LeaseState::Live
    };
    let found = executor.run(statement).await?;
    Ok((found > 0).then_some(state))
}

/// Pins a lease. Where the database's own pin is weaker than a write, the lock may ask for a write instead.
pub(super) async fn ask_pin<E: Executor>(
    executor: &mut E,
    lease: &Lease,
) -> Result<Option<LeaseState>> {
    if E::Backend::PINS_BY_WRITING && lease.lock.pins_by_writing {
        let written = executor.run(Statement::pin_by_writing(lease)).await?;
        if written > 0 {
            return Ok(Some(LeaseState::Live));
        }
        // Nothing was written. Either the lease is lost, or the row still names the lease, and the lease has expired.
        let state = executor.ask(Statement::pin(lease)).await?.pop();
        let is_mine = state.is_some_and(|state| state != LeaseState::Lost);
        return Ok(is_mine.then_some(LeaseState::Expired));
    }
    if E::Backend::KEEPS_BEATS && lease.has_reached_first_end() == Some(false) {
        let state = executor.ask(Statement::pin_identity(lease)).await?.pop();
        if state != Some(LeaseState::Expired) {
            return Ok(state);
        }
    }
    let state = executor.ask(Statement::pin(lease)).await?.pop();
    if state.is_none() && !E::Backend::PIN_SAYS_WHY {
        let row = look(executor, lease).await?;
        let is_mine = row.is_some_and(|row| row.is_of(lease));
        return Ok(is_mine.then_some(LeaseState::Expired));
    }
    Ok(state)
}

/// Reads the row of a lease.
async fn look<E: Executor>(executor: &mut E, lease: &Lease) -> Result<Option<LockRow>> {
    let query = Statement::look_as(&lease.lock, Some(lease.token.clone()));
    Ok(executor.load(query).await?.pop())
}

pub(crate) async fn try_pin<E: Executor>(executor: &mut E, lease: &Lease) -> Result<Pin> {
    Ok(Pin::of(ask_pin(executor, lease).await?))
}

pub(crate) async fn pin<E: Executor>(executor: &mut E, lease: &Lease) -> Result<()> {
    try_pin(executor, lease).await?.or_stop(lease)
}

/// Reads what has become of a lease.
pub(crate) async fn status<E: Executor>(executor: &mut E, lease: &Lease) -> Result<LeaseStatus> {
    let row = look(executor, lease).await?;
    Ok(row.map_or(LeaseStatus::Free, |row| row.status_of(lease)))
}

impl LockRow {
    /// Whether the row belongs to a lease whose token the statement has compared with the row. The same token may have
    /// acquired the lock again: then the row has another fence.
    fn is_of(&self, lease: &Lease) -> bool {
        self.is_mine() && self.fence == Some(lease.fence)
    }

    /// The status of a lease whose token the statement has compared with the row.
    fn status_of(&self, lease: &Lease) -> LeaseStatus {
        if !self.is_of(lease) {
            let holder = self.holder();
            return holder.map_or(LeaseStatus::Free, LeaseStatus::TakenOver);
        }
        match self.time_left() {
            Some(time_left) => LeaseStatus::Held { time_left },
            None => LeaseStatus::Expired,
        }
    }
}

impl Outcome {
    /// `Ok` if the operation was done, otherwise the error for the caller.
    pub(crate) fn or_lost(self, lease: &Lease) -> Result<()> {
        if self.is_lost() {
            return Err(lease.lost());
        }
        Ok(())
    }
}

impl Pin {
    pub(crate) fn of(state: Option<LeaseState>) -> Self {
        match state {
            Some(LeaseState::Live | LeaseState::LiveInSnapshot) => Self::Pinned,
            Some(LeaseState::Expired) => Self::Expired,
            Some(LeaseState::Lost) | None => Self::Lost,
        }
    }

    /// `Ok` if the lease is pinned, otherwise the error for the transaction to return.
    pub(crate) fn or_stop(self, lease: &Lease) -> Result<()> {
        match self {
            Self::Pinned => Ok(()),
            Self::Expired => Err(Error::Expired {
                key: lease.lock.key().to_owned(),
            }),
            Self::Lost => Err(lease.lost()),
        }
    }
}
