//! MySQL and MariaDB: write first, and look if that was in vain; where the write must not come first, look, then compare
//! and set. The reasons for the row locks stand in `dialect/mysql.rs`.
//!
//! No UPDATE returns rows here, so the fence of the winner is known beforehand: the first write proposes it, and the later
//! one compares the fence with the fence that was seen. No statement acquires several locks: a set is acquired one lock
//! after the other.

use diesel::mysql::Mysql;

use super::{Waiter, Winning, Won, WonSet};
use crate::clock::{Moment, on_the_wall};
use crate::error::Result;
use crate::holder::Holder;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::protocol::executor::Executor;
use crate::protocol::release;
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
        waiter: Waiter,
    ) -> Result<Won> {
        if writes_first(executor, lock, waiter) {
            if let Some(fence) = write(executor, lock, token).await? {
                return Ok(Won::Fence(fence));
            }
        }
        let inside = executor.in_transaction();
        let query = Statement::look_to_acquire(lock, token.cloned(), inside).in_turn(waiter.since);
        let Some(seen) = executor.load(query).await?.pop() else {
            return Ok(Won::Busy(None));
        };
        if let Some(holder) = seen.other_holder() {
            return Ok(Won::Busy(Some(holder)));
        }
        if seen.session & NOT_IN_TURN != 0 {
            return Ok(Won::NotInTurn);
        }
        let is_open = seen.session & OPEN != 0;
        if is_open {
            executor.note_transaction();
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
        take(executor, lock, token, waiter.since, &known).await
    }

    /// All locks, or none: if one lock is busy, the locks that were acquired by this try are released again. Locks that
    /// the token held before stay held.
    async fn win_all<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> Result<WonSet> {
        let (mut won, mut new) = (Vec::with_capacity(set.locks.len()), Vec::new());
        for lock in &set.locks {
            let busy = match Self::win(executor, lock, Some(token), Waiter::default()).await {
                Ok(Won::Fence(fence)) => {
                    new.push(Lease::new(lock, token.clone(), fence, Moment::now()));
                    won.push((lock.key().to_owned(), fence));
                    continue;
                }
                Ok(Won::Renewed(fence)) => {
                    won.push((lock.key().to_owned(), fence));
                    continue;
                }
                Ok(Won::Busy(holder)) => Ok(WonSet::Busy(holder)),
                Ok(Won::NotInTurn) => Ok(WonSet::Busy(None)),
                Err(error) => Err(error),
            };
            for lease in &new {
                let _ = release(executor, lease).await; // otherwise it is free after the ttl
            }
            return busy;
        }
        Ok(WonSet::Won(won))
    }

    /// The lock that the token holds already, if it holds one. Otherwise any free lock of the set. The search begins at
    /// a random place, so that many processes that ask at once do not all begin with the same lock.
    async fn win_any<E: Executor<Backend = Self>>(
        executor: &mut E,
        set: &LockSet,
        token: &Token,
    ) -> Result<WonSet> {
        if let Some(mine) = find_mine(executor, set).await? {
            if let Won::Renewed(fence) =
                Self::win(executor, mine, Some(token), Waiter::default()).await?
            {
                return Ok(WonSet::Won(vec![(mine.key().to_owned(), fence)]));
            }
        }
        let first = getrandom::u32().unwrap_or_default() as usize % set.locks.len();
        let mut soonest: Option<Holder> = None;
        for lock in set.locks[first..].iter().chain(&set.locks[..first]) {
            match Self::win(executor, lock, Some(token), Waiter::default()).await? {
                Won::Fence(fence) | Won::Renewed(fence) => {
                    return Ok(WonSet::Won(vec![(lock.key().to_owned(), fence)]));
                }
                Won::NotInTurn => {}
                Won::Busy(holder) => {
                    let both = soonest.into_iter().chain(holder);
                    soonest = both.min_by_key(|holder| holder.time_left);
                }
            }
        }
        Ok(WonSet::Busy(soonest))
    }
}

/// Whether the first statement of a try writes. It does not inside a transaction, where its row lock would stay; nor after
/// a busy answer, because a busy lock costs it a second statement; nor with a text to be kept, which has another table.
fn writes_first<E: Executor>(executor: &mut E, lock: &Lock, waiter: Waiter) -> bool {
    !waiter.polls && lock.data.is_none() && !executor.in_transaction()
}

/// Acquires a lock that is free, and has no mark. Returns the fence.
async fn write<E: Executor<Backend = Mysql>>(
    executor: &mut E,
    lock: &Lock,
    token: Option<&Token>,
) -> Result<Option<i64>> {
    let fence = on_the_wall();
    let statement = Statement::acquire_with(lock, token.cloned(), fence);
    match executor.run(statement).await {
        Err(error) if error.is_transient() => Ok(None), // the row is locked
        changed => Ok((changed? > 0).then_some(fence)),
    }
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

/// The lock that a token chosen by the caller holds already. A random token holds none.
async fn find_mine<'s, E: Executor>(
    executor: &mut E,
    set: &'s LockSet,
) -> Result<Option<&'s Lock>> {
    if set.prototype().token.is_none() {
        return Ok(None);
    }
    for lock in &set.locks {
        let row = executor.load(Statement::look(lock)).await?.pop();
        if row.is_some_and(|row| row.is_mine()) {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}
