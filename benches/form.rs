//! The forms of the benchmark: short and full.

use std::time::Duration;

pub struct Form {
    pub name: &'static str,
    /// The number of rounds in which a limit and its contestants run in turn. One more than a multiple of four, so that there
    /// is a middle half.
    pub rounds: usize,
    /// The time of one contestant in a round.
    pub slice: Duration,
    /// The time for which background work is observed.
    pub watch: Duration,
    /// The ttl of leases that are kept alive.
    pub ttl: Duration,
    /// The numbers of leases that a process keeps alive.
    pub kept: &'static [usize],
    /// The sizes of tables, in rows.
    pub rows: &'static [u32],
    /// The number of acquisitions and releases in a table before its size is read.
    pub cycles: usize,
    /// How long a lock is held for which processes contend.
    pub fair: &'static [Duration],
    /// The chapters for every engine. The other chapters are for PostgreSQL alone.
    pub everywhere: &'static [&'static str],
}

impl Form {
    /// Some minutes.
    pub const SHORT: Self = Self {
        name: "short",
        rounds: 5,
        slice: Duration::from_millis(100),
        watch: Duration::from_secs(1),
        ttl: Duration::from_secs(6),
        kept: &[1_000],
        rows: &[100, 10_000],
        cycles: 10_000,
        fair: &[Duration::from_millis(100)],
        everywhere: &["pairs", "crowds", "peers", "busy", "many", "pins"],
    };

    pub const FULL: Self = Self {
        name: "full",
        rounds: 13,
        slice: Duration::from_millis(300),
        watch: Duration::from_secs(6),
        ttl: Duration::from_secs(30),
        kept: &[1_000, 10_000, 100_000],
        rows: &[100, 10_000, 1_000_000, 10_000_000],
        cycles: 300_000,
        fair: &[
            Duration::from_millis(10),
            Duration::from_millis(100),
            Duration::from_secs(1),
        ],
        everywhere: &[
            "pairs", "crowds", "peers", "busy", "many", "pins", "handoff", "fairness", "keeping",
            "waiters", "growth",
        ],
    };
}
