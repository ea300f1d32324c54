//! What the operations do, step by step, written once for blocking and async connections.
//!
//! A blocking connection is an async one that never waits: its futures are ready at the first poll.

pub(crate) mod guarded;
#[cfg(feature = "mysql")]
pub(crate) mod in_turn;
pub(crate) mod several;

use std::slice;
use std::time::Duration;

use chrono::DateTime;

use crate::answer::{Attempt, Forced, Holder, Outcome, Pin, Record};
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::lease::{Lease, can_be_trusted};
use crate::list::List;
use crate::lock::{Lock, micros, valid_data, valid_ttl};
use crate::statement::{Late, Seen, Statement};
use crate::token::Token;
use crate::wait::{Pauses, Wait};

/// A connection that runs statements.
pub trait Executor: Send {
    type Backend: Dialect;

    fn load(
        &mut self,
        statement: Statement<Seen>,
    ) -> impl Future<Output = Result<Vec<Seen>>> + Send;
    fn ask(&mut self, statement: Statement<Late>)
    -> impl Future<Output = Result<Vec<Late>>> + Send;
    fn run(&mut self, statement: Statement<()>) -> impl Future<Output = Result<usize>> + Send;
    fn in_transaction(&mut self) -> bool;
    /// There is a transaction, although Diesel has not begun one.
    fn note_transaction(&mut self);
    fn sleep(&mut self, pause: Duration) -> impl Future<Output = ()> + Send;
}

