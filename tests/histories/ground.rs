//! What the processes of a history share: the database, the names of the locks, and the rule that the clients follow.

use std::time::Duration;

use diesel_locks::Lock;
use diesel_locks_tests::Engine;
use diesel_locks_tests::clock::{Time, now};

use crate::operation::Client;
use crate::random::Random;

/// Whether the clients use the crate as it is, or break a rule on purpose. A broken rule is a control: if the checker does
/// not find it, the checker proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Kept,
    /// Clients with statements take a lease over when half of its time is left.
    EarlyTakeover,
    /// Clients with statements look at their lease, and then write without a pin.
    NoPin,
    /// Clients sometimes say that a lock is busy, and have not asked.
    FalseBusy,
}

#[derive(Clone, Debug)]
pub struct Ground {
    pub engine: Engine,
    pub rule: Rule,
    /// The URLs for tasks and for threads: each has a network of its own that fails.
    pub urls: [String; 2],
    pub seed: u64,
    pub process: u64,
    /// When the history began.
    pub began: Time,
}

const VARIABLES: [&str; 5] = [
    "DIESEL_LOCKS_HISTORIES_TASKS_URL",
    "DIESEL_LOCKS_HISTORIES_THREADS_URL",
    "DIESEL_LOCKS_HISTORIES_SEED",
    "DIESEL_LOCKS_HISTORIES_PROCESS",
    "DIESEL_LOCKS_HISTORIES_BEGAN",
];

/// How many names are in use at the same time. The first is used by a third of all operations. In a control there are few,
/// so that the broken rule soon does harm.
const NAMES: u64 = 48;
const NAMES_OF_CONTROL: u64 = 3;
/// From time to time all names are new, so that the first use of a name happens often.
const AGE: Time = 4_000_000;

impl Ground {
    /// The values of [`variables`](Self::variables) in a child. `None` in the test itself.
    pub fn of_child(engine: Engine, rule: Rule) -> Option<Self> {
        let [tasks, threads, seed, process, began] = VARIABLES.map(|name| std::env::var(name).ok());
        Some(Self {
            engine,
            rule,
            urls: [tasks?, threads?],
            seed: seed?.parse().ok()?,
            process: process?.parse().ok()?,
            began: began?.parse().ok()?,
        })
    }

    pub fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        let [tasks, threads] = self.urls.clone();
        let numbers = [
            self.seed.to_string(),
            self.process.to_string(),
            self.began.to_string(),
        ];
        VARIABLES
            .into_iter()
            .zip([tasks, threads].into_iter().chain(numbers))
    }

    /// A lock that this client is going to ask for.
    pub fn lock(&self, client: Client, ttl: Duration, random: &mut Random) -> Lock {
        let names = match self.rule {
            Rule::Kept | Rule::FalseBusy => NAMES, // so many that a lock is often free
            Rule::EarlyTakeover | Rule::NoPin => NAMES_OF_CONTROL,
        };
        let place = if random.one_in(3) {
            0
        } else {
            random.below(names)
        };
        let name = format!("{place}-{}", (now() - self.began) / AGE);
        let lock = Lock::new(name).and_then(|lock| lock.with_ttl(ttl));
        let lock = lock.and_then(|lock| lock.with_owner(client.to_string()));
        lock.expect("a valid lock")
    }
}
