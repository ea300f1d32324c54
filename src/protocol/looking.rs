//! Reads rows, takes locks away from their holders, and removes old rows.

use std::time::Duration;

use super::executor::Executor;
use super::holding::answer;
use crate::answer::{Forced, Record};
use crate::clock::Moment;
use crate::dialect::Sql;
use crate::error::Result;
use crate::lease::Lease;
use crate::list::List;
use crate::lock::Lock;
use crate::row::LockRow;
use crate::statement::Statement;
use crate::token::Token;

pub(crate) async fn inspect<E: Executor>(executor: &mut E, lock: &Lock) -> Result<Option<Record>> {
    let row = executor.load(Statement::look(lock)).await?.pop();
    Ok(row.and_then(LockRow::record))
}

pub(crate) async fn is_held<E: Executor>(executor: &mut E, lock: &Lock) -> Result<bool> {
    let record = inspect(executor, lock).await?;
    Ok(record.is_some_and(|record| record.is_held()))
}

/// The lease that this token acquired, if the token acquired the lock and still holds it.
pub(crate) async fn find<E: Executor>(
    executor: &mut E,
    lock: &Lock,
    token: Token,
) -> Result<Option<Lease>> {
    let sent = Moment::now();
    let query = Statement::look_as(lock, Some(token.clone()));
    let row = executor.load(query).await?.pop();
    let fence = row.filter(LockRow::is_mine).and_then(|row| row.fence);
    Ok(fence.map(|fence| Lease::new(lock, token, fence, sent)))
}

pub(crate) async fn list<E: Executor>(executor: &mut E, list: &List) -> Result<Vec<Record>> {
    let rows = executor.load(Statement::list(list)).await?;
    Ok(rows.into_iter().filter_map(LockRow::record).collect())
}

pub(crate) async fn force_release<E: Executor>(executor: &mut E, lock: &Lock) -> Result<Forced> {
    if E::Backend::KEEPS_UNMATCHED_ROW_LOCKS
        && executor.in_transaction()
        && !is_named(executor, lock).await?
    {
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

/// Whether the lease was released, and the lock was not acquired since.
pub(crate) async fn is_released<E: Executor>(executor: &mut E, lease: &Lease) -> Result<bool> {
    let row = executor.load(Statement::look(&lease.lock)).await?.pop();
    Ok(row.is_some_and(|row| row.is_free() && row.fence == Some(lease.fence)))
}

/// Whether the row names a holder. The holder's lease may have expired.
async fn is_named<E: Executor>(executor: &mut E, lock: &Lock) -> Result<bool> {
    let row = executor.load(Statement::look(lock)).await?.pop();
    Ok(row.is_some_and(|row| row.names_holder()))
}

pub(crate) async fn purge<E: Executor>(
    executor: &mut E,
    list: &List,
    age: Duration,
) -> Result<usize> {
    if !E::Backend::KEEPS_UNMATCHED_ROW_LOCKS {
        return executor.run(Statement::purge(list, age)).await;
    }
    let (table, mut page, mut purged) = (list.table(), list.to_purge(), 0);
    loop {
        let rows = executor.load(Statement::list(&page)).await?;
        let Some(end) = rows.last().and_then(|row| row.name.clone()) else {
            return Ok(purged);
        };
        page = page.after(&end);
        for key in rows
            .into_iter()
            .filter_map(|row| row.key_if_older_than(age))
        {
            let removed = executor.run(Statement::purge_one(&table, key, age)).await?;
            purged += usize::from(removed > 0);
        }
    }
}
