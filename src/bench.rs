//! What `benches/pure.rs` measures and no application can call: the decisions of the keeper, without threads and
//! without a database. The benchmark moves the clock by hand.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::error::Result;
use crate::lease::Lease;
use crate::lock::Lock;
use crate::managed::event::Observer;
use crate::managed::held_lease::{HeldLease, Pinning};
use crate::managed::schedule::Schedule;
use crate::token::Token;

const EVERY: Duration = Duration::from_secs(10);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Makes a lease without acquiring it in a database.
///
/// # Errors
/// An error for a name that cannot be used.
pub fn lease(name: &str) -> Result<Lease> {
    let lock = Lock::new(name)?.with_ttl(YEAR)?;
    Ok(Lease::new(&lock, Token::random()?, 1, Moment::now()))
}

/// Decides when each lease is extended.
#[derive(Debug)]
pub struct Keeper {
    schedule: Schedule,
    now: Moment,
}

impl Keeper {
    /// A keeper of this number of leases.
    ///
    /// # Errors
    /// An error if the system has no source of randomness.
    pub fn with(leases: usize) -> Result<Self> {
        let (mut schedule, now) = (Schedule::default(), Moment::now());
        for number in 0..leases {
            let held = HeldLease::new(
                lease(&format!("kept-{number}"))?,
                Duration::ZERO,
                None,
                Pinning::default(),
                Observer::default(),
            );
            schedule.add(Arc::new(held), EVERY, now);
        }
        Ok(Self { schedule, now })
    }

    /// Checks the schedule at a moment when nothing is due. Returns the number of leases that are due or ended.
    pub fn look(&mut self) -> usize {
        self.schedule.beat(self.now).due.len() + self.schedule.ended(self.now).len()
    }

    /// Moves the clock to the next beat, takes the leases that are due, and records each as extended. Returns their
    /// number.
    pub fn beat(&mut self) -> usize {
        self.now = self.now.after(EVERY);
        let due = self.schedule.beat(self.now).due;
        for due in &due {
            self.schedule.extended(due.number, self.now);
        }
        due.len()
    }
}
