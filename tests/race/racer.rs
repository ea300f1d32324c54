//! One of the racing processes. It acquires the lock, writes under its lease in every possible way, and mostly lets the
//! lease expire, so that another process takes over. Sometimes it holds the lock too long, or it dies and leaves
//! workers behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::TransactionManager;
use diesel_locks::blocking::{LeaseDsl, LockDsl};
use diesel_locks::{Attempt, Error, Lease, Result, Wait};
use diesel_locks_tests::{ms, process};

use crate::event::{Acquired, Committed, Event, Time, now};
use crate::ground::{Ground, Racing};

/// The proof that a transaction relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Pin,
    /// A moment ago, the lease was still ours.
    Check,
}

/// The number of workers that go on under the lease of a dead holder.
const WORKERS: usize = 3;
/// The shortest ttl, if the database is fast enough for it. Other ttls are a small multiple of it.
const SHORTEST_TTL: Duration = Duration::from_millis(4);
const LONGEST_TTL: Duration = Duration::from_millis(400);

struct Racer<C> {
    ground: Ground,
    number: usize,
    proof: Proof,
    conn: C,
    workers: Vec<C>,
    over: Arc<AtomicBool>,
    /// The unit of the ttls. It grows with every late reply and shrinks with every acquisition. So some replies are
    /// late, but most are not.
    unit: Duration,
}

/// A lease, and values that only its acquirer knows.
struct Held {
    lease: Lease,
    ttl: Duration,
    at: Time,
}

/// Races until the standard input ends. It also ends when the referee is gone.
pub fn race<C: Racing>(ground: Ground, number: usize, proof: Proof) {
    println!(); // libtest may have begun a line
    let over = Arc::new(AtomicBool::new(false));
    let told = over.clone();
    process::when_input_ends(move || told.store(true, Ordering::SeqCst));
    let mut racer = Racer::<C> {
        conn: ground.connect(number),
        workers: (0..WORKERS).map(|_| ground.connect(number)).collect(),
        ground,
        number,
        proof,
        over,
        unit: SHORTEST_TTL,
    };
    while !racer.is_over() {
        racer.round();
    }
}

impl<C: Racing> Racer<C> {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn round(&mut self) {
        if self.proof == Proof::Pin && one_in(8) {
            return self.one_call();
        }
        let Some(Held { mut lease, ttl, at }) = self.acquire() else {
            return;
        };
        if one_in(8) {
            return self.orphan(&lease, at + micros(ttl));
        }
        for _ in 0..below(4) {
            if !matches!(self.write(&mut lease, ttl), Event::Committed(_)) {
                return;
            }
        }
        match below(10) {
            0 => self.release(&lease),
            1 => self.finish(&mut lease),
            2 => self.vanish(&lease),
            _ => {} // dies without releasing
        }
    }

    /// Tries until the lock is acquired. It does not use the crate's wait, so that it sees every answer.
    fn acquire(&mut self) -> Option<Held> {
        let (mut since, times) = (None, [1, 2, 3, 5][below(4)]);
        while !self.is_over() {
            let (ttl, sent) = (self.unit * times, now());
            match self.ground.lock(ttl).try_acquire(&mut self.conn) {
                Ok(Attempt::Acquired(lease)) => {
                    self.unit = (self.unit * 15 / 16).max(SHORTEST_TTL);
                    let since = since.unwrap_or(sent);
                    let at = tell_acquired(&self.ground, &mut self.conn, &lease, since, sent);
                    return Some(Held { lease, ttl, at });
                }
                Ok(Attempt::Busy(None)) => since = since.or(Some(sent)),
                Ok(Attempt::Busy(Some(_))) => since = None,
                Err(error) => {
                    since = None;
                    if refused(&error).tell() == Event::Late {
                        self.unit = (self.unit + self.unit / 2).min(LONGEST_TTL);
                    }
                }
            }
            std::thread::sleep(ms(1));
        }
        None
    }

    /// Does the whole round in one call.
    fn one_call(&mut self) {
        let ttl = self.unit * 5;
        let (lock, hold) = (self.ground.lock(ttl), hold(ttl));
        let (ground, sent, mut fence) = (self.ground.clone(), now(), None);
        let wait = Wait::forever().every(ms(2));
        let done = lock.transaction(&mut self.conn, wait, |conn, lease| {
            fence = Some(lease.fence());
            let now = now();
            tell_acquired(&ground, conn, lease, now, sent);
            write(&ground, conn, lease, hold)
        });
        let done = done.map(|done| done.acquired().expect("a wait for ever"));
        let was_held = !matches!(&done, Err(error) if error.is_stale());
        tell(done);
        if let Some(fence) = fence.filter(|_| was_held) {
            Event::Released(fence).tell();
        }
    }

    /// One guarded transaction. Sometimes it takes longer than the lease.
    fn write(&mut self, lease: &mut Lease, ttl: Duration) -> Event {
        let (ground, copy, hold) = (&self.ground, lease.clone(), hold(ttl));
        let conn = &mut self.conn;
        tell(if self.proof == Proof::Pin && one_in(2) {
            lease.transaction(conn, |conn| write(ground, conn, &copy, hold))
        } else {
            guarded(ground, conn, lease, self.proof, hold)
        })
    }

    fn release(&mut self, lease: &Lease) {
        let event = match lease.release(&mut self.conn) {
            Ok(outcome) if outcome.is_lost() => return,
            Ok(_) => Event::Released(lease.fence()),
            Err(error) => refused(&error),
        };
        event.tell();
    }

