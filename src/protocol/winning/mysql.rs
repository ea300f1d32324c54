//! MySQL and MariaDB: write first, and look if that was in vain; look first where somebody presumably holds the lock, or where
//! the write must not come first. The reasons for the row locks stand in `dialect/mysql.rs`.
//!
//! No UPDATE returns rows here, so the fence of the winner is known beforehand: the first write proposes it, and the later
//! one compares the fence with the fence that was seen.

mod crowds;
mod sets;

use diesel::mysql::Mysql;

use super::{Winning, Won, WonSet};
use crate::answer::Outcome;
use crate::clock::on_the_wall;
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::protocol::executor::Executor;
use crate::protocol::presumption;
use crate::row::LockRow;
use crate::set::LockSet;
use crate::statement::Statement;
use crate::token::Token;

/// In [`LockRow::session`]: there is a transaction, whether or not Diesel has begun it.
const OPEN: i64 = 1;
/// In [`LockRow::session`]: the transaction is SERIALIZABLE, where every read locks, so the lock's row was not read.
const READS_LOCK: i64 = 2;
/// In [`LockRow::session`]: a row that cannot be locked at once would cost the whole transaction.
const TIMEOUT_ROLLS_BACK: i64 = 4;
/// In [`LockRow::session`]: the lock is free, and another process is to have it first.
const NOT_IN_TURN: i64 = 8;
/// In [`LockRow::session`]: the lock has no row in which its extensions are kept.
const HAS_NO_BEAT: i64 = 16;

impl Winning for Mysql {
    async fn win<E: Executor<Backend = Self>>(
        executor: &mut E,
        lock: &Lock,
        token: Option<&Token>,
        since: Option<i64>,
    ) -> Result<Won> {
        let won = win_unnoted(executor, lock, token, since).await?;
        match &won {
            Won::Fence(_) | Won::Renewed(_) => presumption::note_held(lock, lock.ttl),
            Won::Busy(Some(holder)) => presumption::note_held(lock, holder.time_left),
            Won::Busy(None) | Won::NotInTurn => {}
        }
        Ok(won)
    }

    async fn win_all<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> Result<WonSet> {
        sets::win_all(executor, set, token).await
    }

    async fn win_any<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> Result<WonSet> {
        sets::win_any(executor, set, token).await
    }

    async fn win_each<E: Executor<Backend = Self>>(
        executor: &mut E,
        tries: &[(Lock, Token)],
    ) -> Result<Vec<Option<Won>>> {
        crowds::win_each(executor, tries).await
    }

    async fn free_each<E: Executor<Backend = Self>>(
        executor: &mut E,
        leases: &[&Lease],
        _: bool,
    ) -> Result<Vec<Option<Outcome>>> {
        crowds::free_each(executor, leases).await
    }
}

async fn win_unnoted<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
    since: Option<i64>,
) -> Result<Won> {
    if may_write_first(executor, lock) {
        if let Some(won) = win_at_first_sight(executor, lock, token, since).await? {
            return Ok(won);
        }
    }
    let inside = executor.in_transaction();
    let query = Statement::look_to_acquire(lock, token.cloned(), inside).in_turn(since);
    let Some(seen) = executor.load(query).await?.pop() else {
        return Ok(Won::Busy(None));
    };
    let is_open = seen.session & OPEN != 0;
    if is_open {
        executor.note_transaction();
    }
    if let Some(holder) = seen.other_holder() {
        return Ok(Won::Busy(Some(holder)));
    }
    if seen.session & NOT_IN_TURN != 0 {
        return Ok(Won::NotInTurn);
    }
    if seen.name.is_none() {
        return acquire_unseen(executor, lock, token, seen).await;
    }
    let has_no_beat = seen.session & HAS_NO_BEAT != 0;
    let known = if is_open {
        peek(executor, lock, token, &seen).await?
    } else {
        Some(seen)
    };
    let Some(known) = known else {
        return Ok(Won::Busy(None));
    };
    if has_no_beat {
        executor.run(Statement::create_beat(lock, None)).await?;
    }
    take(executor, lock, token, since, &known).await
}

/// Acquires a lock, or sees its holder, without a look at the session. `None` if that is not enough: there is a mark, a row
/// is missing, the fence does not fit, or the row is locked.
async fn win_at_first_sight<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
    since: Option<i64>,
) -> Result<Option<Won>> {
    if presumption::is_held(lock) {
        let query = Statement::look_outside(lock, token.cloned());
        match executor.load(query).await?.pop() {
            Some(seen) if seen.other_holder().is_some() => {
                return Ok(Some(Won::Busy(seen.other_holder())));
            }
            Some(seen) if seen.session != 0 => return Ok(None),
            Some(seen) if seen.names_holder() => {
                return take(executor, lock, token, since, &seen).await.map(Some);
            }
            _ => {}
        }
    }
    let fence = write(executor, lock, token).await?;
    Ok(fence.map(Won::Fence))
}

/// Whether a try may write before it has looked at the session. It may not inside a transaction, where its row lock would
/// stay; nor with a text to be kept, which has another table.
fn may_write_first<E: Executor>(executor: &mut E, lock: &Lock) -> bool {
    lock.data.is_none() && !executor.in_transaction()
}

