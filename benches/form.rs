//! How long it is measured.

use std::time::Duration;

pub struct Form {
    pub name: &'static str,
    /// How often a limit and its contestants are run in turn.
    pub rounds: usize,
    /// How long each of them runs in a round.
    pub slice: Duration,
    /// How long what goes on by itself is watched.
    pub watch: Duration,
    /// How long leases live that are kept alive.
    pub ttl: Duration,
    /// How many leases a process keeps alive.
    pub kept: &'static [usize],
    /// How many rows the table has.
    pub rows: &'static [u32],
    /// How many pairs a table sees before its growth is read.
    pub cycles: usize,
    /// What is measured on every engine, and not on PostgreSQL alone.
    pub everywhere: &'static [&'static str],
}

impl Form {
    /// Some two minutes.
    pub const SHORT: Self = Self {
        name: "short",
        rounds: 3,
        slice: Duration::from_millis(100),
        watch: Duration::from_secs(1),
        ttl: Duration::from_secs(6),
        kept: &[1_000],
        rows: &[100, 10_000],
        cycles: 10_000,
        everywhere: &["pairs", "busy", "many", "pins"],
    };

    pub const FULL: Self = Self {
        name: "full",
        rounds: 9,
        slice: Duration::from_millis(300),
        watch: Duration::from_secs(6),
        ttl: Duration::from_secs(30),
        kept: &[1_000, 10_000, 100_000],
        rows: &[100, 10_000, 1_000_000, 10_000_000],
        cycles: 1_000_000,
        everywhere: &[
            "pairs", "busy", "many", "pins", "handoff", "keeping", "waiters", "growth",
        ],
    };
}