    /// The last transaction. It releases the lock.
    fn finish(&mut self, lease: &mut Lease) {
        if self.proof == Proof::Check {
            return;
        }
        let (ground, copy) = (&self.ground, lease.clone());
        let hold = hold(ms(5));
        let done = lease.finish(&mut self.conn, |conn| write(ground, conn, &copy, hold));
        if let Event::Committed(done) = tell(done) {
            Event::Released(done.fence).tell();
        }
    }

    /// Disappears in the middle of a transaction, as after a crash. Rows of that transaction must not be in the ledger.
    fn vanish(&mut self, lease: &Lease) {
        let begun = C::TransactionManager::begin_transaction(&mut self.conn);
        begun.expect("a transaction");
        let done = pin_and_write(&self.ground, &mut self.conn, lease);
        self.conn = self.ground.connect(self.number);
        let event = done.map_or_else(|error| refused(&error), |()| Event::Vanished);
        event.tell();
    }

    /// The holder dies. Its workers have the lease as text, and go on with it until it is lost. Their transactions
    /// overlap, and a refused pin is tried again at once.
    fn orphan(&mut self, lease: &Lease, dead: Time) {
        Event::Orphaned(lease.fence(), dead).tell();
        let (ground, over, proof) = (&self.ground, &*self.over, self.proof);
        std::thread::scope(|scope| {
            for conn in &mut self.workers {
                let text = lease.to_text();
                scope.spawn(move || {
                    let lease: Lease = text.parse().expect("a lease");
                    let mut last = Event::Expired;
                    while last != Event::Lost && !over.load(Ordering::SeqCst) {
                        last = tell(guarded(ground, conn, &lease, proof, ms(2)));
                    }
                });
            }
        });
    }
}

/// Reports an acquisition. It reads the ledger right after the answer: by then, every commit of earlier holders must be
/// visible.
fn tell_acquired<C: Racing>(
    ground: &Ground,
    conn: &mut C,
    lease: &Lease,
    since: Time,
    sent: Time,
) -> Time {
    let (fence, at) = (lease.fence(), now());
    let seen = ground.ledger().look(conn, fence).expect("a look");
    Event::Acquired(Acquired {
        fence,
        since,
        sent,
        at,
        seen,
    })
    .tell();
    at
}

/// A transaction of the host that pins by hand, or that relies on a check.
fn guarded<C: Racing>(
    ground: &Ground,
    conn: &mut C,
    lease: &Lease,
    proof: Proof,
    hold: Duration,
) -> Result<Committed> {
    match proof {
        Proof::Pin => conn.writing(|conn| {
            lease.pin(conn)?;
            write(ground, conn, lease, hold)
        }),
        // On such an engine, a check inside the transaction protects as well as a pin. So the check comes before it.
        Proof::Check if C::REFUSES_BY_ITSELF => {
            check(conn, lease)?;
            std::thread::sleep(hold);
            conn.writing(|conn| write(ground, conn, lease, ms(0)))
        }
        Proof::Check => conn.transaction(|conn| {
            check(conn, lease)?;
            write(ground, conn, lease, hold)
        }),
    }
}

fn check<C: Racing>(conn: &mut C, lease: &Lease) -> Result<()> {
    if lease.status(conn)?.is_held() {
        return Ok(());
    }
    Err(diesel::result::Error::RollbackTransaction.into()) // only the crate makes `Lost`
}

/// The protected write: reads the ledger, works, and writes.
fn write<C: Racing>(
    ground: &Ground,
    conn: &mut C,
    lease: &Lease,
    hold: Duration,
) -> Result<Committed> {
    let (ledger, fence, pinned) = (ground.ledger(), lease.fence(), now());
    let seen = ledger.look(conn, fence)?;
    std::thread::sleep(hold);
    ledger.write(conn, fence, seen)?;
    let overran = !lease.lock().is_held(conn)?;
    Ok(Committed {
        fence,
        pinned,
        ended: now(),
        overran,
    })
}

fn pin_and_write<C: Racing>(ground: &Ground, conn: &mut C, lease: &Lease) -> Result<()> {
    lease.pin(conn)?;
    write(ground, conn, lease, ms(1)).map(drop)
}

fn tell(done: Result<Committed>) -> Event {
    done.map_or_else(|error| refused(&error), Event::Committed)
        .tell()
}

/// The event for an error that the race expects. Any other error ends the process, and so the race.
fn refused(error: &Error) -> Event {
    match error {
        Error::Lost { .. } | Error::Database(diesel::result::Error::RollbackTransaction) => {
            Event::Lost
        }
        Error::Expired { .. } => Event::Expired,
        Error::TooLate { .. } => Event::Late,
        error if error.is_transient() => Event::Contention,
        error => panic!("{error:?}"),
    }
}

/// The duration of a transaction: a moment, or longer than its lease.
fn hold(ttl: Duration) -> Duration {
    if one_in(5) {
        ttl + ms(3)
    } else {
        Duration::from_micros(below(2_000) as u64)
    }
}

fn micros(time: Duration) -> Time {
    Time::try_from(time.as_micros()).expect("a short time")
}

fn one_in(chances: usize) -> bool {
    below(chances) == 0
}

pub fn below(end: usize) -> usize {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(()) % end as u64;
    usize::try_from(random).expect("less than a usize")
}
