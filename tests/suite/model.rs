//! A simple model of a lock, in memory. Random sequences of operations run on the model and on an engine, and every
//! answer is compared. A failure prints its seed. `DIESEL_LOCKS_SEED` repeats that sequence.

mod game;

use diesel_locks::{Outcome, Pin};

use crate::world::World;
pub use game::play;

/// The model. Its time is in seconds, and its tokens are numbers.
#[derive(Clone, Debug, Default)]
struct Model {
    now: u64,
    row: Option<Row>,
    last_fence: i64,
}

#[derive(Clone, Debug)]
struct Row {
    token: Option<usize>,
    fence: i64,
    ends: u64,
    owner: String,
    data: Option<String>,
}

impl Model {
    fn held(&self) -> Option<&Row> {
        self.row
            .as_ref()
            .filter(|row| row.token.is_some() && row.ends > self.now)
    }

    /// The row, if it still belongs to this lease.
    fn mine(&mut self, (token, fence): (usize, i64)) -> Option<&mut Row> {
        self.row
            .as_mut()
            .filter(|row| row.token == Some(token) && row.fence == fence)
    }

    /// Changes the row of a lease. Returns the outcome.
    fn change(&mut self, lease: (usize, i64), change: impl FnOnce(&mut Row, u64)) -> Outcome {
        let now = self.now;
        let Some(row) = self.mine(lease) else {
            return Outcome::Lost;
        };
        let late = row.ends <= now;
        change(row, now);
        if late {
            Outcome::DoneLate
        } else {
            Outcome::Done
        }
    }

    fn pin(&mut self, lease: (usize, i64)) -> Pin {
        let now = self.now;
        match self.mine(lease) {
            None => Pin::Lost,
            Some(row) if row.ends > now => Pin::Pinned,
            Some(_) => Pin::Expired,
        }
    }

    fn free(row: &mut Row, now: u64) {
        row.token = None;
        row.ends = row.ends.min(now);
    }
}

/// xorshift64*. It is random enough to choose operations.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).expect("31 bits") % limit
    }
}

/// Prints how to repeat a sequence if it fails.
struct Seed(u64);

impl Seed {
    fn new() -> Self {
        let told = std::env::var("DIESEL_LOCKS_SEED").ok();
        let random = || (u64::from(random()) << 32) | u64::from(random());
        Self(
            told.map_or_else(random, |seed| seed.parse().expect("a number"))
                .max(1),
        )
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to play it again: DIESEL_LOCKS_SEED={}", self.0);
        }
    }
}

/// A random number, without a crate for it.
fn random() -> u32 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let hash = RandomState::new().build_hasher().finish();
    u32::try_from(hash >> 32).expect("32 bits")
}

pub async fn the_model_agrees_with_the_engine(world: &World) {
    play(world, [world.session().await, world.session().await]).await;
}