/// A connection that opens and ends transactions of its own.
pub trait Transactions: Executor {
    fn begin(&mut self) -> impl Future<Output = Result<()>> + Send;
    fn commit(&mut self) -> impl Future<Output = Result<()>> + Send;
    fn rollback(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// What one try of a [`Dialect`] brought.
pub enum Won {
    Fence(i64),
    Busy(Option<Holder>),
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Won {
    pub(crate) fn or_holder(seen: &Seen) -> Self {
        match seen.won {
            Some(fence) => Self::Fence(fence),
            None => Self::Busy(seen.other_holder()),
        }
    }
}

pub(crate) async fn try_acquire<E: Executor>(executor: &mut E, lock: &Lock) -> Result<Attempt> {
    try_as(executor, lock, &token_for(lock)?).await
}

/// Cancel-safe between two tries: then nothing is held. The token is the same in all of them, so that an
/// answer that was lost is found again by the next.
pub(crate) async fn acquire<E: Executor>(
    executor: &mut E,
    lock: &Lock,
    wait: Wait,
) -> Result<Attempt> {
    let (token, mut waiting) = (token_for(lock)?, Waiting::new(&wait));
    loop {
        let attempt = try_as(executor, lock, &token).await;
        if !waiting.goes_on(executor, lock, &attempt).await? {
            return attempt;
        }
    }
}

/// What is between two tries.
struct Waiting<'w> {
    began: Moment,
    pauses: Pauses<'w>,
}

impl<'w> Waiting<'w> {
    fn new(wait: &'w Wait) -> Self {
        let (began, pauses) = (Moment::now(), wait.pauses());
        Self { began, pauses }
    }

    /// Pauses if there is to be another try after this one.
    async fn goes_on<E: Executor, T>(
        &mut self,
        executor: &mut E,
        lock: &Lock,
        attempt: &Result<Attempt<T>>,
    ) -> Result<bool> {
        let time_left = match attempt {
            Ok(Attempt::Busy(holder)) => holder.as_ref().map(|holder| holder.time_left),
            Err(Error::TooLate { .. }) if can_be_trusted(lock.ttl) => None,
            _ => return Ok(false),
        };
        let waited = Moment::now().since(self.began);
        let Some(pause) = self.pauses.next(waited, time_left) else {
            return Ok(false);
        };
        if executor.in_transaction() && sees_snapshot(executor).await? {
            let name = lock.key().to_owned();
            return Err(Error::CannotWait { name });
        }
        executor.sleep(pause).await;
        Ok(true)
    }
}

/// Waiting in a transaction that never sees the release cannot end.
async fn sees_snapshot<E: Executor>(executor: &mut E) -> Result<bool> {
    let answer = executor.ask(Statement::snapshot()).await?;
    Ok(answer.first().is_some_and(|snapshot| *snapshot != 0))
}

/// Wins the lock for nobody: its row stays locked until the transaction ends, and is free then.
pub(crate) async fn try_hold<E: Executor>(executor: &mut E, lock: &Lock) -> Result<Attempt<i64>> {
    if !executor.in_transaction() {
        return Err(Error::NoTransaction {
            name: lock.key().to_owned(),
        });
    }
    Ok(match E::Backend::acquire(executor, lock, None).await? {
        Won::Fence(fence) => Attempt::Acquired(fence),
        Won::Busy(holder) => Attempt::Busy(holder),
    })
}

fn token_for(lock: &Lock) -> Result<Token> {
    lock.token.clone().map_or_else(Token::random, Ok)
}

async fn try_as<E: Executor>(executor: &mut E, lock: &Lock, token: &Token) -> Result<Attempt> {
    let sent = Moment::now();
    let won = E::Backend::acquire(executor, lock, Some(token)).await;
    match contention_is_busy(executor, won, Won::Busy(None))? {
        Won::Busy(holder) => Ok(Attempt::Busy(holder)),
        Won::Fence(fence) => {
            let lease = Lease::new(lock, token.clone(), fence, sent);
            refuse_if_late(executor, slice::from_ref(&lease), sent).await?;
            Ok(Attempt::Acquired(lease))
        }
    }
}

/// Contention is no error, except inside a transaction where it has ended the transaction (I8).
fn contention_is_busy<E: Executor, T>(executor: &mut E, won: Result<T>, busy: T) -> Result<T> {
    match won {
        Err(error) if error.is_transient() && !executor.in_transaction() => Ok(busy),
        won => won,
    }
}

/// An answer that comes when a lease may be over already is no acquisition: it is given back (I3), unless the caller
/// chose the token: then somebody else may rely on the same acquisition.
async fn refuse_if_late<E: Executor>(
    executor: &mut E,
    leases: &[Lease],
    sent: Moment,
) -> Result<()> {
    let took = Moment::now().since(sent);
    let Some(late) = leases.iter().find(|lease| lease.trusted_for().is_zero()) else {
        return Ok(());
    };
    for lease in leases.iter().filter(|lease| lease.lock.token.is_none()) {
        let _ = release(executor, lease).await; // otherwise it is free after the ttl
    }
    Err(Error::TooLate {
        name: late.lock.key().to_owned(),
        took,
        ttl: late.lock.ttl,
    })
}

pub(crate) async fn extend<E: Executor>(executor: &mut E, lease: &mut Lease) -> Result<Outcome> {
    extend_to(executor, lease, lease.lock.ttl).await
}

pub(crate) async fn extend_to<E: Executor>(
    executor: &mut E,
    lease: &mut Lease,
    ttl: Duration,
) -> Result<Outcome> {
    let ttl = valid_ttl(ttl)?;
    let sent = Moment::now();
    let outcome = tell(executor, lease, Statement::extend(lease, ttl)).await?;
    // In a transaction it may still be taken back.
    if !outcome.is_lost() && !executor.in_transaction() {
        lease.trust(sent, ttl);
    }
    Ok(outcome)
}

pub(crate) async fn extend_by<E: Executor>(
    executor: &mut E,
    lease: &mut Lease,
    by: Duration,
) -> Result<Outcome> {
    let by = valid_ttl(by)?;
    let sent = Moment::now();
    let outcome = tell(executor, lease, Statement::extend_by(lease, by)).await?;
    match outcome {
        _ if executor.in_transaction() => {}
        Outcome::Done => lease.trust_longer(sent, by),
        Outcome::DoneLate => lease.trust(sent, by),
        Outcome::Lost => {}
    }
    Ok(outcome)
}

pub(crate) async fn release<E: Executor>(executor: &mut E, lease: &Lease) -> Result<Outcome> {
    if !E::Backend::LOCKS_IN_VAIN {
        return tell(executor, lease, Statement::release(lease)).await;
    }
    if !executor.in_transaction() {
        // This one waits for nobody. A stale holder must not: the pins of the new one would wait behind it.
        if answer(executor, Statement::release(lease)).await?.is_some() {
            return Ok(Outcome::Done);
        }
        if try_pin(executor, lease).await? == Pin::Lost {
            return Ok(Outcome::Lost);
        }
    }
    tell(executor, lease, Statement::release_waiting(lease)).await
}

pub(crate) async fn set_data<E: Executor>(
    executor: &mut E,
    lease: &Lease,
    data: Option<&str>,
) -> Result<Outcome> {
    if let Some(data) = data {
        valid_data(data)?;
    }
    tell(executor, lease, Statement::set_data(lease, data)).await
}

/// Runs a statement on a lease and says what became of it.
async fn tell<E: Executor>(
    executor: &mut E,
    lease: &Lease,
    statement: Statement<Late>,
) -> Result<Outcome> {
    if E::Backend::LOCKS_IN_VAIN && executor.in_transaction() {
        let identity = executor.ask(Statement::pin(lease)).await?.pop();
        if Pin::read(identity) == Pin::Lost {
            return Ok(Outcome::Lost);
        }
    }
    Ok(match answer(executor, statement.clone()).await? {
        Some(0) => Outcome::Done,
        Some(_) => Outcome::DoneLate,
        None if E::Backend::TELLS_LATE => Outcome::Lost,
        None => match answer(executor, statement.though_late()).await? {
            Some(_) => Outcome::DoneLate,
            None => Outcome::Lost,
        },
    })
}

/// A statement that contention made fail is run again, where it was a transaction of its own.
async fn answer<E: Executor>(executor: &mut E, statement: Statement<Late>) -> Result<Option<Late>> {
    for _ in 1..TRIES {
        match answer_once(executor, statement.clone()).await {
            Err(error) if error.is_serialization() && !executor.in_transaction() => {}
            answer => return answer,
        }
    }
    answer_once(executor, statement).await
}

const TRIES: u32 = 5;

async fn answer_once<E: Executor>(
    executor: &mut E,
    statement: Statement<Late>,
) -> Result<Option<Late>> {
    if E::Backend::RETURNING {
        return Ok(executor.ask(statement).await?.pop());
    }
    let late = statement.binds.late;
    let found = executor.run(statement.counted()).await?;
    Ok((found > 0).then_some(late))
}

/// Where the database has a pin of its own that is weaker than a write, the lock may ask for the write.
async fn ask_pin<E: Executor>(executor: &mut E, lease: &Lease) -> Result<Option<Late>> {
    if E::Backend::LOCKS_IN_VAIN && lease.lock.pins_by_writing {
        let written = executor
            .run(Statement::pin_by_writing(lease).counted())
            .await?;
        if written > 0 {
            return Ok(Some(0));
        }
        // If it is still mine, it has run out.
        let answer = executor.ask(Statement::pin(lease)).await?.pop();
        return Ok(answer.map(|answer| answer.max(1)));
    }
    Ok(executor.ask(Statement::pin(lease)).await?.pop())
}

pub(crate) async fn try_pin<E: Executor>(executor: &mut E, lease: &Lease) -> Result<Pin> {
    Ok(Pin::read(ask_pin(executor, lease).await?))
}

pub(crate) async fn pin<E: Executor>(executor: &mut E, lease: &Lease) -> Result<()> {
    try_pin(executor, lease).await?.or_stop(lease)
}

pub(crate) async fn inspect<E: Executor>(executor: &mut E, lock: &Lock) -> Result<Option<Record>> {
    let seen = executor.load(Statement::look(lock)).await?.pop();
    Ok(seen.and_then(Seen::record))
}

pub(crate) async fn is_held<E: Executor>(executor: &mut E, lock: &Lock) -> Result<bool> {
    let record = inspect(executor, lock).await?;
    Ok(record.is_some_and(|record| record.is_held()))
}

pub(crate) async fn current_owner<E: Executor>(
    executor: &mut E,
    lock: &Lock,
) -> Result<Option<String>> {
    let record = inspect(executor, lock).await?;
    Ok(record.filter(Record::is_held).map(|record| record.owner))
}

pub(crate) async fn time_left<E: Executor>(executor: &mut E, lock: &Lock) -> Result<Duration> {
    let record = inspect(executor, lock).await?;
    Ok(record
        .and_then(|record| record.time_left)
        .unwrap_or_default())
}

pub(crate) async fn read_data<E: Executor>(
    executor: &mut E,
    lock: &Lock,
) -> Result<Option<String>> {
    let record = inspect(executor, lock).await?;
    Ok(record.and_then(|record| record.data))
}

pub(crate) async fn is_mine<E: Executor>(executor: &mut E, lease: &Lease) -> Result<bool> {
    let look = Statement::look_as(&lease.lock, Some(lease.token.clone()));
    let seen = executor.load(look).await?.pop();
    Ok(seen.is_some_and(|seen| {
        seen.state == Some(2) && seen.fence == Some(lease.fence) && seen.time_left().is_some()
    }))
}

pub(crate) async fn list<E: Executor>(executor: &mut E, list: &List) -> Result<Vec<Record>> {
    let seen = executor.load(Statement::list(list)).await?;
    Ok(seen.into_iter().filter_map(Seen::record).collect())
}

pub(crate) async fn force_release<E: Executor>(executor: &mut E, lock: &Lock) -> Result<Forced> {
    if E::Backend::LOCKS_IN_VAIN && executor.in_transaction() && !is_named(executor, lock).await? {
        return Ok(Forced::Free);
    }
    match answer(executor, Statement::force_release(lock)).await {
        Ok(Some(_)) => return Ok(Forced::Released),
        Ok(None) => {}
        Err(error) if error.is_busy_database() => return Ok(Forced::InUse),
        Err(error) => return Err(error),
    }
    let named = is_named(executor, lock).await?;
    Ok(if named { Forced::InUse } else { Forced::Free })
}

/// Whether the row names a holder, whose lease may have run out.
async fn is_named<E: Executor>(executor: &mut E, lock: &Lock) -> Result<bool> {
    let seen = executor.load(Statement::look(lock)).await?.pop();
    Ok(seen.is_some_and(|seen| seen.state.unwrap_or_default() != 0))
}

pub(crate) async fn purge<E: Executor>(
    executor: &mut E,
    list: &List,
    age: Duration,
) -> Result<usize> {
    if !E::Backend::LOCKS_IN_VAIN {
        return executor.run(Statement::purge(list, age)).await;
    }
    let (mut page, mut purged) = (list.to_purge(), 0);
    loop {
        let seen = executor.load(Statement::list(&page)).await?;
        let Some(end) = seen.last().and_then(|seen| seen.name.clone()) else {
            return Ok(purged);
        };
        page = page.after(&end);
        for key in seen
            .into_iter()
            .filter_map(|seen| seen.key_if_older_than(age))
        {
            let removed = executor
                .run(Statement::purge_one(&list.table, key, age))
                .await?;
            purged += usize::from(removed > 0);
        }
    }
}

impl Pin {
    /// The answer of a pin in a transaction that will go on seeing what was there when it began.
    pub(crate) const PINNED_IN_SNAPSHOT: Late = 3;

    pub(crate) fn read(answer: Option<Late>) -> Self {
        match answer {
            Some(0 | Self::PINNED_IN_SNAPSHOT) => Self::Pinned,
            Some(1) => Self::RunOut,
            _ => Self::Lost,
        }
    }

    /// Pinned, or the error for the transaction to return.
    pub(crate) fn or_stop(self, lease: &Lease) -> Result<()> {
        let name = lease.lock.key().to_owned();
        match self {
            Self::Pinned => Ok(()),
            Self::RunOut => Err(Error::RunOut { name }),
            Self::Lost => Err(Error::Lost { name }),
        }
    }
}

#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql", feature = "sqlite")),
    expect(dead_code, reason = "asked by the dialects")
)]
impl Seen {
    /// Who holds the lock, if it is somebody else, and whose lease has not run out.
    pub(crate) fn other_holder(&self) -> Option<Holder> {
        if self.state != Some(1) {
            return None;
        }
        Some(Holder {
            time_left: self.time_left()?,
            owner: self.owner.clone()?,
            fence: self.fence?,
            since: DateTime::from_timestamp_micros(self.acquired_at?)?,
            data: self.data.clone(),
        })
    }

    /// How long the lease lives, or `None` where there is none that has not run out.
    fn time_left(&self) -> Option<Duration> {
        let left = self.expires_at? - self.now;
        let held = self.state.unwrap_or_default() != 0 && left > 0;
        held.then(|| Duration::from_micros(left.unsigned_abs()))
    }

    fn record(self) -> Option<Record> {
        Some(Record {
            time_left: self.time_left(),
            key: self.name?,
            owner: self.owner?,
            fence: self.fence?,
            acquired_at: DateTime::from_timestamp_micros(self.acquired_at?)?,
            expires_at: DateTime::from_timestamp_micros(self.expires_at?)?,
            data: self.data,
        })
    }

    fn key_if_older_than(self, age: Duration) -> Option<String> {
        let limit = self.now.saturating_sub(micros(age));
        let old = self.expires_at? < limit && self.fence? < limit;
        old.then_some(self.name).flatten()
    }
}
