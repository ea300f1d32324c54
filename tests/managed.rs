//! Records the events of a world's `Locker` and the traffic on its connections.

pub mod recorder;
pub mod traffic;

pub use diesel_locks_tests::managed::{AnyGuard, Job, Managed, Observer};
