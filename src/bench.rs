//! What `benches/pure.rs` measures and no application can reach: the keeper's decisions by a clock that is moved by hand,
//! without a thread and without a database.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::managed::event::Observer;
use crate::managed::held_lease::HeldLease;
use crate::managed::schedule::Schedule;
use crate::token::Token;

const EVERY: Duration = Duration::from_secs(10);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// A lease that nobody acquired.
///
/// # Errors
/// For a name that cannot be used.
pub fn lease(name: &str) -> Result<Lease> {
    let lock = Lock::new(name)?.with_ttl(YEAR)?;
    Ok(Lease::new(&lock, Token::random()?, 1, Moment::now()))
}

/// What decides when which lease is extended.
pub struct Keeper {
    schedule: Schedule,
    now: Moment,
}

impl Keeper {
    /// One that keeps so many leases.
    ///
    /// # Errors
    /// Where the system has no randomness.
    pub fn with(leases: usize) -> Result<Self> {
        let (mut schedule, now) = (Schedule::default(), Moment::now());
        for number in 0..leases {
            let held = HeldLease::new(lease(&format!("kept-{number}"))?, None, Observer::default());
            schedule.add(Arc::new(held), EVERY, now);
        }
        Ok(Self { schedule, now })
    }

    /// Looks when nothing is due: how many are.
    pub fn look(&mut self) -> usize {
        self.schedule.beat(self.now).due.len() + self.schedule.ended(self.now).len()
    }

    /// Goes on to the next beat, takes out who is due, and takes in the answers: how many.
    pub fn beat(&mut self) -> usize {
        self.now = self.now.after(EVERY);
        let due = self.schedule.beat(self.now).due;
        for due in &due {
            self.schedule.extended(due.number, self.now);
        }
        due.len()
    }
}
