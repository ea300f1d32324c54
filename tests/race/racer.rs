//! One of the processes: acquires the lock, writes under its lease in all the ways there are, and mostly lets it run
//! out for another to take over. Holds it too long now and then, dies, and leaves workers behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::TransactionManager;
use diesel_locks::blocking::{LeaseDsl, LockDsl};
use diesel_locks::{Attempt, Error, Lease, Result, Wait};
use diesel_locks_tests::{ms, process};

use crate::event::{Acquired, Committed, Event, Time, now};
use crate::ground::{Ground, Racing};

/// What a transaction relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Pin,
    /// The lease was mine a moment ago.
    Check,
}

/// So many go on working under the lease of a holder that is dead.
const WORKERS: usize = 3;
/// A ttl is this or a few times as much, where the database is quick enough for it.
const SHORTEST_TTL: Duration = Duration::from_millis(4);
const LONGEST_TTL: Duration = Duration::from_millis(400);

struct Racer<C> {
    ground: Ground,
    number: usize,
    proof: Proof,
    conn: C,
    workers: Vec<C>,
    over: Arc<AtomicBool>,
    /// Grows with every late reply, and shrinks again: so short that some replies are late, and not most.
    unit: Duration,
}

/// A lease, with what only who acquired it knows.
struct Held {
    lease: Lease,
    ttl: Duration,
    at: Time,
}

/// Races until standard input ends, which it also does when the referee is gone.
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

    /// Tries until it wins, without a wait of the crate's, to see every answer.
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

    /// The whole round in one call.
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

    /// One guarded transaction, sometimes much longer than the lease.
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

    /// The last transaction, which releases.
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

    /// Is gone in the middle of a transaction, as by a crash: what it wrote must not be there.
    fn vanish(&mut self, lease: &Lease) {
        let begun = C::TransactionManager::begin_transaction(&mut self.conn);
        begun.expect("a transaction");
        let done = pin_and_write(&self.ground, &mut self.conn, lease);
        self.conn = self.ground.connect(self.number);
        let event = done.map_or_else(|error| refused(&error), |()| Event::Vanished);
        event.tell();
    }

    /// Dies, while workers that have got the lease as text go on with it until it is lost. Their transactions
    /// overlap, and a pin that is refused is tried again at once.
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

/// Right after the answer, which is when every commit of earlier holders must be there.
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

/// A transaction of the host's own that pins by hand, or relies on a check.
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
        // Where the check would do for a pin in a transaction, it comes before.
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

/// The protected write: looks, works, writes.
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

/// What an error means in the race; any other ends the process, and with it the race.
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

/// How long a transaction takes: a moment, or longer than its lease.
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