/// Acquires a lock that is free, and has no mark. Returns the fence.
async fn write<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
) -> Result<Option<i64>> {
    let fence = on_the_wall();
    let acquire = Statement::acquire_with(lock, token.cloned(), fence);
    let changed = unless_locked(executor.run(acquire).await)?;
    Ok((changed > 0).then_some(fence))
}

/// Acquires a lock whose row was not seen: the row is not there, or must not be read.
async fn acquire_unseen<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
    seen: LockRow,
) -> Result<Won> {
    let known = match see_identity(executor, lock, token, &seen).await? {
        Identity::Busy => None,
        Identity::Available(Some(row)) => Some(row),
        Identity::Available(None) => {
            let create = Statement::create(lock, token.cloned());
            if executor.run(create).await? > 0 {
                return created(executor, lock, token).await;
            }
            peek(executor, lock, token, &seen).await?
        }
    };
    match known {
        Some(known) => take(executor, lock, token, None, &known).await,
        None => Ok(Won::Busy(None)),
    }
}

/// Creates the second row of a lock whose row this try has just created, and reads the fence.
async fn created<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
) -> Result<Won> {
    let beat = Statement::create_beat(lock, lock.data.clone());
    executor.run(beat).await?;
    let query = Statement::look_as(lock, token.cloned());
    let row = executor.load(query).await?.pop();
    let mine = row.filter(|row| row.is_mine() || token.is_none());
    let fence = mine.and_then(|row| row.fence);
    Ok(fence.map_or(Won::Busy(None), Won::Fence)) // otherwise somebody has taken the lock away again
}

/// The knowledge of the holder of a lock whose row was not seen.
enum Identity {
    Busy,
    /// The lock is free, or the token holds it. `None` where no identity was seen: the lock was never used, or looking
    /// would lock the gap.
    Available(Option<LockRow>),
}

/// Reads the identity of the holder where the lock's row cannot tell. The expiry cannot be seen then, so another holder
/// counts as alive.
///
/// Nothing is read in a transaction below SERIALIZABLE, because there a search for a row that is missing locks the gap.
async fn see_identity<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
    seen: &LockRow,
) -> Result<Identity> {
    if seen.session & OPEN != 0 && seen.session & READS_LOCK == 0 {
        return Ok(Identity::Available(None));
    }
    if seen.session & (OPEN | TIMEOUT_ROLLS_BACK) == OPEN | TIMEOUT_ROLLS_BACK {
        return Ok(Identity::Busy);
    }
    let peek = Statement::peek_nowait(lock, token.cloned());
    match executor.load(peek).await {
        Ok(rows) => Ok(match rows.into_iter().next() {
            Some(row) if row.names_other() => Identity::Busy,
            row => Identity::Available(row),
        }),
        Err(error) if error.is_transient() => Ok(Identity::Busy),
        Err(error) => Err(error),
    }
}

/// Reads the identity again under a row lock. `None` where the lock is not available: another transaction has the
/// identity locked, or there is another holder than the one that was seen to have expired.
async fn peek<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
    seen: &LockRow,
) -> Result<Option<LockRow>> {
    let now = executor.load(Statement::peek(lock, token.cloned())).await?;
    let mut available = now
        .into_iter()
        .filter(|now| !now.names_other() || now.fence == seen.fence);
    Ok(available.next())
}

/// Acquires a lock whose row is known, or renews the lease of the token. If that was in vain, another process may have
/// acquired the lock with the same token meanwhile, if the caller chose it: then that is the acquisition.
async fn take<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
    since: Option<i64>,
    known: &LockRow,
) -> Result<Won> {
    let won = decide(executor, lock, token, since, known).await?;
    if lock.token.is_none() || !matches!(won, Won::Busy(_)) {
        return Ok(won);
    }
    match executor.load(Statement::look(lock)).await?.pop() {
        Some(row) if row.is_mine() => decide(executor, lock, token, since, &row).await,
        _ => Ok(won),
    }
}

/// Decides the winner: the statement changes the row only if no other holder has acquired the lock since `known` was
/// read.
async fn decide<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
    since: Option<i64>,
    known: &LockRow,
) -> Result<Won> {
    let fence = known.fence.unwrap_or_default();
    let next = known.next_fence();
    let (statement, won) = if known.is_mine() {
        let renew = Statement::renew(lock, token.cloned(), fence);
        (renew, Won::Renewed(fence))
    } else {
        let take = Statement::acquire_after(lock, token.cloned(), fence, next);
        (take.in_turn(since), Won::Fence(next))
    };
    let changed = executor.run(statement).await?;
    Ok(if changed == 0 { Won::Busy(None) } else { won })
}

/// The number of rows that a statement has changed: none if it met a row that was locked.
fn unless_locked(changed: Result<usize>) -> Result<usize> {
    match changed {
        Err(error) if error.is_transient() => Ok(0),
        changed => changed,
    }
}

/// Notes whether somebody holds this lock, whose row was just seen.
fn note_seen(lock: &Lock, row: &LockRow) {
    match row.other_holder() {
        Some(holder) => presumption::note_held(lock, holder.time_left),
        None if row.is_free() => presumption::note_free(lock),
        None => {}
    }
}
