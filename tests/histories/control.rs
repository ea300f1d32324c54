//! The broken rules of the controls. The checker must find what they do.

use std::time::{Duration, Instant};

use diesel_locks::{Error, Lease, Lock, Result};
use diesel_locks_tests::ms;
use diesel_locks_tests::session::Session;

use crate::client::{Usable, done};
use crate::ground::Ground;
use crate::log;
use crate::operation::{Act, Client, Word};
use crate::recorder::{answer, ask, busy, claim};

const TTL: Duration = ms(300);
/// How long a lease of this ttl may be trusted: a tenth is the margin.
const TRUSTED: Duration = ms(270);

/// Takes a lease over when half of its time is left, with a statement of our own. A tenth would be early on the database's
/// clock only: the margin of the trust would cover it. Returns whether that succeeded.
pub async fn take_over_early(
    ground: &Ground,
    client: Client,
    conn: &mut dyn Session,
    lock: &Lock,
) -> bool {
    let (name, now) = (lock.key(), log::clock(ground.engine));
    let (beats, end) = if matches!(ground.engine.name(), "postgres" | "sqlite") {
        ("", "l.expires_at")
    } else {
        (
            "LEFT JOIN diesel_locks_beats b ON b.name = l.name AND b.fence = l.fence",
            "COALESCE(b.expires_at, l.expires_at)",
        )
    };
    let half = TTL.as_micros() / 2;
    let expiring = format!(
        "SELECT COALESCE(MAX(l.fence), 0) AS number FROM diesel_locks l {beats}
         WHERE l.name = '{name}' AND l.token IS NOT NULL AND {end} BETWEEN {now} AND {now} + {half}"
    );
    let Ok(fence @ 1..) = conn.number(&expiring).await else {
        return false;
    };
    let next = fence + 1;
    let id = ask(client, Act::Try, name, 0);
    let token = format!("token = 'early {id}', fence = {next}");
    let sent = Instant::now();
    let take = format!(
        "UPDATE diesel_locks SET {token}, owner = '{client}', acquired_at = {now},
         expires_at = {now} + {} WHERE name = '{name}' AND fence = {fence}",
        TTL.as_micros()
    );
    if !matches!(conn.sql(&take).await, Ok(1..)) {
        answer(id, (Word::Failed, 0));
        return false;
    }
    answer(id, (Word::Acquired, next));
    claim(name, next, || TRUSTED.saturating_sub(sent.elapsed()));
    true
}

/// Says that the lock is busy, and has not asked.
pub fn say_busy(client: Client, lock: &Lock) -> Usable {
    let id = ask(client, Act::Try, lock.key(), 0);
    done(id, busy(None))
}

/// Looks at the lease, and then writes in the belief that it is still held.
pub async fn write_without_pin(
    conn: &mut dyn Session,
    lease: &Lease,
    id: i64,
    hold: Duration,
) -> Result<()> {
    if !conn.status(lease).await?.is_held() {
        return Err(Error::from(diesel::result::Error::RollbackTransaction)); // only the crate makes `Lost`
    }
    tokio::time::sleep(hold).await;
    log::write(conn, (lease.lock().key(), lease.fence(), id), async {}).await
}
