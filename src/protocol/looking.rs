//! Looking at rows, and mending them.

use std::time::Duration;

use chrono::DateTime;

use super::Executor;
use super::holding::answer;
use crate::answer::{Forced, Holder, Record};
use crate::clock::Moment;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::lease::Lease;
use crate::list::List;
use crate::lock::{Lock, micros};
use crate::statement::{Seen, Statement};
use crate::token::Token;

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

/// The lease that this token acquired, if it did and still has it.
pub(crate) async fn find<E: Executor>(
    executor: &mut E,
    lock: &Lock,
    token: Token,
) -> Result<Option<Lease>> {
    let sent = Moment::now();
    let query = Statement::look_as(lock, Some(token.clone()));
    let seen = executor.load(query).await?.pop();
    let fence = seen
        .filter(|seen| seen.state == Some(2))
        .and_then(|seen| seen.fence);
    Ok(fence.map(|fence| Lease::new(lock, token, fence, sent)))
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

/// Whether the lease was released, and nobody has acquired the lock since.
pub(crate) async fn is_released<E: Executor>(executor: &mut E, lease: &Lease) -> Result<bool> {
    let seen = executor.load(Statement::look(&lease.lock)).await?.pop();
    Ok(seen.is_some_and(|seen| seen.state == Some(0) && seen.fence == Some(lease.fence)))
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
    pub(crate) fn time_left(&self) -> Option<Duration> {
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
